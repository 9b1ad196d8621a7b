//! Where a set stands: which CA is the current one, which is the anchor, and what is wrong with the published pair.
//!
//! These are rules 2 and 3 of docs/rotation.md, and what rule 5 asks of the pair. Signatures and names decide, never
//! the order of a bundle.

use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::authority::LostCertificate;
use crate::pki::bundle::{self, TrustBundle};
use crate::pki::certificate::{CaCertificate, Certificate, Fingerprint};
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::rack::Part;
use crate::set::state::State;

/// Something that was found and that a plan acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing of the set exists.
    NothingStored,
    /// A part is of no use by itself.
    Flawed {
        /// The part.
        part: Part,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A certificate's validity has ended.
    Expired {
        /// The part that holds it.
        part: Part,
        /// Its last second.
        not_after: OffsetDateTime,
    },
    /// A certificate is within the renewal window.
    Expiring {
        /// The part that holds it.
        part: Part,
        /// Its last second.
        not_after: OffsetDateTime,
        /// The renewal window.
        renew_before: Duration,
    },
    /// The CA key loads, but no CA certificate of the bundle has it.
    ForeignCaKey,
    /// The CA key's certificate has another name than the one under which that key issued the end-entity certificate.
    OtherCaName,
    /// The key and the end-entity certificate do not belong together.
    KeyMismatch,
    /// No path leads from the end-entity certificate to the anchor.
    NotLeadingTo {
        /// The anchor.
        anchor: Fingerprint,
    },
    /// No CA of the set has issued the end-entity certificate.
    NotIssuedBySet,
    /// A name that the properties ask for is not in the end-entity certificate.
    NameNotCovered {
        /// The first such name.
        name: SubjectAlternativeName,
    },
    /// The bundle or the chain has a block that cannot be used, or two blocks on one line.
    NotIntact {
        /// The part.
        part: Part,
    },
    /// A CA that belongs into the bundle is not in it.
    BundleLacks {
        /// That CA.
        authority: Fingerprint,
    },
    /// A retired CA is still in the bundle.
    BundleHasRetired {
        /// That CA.
        authority: Fingerprint,
    },
    /// A `RotationToken` that was not seen before.
    NewToken,
    /// `RetiredCA` names the previous CA.
    Retired {
        /// The previous CA.
        authority: Fingerprint,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingStored => f.write_str("nothing is stored yet"),
            Self::Flawed { part, flaw } => write!(f, "the {part} {flaw}"),
            Self::Expired { part, not_after } => {
                write!(f, "the {part} expired on {}", not_after.date())
            }
            Self::Expiring {
                part,
                not_after,
                renew_before,
            } => write!(
                f,
                "the {part} expires on {}, within {} days",
                not_after.date(),
                renew_before.whole_days()
            ),
            Self::ForeignCaKey => f.write_str("the CA key belongs to no CA certificate of the set"),
            Self::OtherCaName => f.write_str(
                "the CA certificate has another name than the issuer of the certificate that its key signed",
            ),
            Self::KeyMismatch => f.write_str("the key does not belong to the certificate"),
            Self::NotLeadingTo { anchor } => {
                write!(f, "the certificate does not lead to the anchor CA {anchor}")
            }
            Self::NotIssuedBySet => f.write_str("the certificate was issued by no CA of the set"),
            Self::NameNotCovered { name } => write!(f, "the certificate does not cover {name}"),
            Self::NotIntact { part } => {
                write!(f, "the {part} has a block that is of no use, or two on one line")
            }
            Self::BundleLacks { authority } => {
                write!(f, "the trust bundle lacks the CA {authority}")
            }
            Self::BundleHasRetired { authority } => {
                write!(f, "the trust bundle has the retired CA {authority}")
            }
            Self::NewToken => f.write_str("RotationToken has a new value"),
            Self::Retired { authority } => write!(f, "RetiredCA names the previous CA {authority}"),
        }
    }
}

/// The CA that the CA key belongs to.
#[derive(Clone, Debug)]
pub struct CurrentCa {
    /// Its private key.
    pub key: PrivateKey,
    /// Its certificate, or what the end-entity certificate tells of it where it is lost.
    pub certificate: Result<CaCertificate, LostCertificate>,
}

impl CurrentCa {
    /// The certificate, unless it is lost.
    pub fn certificate(&self) -> Option<&CaCertificate> {
        self.certificate.as_ref().ok()
    }

    /// The subject's DER.
    pub fn subject(&self) -> &[u8] {
        match &self.certificate {
            Ok(authority) => authority.subject(),
            Err(lost) => &lost.subject,
        }
    }

    /// Whether this CA has issued a certificate.
    pub fn has_issued(&self, certificate: &Certificate) -> bool {
        certificate.is_issued_by(self.subject(), self.public_key())
    }

