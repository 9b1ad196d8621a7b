//! The steps that the model takes: what CloudFormation sends, and what goes wrong between two events.

use std::fmt;

use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::CaCertificate;
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use time::Duration;

use crate::damage::Damage;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Something happens to the store.
    Mishap(Mishap),
    /// Time passes.
    Wait(Wait),
    /// The published values of an earlier generation are put back, and what ran then runs again.
    PutBack {
        /// 0 is the first one.
        generation: usize,
    },
    /// CloudFormation sends an Update.
    Event(Event, Extent),
}

/// What happens to the store behind our back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// A parameter's value is damaged.
    Damaged(Part, Damage),
    /// The CAs of the bundle change places.
    Reorder,
    /// The bundle holds each CA twice.
    Duplicate,
    /// The first CA of the bundle is lost.
    DropFirst,
    /// The second CA of the bundle is lost.
    DropSecond,
    /// The cross-certificate behind a pair's end-entity certificate is lost.
    DropCross(Pair),
}

impl Mishap {
    /// Those that happen to a pair of the API's own.
    pub fn to_the_client() -> Vec<Self> {
        let parts = [Part::ClientCert, Part::ClientKey];
        let damages = [Damage::Missing, Damage::OfAnotherSet];
        let strike = |part| damages.map(|damage| Self::Damaged(part, damage));
        let mut all: Vec<Self> = parts.into_iter().flat_map(strike).collect();
        all.push(Self::DropCross(Pair::Client));
        all
    }

    /// Every one that happens to a set with one pair.
    pub fn all() -> Vec<Self> {
        const PARTS: [Part; 5] = [
            Part::CaCert,
            Part::CaKey,
            Part::Cert,
            Part::Key,
            Part::State,
        ];
        let mut all = Vec::new();
        all.extend(PARTS.map(|part| Self::Damaged(part, Damage::Missing)));
        all.extend(PARTS.map(|part| Self::Damaged(part, Damage::Text)));
        all.extend(Part::SHARED.map(|part| Self::Damaged(part, Damage::OfAnotherSet)));
        all.extend([
            Self::Reorder,
            Self::Duplicate,
            Self::DropFirst,
            Self::DropSecond,
            Self::DropCross(Pair::Server),
        ]);
        all
    }

    /// The part that it happens to.
    pub fn part(self) -> Part {
        match self {
            Self::Damaged(part, _) => part,
            Self::Reorder | Self::Duplicate | Self::DropFirst | Self::DropSecond => Part::CaCert,
            Self::DropCross(pair) => pair.cert(),
        }
    }

    /// Whether what is left says the same as before to whoever reads it.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Reorder | Self::Duplicate)
    }

    /// What becomes of the value of its part; `None` if there is nothing to do it to.
    pub fn strike(self, before: &str, found: &Found, other: &StoredSet) -> Option<Struck> {
        let bundle = found.bundled();
        let changed = match (self, bundle) {
            (Self::Damaged(part, damage), _) => {
                // A set of the deployed handler has no state, and no state is swapped.
                let other = other.get(&part).map_or("", |other| other.value.expose());
                match damage.damaged(before, other) {
                    Some(changed) => changed,
                    None => return Some(Struck::Gone),
                }
            }
            (Self::Reorder, [_, _, ..]) => bundle_of(bundle.iter().rev()),
            (Self::Duplicate, [_, ..]) => bundle_of(bundle.iter().chain(bundle.iter().rev())),
            (Self::DropFirst, [_, left @ ..]) if !left.is_empty() => bundle_of(left),
            (Self::DropSecond, [first, _, left @ ..]) => {
                bundle_of(std::iter::once(first).chain(left))
            }
            (Self::DropCross(pair), _) => {
                let chain = found.pair(pair).chain()?;
                CertificateChain::new(chain.leaf().clone(), None)
                    .encode()
                    .to_string()
            }
            _ => return None,
        };
        (before != changed).then_some(Struck::Changed(changed))
    }
}

/// What becomes of a value.
pub enum Struck {
    /// The parameter is deleted.
    Gone,
    /// The parameter has this value.
    Changed(String),
}

fn bundle_of<'a>(authorities: impl IntoIterator<Item = &'a CaCertificate>) -> String {
    let authorities: Vec<CaCertificate> = authorities.into_iter().cloned().collect();
    TrustBundle::encode(&authorities).to_string()
}

