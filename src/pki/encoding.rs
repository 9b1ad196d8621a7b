//! How a parameter holds its value: base64 of PEM text, in one line.
//!
//! Reading is lenient where the Docker daemon is (CRLF, surrounding blanks, text outside of blocks), and tells where
//! the daemon would be less so: two blocks on one line keep `dockerd` from starting.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

use crate::pki::undecodable::Undecodable;

/// `base64 -d` takes trailing bits that are not zero, and so must we: such a value works on every instance.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The PEM blocks of a parameter's value.
pub struct PemText {
    /// The blocks that could be read, in their order.
    pub blocks: Vec<PemBlock>,
    /// Whether every block could be read and stands on lines of its own.
    pub intact: bool,
}

/// One PEM block (RFC 7468).
pub struct PemBlock {
    /// What stands behind `BEGIN`, for example `CERTIFICATE`.
    pub label: String,
    /// The DER; perhaps a private key's, so it is zeroed on drop.
    pub der: Zeroizing<Vec<u8>>,
}

impl PemText {
    /// Reads a parameter's value.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        let mut compact = Zeroizing::new(value.trim().to_owned());
        compact.retain(|c| !matches!(c, '\n' | '\r'));
        let text = LENIENT.decode(compact.as_bytes()).map(Zeroizing::new);
        let Ok(text) = text else {
            return Err(Undecodable::NotBase64);
        };
        // A byte that is no UTF-8 can only stand outside of blocks, or spoil the one it stands in.
        let text = Zeroizing::new(String::from_utf8_lossy(&text).into_owned());
        Ok(Self::read(&text))
    }

    /// Reads PEM text block by block; what cannot be read is left out.
    pub fn read(text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut intact = true;
        let mut position = 0;
        while let Some(begin) = text[position..].find(BEGIN).map(|at| position + at) {
            let body = begin + BEGIN.len();
            let next_begin = text[body..].find(BEGIN).map_or(text.len(), |at| body + at);
            let end = text[body..next_begin].find(END).and_then(|at| {
                let label = body + at + END.len();
                text[label..next_begin]
                    .find(DASHES)
                    .map(|dashes| label + dashes + DASHES.len())
            });
            let Some(end) = end else {
                intact = false;
                position = next_begin;
                continue;
            };
            intact &= begin == 0 || text[..begin].ends_with('\n');
            let rest_of_line = text[end..].lines().next().unwrap_or_default();
            intact &= rest_of_line.trim().is_empty();
            match pem::parse(&text[begin..end]) {
                Ok(block) => blocks.push(PemBlock {
                    label: block.tag().to_owned(),
                    der: Zeroizing::new(block.into_contents()),
                }),
                Err(_) => intact = false,
            }
            position = end;
        }
        Self { blocks, intact }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read_labels(text: &str) -> (Vec<String>, bool) {
        let text = PemText::decode(&STANDARD.encode(text)).expect("base64");
        (
            text.blocks.into_iter().map(|block| block.label).collect(),
            text.intact,
        )
    }

    const A: &str = "-----BEGIN A-----\nAAAA\n-----END A-----";
    const B: &str = "-----BEGIN B-----\nAAAA\n-----END B-----";

    #[test]
    fn blocks_on_lines_of_their_own_are_intact_whatever_stands_between() {
        for text in [
            format!("{A}\n{B}\n"),
            format!("{A}\n{B}"),
            format!("{A}\r\n{B}\r\n").replace("\nAAAA\n", "\r\nAAAA\r\n"),
            format!("a comment\n{A}\n# another\n\n{B}  \n"),
        ] {
            let expected = (vec!["A".to_owned(), "B".to_owned()], true);
            assert_eq!(read_labels(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn blocks_that_share_a_line_are_read_but_not_intact() {
        assert_eq!(
            read_labels(&format!("{A}{B}")),
            (vec!["A".to_owned(), "B".to_owned()], false)
        );
    }

    #[test]
    fn a_spoilt_block_is_left_out_and_its_neighbours_are_read() {
        let spoilt = "-----BEGIN C-----\n!!!\n-----END C-----";
        for text in [
            format!("{A}\n{spoilt}\n{B}\n"),
            format!("{A}\n-----BEGIN C-----\nAAAA\n{B}\n"),
        ] {
            let expected = (vec!["A".to_owned(), "B".to_owned()], false);
            assert_eq!(read_labels(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn blanks_and_line_ends_around_and_within_the_base64_do_not_matter() {
        let value = STANDARD.encode(A);
        let (front, back) = value.split_at(12);
        let text = PemText::decode(&format!(" {front}\r\n{back}\n ")).expect("base64");
        assert_eq!(text.blocks.len(), 1);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let value = encode([("A", &[1u8, 2, 3][..]), ("B", &[4u8][..])]);
        let text = PemText::decode(&value).expect("base64");
        assert!(text.intact);
        let blocks: Vec<_> = text
            .blocks
            .iter()
            .map(|block| (block.label.as_str(), block.der.to_vec()))
            .collect();
        assert_eq!(blocks, [("A", vec![1, 2, 3]), ("B", vec![4])]);
    }
}