    /// Its public key as DER of a `SubjectPublicKeyInfo`.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key()
    }
}

/// The CA that everything published since the last close trusts and leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The current CA: no rotation is open.
    Current,
    /// Another CA: a rotation is open.
    Other(CaCertificate),
}

/// Where a set stands at a moment.
#[derive(Debug)]
pub struct Assessment {
    /// The CA that the CA key belongs to; `None` where that key or any trace of its certificate is lost.
    pub current: Option<CurrentCa>,
    /// The anchor; `None` where no CA can be made out at all.
    pub anchor: Option<Anchor>,
    /// What is wrong with the published pair by itself, wherever it leads; empty if it is good.
    pub pair_flaws: Vec<Cause>,
}

impl Assessment {
    /// Judges what was found. `state` is the state as it will be, with a CA retired just now among the retired.
    pub fn of(
        found: &Found,
        state: Option<&State>,
        names: Option<&[SubjectAlternativeName]>,
        renew_before: Duration,
        now: OffsetDateTime,
    ) -> Self {
        let recorded = recorded(state);
        let current = current_ca(found, recorded.as_ref());
        let usable = |authority: &CaCertificate| {
            !authority.is_expired(now)
                && !state.is_some_and(|state| state.has_retired(&authority.fingerprint()))
        };
        Self {
            anchor: anchor(found, recorded, current.as_ref(), usable),
            pair_flaws: pair_flaws(found, names, renew_before, now),
            current,
        }
    }

    /// The certificate of the current CA as the state and the bundle have it: what `CACertSha256` shows, and what the
    /// planner keeps.
    pub fn current_ca_certificate(found: &Found) -> Option<CaCertificate> {
        Self::current_ca(found)?.certificate().cloned()
    }

    /// The CA that the CA key belongs to.
    pub fn current_ca(found: &Found) -> Option<CurrentCa> {
        let recorded = recorded(found.state.as_ref().ok());
        current_ca(found, recorded.as_ref())
    }

    /// The previous CA while a rotation is open, whatever the date: what `PreviousCACertSha256` shows, and what
    /// `RetiredCA` must name.
    pub fn previous_ca(found: &Found) -> Option<CaCertificate> {
        let state = found.state.as_ref().ok();
        let recorded = recorded(state);
        let current = current_ca(found, recorded.as_ref());
        let usable = |authority: &CaCertificate| {
            !state.is_some_and(|state| state.has_retired(&authority.fingerprint()))
        };
        current.as_ref()?;
        match anchor(found, recorded, current.as_ref(), usable) {
            Some(Anchor::Other(authority)) => Some(authority),
            _ => None,
        }
    }

    /// Whether the stored chain leads to the anchor.
    pub fn leads_to_anchor(&self, found: &Found) -> bool {
        let Ok(chain) = &found.cert else {
            return false;
        };
        match (&self.anchor, &self.current) {
            (Some(Anchor::Other(authority)), _) => chain.leads_to(authority),
            (Some(Anchor::Current), Some(current)) => match current.certificate() {
                Some(authority) => chain.leads_to(authority),
                None => current.has_issued(chain.leaf()),
            },
            _ => false,
        }
    }

    /// Whether the published pair, or the cross-certificate behind it, was issued by a CA of which nothing else is
    /// left: whoever trusts that CA alone is refused by whatever is published next.
    pub fn pair_is_orphaned(&self, found: &Found, now: OffsetDateTime) -> bool {
        let (Ok(chain), Ok(key)) = (&found.cert, &found.key) else {
            return false;
        };
        let leaf = chain.leaf();
        if key.public_key() != leaf.public_key() {
            return false;
        }
        let bundled = found
            .ca_cert
            .iter()
            .flat_map(TrustBundle::authorities)
            .cloned();
        let authorities: Vec<CaCertificate> =
            bundled.chain(recorded(found.state.as_ref().ok())).collect();
        let is_orphan = |certificate: &Certificate| {
            let mut issuers = authorities.iter();
            !certificate.is_expired(now)
                && !issuers.any(|authority| authority.has_issued(certificate))
                && !matches!(&self.current, Some(current) if current.has_issued(certificate))
        };
        let mut crosses = chain.crosses().iter();
        let behind = crosses.clone().any(|cross| cross.has_issued(leaf));
        (!behind && is_orphan(leaf))
            || crosses.any(|cross| cross.has_issued(leaf) && is_orphan(cross))
    }

    /// The anchor's certificate, if it is another CA's than the current one's.
    pub fn other_anchor(&self) -> Option<&CaCertificate> {
        match &self.anchor {
            Some(Anchor::Other(authority)) => Some(authority),
            _ => None,
        }
    }
}

