//! How a parameter holds its value: base64 of PEM text, in one line.
//!
//! Values are pasted, restored and adopted, and something happens to them on the way. So this reads whatever a person
//! can see in them, and loses nothing that is there; [`instance`](crate::pki::instance) is what a daemon reads. A value
//! in which the two see different things is not intact, and is written again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::pki::instance::{sequence_len, sextet};
use crate::pki::undecodable::Undecodable;

/// The base64 of what every PEM text begins with.
const BASE64_OF_BEGIN: &str = "LS0tLS1CRUdJTi";

/// Longer than any label: what follows a `BEGIN` of a comment is none.
const MAX_LABEL_CHARS: usize = 64;

/// The PEM blocks of a parameter's value that a person can see.
pub struct PemText {
    /// The blocks, in their order.
    pub blocks: Vec<PemBlock>,
}

/// One PEM block (RFC 7468).
pub struct PemBlock {
    /// What stands behind `BEGIN`, for example `CERTIFICATE`.
    pub label: String,
    /// The DER sequence that it holds, or nothing if it holds none. Perhaps a private key, so it is zeroed on drop.
    pub der: Zeroizing<Vec<u8>>,
}

impl PemBlock {
    /// Whether it claims to hold a private key.
    pub(crate) fn is_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }
}

impl PemText {
    /// Reads a parameter's value: base64 in whatever lines, or PEM text where base64 belongs.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        // Two encoded texts in a row may look like one, but then it is none.
        let text = STANDARD.decode(value).map(Zeroizing::new);
        if let Some(text) = text.ok().filter(|text| text.is_ascii()) {
            return Ok(Self::read(&text));
        }
        let value = plain(value.as_bytes());
        let (text, is_base64) = if value.contains("--") {
            (Self::read(value.as_bytes()), false)
        } else {
            let (text, is_base64) = decode_base64(&value);
            (Self::read(&text), is_base64)
        };
        if text.blocks.is_empty() && !is_base64 {
            return Err(Undecodable::NotBase64);
        }
        Ok(text)
    }

    /// Reads PEM text, in whatever lines.
    pub fn read(text: &[u8]) -> Self {
        let text = plain(text);
        let markers = markers(&text);
        let mut blocks = Vec::new();
        let mut previous: Option<&Marker<'_>> = None;
        for (index, marker) in markers.iter().enumerate() {
            if marker.is_begin {
                let next = markers.get(index + 1);
                let end = next.map_or(text.len(), |next| next.begins);
                let body = text.get(marker.ends..end).unwrap_or_default();
                blocks.push(marker.block(read_body(body).unwrap_or_default()));
            } else if previous.is_none_or(|previous| !previous.is_begin) {
                // The line that begins it is lost, or there is none, and this is a comment.
                let begin = previous.map_or(0, |previous| previous.ends);
                let body = text.get(begin..marker.begins).unwrap_or_default();
                blocks.extend(read_body(body).map(|der| marker.block(der)));
            }
            previous = Some(marker);
        }
        Self { blocks }
    }
}

/// A line that begins or ends a block, wherever in a line it stands.
struct Marker<'a> {
    is_begin: bool,
    label: &'a str,
    begins: usize,
    ends: usize,
}

impl Marker<'_> {
    fn block(&self, der: Zeroizing<Vec<u8>>) -> PemBlock {
        PemBlock {
            label: self.label.to_owned(),
            der,
        }
    }
}

fn markers(text: &str) -> Vec<Marker<'_>> {
    let mut markers = Vec::new();
    let mut position = 0;
    while let Some(begins) = text[position..].find("--").map(|at| position + at) {
        let named = text[begins..].trim_start_matches('-');
        position = text.len() - named.len();
        let named = named.trim_start_matches(is_blank);
        let (is_begin, named) = match (named.strip_prefix("BEGIN"), named.strip_prefix("END")) {
            (Some(named), _) => (true, named),
            (_, Some(named)) => (false, named),
            _ => continue,
        };
        let label = named.split(['-', '\n']).next().unwrap_or_default();
        if !label.starts_with(is_blank) || label.len() > MAX_LABEL_CHARS {
            continue;
        }
        // The dashes behind a label may be those before the next.
        let behind = &named[label.len()..];
        position = text.len() - behind.len();
        markers.push(Marker {
            is_begin,
            label: label.trim(),
            begins,
            ends: text.len() - behind.trim_start_matches('-').len(),
        });
    }
    markers
}

fn is_blank(c: char) -> bool {
    c != '\n' && c.is_whitespace()
}

