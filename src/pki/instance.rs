//! How an instance reads a value, to the letter: `base64 -d`, which writes `/etc/ca.pem` and its like, and then Go's
//! PEM reader, which `dockerd` and `docker` load those files with.
//!
//! What these make of a value is what daemons and clients have. The tests ask both programs themselves.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

/// Go takes trailing bits that are not zero, and wants the padding.
const GO: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const GROUP_CHARS: usize = 4;

/// A PEM block that Go reads.
pub struct Block {
    /// What stands behind `BEGIN`.
    pub label: String,
    /// Whether lines such as `Proc-Type: …` stand before the content: a bundle's blocks are skipped for that.
    pub has_headers: bool,
    /// Whether one of them is `DEK-Info`: Docker takes the block for encrypted.
    pub is_encrypted: bool,
    /// The content; perhaps a private key's, so it is zeroed on drop.
    pub der: Zeroizing<Vec<u8>>,
}

/// What `base64 -d` of the GNU coreutils writes: it ignores line feeds and nothing else, goes on behind a padding, and
/// writes what it has got when it meets what is no base64.
pub fn file(value: &str) -> Zeroizing<Vec<u8>> {
    // Good base64 in one line, as this function and the deployed handler write it.
    if let Ok(file) = STANDARD.decode(value) {
        return Zeroizing::new(file);
    }
    let mut written = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut group = Zeroizing::new([0; GROUP_CHARS]);
    let mut filled = 0;
    for byte in value.bytes().filter(|byte| *byte != b'\n') {
        group[filled] = byte;
        filled += 1;
        if filled == GROUP_CHARS {
            filled = 0;
            if !write_group(&*group, &mut written) {
                return written;
            }
        }
    }
    write_group(&group[..filled], &mut written);
    written
}

/// Writes the bytes of four characters as far as they are good; whether all of them are.
fn write_group(group: &[u8], written: &mut Vec<u8>) -> bool {
    let (content, padding) = match group {
        [content @ .., b'=', b'='] => (content, 2),
        [content @ .., b'='] => (content, 1),
        content => (content, 0),
    };
    let mut bits = 0;
    for (index, byte) in content.iter().enumerate() {
        let Some(value) = sextet(*byte) else {
            return false;
        };
        bits = bits << 6 | u32::from(value);
        if index > 0 {
            // Of 12, 18 and 24 bits, eight are new and whole.
            let whole = bits >> (6 - 2 * index);
            written.push(whole.to_le_bytes()[0]);
        }
    }
    content.len() >= 2 && content.len() + padding == GROUP_CHARS
}

/// What a character of the standard alphabet stands for (RFC 4648, section 4).
pub(crate) fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// The blocks that Go's `encoding/pem` finds in a file, in their order.
pub fn blocks(file: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = file;
    while let Some((block, behind)) = next_block(rest) {
        blocks.push(block);
        rest = behind;
    }
    blocks
}

/// `pem.Decode`, step by step: a block that it does not like, it forgets, and goes on behind that block's first line.
fn next_block(data: &[u8]) -> Option<(Block, &[u8])> {
    let mut rest = data;
    loop {
        rest = match rest.strip_prefix(BEGIN) {
            Some(behind) => behind,
            None => &rest[find_line(rest, BEGIN)? + 1 + BEGIN.len()..],
        };
        let (line, behind) = split_line(rest);
        rest = behind;
        let Some(label) = line.strip_suffix(DASHES) else {
            continue;
        };

        let (mut has_headers, mut is_encrypted) = (false, false);
        loop {
            if rest.is_empty() {
                return None;
            }
            let (line, behind) = split_line(rest);
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                break;
            };
            has_headers = true;
            is_encrypted |= line[..colon].trim_ascii() == b"DEK-Info";
            rest = behind;
        }

        // Where the content ends, and where the line that ends it has its label.
        let ends = if !has_headers && rest.starts_with(END) {
            Some((0, END.len()))
        } else {
            find_line(rest, END).map(|end| (end, end + 1 + END.len()))
        };
        let content_and_behind = ends.and_then(|(end, behind)| {
            let behind = rest[behind..].strip_prefix(label)?;
            let (line, behind) = split_line(behind.strip_prefix(DASHES)?);
            let content = decode(&rest[..end])?;
            line.is_empty().then_some((content, behind))
        });
        let Some((der, behind)) = content_and_behind else {
            continue;
        };
        let block = Block {
            label: String::from_utf8_lossy(label).into_owned(),
            has_headers,
            is_encrypted,
            der,
        };
        return Some((block, behind));
    }
}

