//! What is decided of the certificates and keys of a set that is assessed: rules 5 to 7 and 9 of docs/rotation.md.

use time::OffsetDateTime;

use crate::pki::bundle::TrustBundle;
use crate::pki::certificate::{CaCertificate, Fingerprint};
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::plan::assessment::{self, Anchor, Assessment, Cause, CurrentCa};
use crate::plan::spec::{Occasion, Spec};
use crate::plan::{
    Action, AnchorPlan, CaPlan, CrossPlan, CutOff, LeafKey, PairPlan, Plan, Refusal, StatePlan,
};
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::rack::Part;
use crate::set::state::State;

/// One event's question, with the answers to what comes before the decision.
pub(crate) struct Case<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) found: &'a Found,
    pub(crate) now: OffsetDateTime,
    pub(crate) state: &'a State,
    pub(crate) assessment: &'a Assessment,
    pub(crate) closed: Option<Fingerprint>,
    pub(crate) rotates_for_token: bool,
}

impl Case<'_> {
    /// Why the current CA cannot stay, apart from a token.
    pub(crate) fn due_causes(&self) -> Vec<Cause> {
        let renew_before = self.spec.properties.renew_before;
        let expiry =
            |authority| assessment::expiry(Part::CaCert, authority, renew_before, self.now);
        match &self.assessment.current {
            Some(current) => {
                let expiry = current.certificate().and_then(|ca| expiry(ca));
                expiry.into_iter().collect()
            }
            None if self.found.is_empty() => vec![Cause::NothingStored],
            None => self.ca_flaws(),
        }
    }

    /// What is wrong with the CA's two parts by themselves and with each other.
    fn ca_flaws(&self) -> Vec<Cause> {
        let flawed = |part, flaw: &Flaw| Cause::Flawed { part, flaw: *flaw };
        let mut causes = Vec::new();
        if let Err(flaw) = &self.found.ca_cert {
            causes.push(flawed(Part::CaCert, flaw));
        }
        match &self.found.ca_key {
            Err(flaw) => causes.push(flawed(Part::CaKey, flaw)),
            Ok(key) => match &self.found.ca_cert {
                Ok(bundle) if bundle.with_public_key(key.public_key()).is_some() => {
                    causes.push(Cause::OtherCaName);
                }
                Ok(_) => causes.push(Cause::ForeignCaKey),
                Err(_) => {}
            },
        }
        causes
    }

    /// Refuses a `RetiredCA` that this very update would make the previous CA: sent once more, it would close.
    pub(crate) fn refuse_retiring_the_current_ca(&self) -> Result<(), Refusal> {
        let current = self.assessment.current.as_ref();
        let current = current.and_then(|ca| Some(ca.certificate()?.fingerprint()));
        let given = self.spec.properties.retired_ca;
        match current.filter(|_| current == given && given != self.spec.old.retired_ca) {
            Some(current) => Err(Refusal::RetiresCurrentCa { current }),
            None => Ok(()),
        }
    }

    /// Rule 7 of docs/rotation.md.
    pub(crate) fn refuse_a_token_near_the_anchors_end(&self) -> Result<(), Refusal> {
        if let Some(anchor) = self.assessment.other_anchor() {
            let not_after = anchor.not_after();
            if not_after < self.now + self.spec.properties.renew_before {
                return Err(Refusal::AnchorEndsSoon {
                    anchor: anchor.fingerprint(),
                    not_after,
                });
            }
        }
        Ok(())
    }

    /// Rule 5 of docs/rotation.md: the current CA is healthy and no token asks for another.
    pub(crate) fn keep_ca(&self, current: &CurrentCa) -> Plan {
        let chain = self.found.cert.as_ref().ok();
        let pair_is_good = self.assessment.pair_flaws.is_empty();
        let leads_to_anchor = self.assessment.leads_to_anchor(self.found);
        let same_leaf = chain
            .map(CertificateChain::leaf)
            .filter(|leaf| pair_is_good && current.has_issued(leaf));

        let mut causes: Vec<Cause> = Vec::new();
        let mut cut_off = CutOff::Nobody;
        let mut anchor = match self.assessment.other_anchor() {
            Some(authority) => AnchorPlan::Other(authority.clone()),
            None => AnchorPlan::Current,
        };
        let cross = self.cross(current);
        let pair = if pair_is_good && leads_to_anchor {
            match chain {
                Some(chain) if self.closed.is_some() && chain.has_cross() => PairPlan::Rewrite {
                    leaf: chain.leaf().clone(),
                    cross: None,
                },
                Some(chain) if !chain.is_intact() => {
                    causes.push(Cause::NotIntact { part: Part::Cert });
                    let anchor = self.assessment.other_anchor();
                    match anchor.or(current.certificate()) {
                        Some(anchor) if same_leaf.is_none() => self.kept_pair(anchor),
                        _ => PairPlan::Rewrite {
                            leaf: chain.leaf().clone(),
                            cross: cross.plan(),
                        },
                    }
                }
                _ => PairPlan::Keep,
            }
        } else {
            causes.extend(self.assessment.pair_flaws.iter().cloned());
            if causes.is_empty() {
                causes.push(self.leads_nowhere());
            }
            if let Cross::Unobtainable { anchor: authority } = &cross {
                cut_off = knowing_only(authority);
                anchor = AnchorPlan::Current;
            }
            match (cross, same_leaf) {
                (Cross::Unobtainable { .. }, Some(_)) => PairPlan::Keep,
                (cross, Some(leaf)) => PairPlan::Rewrite {
                    leaf: leaf.clone(),
                    cross: cross.plan(),
                },
                (cross, None) => PairPlan::Issue {
                    key: self.leaf_key(),
                    cross: cross.plan(),
                },
            }
        };

        let also_trusted = match &anchor {
            AnchorPlan::Current => self.also_trusted(current),
            _ => None,
        };
        let bundle_causes = self.bundle_causes(current, &anchor);
        let writes_bundle = self.closed.is_some() || !bundle_causes.is_empty();
        causes.splice(0..0, bundle_causes);
        causes.splice(
            0..0,
            self.closed.map(|authority| Cause::Retired { authority }),
        );
        let action = match &pair {
            _ if current.certificate().is_none() => Action::ReissueCa,
            _ if self.closed.is_some() => Action::Close,
            PairPlan::Issue { .. } => Action::Reissue,
            PairPlan::Rewrite { .. } => Action::Repair,
            _ if writes_bundle => Action::Repair,
            _ if cut_off != CutOff::Nobody => Action::Record,
            PairPlan::Keep => Action::Keep,
        };
        Plan {
            action,
            causes,
            cut_off,
            ca: CaPlan::Keep(current.clone()),
            anchor,
            also_trusted,
            writes_bundle,
            pair,
            state: StatePlan::Keep,
        }
    }

    /// Rule 6 of docs/rotation.md: the current CA is missing, expiring or expired, or a token asks for a new one.
    pub(crate) fn new_ca(&self, mut causes: Vec<Cause>) -> Plan {
        if self.rotates_for_token {
            causes.push(Cause::NewToken);
        }
        causes.splice(
            0..0,
            self.closed.map(|authority| Cause::Retired { authority }),
        );
        let former = self.assessment.current.clone();
        let unexpired = former.as_ref().filter(|former| {
            let certificate = former.certificate();
            certificate.is_none_or(|authority| !authority.is_expired(self.now))
        });
        // With the key that signs the cross-certificate, where that is known.
        let anchor = match &self.assessment.anchor {
            Some(Anchor::Other(authority)) => {
                let key = self.anchor_key(authority);
                Some((AnchorPlan::Other(authority.clone()), key))
            }
            Some(Anchor::Current) => {
                unexpired.map(|former| (AnchorPlan::Former, Some(former.key.clone())))
            }
            None => None,
        };
        let pair_is_good =
            self.assessment.pair_flaws.is_empty() && self.assessment.leads_to_anchor(self.found);
        let issue = |cross| PairPlan::Issue {
            key: self.leaf_key(),
            cross,
        };
        let (action, anchor, also_trusted, pair, cut_off) = match anchor {
            // [A], leaf of A, or [B, A], leaf of B, B by A: to [C, A], leaf of C, C by A.
            Some((anchor, Some(key))) => {
                let pair = issue(Some(CrossPlan::Sign(key)));
                (Action::Rotate, anchor, None, pair, CutOff::Nobody)
            }
            // [A], leaf of A: to [B, A], leaf of A.
            Some((AnchorPlan::Other(authority), None)) if pair_is_good => {
                let pair = self.kept_pair(&authority);
                if !pair.is_keep() {
                    causes.push(Cause::NotIntact { part: Part::Cert });
                }
                let cut_off = self.left_out(&authority);
                let anchor = AnchorPlan::Other(authority);
                (Action::Introduce, anchor, None, pair, cut_off)
            }
            Some((AnchorPlan::Other(authority), None)) => {
                let cut_off = knowing_only(&authority);
                match unexpired {
                    // [B, A], no good pair: to [C, B], leaf of C, C by B. Daemons that know A alone are lost; those
                    // that know B as well are not.
                    Some(former) => {
                        let pair = issue(Some(CrossPlan::Sign(former.key.clone())));
                        (Action::Rotate, AnchorPlan::Former, None, pair, cut_off)
                    }
                    // [A], no good pair: to [B, A], leaf of B.
                    None => (
                        Action::Replace,
                        AnchorPlan::Current,
                        Some(authority),
                        issue(None),
                        cut_off,
                    ),
                }
            }
            // Nothing, or an expired CA: to [A], leaf of A.
            _ => {
                let (action, cut_off) = self.nothing_survives();
                (action, AnchorPlan::Current, None, issue(None), cut_off)
            }
        };
        Plan {
            action,
            causes,
            cut_off,
            ca: CaPlan::New { former },
            anchor,
            also_trusted,
            writes_bundle: true,
            pair,
            state: StatePlan::Keep,
        }
    }

    /// Without a record, which of two CAs that are not the current one is the anchor can only be told from the chain.
    /// Where that leads to one alone, whoever knows the other is left out.
    fn left_out(&self, anchor: &CaCertificate) -> CutOff {
        let (Ok(bundle), Ok(chain)) = (&self.found.ca_cert, &self.found.cert) else {
            return CutOff::Nobody;
        };
        let mut authorities = bundle.authorities().iter();
        let other = authorities.find(|authority| {
            *authority != anchor
                && !authority.is_expired(self.now)
                && !self.state.has_retired(&authority.fingerprint())
                && !chain.leads_to(authority)
        });
        match other {
            Some(other) if self.state.anchor().is_none() => knowing_only(other),
            _ => CutOff::Nobody,
        }
    }

    /// The published pair as it is, or the same certificates in order where a block cannot be read.
    fn kept_pair(&self, anchor: &CaCertificate) -> PairPlan {
        match &self.found.cert {
            Ok(chain) if !chain.is_intact() => {
                let mut crosses = chain.crosses().iter();
                let leads = |cross: &&CaCertificate| {
                    cross.has_issued(chain.leaf()) && anchor.has_issued(cross)
                };
                let cross = crosses.find(leads).cloned().map(CrossPlan::Stored);
                PairPlan::Rewrite {
                    leaf: chain.leaf().clone(),
                    cross,
                }
            }
            _ => PairPlan::Keep,
        }
    }

    /// A first set cuts nobody off, and neither does the end of a CA that expired: it was refused before.
    fn nothing_survives(&self) -> (Action, CutOff) {
        let found = self.found;
        if found.is_empty() && self.spec.occasion == Occasion::Adoption {
            (Action::Create, CutOff::Nobody)
        } else if self.assessment.current.is_some() {
            (Action::Replace, CutOff::Nobody)
        } else {
            (Action::Replace, CutOff::Everyone)
        }
    }

    /// The cross-certificate for the current CA: the stored one, else one that the anchor signs.
    fn cross(&self, current: &CurrentCa) -> Cross<'_> {
        let Some(anchor) = self.assessment.other_anchor() else {
            return Cross::NotNeeded;
        };
        let stored = |chain: &CertificateChain| {
            let cross = chain.cross(current.subject(), current.public_key(), anchor)?;
            (!cross.is_expired(self.now)).then(|| CrossPlan::Stored(cross.clone()))
        };
        let stored = self.found.cert.as_ref().ok().and_then(stored);
        match stored.or_else(|| self.anchor_key(anchor).map(CrossPlan::Sign)) {
            Some(plan) => Cross::Obtainable(plan),
            None => Cross::Unobtainable { anchor },
        }
    }

    /// The anchor's key, if it is recorded.
    pub(crate) fn anchor_key(&self, anchor: &CaCertificate) -> Option<PrivateKey> {
        let key = self.state.anchor()?.key()?;
        (key.public_key() == anchor.public_key()).then_some(key)
    }

    /// A loadable key is kept, so that one write changes the pair; not one that also signs certificates, and not
    /// when a token asks for everything new.
    fn leaf_key(&self) -> LeafKey {
        let Ok(key) = &self.found.key else {
            return LeafKey::New;
        };
        let is_ca_key = |public_key: &[u8]| public_key == key.public_key();
        let bundle = self.found.ca_cert.iter();
        let mut authorities = bundle.flat_map(TrustBundle::authorities);
        let signs = self
            .found
            .ca_key
            .as_ref()
            .is_ok_and(|k| is_ca_key(k.public_key()))
            || authorities.any(|authority| is_ca_key(authority.public_key()));
        if signs || self.rotates_for_token {
            LeafKey::New
        } else {
            LeafKey::Keep(key.clone())
        }
    }

    fn leads_nowhere(&self) -> Cause {
        match self.assessment.other_anchor() {
            Some(anchor) => Cause::NotLeadingTo {
                anchor: anchor.fingerprint(),
            },
            None => Cause::NotIssuedBySet,
        }
    }

    /// A CA beside the current one that the bundle goes on trusting although no rotation is open.
    fn also_trusted(&self, current: &CurrentCa) -> Option<CaCertificate> {
        let bundle = self.found.ca_cert.as_ref().ok()?;
        // Where its certificate stands under another name, or as a block that cannot be read. A bundle that has neither
        // is of another set.
        let has_a_trace =
            !bundle.is_intact() || bundle.with_public_key(current.public_key()).is_some();
        if current.certificate().is_none() && !has_a_trace {
            return None;
        }
        let mut authorities = bundle.authorities().iter();
        authorities
            .find(|authority| {
                authority.public_key() != current.public_key()
                    && !authority.is_expired(self.now)
                    && !self.state.has_retired(&authority.fingerprint())
            })
            .cloned()
    }

    /// Why the bundle has to be written although the CA stays. Expired, duplicate and further CAs are no reason.
    fn bundle_causes(&self, current: &CurrentCa, anchor: &AnchorPlan) -> Vec<Cause> {
        let (Ok(bundle), Some(current)) = (&self.found.ca_cert, current.certificate()) else {
            return self.ca_flaws();
        };
        let mut causes = Vec::new();
        if !bundle.is_intact() {
            causes.push(Cause::NotIntact { part: Part::CaCert });
        }
        let anchor = match anchor {
            AnchorPlan::Other(authority) => Some(authority),
            _ => None,
        };
        let expected = std::iter::once(current).chain(anchor);
        causes.extend(
            expected
                .filter(|authority| !bundle.contains(authority))
                .map(|authority| Cause::BundleLacks {
                    authority: authority.fingerprint(),
                }),
        );
        causes.extend(
            bundle
                .authorities()
                .iter()
                .filter(|authority| *authority != current)
                .map(|authority| authority.fingerprint())
                .filter(|authority| self.state.has_retired(authority))
                .filter(|authority| self.closed.as_ref() != Some(authority))
                .map(|authority| Cause::BundleHasRetired { authority }),
        );
        causes
    }
}

/// Whether the current CA can have a cross-certificate.
enum Cross<'a> {
    /// The current CA is the anchor.
    NotNeeded,
    /// It stands in the chain, or the anchor's key is known.
    Obtainable(CrossPlan),
    /// Neither: daemons that know the anchor alone cannot be led to anything new.
    Unobtainable { anchor: &'a CaCertificate },
}

impl Cross<'_> {
    fn plan(self) -> Option<CrossPlan> {
        match self {
            Self::Obtainable(plan) => Some(plan),
            Self::NotNeeded | Self::Unobtainable { .. } => None,
        }
    }
}

fn knowing_only(authority: &CaCertificate) -> CutOff {
    CutOff::KnowingOnly {
        authority: authority.fingerprint(),
        common_name: authority.common_name().to_owned(),
    }
}
