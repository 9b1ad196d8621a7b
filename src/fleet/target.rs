//! What a run is about: the set that is published, as far as a node's daemon tells of it, and the words that follow.
//!
//! Whoever moves a fleet may read the two public parameters alone. So this is read off the trust bundle and the
//! certificate chain, where the planner has the CA key and the state besides:
//!
//! - The *current CA* is the one that the CA key belongs to. It has issued the published leaf, except in the step
//!   *introduced* of docs/rotation.md; and there it is the first of the bundle, for a bundle that introduces is always
//!   written.
//! - The *previous CA* is what a cross-certificate leads to, else the issuer of a leaf that is not of the current CA.
//! - *Moved* is in the state alone. A further CA behind a current one that has issued the leaf may be the one that the
//!   leaf was moved away from, or the operator's, see [`Rotation::PerhapsMoved`].
//!
//! Where that is mistaken (an operator has put a CA of his own before ours), the nodes are still compared with what is
//! published, and the word is a compare-and-set: it does nothing where no rotation is open, and is refused where
//! another one is.

use crate::fleet::name::NameId;
use crate::pki::certificate::{CaCertificate, Fingerprint};
use crate::plan::spec::RetirementWord;
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::rack::{Part, Rack};

/// What is published, as far as nodes are compared with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Whose fleet it is.
    pub rack: Rack,
    /// The names that a daemon shows when it was started with the published bundle, sorted: those of all certificates
    /// in it, each as often as it is there.
    pub trusts: Vec<NameId>,
    /// The certificate that it presents then.
    pub leaf: Fingerprint,
    /// The current CA.
    pub current: Fingerprint,
    /// How far a rotation has come, as far as this can be told.
    pub rotation: Rotation,
}

/// How far a rotation has come, as far as the two public parameters tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// There is one CA.
    None,
    /// A cross-certificate leads to the previous CA.
    Anchored {
        /// The previous CA.
        previous: Fingerprint,
    },
    /// The previous CA has issued the leaf, and the current one is trusted beside it. What is asked of a node is that
    /// it trusts the current one.
    Introduced {
        /// The previous CA.
        previous: Fingerprint,
    },
    /// The current CA has issued the leaf and another CA is trusted beside it that does not vouch for it. If
    /// `PreviousCACertSha256` shows that one, the leaf was moved away from it; else it is the operator's, and no
    /// rotation is open.
    PerhapsMoved {
        /// The other CA.
        beside: Fingerprint,
    },
}

/// Why nothing can be compared with what is published. An update of the stack repairs each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// A parameter is of no use by itself.
    #[error("the {part} {flaw}; expected a published set")]
    Flawed {
        /// Which one.
        part: Part,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A daemon reads other certificates in a parameter than a person does, so that what it will show is not known.
    #[error(
        "a daemon does not read the certificates that are in the {part}; update the stack, which writes them again"
    )]
    NotIntact {
        /// Which one.
        part: Part,
    },
    /// No CA of the bundle has issued the leaf. So it is for a moment while a set is written.
    #[error(
        "no CA of the trust bundle has issued the published certificate {leaf}; wait for the update that is under \
         way, or update the stack, which repairs that"
    )]
    OfNoTrustedCa {
        /// The leaf.
        leaf: Fingerprint,
    },
}

impl Target {
    /// Reads it off the trust bundle and the certificate chain; whatever else was found is not looked at.
    pub fn of(rack: &Rack, found: &Found) -> Result<Self, Untold> {
        let flawed = |part| move |flaw: &Flaw| Untold::Flawed { part, flaw: *flaw };
        let bundle = found.ca_cert.as_ref().map_err(flawed(Part::CaCert))?;
        let chain = found.server.cert.as_ref().map_err(flawed(Part::Cert))?;
        for (part, is_intact) in [
            (Part::CaCert, bundle.is_intact()),
            (Part::Cert, chain.is_intact()),
        ] {
            if !is_intact {
                return Err(Untold::NotIntact { part });
            }
        }
        let authorities = bundle.authorities();
        let leaf = chain.leaf().fingerprint();
        let issuer = authorities.iter().find(|ca| ca.has_issued(chain.leaf()));
        let (Some(issuer), Some(first)) = (issuer, authorities.first()) else {
            return Err(Untold::OfNoTrustedCa { leaf });
        };
        // As rule 2 of docs/rotation.md has it: of several, the farthest is what the oldest daemons know.
        let is_led_to = |ca: &&CaCertificate| !ca.has_key_of(issuer);
        let led_to = authorities.iter().filter(is_led_to).rev();
        let led_to = led_to
            .filter_map(|ca| Some((chain.distance_to(ca).filter(|far| *far > 0)?, ca)))
            .max_by_key(|(far, _)| *far);
        let beside = authorities.iter().find(|ca| !ca.has_key_of(issuer));
        let (current, rotation) = match (led_to, beside) {
            (Some((_, previous)), _) => (
                issuer,
                Rotation::Anchored {
                    previous: previous.fingerprint(),
                },
            ),
            (None, Some(_)) if !first.has_key_of(issuer) => (
                first,
                Rotation::Introduced {
                    previous: issuer.fingerprint(),
                },
            ),
            (None, Some(beside)) => (
                issuer,
                Rotation::PerhapsMoved {
                    beside: beside.fingerprint(),
                },
            ),
            (None, None) => (issuer, Rotation::None),
        };
        let certificates = bundle.certificates().iter();
        let mut trusts: Vec<_> = certificates.map(|ca| NameId::of(ca.subject())).collect();
        trusts.sort_unstable();
        Ok(Self {
            rack: rack.clone(),
            trusts,
            leaf,
            current: current.fingerprint(),
            rotation,
        })
    }

    /// The previous CA, or the one that may be it.
    pub const fn previous(&self) -> Option<Fingerprint> {
        match self.rotation {
            Rotation::None => None,
            Rotation::Anchored { previous }
            | Rotation::Introduced { previous }
            | Rotation::PerhapsMoved { beside: previous } => Some(previous),
        }
    }

    /// What `RetiredCA` says to take the next step once every node has what is published.
    pub fn finishing_word(&self) -> Option<RetirementWord> {
        let retired = self.previous()?;
        Some(RetirementWord {
            retired,
            staying: Some(self.current),
            has_moved: matches!(self.rotation, Rotation::PerhapsMoved { .. }),
        })
    }

    /// What `RetiredCA` says to take the rotation back.
    ///
    /// Not once the leaf was moved: what runs then presents a certificate that the previous CA does not vouch for, and
    /// would be refused where that CA alone is trusted.
    pub const fn taking_back_word(&self) -> Option<RetirementWord> {
        match self.rotation {
            Rotation::Anchored { previous } | Rotation::Introduced { previous } => {
                Some(RetirementWord {
                    retired: self.current,
                    staying: Some(previous),
                    has_moved: false,
                })
            }
            Rotation::None | Rotation::PerhapsMoved { .. } => None,
        }
    }
}
