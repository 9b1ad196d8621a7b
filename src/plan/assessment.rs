//! Where a set stands: which CA is the current one, which is the anchor, which are retired, and what is wrong with the
//! published pair.
//!
//! These are rules 2 to 4 of docs/rotation.md, and what rule 5 asks of the pair. Signatures and names decide, never
//! the order of a bundle.

use std::cmp::Reverse;

use time::OffsetDateTime;

use crate::pki::authority::LostCertificate;
use crate::pki::bundle;
use crate::pki::certificate::{CaCertificate, Certificate, Fingerprint};
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::plan::cause::Cause;
use crate::plan::spec::Spec;
use crate::set::decoded::Found;
use crate::set::rack::Part;

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

    /// Whether a certificate is of this CA's key.
    pub(crate) fn has_key_of(&self, authority: &CaCertificate) -> bool {
        self.public_key() == authority.public_key()
    }
}

/// The CA that everything published since the last close trusts and leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The current CA: no rotation is open.
    Current,
    /// The previous CA: a rotation is open.
    Previous(CaCertificate),
}

/// Where a set stands, whatever the date: what the planner, the attributes, the warnings and the tool start from.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// What was found.
    pub found: Found,
    /// The CA that the CA key belongs to; `None` where that key or any trace of its certificate is lost.
    pub current: Option<CurrentCa>,
    /// The CAs that can be the anchor before the current one is, the likeliest first.
    anchors: Vec<CaCertificate>,
    /// The CAs of the bundle and of the record that are trusted no more.
    retired: Vec<CaCertificate>,
}

impl Assessment {
    /// Judges what was found.
    pub fn of(found: Found) -> Self {
        let current = current_ca(&found);
        let retired = retired(&found, current.as_ref());
        Self {
            anchors: possible_anchors(&found, current.as_ref(), &retired),
            found,
            current,
            retired,
        }
    }

    /// The certificate of the current CA: what `CACertSha256` shows, and what the planner keeps.
    pub fn current_ca_certificate(&self) -> Option<&CaCertificate> {
        self.current.as_ref()?.certificate()
    }

    /// The previous CA while a rotation is open, whatever the date: what `PreviousCACertSha256` shows, and what
    /// `RetiredCA` must name.
    pub fn previous_ca(&self) -> Option<&CaCertificate> {
        self.current.as_ref().and(self.anchors.first())
    }

    /// The CA that an earlier event began to retire, and did not finish.
    pub(crate) fn closing(&self) -> Option<&CaCertificate> {
        let state = self.found.state.as_ref().ok()?;
        let mut retired = self.retired.iter();
        retired.find(|ca| state.is_closing(&ca.fingerprint()))
    }

    /// Rule 2 of docs/rotation.md: the anchor, if no CA of this key is trusted any more; `None` where no CA can be made
    /// out at all.
    pub(crate) fn anchor(
        &self,
        closed: Option<&CaCertificate>,
        now: OffsetDateTime,
    ) -> Option<Anchor> {
        let is_closed = |ca: &CaCertificate| closed.is_some_and(|closed| closed.has_key_of(ca));
        let mut anchors = self.anchors.iter();
        match anchors.find(|ca| !ca.is_expired(now) && !is_closed(ca)) {
            Some(anchor) => Some(Anchor::Previous(anchor.clone())),
            None => self.current.as_ref().map(|_| Anchor::Current),
        }
    }

    /// Whether a CA with this fingerprint is stored: in the bundle, or in the state's record.
    pub(crate) fn knows(&self, authority: &Fingerprint) -> bool {
        let mut authorities = self.found.authorities();
        authorities.any(|ca| ca.fingerprint() == *authority)
    }

    /// Rule 4 of docs/rotation.md: whether a CA of the bundle is trusted no more.
    pub(crate) fn is_retired(&self, authority: &CaCertificate) -> bool {
        self.retired.contains(authority)
    }

    /// Whether the stored chain leads to the anchor.
    pub(crate) fn leads_to(&self, anchor: Option<&Anchor>) -> bool {
        let Ok(chain) = &self.found.cert else {
            return false;
        };
        match (anchor, &self.current) {
            (Some(Anchor::Previous(authority)), _) => chain.leads_to(authority),
            (Some(Anchor::Current), Some(current)) => match current.certificate() {
                Some(authority) => chain.leads_to(authority),
                None => current.has_issued(chain.leaf()),
            },
            _ => false,
        }
    }

    /// What is wrong with the published pair by itself, wherever it leads; nothing if it is good.
    pub(crate) fn pair_causes(&self, spec: &Spec, now: OffsetDateTime) -> Vec<Cause> {
        let mut causes = Vec::new();
        match &self.found.cert {
            Err(flaw) => causes.push(Cause::flawed(Part::Cert, *flaw)),
            Ok(chain) => {
                let leaf = chain.leaf();
                causes.extend(Cause::of_end(Part::Cert, leaf, spec, now));
                if let Ok(key) = &self.found.key
                    && key.public_key() != leaf.public_key()
                {
                    causes.push(Cause::KeyMismatch);
                }
                let covered = leaf.alternative_names();
                let mut names = spec.properties.alternative_names.iter().flatten();
                let lacking = names.find(|name| !covered.contains(name));
                causes.extend(lacking.map(|name| Cause::NameNotCovered { name: name.clone() }));
            }
        }
        if let Err(flaw) = &self.found.key {
            causes.push(Cause::flawed(Part::Key, *flaw));
        }
        causes
    }