/// The text without what only surrounds it: marks of its encoding, quotes, backslashes; the line ends that a string
/// literal spells out are line ends. A byte that is no UTF-8 spoils nothing but the place where it stands.
fn plain(text: &[u8]) -> Zeroizing<String> {
    // What this function wrote, or the deployed handler, has none of it.
    let surrounds = |byte: &u8| matches!(byte, 0 | b'\\' | b'\r' | b'"' | b'\'' | b'`');
    if text.is_ascii() && !text.iter().any(surrounds) {
        return Zeroizing::new(String::from_utf8_lossy(text).into_owned());
    }
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let lossy = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
    let marks = ['\0', '\u{200b}', '\u{feff}', char::REPLACEMENT_CHARACTER];
    let mut chars = lossy.chars().filter(|c| !marks.contains(c)).peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if chars.next_if(|c| matches!(c, 'n' | 'r' | 't')).is_some() {
                    plain.push('\n');
                }
            }
            '\r' => plain.push('\n'),
            '"' | '\'' | '`' => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Decodes base64 with whatever stands between its characters, and whether nothing else did but blanks.
///
/// A padding ends one encoded text, and its beginning begins another. What is no base64 stands in a character's place
/// if all of them would be complete with it, and else between two.
fn decode_base64(value: &str) -> (Zeroizing<Vec<u8>>, bool) {
    let mut compact = Zeroizing::new(value.to_owned());
    compact.retain(|c| !c.is_whitespace());
    let is_base64_char = |c: char| c == '=' || u8::try_from(c).is_ok_and(|c| sextet(c).is_some());
    let is_base64 = compact.chars().all(is_base64_char);
    let is_complete = compact.chars().count().is_multiple_of(4);
    let mut text = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut decoder = Decoder::default();
    for (index, c) in compact.char_indices() {
        if c == '=' || compact[index..].starts_with(BASE64_OF_BEGIN) {
            decoder = Decoder::default();
        }
        match u8::try_from(c).ok().and_then(sextet) {
            Some(value) => text.extend(decoder.push(value)),
            None if c != '=' && is_complete => text.extend(decoder.push(0)),
            None => {}
        }
    }
    (text, is_base64)
}

/// The DER in a block's body, behind its headers.
fn read_body(body: &str) -> Option<Zeroizing<Vec<u8>>> {
    let is_header = |line: &str| line.trim().is_empty() || line.contains(':');
    let mut content = body;
    while let Some((_, rest)) = content.split_once('\n').filter(|(line, _)| is_header(line)) {
        content = rest;
    }
    read_der(content).or_else(|| {
        // Something else stands before it, in its line or in lines of its own. It begins with what stands for a
        // sequence's tag; and a word that looks like one is shorter.
        let sequences = body
            .match_indices('M')
            .filter_map(|(at, _)| read_der(&body[at..]));
        sequences.max_by_key(|der| der.len())
    })
}

/// The sequence of DER that the base64 begins with; what follows it does not matter.
fn read_der(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut compact = Zeroizing::new(String::with_capacity(text.len()));
    // Mostly it is base64 in plain lines, to its end.
    compact.extend(text.split('\n'));
    let der = STANDARD.decode(&*compact).map(Zeroizing::new);
    let mut der = der.unwrap_or_else(|_| {
        compact.retain(|c| !c.is_whitespace());
        read_beginning(&compact)
    });
    let len = sequence_len(&der).filter(|len| *len <= der.len())?;
    der.truncate(len);
    Some(der)
}

/// What a text begins with that is base64.
fn read_beginning(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut decoder = Decoder::default();
    let sextets = text
        .chars()
        .map_while(|c| u8::try_from(c).ok().and_then(sextet));
    for sextet in sextets {
        bytes.extend(decoder.push(sextet));
    }
    bytes
}

/// Turns characters of base64 into bytes; bits that are left at the end are dropped.
#[derive(Default)]
struct Decoder {
    bits: u16,
    count: u32,
}

impl Decoder {
    fn push(&mut self, sextet: u8) -> Option<u8> {
        self.bits = self.bits << 6 | u16::from(sextet);
        self.count += 6;
        let left = self.count.checked_sub(8)?;
        self.count = left;
        Some((self.bits >> left).to_le_bytes()[0])
    }
}

/// Writes DER blocks as a parameter holds them: base64 of PEM, each block on lines of its own.
pub fn encode<'a>(blocks: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Zeroizing<String> {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let mut text = Zeroizing::new(String::new());
    for (label, der) in blocks {
        let block = Zeroizing::new(pem::encode_config(&pem::Pem::new(label, der), config));
        text.push_str(&block);
    }
    Zeroizing::new(STANDARD.encode(text.as_bytes()))
}