/// Until when time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// One second into the renewal window of a certificate.
    UntilExpiring(Who),
    /// One second past the end of a certificate.
    UntilExpired(Who),
}

/// Whose certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// A pair's end-entity certificate.
    Leaf(Pair),
    /// The CA's that the CA key belongs to.
    CurrentCa,
    /// Another CA's of the bundle.
    OtherCa,
    /// The cross-certificate's.
    Cross,
}

impl Wait {
    /// Every one of a set with one pair.
    pub fn all() -> Vec<Self> {
        Self::of(&[
            Who::Leaf(Pair::Server),
            Who::CurrentCa,
            Who::OtherCa,
            Who::Cross,
        ])
    }

    /// Those of these certificates.
    pub fn of(all: &[Who]) -> Vec<Self> {
        let both = |who| [Self::UntilExpiring(who), Self::UntilExpired(who)];
        all.iter().copied().flat_map(both).collect()
    }

    /// When that is, in seconds since 1970, if there is such a certificate.
    pub fn end(self, found: &Found, renew_before: Duration) -> Option<i64> {
        let (Self::UntilExpiring(who) | Self::UntilExpired(who)) = self;
        let chain = found.telling_chain();
        let ca_key = found.ca_key.as_ref().ok();
        let mut bundle = found.ca_cert.iter().flat_map(TrustBundle::authorities);
        let is_current = |public_key: &[u8]| ca_key.is_some_and(|k| k.public_key() == public_key);
        let not_after = match who {
            Who::Leaf(pair) => found.pair(pair).leaf()?.not_after(),
            Who::CurrentCa => bundle.find(|ca| is_current(ca.public_key()))?.not_after(),
            Who::OtherCa => bundle.find(|ca| !is_current(ca.public_key()))?.not_after(),
            Who::Cross => {
                let current = bundle.clone().find(|ca| is_current(ca.public_key()))?;
                let cross = bundle.find_map(|anchor| {
                    chain?.cross(current.subject(), current.public_key(), anchor)
                });
                cross?.not_after()
            }
        };
        let before = match self {
            Self::UntilExpiring(_) => renew_before,
            Self::UntilExpired(_) => Duration::ZERO,
        };
        Some((not_after - before).unix_timestamp() + 1)
    }
}

/// What an Update changes in the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Only `Version`.
    NoOp,
    /// The last event once more, after it failed.
    Again,
    /// The last event once more, although it came to its end: Lambda delivers at least once.
    Twice,
    /// `RotationToken`, to a value not seen before.
    NewToken,
    /// `RetiredCA`, to the previous and the current CA.
    Close,
    /// `RetiredCA`, to the same, and that everything has moved.
    CloseMoved,
    /// `RetiredCA`, to the previous and the current CA, and `RotationToken`, to a value not seen before.
    CloseAndRotate,
    /// `RetiredCA`, to the current and the previous CA.
    TakeBack,
    /// `RetiredCA`, to the current and the previous CA, and `RotationToken`, to a value not seen before.
    TakeBackAndRotate,
    /// `RetiredCA`, to the current CA's fingerprint, too early.
    CloseTooEarly,
    /// `ClientCertificate`, to the other of its two values.
    Switch,
    /// Everything back to what it was before the last change.
    SetBack,
}

impl Event {
    /// Every one of a rack whose API never has a pair of its own.
    pub const ALL: [Self; 11] = [
        Self::NoOp,
        Self::Again,
        Self::Twice,
        Self::NewToken,
        Self::Close,
        Self::CloseMoved,
        Self::CloseAndRotate,
        Self::TakeBack,
        Self::TakeBackAndRotate,
        Self::CloseTooEarly,
        Self::SetBack,
    ];
}

/// How far an event comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// To its end.
    Whole,
    /// It crashes after so many writes.
    CrashAfter(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mishap(Mishap::Damaged(part, damage)) => write!(f, "{damage:?}({part:?})"),
            Self::Mishap(mishap) => write!(f, "{mishap:?}"),
            Self::Wait(wait) => write!(f, "{wait:?}"),
            Self::PutBack { generation } => write!(f, "PutBack({generation})"),
            Self::Event(event, Extent::Whole) => write!(f, "{event:?}"),
            Self::Event(event, Extent::CrashAfter(writes)) => {
                write!(f, "{event:?} that crashes after write {writes}")
            }
        }
    }
}
