//! Where a set stands: which CA is the current one, which is the anchor, which are retired, and what is wrong with the
//! published pairs.
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
use crate::pki::usages::{Usage, Usages};
use crate::plan::cause::Cause;
use crate::plan::current_ca::CurrentCa;
use crate::plan::obstacle::{Obstacle, Signer};
use crate::plan::spec::Spec;
use crate::set::decoded::Found;
use crate::set::pair::{FoundPair, Pair};
use crate::set::state::State;

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
    /// The previous CA that the published certificate was moved away from by the operator's word.
    moved_from: Option<CaCertificate>,
}

impl Assessment {
    /// Judges what was found.
    pub fn of(found: Found) -> Self {
        let current = current_ca(&found);
        let retired = retired(&found, current.as_ref());
        let moved_from = moved_from(&found, current.as_ref(), &retired);
        Self {
            anchors: possible_anchors(&found, current.as_ref(), &retired, moved_from.as_ref()),
            found,
            current,
            retired,
            moved_from,
        }
    }

    /// The certificate of the current CA: what `CACertSha256` shows, and what the planner keeps.
    pub fn current_ca_certificate(&self) -> Option<&CaCertificate> {
        self.current.as_ref()?.certificate()
    }

    /// The previous CA while a rotation is open, whatever the date: what `PreviousCACertSha256` shows, and what
    /// `RetiredCA` must name.
    pub fn previous_ca(&self) -> Option<&CaCertificate> {
        let previous = self.anchors.first().or(self.moved_from.as_ref());
        self.current.as_ref().and(previous)
    }

    /// The previous CA that the published certificate was moved away from by the operator's word. It is trusted until
    /// the close, for what runs may still present certificates of it, and it is no anchor any more.
    pub(crate) fn moved_from(&self) -> Option<&CaCertificate> {
        self.moved_from.as_ref()
    }

    /// The key of a CA that is not the current one, if it is recorded.
    pub(crate) fn recorded_key(&self, authority: &CaCertificate) -> Option<PrivateKey> {
        let key = self.found.state.as_ref().ok()?.anchor()?.key()?;
        (key.public_key() == authority.public_key()).then_some(key)
    }

    /// The first CA that can be the anchor before the current one is, whether or not there is a current one.
    pub(crate) fn first_anchor(&self) -> Option<&CaCertificate> {
        self.anchors.first()
    }

    /// The same set with another CA key.
    pub(crate) fn with_ca_key(&self, key: PrivateKey) -> Self {
        Self::of(Found {
            ca_key: Ok(key),
            ..self.found.clone()
        })
    }

    /// The key of a CA that is not the current one, if that can vouch for another.
    pub(crate) fn vouching(&self, authority: &CaCertificate) -> Result<PrivateKey, Obstacle> {
        let nothing = State::empty();
        let state = self.found.state.as_ref().unwrap_or(&nothing);
        Signer::other(authority, self.recorded_key(authority)).for_a_ca(state)
    }

    /// Whether the current CA has issued a pair's certificate.
    pub(crate) fn is_of_current_ca(&self, pair: Pair) -> bool {
        let leaf = self.found.pair(pair).leaf();
        let both = self.current.as_ref().zip(leaf);
        both.is_some_and(|(current, leaf)| current.has_issued(leaf))
    }

    /// Whether the current CA has issued whatever is presented: the certificate of the chain that tells, and that of each
    /// pair that fits together.
    pub(crate) fn leaves_are_of_current_ca(&self) -> bool {
        let told = self.current.as_ref().zip(self.found.telling_leaf());
        let mut pairs = Pair::ALL.into_iter();
        told.is_some_and(|(current, leaf)| current.has_issued(leaf))
            && pairs.all(|pair| !self.found.pair(pair).matches() || self.is_of_current_ca(pair))
    }

