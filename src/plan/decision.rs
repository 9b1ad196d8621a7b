//! What is decided of the certificates and keys of a set that is assessed: rules 5 to 7 and 9 of docs/rotation.md.

use time::OffsetDateTime;

use crate::pki::certificate::CaCertificate;
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::plan::assessment::{Anchor, Assessment, CurrentCa};
use crate::plan::cause::Cause;
use crate::plan::spec::{Occasion, RetirementWord, Spec};
use crate::plan::{
    Action, AnchorPlan, CaPlan, CrossPlan, CutOff, LeafKey, PairPlan, Plan, Refusal, StatePlan,
};
use crate::set::rack::Part;
use crate::set::state::{AnchorRecord, State};

/// One event's question, with the answers to what comes before the decision.
pub(crate) struct Case<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) assessment: &'a Assessment,
    pub(crate) now: OffsetDateTime,
    /// The state as the event leaves it, but for what is recorded of the plan.
    pub(crate) state: &'a State,
    /// The anchor, once the close is done.
    pub(crate) anchor: Option<Anchor>,
    /// The CA that is retired by this event, or by one before it that did not come to its end.
    pub(crate) closed: Option<CaCertificate>,
    pub(crate) rotates_for_token: bool,
    /// What is wrong with the published pair by itself.
    pub(crate) pair_causes: Vec<Cause>,
}

