//! Ways in which a stored value can be bad.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::certificates::pem_of;
use crate::rack::{Part, Set};
use crate::ssm::Ssm;

/// A way in which a stored value can be bad.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Damage {
    /// There is no parameter.
    Missing,
    /// Not base64 at all.
    NotBase64,
    /// base64, but of plain text.
    Base64OfText,
    /// The first and the last line of a PEM block, with nothing between them.
    PemWithoutBlock,
    /// A PEM block whose content is no DER.
    JunkDer,
    /// The first half.
    Truncated,
    /// A good value, but from another rack.
    OfAnotherSet,
}

impl Damage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Missing,
        Self::NotBase64,
        Self::Base64OfText,
        Self::PemWithoutBlock,
        Self::JunkDer,
        Self::Truncated,
        Self::OfAnotherSet,
    ];

    /// Does it to one parameter of a rack; `other` is a set of the same kind.
    pub fn strike(self, ssm: &Ssm, rack: &str, part: Part, other: &Set) {
        let name = part.of(rack);
        let stored = ssm.read(&name).expect("only what exists can be damaged");
        match self.damaged(&stored.value, part, other) {
            Some(value) => ssm.write(&name, &stored.kind, &value),
            None => ssm.remove(&name),
        }
    }

    /// What becomes of a value; none when it goes.
    fn damaged(self, value: &str, part: Part, other: &Set) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::NotBase64 => Some("# not base64 #".to_owned()),
            Self::Base64OfText => Some(STANDARD.encode("once upon a time\n")),
            Self::PemWithoutBlock => Some(STANDARD.encode(armoured(value, ""))),
            Self::JunkDer => {
                Some(STANDARD.encode(armoured(value, "anVuayBERVIsIG5vdGhpbmcgZWxzZQ==\n")))
            }
            Self::Truncated => Some(value[..value.len() / 2].to_owned()),
            Self::OfAnotherSet => Some(other.value(part).to_owned()),
        }
    }
}

/// The first and last line of a value's first PEM block, with something else between them.
fn armoured(value: &str, content: &str) -> String {
    let text = pem_of(value);
    let begin = text.lines().next().expect("PEM has lines");
    format!("{begin}\n{content}{}\n", begin.replace("BEGIN", "END"))
}