    /// The previous CA that an earlier event began to retire, and did not finish.
    pub(crate) fn closing(&self) -> Option<&CaCertificate> {
        let closing = self.found.state.as_ref().ok()?.closing()?;
        let mut retired = self.retired.iter();
        retired.find(|ca| closing.finishes() && closing.retires(&ca.fingerprint()))
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

    /// Whether a pair's chain leads to the anchor.
    pub(crate) fn leads_to(&self, anchor: Option<&Anchor>, pair: Pair) -> bool {
        let Some(chain) = self.found.pair(pair).chain() else {
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

    /// What is wrong with a pair by itself, wherever it leads; nothing if it is good.
    pub(crate) fn pair_causes(
        &self,
        pair: Pair,
        usages: Usages,
        spec: &Spec,
        now: OffsetDateTime,
    ) -> Vec<Cause> {
        let FoundPair { cert, key } = self.found.pair(pair);
        let mut causes = Vec::new();
        match cert {
            Err(flaw) => causes.push(Cause::flawed(pair.cert(), *flaw)),
            Ok(chain) => {
                let leaf = chain.leaf();
                let weakness = leaf.weakness();
                causes.extend(weakness.map(|weakness| Cause::Weak { pair, weakness }));
                let lacking = usages.lacking_in(leaf.usages());
                causes.extend(lacking.map(|usage| Cause::LacksUsage { pair, usage }));
                let beyond = leaf.usages().lacking_in(usages);
                causes.extend(beyond.map(|usage| Cause::HasUsage { pair, usage }));
                causes.extend(Cause::of_end(pair.cert(), leaf, spec, now));
                if self.found.pair(pair).is_mismatched() {
                    causes.push(Cause::KeyMismatch { pair });
                }
                let covered = leaf.alternative_names();
                let mut names = spec.properties.alternative_names.iter().flatten();
                let lacking = names.find(|name| !covered.contains(name));
                causes.extend(lacking.map(|name| Cause::NameNotCovered {
                    pair,
                    name: name.clone(),
                }));
            }
        }
        match key {
            Err(flaw) => causes.push(Cause::flawed(pair.key(), *flaw)),
            Ok(key) if pair == Pair::Client && self.is_of_the_other(pair, key) => {
                causes.push(Cause::SharedKey);
            }
            Ok(_) => {}
        }
        causes
    }

    /// Whether a key is the other pair's: daemons run with what their certificate is for, whatever is stored as its key,
    /// and whoever has the API's certificate needs but its key.
    pub(crate) fn is_of_the_other(&self, pair: Pair, key: &PrivateKey) -> bool {
        let is_of = |leaf: &&Certificate| leaf.public_key() == key.public_key();
        let daemons = self.found.server.leaf().filter(is_of);
        match pair {
            Pair::Server => {
                let is_the_apis = self.found.client.leaf().as_ref().is_some_and(is_of);
                let serves = |leaf: &Certificate| leaf.usages().include(Usage::Server);
                is_the_apis && !daemons.is_some_and(serves)
            }
            Pair::Client => {
                let stored = self.found.server.key.as_ref();
                let is_stored = stored.is_ok_and(|stored| stored.public_key() == key.public_key());
                is_stored || daemons.is_some()
            }
        }
    }

    /// Whether a pair, or the cross-certificate behind it, was issued by a CA of which nothing else is left: whoever
    /// trusts that CA alone is refused by whatever is published next.
    pub(crate) fn is_orphaned(&self, pair: Pair, now: OffsetDateTime) -> bool {
        let pair = self.found.pair(pair);
        let Some(chain) = pair.chain().filter(|_| pair.matches()) else {
            return false;
        };
        let leaf = chain.leaf();
        let is_orphan = |certificate: &Certificate| {
            let mut issuers = self.found.authorities();
            let is_of_current = |current: &CurrentCa| {
                // Its key goes on under the name that it has.
                current.has_issued(certificate) || certificate.is_signed_by(current.public_key())
            };
            // One that is trusted itself, as an intermediate CA of the operator's may be, needs no issuer.
            !certificate.is_expired(now)
                && !self.found.trusted().contains(certificate)
                && !issuers.any(|authority| authority.has_issued(certificate))
                && !self.current.as_ref().is_some_and(is_of_current)
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
/// Of several certificates of that key, one of the name under which it issued the leaf is what daemons and clients hold.
fn current_ca(found: &Found) -> Option<CurrentCa> {
    let key = found.ca_key.as_ref().ok()?;
    let leaves = found.chains().map(CertificateChain::leaf);
    let signed = leaves.filter(|leaf| leaf.is_signed_by(key.public_key()));
    let leaf = signed.max_by_key(|leaf| leaf.not_after());
    let of_key = |names_issuer: bool| {
        let is_named = move |authority: &&CaCertificate| {
            !names_issuer || leaf.is_some_and(|leaf| leaf.issuer() == authority.subject())
        };
        bundle::longest_lasting(found.authorities().filter(is_named), key.public_key())
    };
    let certificate = match of_key(true).or_else(|| of_key(false)) {
        Some(authority) => Ok(authority.clone()),
        None => Err(LostCertificate::of_leaf(leaf?)?),
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
    let closing = state.closing();
    let is_closing = |ca: &CaCertificate| {
        let closing = closing.as_ref();
        closing.is_some_and(|closing| closing.retires(&ca.fingerprint()))
    };
    let is_current = |ca: &CaCertificate| current.is_some_and(|current| current.has_key_of(ca));
    let is_in_use = |ca: &CaCertificate| {
        let mut distances = found.chains().filter_map(|chain| chain.distance_to(ca));
        distances.any(|distance| distance == 0 || !is_closing(ca))
    };
    let authorities = found.authorities();
    authorities
        .filter(|ca| state.has_retired(&ca.fingerprint()) && !is_current(ca) && !is_in_use(ca))
        .cloned()
        .collect()
}

/// The previous CA that the state says the published certificate was moved away from. A chain that leads to it was put
/// back from before, or was not replaced yet.
fn moved_from(
    found: &Found,
    current: Option<&CurrentCa>,
    retired: &[CaCertificate],
) -> Option<CaCertificate> {
    let left = found.state.as_ref().ok()?.moved_from()?;
    let is_current = current.is_some_and(|current| current.has_key_of(left));
    let chain = found.telling_chain();
    let leads_to = chain.is_some_and(|chain| chain.leads_to(left));
    (!is_current && !leads_to && !retired.contains(left)).then(|| left.clone())
}

/// Rule 2 of docs/rotation.md: the CAs that can be the anchor before the current one is, the likeliest first.
fn possible_anchors(
    found: &Found,
    current: Option<&CurrentCa>,
    retired: &[CaCertificate],
    moved_from: Option<&CaCertificate>,
) -> Vec<CaCertificate> {
    let bundled = found.bundled();
    let distance = |ca: &CaCertificate| {
        let distances = found.chains().filter_map(|chain| chain.distance_to(ca));
        distances.max()
    };
    let chain = found.telling_chain();
    let issued_leaf = |ca: &CaCertificate| chain.and_then(|chain| chain.distance_to(ca)) == Some(0);
    let is_current = |ca: &CaCertificate| current.is_some_and(|current| current.has_key_of(ca));

    // Where a retired CA has the CA key or issued the leaf, the state is newer than what is published: a copy was put
    // back, and the record is of what came after.
    let is_restored = found.state.as_ref().is_ok_and(|state| {
        let mut authorities = found.authorities();
        authorities
            .any(|ca| state.has_retired(&ca.fingerprint()) && (is_current(ca) || issued_leaf(ca)))
    });
    // So it is where a cross-certificate leads to another CA than the record names.
    let is_elsewhere = |recorded: &CaCertificate| {
        let mut authorities = found.authorities().filter(|ca| !is_current(ca));
        authorities.any(|ca| !ca.has_key_of(recorded) && distance(ca).is_some_and(|far| far > 0))
    };
    let recorded = found.recorded_anchor().filter(|ca| !is_elsewhere(ca));
    let recorded = recorded.filter(|_| !is_restored);
    let is_left = |ca: &CaCertificate| moved_from.is_some_and(|left| left.has_key_of(ca));
    let is_alone = current.is_none() && moved_from.is_none() && bundled.len() == 1;
    let rank = |ca: &CaCertificate| match distance(ca) {
        // A cross-certificate shows what was the anchor when the chain was published; the farthest CA is the one that
        // the oldest daemons know.
        Some(distance @ 1..) => Some((0, Reverse(distance))),
        _ if recorded == Some(ca) => Some((1, Reverse(0))),
        Some(0) if issued_leaf(ca) => Some((2, Reverse(0))),
        Some(0) => Some((3, Reverse(0))),
        // Nothing else tells which CA the daemons know.
        _ if is_alone => Some((4, Reverse(0))),
        _ => None,
    };
    let mut ranked: Vec<_> = found
        .authorities()
        .filter(|ca| !is_current(ca) && !retired.contains(ca) && !is_left(ca))
        .filter_map(|ca| Some((rank(ca)?, ca.clone())))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, ca)| ca).collect()
}