/// Whether a certificate is past its end, or so near to it that it must be replaced now. Exactly on the boundary it
/// is kept.
pub fn expiry(
    part: Part,
    certificate: &Certificate,
    renew_before: Duration,
    now: OffsetDateTime,
) -> Option<Cause> {
    let not_after = certificate.not_after();
    if certificate.is_expired(now) {
        Some(Cause::Expired { part, not_after })
    } else if not_after < now + renew_before {
        Some(Cause::Expiring {
            part,
            not_after,
            renew_before,
        })
    } else {
        None
    }
}

/// The CA certificate that the state records.
fn recorded(state: Option<&State>) -> Option<CaCertificate> {
    state?.anchor()?.certificate()
}

/// Rule 3 of docs/rotation.md: the CA that the CA key belongs to, wherever its certificate stands; else what its leaf
/// tells of it.
///
/// A certificate of another name than the leaf's issuer is not the one that daemons and clients hold.
fn current_ca(found: &Found, recorded: Option<&CaCertificate>) -> Option<CurrentCa> {
    let key = found.ca_key.as_ref().ok()?;
    let leaf = found.cert.as_ref().ok().map(CertificateChain::leaf);
    let leaf = leaf.filter(|leaf| leaf.is_signed_by(key.public_key()));
    let bundled = found.ca_cert.iter().flat_map(TrustBundle::authorities);
    let named = bundled
        .chain(recorded)
        .filter(|authority| leaf.is_none_or(|leaf| leaf.issuer() == authority.subject()));
    let certificate = match bundle::longest_lasting(named, key.public_key()) {
        Some(authority) => Ok(authority.clone()),
        None => Err(LostCertificate::of_leaf(leaf?)),
    };
    Some(CurrentCa {
        key: key.clone(),
        certificate,
    })
}

/// Rule 2 of docs/rotation.md: the anchor.
fn anchor(
    found: &Found,
    recorded: Option<CaCertificate>,
    current: Option<&CurrentCa>,
    usable: impl Fn(&CaCertificate) -> bool,
) -> Option<Anchor> {
    let current_key = current.map(CurrentCa::public_key);
    let is_current = |authority: &CaCertificate| Some(authority.public_key()) == current_key;
    if let Some(recorded) = recorded.filter(|ca| is_current(ca) || usable(ca)) {
        return Some(if is_current(&recorded) {
            Anchor::Current
        } else {
            Anchor::Other(recorded)
        });
    }

    let bundled = found.ca_cert.as_ref().map_or(&[][..], |b| b.authorities());
    let others = || {
        bundled
            .iter()
            .filter(|authority| !is_current(authority) && usable(authority))
    };
    // Of several CAs that the chain leads to, the farthest is the one that the oldest daemons know.
    let led_to = found.cert.as_ref().ok().and_then(|chain| {
        others()
            .filter_map(|authority| Some((chain.distance_to(authority)?, authority)))
            .reduce(|far, next| if next.0 > far.0 { next } else { far })
            .map(|(_, authority)| authority)
    });
    if let Some(authority) = led_to {
        return Some(Anchor::Other(authority.clone()));
    }
    // A bundle that neither the CA key nor the certificate belongs to is of another set: nothing of it is trusted.
    if current.is_some_and(|ca| ca.certificate().is_none()) && !bundled.iter().any(is_current) {
        return Some(Anchor::Current);
    }
    match (others().next(), current) {
        (Some(authority), _) => Some(Anchor::Other(authority.clone())),
        (None, Some(_)) => Some(Anchor::Current),
        (None, None) => None,
    }
}

/// What is wrong with the published pair by itself.
fn pair_flaws(
    found: &Found,
    names: Option<&[SubjectAlternativeName]>,
    renew_before: Duration,
    now: OffsetDateTime,
) -> Vec<Cause> {
    let flawed = |part, flaw: &Flaw| Cause::Flawed { part, flaw: *flaw };
    let mut causes = Vec::new();
    match &found.cert {
        Err(flaw) => causes.push(flawed(Part::Cert, flaw)),
        Ok(chain) => {
            let leaf = chain.leaf();
            causes.extend(expiry(Part::Cert, leaf, renew_before, now));
            if let Ok(key) = &found.key
                && key.public_key() != leaf.public_key()
            {
                causes.push(Cause::KeyMismatch);
            }
            let covered = leaf.alternative_names();
            let missing = names.unwrap_or_default().iter();
            causes.extend(
                missing
                    .filter(|name| !covered.contains(name))
                    .take(1)
                    .map(|name| Cause::NameNotCovered { name: name.clone() }),
            );
        }
    }
    if let Err(flaw) = &found.key {
        causes.push(flawed(Part::Key, flaw));
    }
    causes
}
