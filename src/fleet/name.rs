//! How a trusted certificate is told from another without its bytes.

use std::fmt;

use aws_lc_rs::digest;

/// The first bytes of the SHA-256 of a certificate's subject (DER): what is left of a name that a daemon shows in its
/// `CertificateRequest`, for a node's answer has little room.
///
/// Two certificates of one subject have one id, and a daemon that trusts both shows it twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId([u8; NameId::BYTES]);

impl NameId {
    /// How many bytes of the SHA-256 are kept; shown as twice as many hex digits.
    pub const BYTES: usize = 8;

    /// The id of a subject's DER.
    pub fn of(subject: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, subject);
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&digest.as_ref()[..Self::BYTES]);
        Self(bytes)
    }

    /// Reads lower-case hex.
    pub fn parse(text: &str) -> Option<Self> {
        let is_lower = !text.contains(|c: char| c.is_ascii_uppercase());
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| is_lower && digits.len() == 2 * Self::BYTES)?;
        let mut bytes = [0; Self::BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for NameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sixteen_lower_case_hex_digits() {
        // printf '' | sha256sum | cut -c1-16
        assert_eq!(NameId::of(b"").to_string(), "e3b0c44298fc1c14");
        let id = "0123456789abcdef";
        let parsed = NameId::parse(id).expect("an id");
        assert_eq!(parsed.to_string(), id);
        for text in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            "0123456789abcdeg",
            "0123456789abcde\u{e9}",
            "0123456789abcdefA",
        ] {
            assert_eq!(NameId::parse(text), None, "{text:?}");
        }
    }
}
