//! What is decided of the certificates and keys of a set that is assessed: rules 5 to 7 of docs/rotation.md.

use crate::pki::certificate::CaCertificate;
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::plan::assessment::Anchor;
use crate::plan::case::{Case, PairCase};
use crate::plan::cause::Cause;
use crate::plan::current_ca::CurrentCa;
use crate::plan::obstacle::{Obstacle, Signer};
use crate::plan::trust::trust;
use crate::plan::word::Word;
use crate::plan::{
    Action, AnchorPlan, CaPlan, CrossPlan, CutOff, LeafKey, PairPlan, PairPlans, Plan, StatePlan,
    Trust,
};
use crate::set::anchor_record::AnchorRecord;
use crate::set::pair::Pair;
use crate::set::rack::Part;

/// How a new pair leads to an anchor that is not the current CA.
enum Lead {
    /// The current CA issues it, and a cross-certificate stands behind it.
    Cross(CrossPlan),
    /// The anchor issues it itself.
    Direct(PrivateKey),
}

impl Case<'_> {
    /// Why the current CA cannot stay, apart from a token.
    pub(crate) fn due_causes(&self) -> Vec<Cause> {
        let Some(current) = &self.assessment.current else {
            return if self.assessment.found.is_empty() {
                vec![Cause::NothingStored]
            } else {
                self.ca_flaws()
            };
        };
        let end = if let Some(certificate) = current.certificate() {
            Cause::of_end(Part::CaCert, certificate, self.spec, self.now)
        } else {
            self.end_of_what_it_issued(current)
        };
        if end.is_some() && current.certificate().is_none() {
            return self.ca_flaws().into_iter().chain(end).collect();
        }
        end.into_iter().chain(self.cannot_issue(current)).collect()
    }

    /// Why a CA whose certificate is lost ends soon: nothing tells that it lasts longer than what it has issued.
    fn end_of_what_it_issued(&self, current: &CurrentCa) -> Option<Cause> {
        let issued = Pair::ALL.into_iter().rev().filter_map(|pair| {
            let leaf = self.assessment.found.pair(pair).leaf()?;
            current.has_issued(leaf).then_some((pair.cert(), leaf))
        });
        let (part, leaf) = issued.max_by_key(|(_, leaf)| leaf.not_after())?;
        Cause::of_end(part, leaf, self.spec, self.now)
    }

    /// Why the current CA cannot issue what has to be issued; nothing if it can, or nothing has to.
    fn cannot_issue(&self, current: &CurrentCa) -> Vec<Cause> {
        let goes_on_without = |case: &PairCase, anchor| match self.lead(anchor) {
            Ok(Lead::Direct(_)) => true,
            Ok(Lead::Cross(_)) => false,
            Err(_) => self.can_wait(case),
        };
        let needs_it = |case: &&PairCase| {
            let previous = self.previous_ca();
            !self.is_good(case) && !previous.is_some_and(|anchor| goes_on_without(case, anchor))
        };
        let needy: Vec<&PairCase> = self.pairs.iter().filter(needs_it).collect();
        if needy.is_empty() {
            return Vec::new();
        }
        match Signer::current(current).for_a_leaf(self.spec) {
            Ok(_) => Vec::new(),
            Err(obstacle) => {
                let causes = needy
                    .into_iter()
                    .flat_map(|case| self.new_pair_causes(case));
                causes.chain([Cause::CannotIssue { obstacle }]).collect()
            }
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
            Ok(_) if self.assessment.found.ca_cert.is_ok() => causes.push(Cause::ForeignCaKey),
            Ok(_) => {}
        }
        causes
    }

    /// Rule 5 of docs/rotation.md: the current CA is healthy and no token asks for another.
    pub(crate) fn keep_ca(&self, current: &CurrentCa) -> Plan {
        let mut causes = Vec::new();
        let (pairs, anchor) = self.pairs_of_kept_ca(current, &mut causes);
        let gives_up_anchor = self.previous_ca().is_some() && matches!(anchor, AnchorPlan::Current);
        let ca = CaPlan::Keep(current.clone());
        let bundle_causes = self.bundle_causes(current, &anchor, &pairs);
        let ends_rotation = self.word.closing().is_some();
        let writes_bundle = ends_rotation || !bundle_causes.is_empty();
        causes.splice(0..0, bundle_causes);
        causes.splice(0..0, self.word_cause());
        let repaired_keys = self.repaired_keys(&ca, &pairs, &mut causes);
        let is_any = |is: fn(&PairPlan) -> bool| pairs.iter().any(|(_, plan)| is(plan));
        let action = match &self.word {
            _ if current.certificate().is_none() => Action::ReissueCa,
            Word::Close { .. } => Action::Close,
            Word::TakeBack(_) => Action::TakeBack,
            Word::Move => Action::Move,
            Word::None if is_any(PairPlan::is_new) => Action::Reissue,
            Word::None if is_any(PairPlan::is_rewritten) => Action::Repair,
            Word::None if writes_bundle || !repaired_keys.is_empty() => Action::Repair,
            Word::None if is_any(|plan| matches!(plan, PairPlan::Remove)) => Action::Remove,
            Word::None if gives_up_anchor => Action::Record,
            Word::None => Action::Keep,
        };
        self.finished(Plan {
            action,
            causes,
            cut_off: CutOff::Nobody,
            warning: None,
            ca,
            anchor,
            trust: Trust::default(),
            writes_bundle,
            repaired_keys,
            pairs,
            state: StatePlan::Keep,
        })
    }

    /// What happens to the pairs while the CA stays, and which CA is the anchor then.
    fn pairs_of_kept_ca(
        &self,
        current: &CurrentCa,
        causes: &mut Vec<Cause>,
    ) -> (PairPlans, AnchorPlan) {
        let previous = self.previous_ca();
        let are_good = self.pairs.iter().all(|case| self.is_good(case));
        let path = previous
            .filter(|_| !are_good)
            .map(|anchor| self.lead(anchor));
        let waits = |case: &PairCase| match &path {
            // It would end no later than the one that is there.
            Some(Ok(Lead::Direct(_))) => {
                self.can_wait(case) && previous.is_some_and(|ca| self.spec.is_due(ca, self.now))
            }
            Some(Err(_)) => self.can_wait(case),
            Some(Ok(Lead::Cross(_))) | None => false,
        };
        let stays = |case: &PairCase| self.is_good(case) || waits(case);
        // Where nothing new can lead to the anchor, it is the anchor for as long as a pair leads there.
        let is_lost = matches!(path, Some(Err(_))) && !self.pairs.iter().any(stays);
        let anchor = match previous {
            Some(anchor) if !is_lost => AnchorPlan::Previous(anchor.clone()),
            _ => AnchorPlan::Current,
        };
        let mut pairs = PairPlans::new();
        for case in &self.pairs {
            let leaf = self.assessment.found.pair(case.pair).leaf();
            let leaf = leaf.filter(|leaf| case.causes.is_empty() && current.has_issued(leaf));
            let is_as_good_as_can_be = matches!(path, Some(Err(_))) && !is_lost && leaf.is_some();
            if stays(case) || is_as_good_as_can_be {
                pairs.push((case.pair, self.good_pair(case, causes)));
                continue;
            }
            causes.extend(self.new_pair_causes(case));
            let plan = match (leaf, &path) {
                (_, Some(Ok(Lead::Direct(anchor_key)))) => self.pair_of_anchor(case, anchor_key),
                (Some(leaf), Some(Ok(Lead::Cross(cross)))) => PairPlan::Rewrite {
                    leaf: leaf.clone(),
                    cross: Some(cross.clone()),
                },
                (None, Some(Ok(Lead::Cross(cross)))) => self.new_pair(case, Some(cross.clone())),
                (Some(_), Some(Err(_))) => self.good_pair(case, causes),
                (_, Some(Err(_)) | None) => self.new_pair(case, self.cross_of_a_lost_ca(current)),
            };
            pairs.push((case.pair, plan));
        }
        pairs.extend(self.pair_not_asked_for(causes));
        (pairs, anchor)
    }

    /// Rule 6 of docs/rotation.md: the current CA is missing, expiring or expired, or a token asks for a new one.
    pub(crate) fn new_ca(&self, mut causes: Vec<Cause>) -> Plan {
        if self.rotates_for_token {
            causes.push(Cause::NewToken);
        }
        causes.splice(0..0, self.word_cause());
        let (action, anchor, mut pairs) = self.pairs_of_new_ca(&mut causes);
        pairs.extend(self.pair_not_asked_for(&mut causes));
        let repaired_keys = self.repaired_keys(&CaPlan::New, &pairs, &mut causes);
        self.finished(Plan {
            action,
            causes,
            cut_off: CutOff::Nobody,
            warning: None,
            ca: CaPlan::New,
            anchor,
            trust: Trust::default(),
            writes_bundle: true,
            repaired_keys,
            pairs,
            state: StatePlan::Keep,
        })
    }

    /// What comes of the pairs when a new CA is made, and which CA is the anchor then.
    fn pairs_of_new_ca(&self, causes: &mut Vec<Cause>) -> (Action, AnchorPlan, PairPlans) {
        let all_new = |cross: Option<CrossPlan>| -> PairPlans {
            let pairs = self.pairs.iter();
            pairs
                .map(|case| (case.pair, self.new_pair(case, cross.clone())))
                .collect()
        };
        let rotated = |anchor, key: PrivateKey| {
            let cross = CrossPlan::Sign(key);
            (Action::Rotate, anchor, all_new(Some(cross)))
        };
        let outgoing = self.outgoing();
        let anchored = match (&self.anchor, outgoing) {
            // [B, A], leaf of B, B by A: to [C, A], leaf of C, C by A.
            (Some(Anchor::Previous(anchor)), _) => {
                let signer = Signer::other(anchor, self.assessment.recorded_key(anchor));
                Some((AnchorPlan::Previous(anchor.clone()), signer))
            }
            // [A], leaf of A: to [B, A], leaf of B, B by A.
            (Some(Anchor::Current), Some(outgoing)) => Some((
                AnchorPlan::Outgoing(outgoing.clone()),
                Signer::current(outgoing),
            )),
            _ => None,
        };
        if let Some((anchor, signer)) = anchored {
            if let Ok(key) = signer.for_a_ca(self.state) {
                return rotated(anchor, key);
            }
            // Trust first. [A], leaf of A: to [B, A], leaf of A.
            let issues = signer.for_a_leaf(self.spec);
            let ends_soon = match &anchor {
                AnchorPlan::Previous(anchor) => self.spec.is_due(anchor, self.now),
                _ => self.due_by_date().is_some(),
            };
            let stays = |case: &PairCase| {
                self.is_good(case) || (self.can_wait(case) && (issues.is_err() || ends_soon))
            };
            // And [A], no good pair: to [B, A], leaf of A; or leaf of B, while the other pair leads to A still.
            if issues.is_ok() || self.pairs.iter().any(stays) {
                let mut introduced = PairPlans::new();
                for case in &self.pairs {
                    let plan = match &issues {
                        _ if stays(case) => self.good_pair(case, causes),
                        Ok(anchor_key) => self.pair_of_anchor(case, anchor_key),
                        Err(_) => self.new_pair(case, None),
                    };
                    introduced.push((case.pair, plan));
                }
                return (Action::Introduce, anchor, introduced);
            }
        }
        // [B, A], no good pair: to [C, B], leaf of C, C by B, for daemons that know A alone are lost, but those that know
        // B as well are not.
        if let (Some(Anchor::Previous(_)), Some(outgoing)) = (&self.anchor, outgoing)
            && let Ok(key) = Signer::current(outgoing).for_a_ca(self.state)
        {
            return rotated(AnchorPlan::Outgoing(outgoing.clone()), key);
        }
        // The same, where the key of C is written already and that of B is recorded.
        if let (Some(Anchor::Previous(_)), Some((recorded, key))) = (&self.anchor, self.recorded())
        {
            return rotated(AnchorPlan::Previous(recorded), key);
        }
        // [A], no good pair: to [B, A], leaf of B. Nothing, or an expired CA: to [A], leaf of A.
        let action = if self.is_first_set() {
            Action::Create
        } else {
            Action::Replace
        };
        (action, AnchorPlan::Current, all_new(None))
    }

    /// The recorded CA with its key, if it can vouch for another.
    fn recorded(&self) -> Option<(CaCertificate, PrivateKey)> {
        let recorded = self.state.anchor().and_then(AnchorRecord::certificate);
        let recorded = recorded.filter(|ca| self.is_live(ca))?;
        let key = self.assessment.vouching(recorded).ok()?;
        Some((recorded.clone(), key))
    }

    /// The plan with what follows from the rest of it: what stays trusted, and whom it cuts off.
    fn finished(&self, mut plan: Plan) -> Plan {
        if plan.writes_bundle {
            plan.trust = trust(self, &plan.ca, &plan.anchor);
        }
        plan.cut_off = self.cut_off(&plan);
        plan
    }

    /// Whether a pair is good, and leads to the anchor.
    fn is_good(&self, case: &PairCase) -> bool {
        case.causes.is_empty() && self.leads_to_anchor(case)
    }

    /// Whether a pair is of use, and leads to the anchor, but another is asked for, or soon will have to be.
    fn can_wait(&self, case: &PairCase) -> bool {
        case.causes.iter().all(Cause::can_wait) && self.leads_to_anchor(case)
    }

    /// Whether a pair leads to the anchor. A rotation is taken back once it leads there directly.
    fn leads_to_anchor(&self, case: &PairCase) -> bool {
        match &self.word {
            Word::TakeBack(_) => self.assessment.is_of_current_ca(case.pair),
            _ => self.assessment.leads_to(self.anchor.as_ref(), case.pair),
        }
    }

    /// Why the current CA ends soon, or has ended.
    fn due_by_date(&self) -> Option<Cause> {
        let current = self.assessment.current_ca_certificate()?;
        Cause::of_end(Part::CaCert, current, self.spec, self.now)
    }

    /// A pair as it is: the same certificates where a daemon does not read them, and without what the CA
    /// signed that is retired or moved away from.
    fn good_pair(&self, case: &PairCase, causes: &mut Vec<Cause>) -> PairPlan {
        let Some(chain) = self.assessment.found.pair(case.pair).chain() else {
            return PairPlan::Keep;
        };
        if !chain.is_intact() {
            let part = case.pair.cert();
            causes.push(Cause::NotIntact { part });
        }
        let left = match &self.word {
            Word::Move => self.left_behind(),
            word => word.closed(),
        };
        match left.and_then(|left| chain.without_crosses_of(left)) {
            Some(chain) => PairPlan::Repair(chain),
            None if chain.is_intact() => PairPlan::Keep,
            None => PairPlan::Repair(chain.clone()),
        }
    }

    fn new_pair(&self, case: &PairCase, cross: Option<CrossPlan>) -> PairPlan {
        PairPlan::Issue {
            key: self.leaf_key(case.pair),
            usages: case.usages,
            cross,
        }
    }

    fn pair_of_anchor(&self, case: &PairCase, anchor_key: &PrivateKey) -> PairPlan {
        PairPlan::IssueByAnchor {
            key: self.leaf_key(case.pair),
            usages: case.usages,
            anchor_key: anchor_key.clone(),
        }
    }

    /// The API's own pair, where it is stored and `ClientCertificate` is `Shared`: it goes.
    fn pair_not_asked_for(&self, causes: &mut Vec<Cause>) -> Option<(Pair, PairPlan)> {
        let is_asked_for = self.pairs.iter().any(|case| case.pair == Pair::Client);
        if is_asked_for || self.assessment.found.client.is_missing() {
            return None;
        }
        causes.push(Cause::NotAskedFor);
        Some((Pair::Client, PairPlan::Remove))
    }

    /// How a new pair can lead to an anchor that is not the current CA. Without that, daemons that know the anchor alone
    /// accept nothing new.
    fn lead(&self, anchor: &CaCertificate) -> Result<Lead, Obstacle> {
        let signer = Signer::other(anchor, self.assessment.recorded_key(anchor));
        let obstacle = match signer.for_a_ca(self.state) {
            Ok(key) => return Ok(Lead::Cross(CrossPlan::Sign(key))),
            Err(obstacle) => obstacle,
        };
        if obstacle.leaves_earlier_signatures()
            && let Some(current) = &self.assessment.current
            && let mut chains = self.assessment.found.chains()
            && let Some(cross) = chains.find_map(|chain| {
                let cross = chain.cross(current.subject(), current.public_key(), anchor);
                cross.filter(|cross| !cross.is_expired(self.now))
            })
        {
            return Ok(Lead::Cross(CrossPlan::Stored(cross.clone())));
        }
        match signer.for_a_leaf(self.spec) {
            Ok(key) => Ok(Lead::Direct(key)),
            Err(_) => Err(obstacle),
        }
    }

    /// The stored cross-certificate by a CA of which nothing else is left: whoever knows that follows it still.
    fn cross_of_a_lost_ca(&self, current: &CurrentCa) -> Option<CrossPlan> {
        let chains = self.assessment.found.chains();
        let mut crosses = chains.flat_map(CertificateChain::crosses);
        let cross = crosses.find(|cross| {
            let mut known = self.assessment.found.authorities();
            cross.subject() == current.subject()
                && current.has_key_of(cross)
                && !cross.is_expired(self.now)
                && !known.any(|authority| authority.has_issued(cross))
        });
        cross.cloned().map(CrossPlan::Stored)
    }

    /// A loadable key is kept, so that one write changes the pair; not one of a kind that cannot be certified here, not
    /// one that also signs certificates, not one of the other pair's, and not when a token asks for everything new.
    fn leaf_key(&self, pair: Pair) -> LeafKey {
        let found = &self.assessment.found;
        let key = found.pair(pair).key.as_ref().ok();
        let is_usable =
            |key: &&PrivateKey| key.can_sign() && !self.assessment.is_of_the_other(pair, key);
        let Some(key) = key.filter(is_usable) else {
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

    /// The keys that stay and that a daemon does not read as they stand.
    fn repaired_keys(
        &self,
        ca: &CaPlan,
        pairs: &[(Pair, PairPlan)],
        causes: &mut Vec<Cause>,
    ) -> Vec<Part> {
        let found = &self.assessment.found;
        let is_key_kept = |plan: &PairPlan| match plan {
            PairPlan::Issue { key, .. } | PairPlan::IssueByAnchor { key, .. } => {
                matches!(key, LeafKey::Keep(_))
            }
            PairPlan::Keep | PairPlan::Repair(_) | PairPlan::Rewrite { .. } => true,
            PairPlan::Remove => false,
        };
        let ca_key = matches!(ca, CaPlan::Keep(_)).then_some((Part::CaKey, &found.ca_key));
        let kept = pairs.iter().filter(|(_, plan)| is_key_kept(plan));
        let keys = kept.map(|(pair, _)| (pair.key(), &found.pair(*pair).key));
        let keys = ca_key.into_iter().chain(keys);
        let spoilt = keys.filter(|(_, key)| key.as_ref().is_ok_and(|key| !key.is_intact()));
        let spoilt: Vec<Part> = spoilt.map(|(part, _)| part).collect();
        causes.extend(spoilt.iter().map(|part| Cause::NotIntact { part: *part }));
        spoilt
    }

    /// Why a pair does not stay; nothing where the operator's word says it all.
    fn new_pair_causes(&self, case: &PairCase) -> Vec<Cause> {
        if !case.causes.is_empty() {
            return case.causes.clone();
        }
        let pair = case.pair;
        match (&self.word, self.previous_ca()) {
            (Word::Move | Word::TakeBack(_), _) => Vec::new(),
            (_, Some(anchor)) => vec![Cause::NotLeadingTo {
                pair,
                anchor: anchor.fingerprint(),
            }],
            (_, None) => vec![Cause::NotIssuedBySet { pair }],
        }
    }

    fn word_cause(&self) -> Option<Cause> {
        match &self.word {
            Word::None => None,
            Word::Move => {
                let current = self.assessment.current_ca_certificate()?;
                let authority = current.fingerprint();
                Some(Cause::Trusted { authority })
            }
            Word::Close { retired } => Some(Cause::Retired {
                authority: retired.fingerprint(),
            }),
            Word::TakeBack(taking_back) => Some(Cause::TakenBack {
                authority: taking_back.returning.fingerprint(),
            }),
        }
    }

    /// Why the bundle has to be written although the CA stays. What is expired, there twice or not ours is no reason.
    fn bundle_causes(
        &self,
        current: &CurrentCa,
        anchor: &AnchorPlan,
        pairs: &[(Pair, PairPlan)],
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
        let expected = std::iter::once(current)
            .chain(anchor)
            .chain(self.left_behind());
        let lacking = expected.filter(|authority| !bundle.contains(authority));
        causes.extend(lacking.map(|authority| Cause::BundleLacks {
            authority: authority.fingerprint(),
        }));
        // A listed CA that only the old chain leads to is no longer in use.
        let (staying, leaving): (Vec<_>, Vec<_>) = pairs.iter().partition(|(_, plan)| plan.stays());
        let is_led_to = |authority: &CaCertificate| {
            let chains = staying
                .iter()
                .filter_map(|(pair, _)| found.pair(*pair).chain());
            chains.into_iter().any(|chain| chain.leads_to(authority))
        };
        let loses_its_use = |authority: &CaCertificate| {
            !leaving.is_empty()
                && !is_led_to(authority)
                && self.state.has_retired(&authority.fingerprint())
                && authority != current
                && anchor != Some(authority)
        };
        let closing = self.word.closing();
        let is_closing = |authority: &CaCertificate| {
            let closing = closing.as_ref();
            closing.is_some_and(|closing| closing.retires(&authority.fingerprint()))
        };
        let retired = bundle.authorities().iter().filter(|authority| {
            (self.assessment.is_retired(authority) || loses_its_use(authority))
                && !is_closing(authority)
        });
        causes.extend(retired.map(|authority| Cause::BundleHasRetired {
            authority: authority.fingerprint(),
        }));
        causes
    }
}