impl Case<'_> {
    /// Why the current CA cannot stay, apart from a token.
    pub(crate) fn due_causes(&self) -> Vec<Cause> {
        match &self.assessment.current {
            Some(current) => {
                let certificate = current.certificate();
                let end =
                    certificate.and_then(|ca| Cause::of_end(Part::CaCert, ca, self.spec, self.now));
                end.into_iter().collect()
            }
            None if self.assessment.found.is_empty() => vec![Cause::NothingStored],
            None => self.ca_flaws(),
        }
    }

    /// What is wrong with the CA's two parts by themselves and with each other.
    fn ca_flaws(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        if let Err(flaw) = &self.assessment.found.ca_cert {
            causes.push(Cause::flawed(Part::CaCert, *flaw));
        }
        match &self.assessment.found.ca_key {
            Err(flaw) => causes.push(Cause::flawed(Part::CaKey, *flaw)),
            Ok(key) => match &self.assessment.found.ca_cert {
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
        let current = self.assessment.current_ca_certificate();
        let current = current.map(|ca| ca.fingerprint());
        let retired = |word: Option<RetirementWord>| word.map(|word| word.retired);
        let given = retired(self.spec.properties.retired_ca);
        let is_new = given != retired(self.spec.old.retired_ca);
        match current.filter(|_| current == given && is_new) {
            Some(current) => Err(Refusal::RetiresCurrentCa { current }),
            None => Ok(()),
        }
    }

    /// Rule 7 of docs/rotation.md.
    pub(crate) fn refuse_a_token_near_the_anchors_end(&self) -> Result<(), Refusal> {
        match self.previous_ca() {
            Some(anchor) if self.spec.is_due(anchor, self.now) => Err(Refusal::AnchorEndsSoon {
                anchor: anchor.fingerprint(),
                not_after: anchor.not_after(),
            }),
            _ => Ok(()),
        }
    }

    /// Rule 5 of docs/rotation.md: the current CA is healthy and no token asks for another.
    pub(crate) fn keep_ca(&self, current: &CurrentCa) -> Plan {
        let mut causes = Vec::new();
        let pair_is_good = self.pair_is_good();
        let anchor = self.previous_ca();
        let cross = anchor.and_then(|anchor| self.cross(current, anchor));
        let gives_up_anchor = anchor.is_some() && cross.is_none() && !pair_is_good;
        let pair = if pair_is_good {
            self.good_pair(&mut causes)
        } else {
            causes.extend(self.pair_causes.iter().cloned());
            if causes.is_empty() {
                causes.push(self.leads_nowhere());
            }
            let leaf = self.assessment.found.cert.as_ref().ok();
            let leaf = leaf.map(CertificateChain::leaf);
            match leaf.filter(|leaf| self.pair_causes.is_empty() && current.has_issued(leaf)) {
                Some(_) if gives_up_anchor => PairPlan::Keep,
                Some(leaf) => PairPlan::Rewrite {
                    leaf: leaf.clone(),
                    cross,
                },
                None => self.new_pair(cross),
            }
        };
        let anchor = match anchor {
            Some(anchor) if !gives_up_anchor => AnchorPlan::Previous(anchor.clone()),
            _ => AnchorPlan::Current,
        };
        let also_trusted = match &anchor {
            AnchorPlan::Current => self.also_trusted(current),
            _ => None,
        };
        let bundle_causes = self.bundle_causes(current, &anchor, &pair);
        let writes_bundle = self.closed.is_some() || !bundle_causes.is_empty();
        causes.splice(0..0, bundle_causes);
        causes.splice(0..0, self.close_cause());
        let action = match &pair {
            _ if current.certificate().is_none() => Action::ReissueCa,
            _ if self.closed.is_some() => Action::Close,
            PairPlan::Issue { .. } => Action::Reissue,
            PairPlan::Repair(_) | PairPlan::Rewrite { .. } => Action::Repair,
            PairPlan::Keep if writes_bundle => Action::Repair,
            PairPlan::Keep if gives_up_anchor => Action::Record,
            PairPlan::Keep => Action::Keep,
        };
        self.with_cut_off(Plan {
            action,
            causes,
            cut_off: CutOff::Nobody,
            ca: CaPlan::Keep(current.clone()),
            anchor,
            also_trusted,
            writes_bundle,
            pair,
            state: StatePlan::Keep,
        })
    }

    /// Rule 6 of docs/rotation.md: the current CA is missing, expiring or expired, or a token asks for a new one.
    pub(crate) fn new_ca(&self, mut causes: Vec<Cause>) -> Plan {
        if self.rotates_for_token {
            causes.push(Cause::NewToken);
        }
        causes.splice(0..0, self.close_cause());
        let current = self.assessment.current.as_ref();
        let outgoing = current.filter(|outgoing| {
            let certificate = outgoing.certificate();
            certificate.is_none_or(|authority| !authority.is_expired(self.now))
        });
        let rotated = |anchor, key: &PrivateKey| {
            let cross = CrossPlan::Sign(key.clone());
            (Action::Rotate, anchor, None, self.new_pair(Some(cross)))
        };
        let signed = |anchor: &CaCertificate| Some((anchor.clone(), self.anchor_key(anchor)?));
        let anchor = self.previous_ca();
        let recorded = self.state.anchor().and_then(AnchorRecord::certificate);
        let recorded = recorded.filter(|ca| self.is_live(ca)).and_then(signed);
        let (action, anchor, also_trusted, pair) = match (anchor, outgoing, recorded) {
            // [B, A], leaf of B, B by A: to [C, A], leaf of C, C by A.
            (Some(anchor), _, Some((recorded, key))) if anchor.has_key_of(&recorded) => {
                rotated(AnchorPlan::Previous(anchor.clone()), &key)
            }
            // [A], leaf of A: to [B, A], leaf of A.
            (Some(anchor), _, _) if self.pair_is_good() => {
                let pair = self.good_pair(&mut causes);
                let anchor = AnchorPlan::Previous(anchor.clone());
                (Action::Introduce, anchor, None, pair)
            }
            // [A], leaf of A: to [B, A], leaf of B, B by A. And [B, A], no good pair: to [C, B], leaf of C, C by B, for
            // daemons that know A alone are lost, but those that know B as well are not.
            (_, Some(outgoing), _) => {
                rotated(AnchorPlan::Outgoing(outgoing.clone()), &outgoing.key)
            }
            // The same, where the key of C is written already and that of B is recorded.
            (Some(_), None, Some((recorded, key))) => rotated(AnchorPlan::Previous(recorded), &key),
            // [A], no good pair: to [B, A], leaf of B.
            (Some(anchor), None, None) => {
                let pair = self.new_pair(None);
                let also_trusted = Some(anchor.clone()).filter(|anchor| self.is_live(anchor));
                (Action::Replace, AnchorPlan::Current, also_trusted, pair)
            }
            // Nothing, or an expired CA: to [A], leaf of A.
            (None, None, _) => {
                let action = if self.is_first_set() {
                    Action::Create
                } else {
                    Action::Replace
                };
                (action, AnchorPlan::Current, None, self.new_pair(None))
            }
        };
        self.with_cut_off(Plan {
            action,
            causes,
            cut_off: CutOff::Nobody,
            ca: CaPlan::New,
            anchor,
            also_trusted,
            writes_bundle: true,
            pair,
            state: StatePlan::Keep,
        })
    }

    /// Rule 9 of docs/rotation.md: the plan, with whom it cuts off.
    fn with_cut_off(&self, plan: Plan) -> Plan {
        let cut_off = match (&self.anchor, &plan.anchor) {
            (Some(Anchor::Previous(found)), AnchorPlan::Previous(anchor)) if found == anchor => {
                let left_out = self.left_out(&plan, anchor);
                left_out.map_or(CutOff::Nobody, knowing_only)
            }
            (Some(Anchor::Previous(anchor)), _) => knowing_only(anchor),
            // The end of a CA that expired cuts nobody off who was not refused before.
            (Some(Anchor::Current), _) => CutOff::Nobody,
            (None, _) if self.is_first_set() => CutOff::Nobody,
            (None, _) => CutOff::Everyone,
        };
        let mut plan = Plan { cut_off, ..plan };
        if plan.publishes() && self.assessment.pair_is_orphaned(self.now) {
            plan.cut_off = CutOff::Everyone;
        }
        plan
    }

    /// Without a record, which of two CAs that are not the current one is the anchor can only be told from the chain.
    /// Where that leads to one alone, and the CA changes, whoever knows the other is left out.
    fn left_out(&self, plan: &Plan, anchor: &CaCertificate) -> Option<&CaCertificate> {
        if matches!(plan.ca, CaPlan::Keep(_)) || self.state.anchor().is_some() {
            return None;
        }
        let chain = self.assessment.found.cert.as_ref().ok()?;
        let mut authorities = self.assessment.found.bundled().iter();
        authorities.find(|ca| *ca != anchor && self.is_live(ca) && !chain.leads_to(ca))
    }

    fn is_first_set(&self) -> bool {
        self.assessment.found.is_empty() && self.spec.occasion == Occasion::Adoption
    }

    /// The anchor, if it is another CA than the current one.
    fn previous_ca(&self) -> Option<&CaCertificate> {
        match &self.anchor {
            Some(Anchor::Previous(authority)) => Some(authority),
            _ => None,
        }
    }

    /// Whether the published pair is good, and leads to the anchor.
    fn pair_is_good(&self) -> bool {
        self.pair_causes.is_empty() && self.assessment.leads_to(self.anchor.as_ref())
    }

    /// Whether a CA is trusted by its date and by the operator's word, whatever leads to it.
    fn is_live(&self, authority: &CaCertificate) -> bool {
        !authority.is_expired(self.now) && !self.state.has_retired(&authority.fingerprint())
    }

    /// The published pair as it is: the same certificates in order where a block cannot be read, and without what the
    /// CA signed that is retired.
    fn good_pair(&self, causes: &mut Vec<Cause>) -> PairPlan {
        let Ok(chain) = &self.assessment.found.cert else {
            return PairPlan::Keep;
        };
        if !chain.is_intact() {
            causes.push(Cause::NotIntact { part: Part::Cert });
        }
        let closed = self.closed.as_ref();
        match closed.and_then(|closed| chain.without_crosses_of(closed)) {
            Some(chain) => PairPlan::Repair(chain),
            None if chain.is_intact() => PairPlan::Keep,
            None => PairPlan::Repair(chain.clone()),
        }
    }

    fn new_pair(&self, cross: Option<CrossPlan>) -> PairPlan {
        PairPlan::Issue {
            key: self.leaf_key(),
            cross,
        }
    }

    /// The cross-certificate for the current CA: the stored one, else one that the anchor signs. Without it, daemons that
    /// know the anchor alone cannot be led to anything new.
    fn cross(&self, current: &CurrentCa, anchor: &CaCertificate) -> Option<CrossPlan> {
        let chain = self.assessment.found.cert.as_ref().ok();
        let stored =
            chain.and_then(|chain| chain.cross(current.subject(), current.public_key(), anchor));
        match stored.filter(|cross| !cross.is_expired(self.now)) {
            Some(cross) => Some(CrossPlan::Stored(cross.clone())),
            None => self.anchor_key(anchor).map(CrossPlan::Sign),
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
        let found = &self.assessment.found;
        let Ok(key) = &found.key else {
            return LeafKey::New;
        };
        let ca_key = found.ca_key.iter().map(PrivateKey::public_key);
        let bundled = found.bundled().iter().map(|ca| ca.public_key());
        let signs = ca_key.chain(bundled).any(|ca| ca == key.public_key());
        if signs || self.rotates_for_token {
            LeafKey::New
        } else {
            LeafKey::Keep(key.clone())
        }
    }

    fn leads_nowhere(&self) -> Cause {
        match self.previous_ca() {
            Some(anchor) => Cause::NotLeadingTo {
                anchor: anchor.fingerprint(),
            },
            None => Cause::NotIssuedBySet,
        }
    }

    fn close_cause(&self) -> Option<Cause> {
        let closed = self.closed.as_ref()?;
        Some(Cause::Retired {
            authority: closed.fingerprint(),
        })
    }

    /// A CA beside the current one that the bundle goes on trusting although no rotation is open.
    fn also_trusted(&self, current: &CurrentCa) -> Option<CaCertificate> {
        let bundle = self.assessment.found.ca_cert.as_ref().ok()?;
        // Where its certificate stands under another name, or as a block that cannot be read. A bundle that has neither
        // is of another set.
        let has_a_trace =
            !bundle.is_intact() || bundle.with_public_key(current.public_key()).is_some();
        if current.certificate().is_none() && !has_a_trace {
            return None;
        }
        let mut authorities = bundle.authorities().iter();
        authorities
            .find(|authority| !current.has_key_of(authority) && self.is_live(authority))
            .cloned()
    }

    /// Why the bundle has to be written although the CA stays. Expired, duplicate and further CAs are no reason.
    fn bundle_causes(
        &self,
        current: &CurrentCa,
        anchor: &AnchorPlan,
        pair: &PairPlan,
    ) -> Vec<Cause> {
        let found = &self.assessment.found;
        let (Ok(bundle), Some(current)) = (&found.ca_cert, current.certificate()) else {
            return self.ca_flaws();
        };
        let mut causes = Vec::new();
        if !bundle.is_intact() {
            causes.push(Cause::NotIntact { part: Part::CaCert });
        }
        let anchor = match anchor {
            AnchorPlan::Previous(authority) => Some(authority),
            _ => None,
        };
        let expected = std::iter::once(current).chain(anchor);
        let lacking = expected.filter(|authority| !bundle.contains(authority));
        causes.extend(lacking.map(|authority| Cause::BundleLacks {
            authority: authority.fingerprint(),
        }));
        // A listed CA that only the old chain leads to is no longer in use.
        let loses_its_use = |authority: &CaCertificate| {
            matches!(pair, PairPlan::Rewrite { .. } | PairPlan::Issue { .. })
                && self.state.has_retired(&authority.fingerprint())
                && authority != current
                && anchor != Some(authority)
        };
        let retired = bundle.authorities().iter().filter(|authority| {
            (self.assessment.is_retired(authority) || loses_its_use(authority))
                && self.closed.as_ref() != Some(authority)
        });
        causes.extend(retired.map(|authority| Cause::BundleHasRetired {
            authority: authority.fingerprint(),
        }));
        causes
    }
}

fn knowing_only(authority: &CaCertificate) -> CutOff {
    CutOff::KnowingOnly {
        authority: authority.fingerprint(),
        common_name: authority.common_name().to_owned(),
    }
}
