//! The steps that the model takes: what CloudFormation sends, and what goes wrong between two events.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::CaCertificate;
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use time::Duration;

use crate::store::value;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Something happens to the store.
    Damage(Damage),
    /// Time passes.
    Wait(Wait),
    /// The published values of before the latest close are put back, and what ran then runs again.
    PutBack,
    /// CloudFormation sends an Update.
    Event(Event, Extent),
}

/// What happens to the store behind our back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// A parameter is deleted.
    Lose(Part),
    /// A parameter's value becomes garbage.
    Spoil(Part),
    /// A parameter gets the value of another set.
    Swap(Part),
    /// The CAs of the bundle change places.
    Reorder,
    /// The bundle holds each CA twice.
    Duplicate,
    /// The first CA of the bundle is lost.
    DropFirst,
    /// The second CA of the bundle is lost.
    DropSecond,
    /// The cross-certificate behind the end-entity certificate is lost.
    DropCross,
}

impl Damage {
    /// Every one.
    pub fn all() -> Vec<Self> {
        const PARTS: [Part; 5] = [
            Part::CaCert,
            Part::CaKey,
            Part::Cert,
            Part::Key,
            Part::State,
        ];
        let mut all = Vec::new();
        all.extend(PARTS.map(Self::Lose));
        all.extend(PARTS.map(Self::Spoil));
        all.extend(Part::PUBLISHED.map(Self::Swap));
        all.extend([
            Self::Reorder,
            Self::Duplicate,
            Self::DropFirst,
            Self::DropSecond,
            Self::DropCross,
        ]);
        all
    }

    /// The part that it happens to.
    pub fn part(self) -> Part {
        match self {
            Self::Lose(part) | Self::Spoil(part) | Self::Swap(part) => part,
            Self::Reorder | Self::Duplicate | Self::DropFirst | Self::DropSecond => Part::CaCert,
            Self::DropCross => Part::Cert,
        }
    }

    /// Whether what is left says the same as before to whoever reads it.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Reorder | Self::Duplicate)
    }

    /// What becomes of the value of its part; `None` if there is nothing to do it to.
    pub fn strike(self, before: &str, found: &Found, other: &StoredSet) -> Option<Struck> {
        let bundle = found
            .ca_cert
            .as_ref()
            .map_or(&[][..], TrustBundle::authorities);
        let changed = match (self, bundle) {
            (Self::Lose(_), _) => return Some(Struck::Gone),
            (Self::Spoil(_), _) => STANDARD.encode("spoilt"),
            (Self::Swap(part), _) => value(other, part).to_owned(),
            (Self::Reorder, [first, second]) => bundle_of([second, first]),
            (Self::Duplicate, [only]) => bundle_of([only, only]),
            (Self::Duplicate, [first, second]) => bundle_of([first, second, second, first]),
            (Self::DropFirst, [_, left]) | (Self::DropSecond, [left, _]) => bundle_of([left]),
            (Self::DropCross, _) => {
                let chain = found.cert.as_ref().ok()?;
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

fn bundle_of<const N: usize>(authorities: [&CaCertificate; N]) -> String {
    TrustBundle::encode(&authorities.map(Clone::clone)).to_string()
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
    /// The end entity's.
    Leaf,
    /// The CA's that the CA key belongs to.
    CurrentCa,
    /// Another CA's of the bundle.
    OtherCa,
    /// The cross-certificate's.
    Cross,
}

impl Wait {
    /// Every one.
    pub fn all() -> Vec<Self> {
        let all = [Who::Leaf, Who::CurrentCa, Who::OtherCa, Who::Cross];
        let both = |who| [Self::UntilExpiring(who), Self::UntilExpired(who)];
        all.into_iter().flat_map(both).collect()
    }

    /// When that is, in seconds since 1970, if there is such a certificate.
    pub fn end(self, found: &Found, renew_before: Duration) -> Option<i64> {
        let (Self::UntilExpiring(who) | Self::UntilExpired(who)) = self;
        let chain = found.cert.as_ref().ok();
        let ca_key = found.ca_key.as_ref().ok();
        let mut bundle = found.ca_cert.iter().flat_map(TrustBundle::authorities);
        let is_current = |public_key: &[u8]| ca_key.is_some_and(|k| k.public_key() == public_key);
        let not_after = match who {
            Who::Leaf => chain?.leaf().not_after(),
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
    /// `RetiredCA`, to the previous CA's fingerprint.
    Close,
    /// `RetiredCA` to the previous CA's fingerprint, and `RotationToken` to a value not seen before.
    CloseAndRotate,
    /// `RetiredCA`, to the current CA's fingerprint, too early.
    CloseTooEarly,
    /// Everything back to what it was before the last change.
    SetBack,
}

impl Event {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::NoOp,
        Self::Again,
        Self::Twice,
        Self::NewToken,
        Self::Close,
        Self::CloseAndRotate,
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
            Self::Damage(damage) => write!(f, "{damage:?}"),
            Self::Wait(wait) => write!(f, "{wait:?}"),
            Self::PutBack => f.write_str("PutBack"),
            Self::Event(event, Extent::Whole) => write!(f, "{event:?}"),
            Self::Event(event, Extent::CrashAfter(writes)) => {
                write!(f, "{event:?} that crashes after write {writes}")
            }
        }
    }
}