/// The first line without blanks and carriage return at its end, and what follows it.
fn split_line(data: &[u8]) -> (&[u8], &[u8]) {
    let (mut line, rest) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = &data[..end];
            (line.strip_suffix(b"\r").unwrap_or(line), &data[end + 1..])
        }
        None => (data, &[][..]),
    };
    while let [shorter @ .., b' ' | b'\t'] = line {
        line = shorter;
    }
    (line, rest)
}

/// Where the line feed is behind which a line begins so.
fn find_line(data: &[u8], begin: &[u8]) -> Option<usize> {
    let mut feeds = (0..data.len()).filter(|at| data[*at] == b'\n');
    feeds.find(|at| data[at + 1..].starts_with(begin))
}

fn decode(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut compact = Zeroizing::new(content.to_vec());
    compact.retain(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    GO.decode(&*compact).ok().map(Zeroizing::new)
}

/// How long the sequence is that the DER begins with (X.690, section 8.1.3).
pub(crate) fn sequence_len(der: &[u8]) -> Option<usize> {
    let (len_bytes, content): (usize, usize) = match *der {
        [0x30, len @ ..=0x7f, ..] => (0, len.into()),
        [0x30, 0x81, len, ..] => (1, len.into()),
        [0x30, 0x82, high, low, ..] => (2, u16::from_be_bytes([high, low]).into()),
        _ => return None,
    };
    Some(2 + len_bytes + content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_written_as_far_as_it_is_good() {
        for (value, expected) in [
            ("QUJD", "ABC"),
            ("QU\nJD\n", "ABC"),
            ("QUI=QUJD", "ABABC"),
            ("QQ==QQ==", "AA"),
            ("QUJDQUI", "ABCAB"),
            ("QUJDQU", "ABCA"),
            ("QUJDQ", "ABC"),
            ("QUJD QUJD", "ABC"),
            ("QUJDQU!JD", "ABCA"),
            ("QU=IQUJD", "A"),
            ("\rQUJD", ""),
            ("", ""),
        ] {
            assert_eq!(*file(value), expected.as_bytes(), "{value:?}");
        }
    }

    fn labels(text: &str) -> Vec<String> {
        let blocks = blocks(text.as_bytes()).into_iter();
        blocks.map(|block| block.label).collect()
    }

    #[test]
    fn a_block_that_go_does_not_like_hides_no_other() {
        const A: &str = "-----BEGIN A-----\nAAAA\n-----END A-----";
        const B: &str = "-----BEGIN B-----\nAAAA\n-----END B-----";
        for (text, expected) in [
            (format!("{A}\n{B}\n"), &["A", "B"][..]),
            (
                format!("{A}\r\n{B}  \r\n").replace("AA\n", "AA\r\n"),
                &["A", "B"],
            ),
            (format!("comment\n{A}\n# another\n\n{B}"), &["A", "B"]),
            (format!("{A}{B}"), &[]),
            (format!(" {A}\n{B}"), &["B"]),
            (format!("{A}\n{}", B.replace("END B", "END A")), &["A"]),
            (format!("-----BEGIN C-----\nAAAA\n{B}\n"), &["B"]),
            ("-----BEGIN C-----\n-----END C-----\n".to_owned(), &["C"]),
        ] {
            assert_eq!(labels(&text), expected, "{text:?}");
        }
    }
}
