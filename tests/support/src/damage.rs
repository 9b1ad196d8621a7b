//! Ways in which a stored value can be bad, and the text that a value holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;

use crate::sets::{set_value, value};

/// A way in which a stored value can be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// There is no parameter.
    Missing,
    /// The value is not base64.
    NotBase64,
    /// The value is base64, but of plain text.
    Text,
    /// The first and the last line of a PEM block, with nothing between them.
    EmptyBlock,
    /// A PEM block whose bytes are no DER.
    JunkDer,
    /// The first half of the value.
    Truncated,
    /// A good value, but of another set.
    OfAnotherSet,
}

impl Damage {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Missing,
        Self::NotBase64,
        Self::Text,
        Self::EmptyBlock,
        Self::JunkDer,
        Self::Truncated,
        Self::OfAnotherSet,
    ];

    /// Does it to a parameter of a stored set.
    #[track_caller]
    pub fn strike(self, stored: &mut StoredSet, part: Part, other: &StoredSet) {
        match self.damaged(value(stored, part), value(other, part)) {
            Some(bad) => set_value(stored, part, &bad),
            None => drop(stored.remove(&part)),
        }
    }

    /// What becomes of a good value, given that of another set; none when it goes.
    #[track_caller]
    pub fn damaged(self, good: &str, other: &str) -> Option<String> {
        Some(match self {
            Self::Missing => return None,
            Self::NotBase64 => "# not base64 #".to_owned(),
            Self::Text => STANDARD.encode("once upon a time\n"),
            Self::EmptyBlock => STANDARD.encode(with_content(good, "")),
            Self::JunkDer => STANDARD.encode(with_content(good, "anVuayBERVI=\n")),
            Self::Truncated => good[..good.len() / 8 * 4].to_owned(),
            Self::OfAnotherSet => other.to_owned(),
        })
    }

    /// What is wrong with the value by itself, afterwards.
    pub fn flaw(self, part: Part) -> Option<Flaw> {
        let (label, junk) = if part.is_key() {
            (
                "PRIVATE KEY",
                Flaw::Undecodable(Undecodable::KeyDoesNotLoad),
            )
        } else {
            (
                "CERTIFICATE",
                Flaw::Undecodable(Undecodable::NotACertificate),
            )
        };
        match self {
            Self::Missing => Some(Flaw::Missing),
            Self::NotBase64 => Some(Flaw::Undecodable(Undecodable::NotBase64)),
            Self::Text => Some(Flaw::Undecodable(Undecodable::NoPemBlock { label })),
            Self::EmptyBlock | Self::JunkDer | Self::Truncated => Some(junk),
            Self::OfAnotherSet => None,
        }
    }
}

/// The text that a value holds.
#[track_caller]
pub fn text_of(value: &str) -> String {
    let text = STANDARD.decode(value).expect("the value is base64");
    String::from_utf8(text).expect("PEM is text")
}

/// The first and last line of a value's first PEM block, with something else between them.
fn with_content(value: &str, content: &str) -> String {
    let text = text_of(value);
    let begin = text.lines().next().expect("PEM has lines");
    format!("{begin}\n{content}{}\n", begin.replace("BEGIN", "END"))
}

/// Writes the blocks of a part without line ends between them.
pub fn join_blocks(stored: &mut StoredSet, part: Part) {
    let joined = text_of(value(stored, part)).replace("-----\n-----BEGIN", "----------BEGIN");
    set_value(stored, part, &STANDARD.encode(joined));
}