/// How many characters a parameter takes that holds certificates of so many bytes of DER each.
pub(crate) fn encoded_chars(certificates: &[usize]) -> usize {
    const LINE_CHARS: usize = 64;
    const FRAME: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    let base64 = |bytes: usize| bytes.div_ceil(3) * 4;
    let block = |bytes: &usize| {
        let chars = base64(*bytes);
        FRAME.len() + chars + chars.div_ceil(LINE_CHARS)
    };
    base64(certificates.iter().map(block).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "-----BEGIN A-----\nMAMCAQE=\n-----END A-----";
    const B: &str = "-----BEGIN B-----\nMAMCAQI=\n-----END B-----";

    #[track_caller]
    fn check_both_seen(text: &str) {
        for value in [text.to_owned(), STANDARD.encode(text)] {
            let read = PemText::decode(&value);
            let blocks = read.expect("it has blocks").blocks;
            let blocks: Vec<(&str, &[u8])> = blocks
                .iter()
                .map(|block| (block.label.as_str(), &block.der[..]))
                .filter(|(_, der)| !der.is_empty())
                .collect();
            let expected = [("A", &[0x30, 3, 2, 1, 1][..]), ("B", &[0x30, 3, 2, 1, 2])];
            assert_eq!(blocks, expected, "{text:?}");
        }
    }

    #[test]
    fn blocks_are_seen_wherever_they_stand_and_whatever_became_of_their_lines() {
        for text in [
            format!("{A}\n{B}\n"),
            format!("{A}{B}"),
            format!("a -- comment\n  {A}\n# another: one\n{B} and more"),
            format!("{A}\n{B}\n").replace('\n', ""),
            format!("{A}\n{B}\n").replace('\n', "\\n"),
            format!("\u{feff}\"{A}\r{B}\"").replace('\n', "\n\n"),
            format!("{A}\n{B}").replace("END A", "END B"),
            format!("{A}\n{B}").replace("\n-----END A-----", ""),
            format!("{A}\n{B}").replace("-----BEGIN A-----\n", ""),
            format!("{A}\n{B}").replace("-----BEGIN B-----\n", ""),
            format!("{A}\n{B}").replace('=', ""),
            format!("{A}\n{B}").replace('=', "=\nof: it"),
            format!("{A}\n{B}").replace("MAM", "X: y\n Z: w\n\nMAM"),
            format!("{A}\n{B}")
                .replace("MAM", "X: y  MAM")
                .replace('\n', " "),
            format!("{A}\n-----BEGIN C-----\n!!!\n-----END C-----\n{B}"),
            format!("{A}\n-----BEGIN C-----\nMIID\n{B}"),
        ] {
            check_both_seen(&text);
        }
    }

    #[test]
    fn a_byte_that_is_no_text_spoils_nothing_else() {
        let text = format!("\u{e9}{A}\n\u{e9}\n{B}\u{e9}");
        let latin: Vec<u8> = text.chars().filter_map(|c| u8::try_from(c).ok()).collect();
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for text in [latin, wide] {
            assert_eq!(PemText::read(&text).blocks.len(), 2, "{text:?}");
        }
    }

    #[test]
    fn base64_is_read_in_whatever_lines_and_pieces() {
        let value = STANDARD.encode(format!("{A}\n{B}\n"));
        let (front, back) = value.split_at(31);
        let pieces = [format!("{A}\n"), format!("{B}\n")].map(|text| STANDARD.encode(text));
        let bare = pieces.each_ref().map(|piece| piece.trim_end_matches('='));
        for text in [
            format!(" {front}\r\n {back}\n "),
            format!("\u{feff}'{front}\\n{back}'"),
            value.trim_end_matches('=').to_owned(),
            pieces.concat(),
            bare.concat(),
            format!("{front}*{back}"),
        ] {
            let blocks = PemText::decode(&text).expect("it has blocks").blocks;
            let read: usize = blocks.iter().map(|block| block.der.len()).sum();
            assert_eq!((blocks.len(), read), (2, 10), "{text:?}");
        }
        assert_eq!(
            PemText::decode("# no base64 #").err(),
            Some(Undecodable::NotBase64)
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let value = encode([("A", &[0x30, 3, 2, 1, 1][..]), ("B", &[0x30, 0][..])]);
        let blocks = PemText::decode(&value).expect("base64").blocks;
        let blocks: Vec<_> = blocks
            .iter()
            .map(|block| (block.label.as_str(), block.der.to_vec()))
            .collect();
        let expected = [("A", vec![0x30, 3, 2, 1, 1]), ("B", vec![0x30, 0])];
        assert_eq!(blocks, expected);
    }

    #[test]
    fn certificates_take_as_many_characters_as_is_reckoned() {
        for bytes in [1, 2, 3, 47, 48, 49, 95, 96, 97, 456, 837, 1022] {
            let contents = [vec![0x30; bytes], vec![0x30; 456], vec![0x30; bytes + 1]];
            for contents in [&contents[..1], &contents[..2], &contents[..]] {
                let blocks = contents.iter().map(|der| ("CERTIFICATE", &der[..]));
                let lengths: Vec<usize> = contents.iter().map(Vec::len).collect();
                assert_eq!(encode(blocks).len(), encoded_chars(&lengths), "{lengths:?}");
            }
        }
    }
}