    /// Whether the published pair, or the cross-certificate behind it, was issued by a CA of which nothing else is
    /// left: whoever trusts that CA alone is refused by whatever is published next.
    pub(crate) fn pair_is_orphaned(&self, now: OffsetDateTime) -> bool {
        let (Ok(chain), Ok(key)) = (&self.found.cert, &self.found.key) else {
            return false;
        };
        let leaf = chain.leaf();
        if key.public_key() != leaf.public_key() {
            return false;
        }
        let is_orphan = |certificate: &Certificate| {
            let mut issuers = self.found.authorities();
            !certificate.is_expired(now)
                && !issuers.any(|authority| authority.has_issued(certificate))
                && !matches!(&self.current, Some(current) if current.has_issued(certificate))
        };
        let mut crosses = chain.crosses().iter();
        let behind = crosses.clone().any(|cross| cross.has_issued(leaf));
        (!behind && is_orphan(leaf))
            || crosses.any(|cross| cross.has_issued(leaf) && is_orphan(cross))
    }
}

/// Rule 3 of docs/rotation.md: the CA that the CA key belongs to, wherever its certificate stands; else what its leaf
/// tells of it.
///
/// A certificate of another name than the leaf's issuer is not the one that daemons and clients hold.
fn current_ca(found: &Found) -> Option<CurrentCa> {
    let key = found.ca_key.as_ref().ok()?;
    let leaf = found.cert.as_ref().ok().map(CertificateChain::leaf);
    let leaf = leaf.filter(|leaf| leaf.is_signed_by(key.public_key()));
    let named = found
        .authorities()
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

/// Rule 4 of docs/rotation.md: the CAs that the state lists as retired and that are not in use.
fn retired(found: &Found, current: Option<&CurrentCa>) -> Vec<CaCertificate> {
    let Ok(state) = &found.state else {
        return Vec::new();
    };
    let chain = found.cert.as_ref().ok();
    let is_current = |ca: &CaCertificate| current.is_some_and(|current| current.has_key_of(ca));
    let is_in_use = |ca: &CaCertificate| match chain.and_then(|chain| chain.distance_to(ca)) {
        None => false,
        Some(0) => true,
        Some(_) => !state.is_closing(&ca.fingerprint()),
    };
    let authorities = found.authorities();
    authorities
        .filter(|ca| state.has_retired(&ca.fingerprint()) && !is_current(ca) && !is_in_use(ca))
        .cloned()
        .collect()
}

/// Rule 2 of docs/rotation.md: the CAs that can be the anchor before the current one is, the likeliest first.
fn possible_anchors(
    found: &Found,
    current: Option<&CurrentCa>,
    retired: &[CaCertificate],
) -> Vec<CaCertificate> {
    let bundled = found.bundled();
    let chain = found.cert.as_ref().ok();
    let distance = |ca: &CaCertificate| chain.and_then(|chain| chain.distance_to(ca));
    let is_current = |ca: &CaCertificate| current.is_some_and(|current| current.has_key_of(ca));

    // Where a retired CA has the CA key or issued the leaf, the state is newer than what is published: a copy was put
    // back, and the record is of what came after.
    let is_restored = found.state.as_ref().is_ok_and(|state| {
        let mut authorities = found.authorities();
        authorities.any(|ca| {
            state.has_retired(&ca.fingerprint()) && (is_current(ca) || distance(ca) == Some(0))
        })
    });
    let recorded = found.recorded_anchor().filter(|_| !is_restored);
    // A bundle of which neither the CA key nor the certificate is belongs to another set.
    let is_of_this_set =
        current.is_none_or(|ca| ca.certificate().is_some()) || bundled.iter().any(is_current);
    let rank = |ca: &CaCertificate| match distance(ca) {
        // A cross-certificate shows what was the anchor when the chain was published; the farthest CA is the one that
        // the oldest daemons know.
        Some(distance @ 1..) => Some((0, Reverse(distance))),
        _ if recorded == Some(ca) => Some((1, Reverse(0))),
        Some(0) => Some((2, Reverse(0))),
        _ if is_of_this_set && !recorded.is_some_and(is_current) => Some((3, Reverse(0))),
        _ => None,
    };
    let mut ranked: Vec<_> = bundled
        .iter()
        .chain(recorded)
        .filter(|ca| !is_current(ca) && !retired.contains(ca))
        .filter_map(|ca| Some((rank(ca)?, ca.clone())))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, ca)| ca).collect()
}
