//! What is decided of the certificates and keys of a set that is assessed: rules 5 to 7 of docs/rotation.md.

use crate::pki::certificate::CaCertificate;
use crate::pki::private_key::PrivateKey;
use crate::plan::assessment::Anchor;
use crate::plan::case::Case;
use crate::plan::cause::Cause;
use crate::plan::current_ca::CurrentCa;
use crate::plan::obstacle::{Obstacle, Signer};
use crate::plan::trust::trust;
use crate::plan::word::Word;
use crate::plan::{
    Action, AnchorPlan, CaPlan, CrossPlan, CutOff, LeafKey, PairPlan, Plan, StatePlan, Trust,
};
use crate::set::anchor_record::AnchorRecord;
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
        let end = match current.certificate() {
            Some(certificate) => Cause::of_end(Part::CaCert, certificate, self.spec, self.now),
            // Of a lost one nothing tells that it lasts longer than the pair.
            None => self
                .assessment
                .found
                .leaf()
                .and_then(|leaf| Cause::of_end(Part::Cert, leaf, self.spec, self.now)),
        };
        if end.is_some() && current.certificate().is_none() {
            return self.ca_flaws().into_iter().chain(end).collect();
        }
        end.into_iter().chain(self.cannot_issue(current)).collect()
    }

    /// Why the current CA cannot issue what has to be issued; nothing if it can, or nothing has to.
    fn cannot_issue(&self, current: &CurrentCa) -> Vec<Cause> {
        let goes_on_without = |anchor| match self.lead(anchor) {
            Ok(Lead::Direct(_)) => true,
            Ok(Lead::Cross(_)) => false,
            Err(_) => self.pair_can_wait(),
        };
        if self.pair_is_good() || self.previous_ca().is_some_and(goes_on_without) {
            return Vec::new();
        }
        match Signer::current(current).for_a_leaf(self.spec) {
            Ok(_) => Vec::new(),
            Err(obstacle) => {
                let causes = self.new_pair_causes().into_iter();
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
        let (pair, anchor) = self.pair_of_kept_ca(current, &mut causes);
        let gives_up_anchor = self.previous_ca().is_some() && matches!(anchor, AnchorPlan::Current);
        let ca = CaPlan::Keep(current.clone());
        let bundle_causes = self.bundle_causes(current, &anchor, &pair);
        let ends_rotation = self.word.closing().is_some();
        let writes_bundle = ends_rotation || !bundle_causes.is_empty();
        causes.splice(0..0, bundle_causes);
        causes.splice(0..0, self.word_cause());
        let repaired_keys = self.repaired_keys(&ca, &pair, &mut causes);
        let action = match &pair {
            _ if current.certificate().is_none() => Action::ReissueCa,
            _ if matches!(self.word, Word::Close { .. }) => Action::Close,
            _ if matches!(self.word, Word::TakeBack(_)) => Action::TakeBack,
            _ if matches!(self.word, Word::Move) => Action::Move,
            PairPlan::Issue { .. } | PairPlan::IssueByAnchor { .. } => Action::Reissue,
            PairPlan::Repair(_) | PairPlan::Rewrite { .. } => Action::Repair,
            PairPlan::Keep if writes_bundle || !repaired_keys.is_empty() => Action::Repair,
            PairPlan::Keep if gives_up_anchor => Action::Record,
            PairPlan::Keep => Action::Keep,
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
            pair,
            state: StatePlan::Keep,
        })
    }

    /// What happens to the pair while the CA stays, and which CA is the anchor then.
    fn pair_of_kept_ca(
        &self,
        current: &CurrentCa,
        causes: &mut Vec<Cause>,
    ) -> (PairPlan, AnchorPlan) {
        let previous = self.previous_ca();
        let kept_anchor = previous.map_or(AnchorPlan::Current, |anchor| {
            AnchorPlan::Previous(anchor.clone())
        });
        if self.pair_is_good() {
            return (self.good_pair(causes), kept_anchor);
        }
        let path = previous.map(|anchor| self.lead(anchor));
        let waits = match &path {
            // It would end no later than the one that is there.
            Some(Ok(Lead::Direct(_))) => {
                self.pair_can_wait() && previous.is_some_and(|ca| self.spec.is_due(ca, self.now))
            }
            Some(Err(_)) => self.pair_can_wait(),
            Some(Ok(Lead::Cross(_))) | None => false,
        };
        if waits {
            return (self.good_pair(causes), kept_anchor);
        }
        causes.extend(self.new_pair_causes());
        let leaf = self.assessment.found.leaf();
        let leaf = leaf.filter(|leaf| self.pair_causes.is_empty() && current.has_issued(leaf));
        match (leaf, path) {
            (_, Some(Ok(Lead::Direct(anchor_key)))) => {
                let key = self.leaf_key();
                (PairPlan::IssueByAnchor { key, anchor_key }, kept_anchor)
            }
            (Some(leaf), Some(Ok(Lead::Cross(cross)))) => {
                let (leaf, cross) = (leaf.clone(), Some(cross));
                (PairPlan::Rewrite { leaf, cross }, kept_anchor)
            }
            (None, Some(Ok(Lead::Cross(cross)))) => (self.new_pair(Some(cross)), kept_anchor),
            // Nothing new can lead to the anchor.
            (Some(_), Some(Err(_))) => (self.good_pair(causes), AnchorPlan::Current),
            (_, Some(Err(_)) | None) => (
                self.new_pair(self.cross_of_a_lost_ca(current)),
                AnchorPlan::Current,
            ),
        }
    }

    /// Rule 6 of docs/rotation.md: the current CA is missing, expiring or expired, or a token asks for a new one.
    pub(crate) fn new_ca(&self, mut causes: Vec<Cause>) -> Plan {
        if self.rotates_for_token {
            causes.push(Cause::NewToken);
        }
        causes.splice(0..0, self.word_cause());
        let (action, anchor, pair) = self.pair_of_new_ca(&mut causes);
        let repaired_keys = self.repaired_keys(&CaPlan::New, &pair, &mut causes);
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
            pair,
            state: StatePlan::Keep,
        })
    }

    /// What comes of the pair when a new CA is made, and which CA is the anchor then.
    fn pair_of_new_ca(&self, causes: &mut Vec<Cause>) -> (Action, AnchorPlan, PairPlan) {
        let rotated = |anchor, key: PrivateKey| {
            let cross = CrossPlan::Sign(key);
            (Action::Rotate, anchor, self.new_pair(Some(cross)))
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
            if self.pair_is_good() || (self.pair_can_wait() && (issues.is_err() || ends_soon)) {
                return (Action::Introduce, anchor, self.good_pair(causes));
            }
            // And [A], no good pair: to [B, A], leaf of A.
            if let Ok(anchor_key) = issues {
                let key = self.leaf_key();
                let pair = PairPlan::IssueByAnchor { key, anchor_key };
                return (Action::Introduce, anchor, pair);
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
        (action, AnchorPlan::Current, self.new_pair(None))
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

    /// Whether the published pair is good, and leads to the anchor.
    fn pair_is_good(&self) -> bool {
        self.pair_causes.is_empty() && self.pair_leads_to_anchor()
    }

    /// Whether the published pair is of use, and leads to the anchor, but another is asked for, or soon will have to be.
    fn pair_can_wait(&self) -> bool {
        self.pair_causes.iter().all(Cause::can_wait) && self.pair_leads_to_anchor()
    }

    /// Whether the published pair leads to the anchor. A rotation is taken back once it leads there directly.
    fn pair_leads_to_anchor(&self) -> bool {
        match &self.word {
            Word::TakeBack(_) => self.assessment.leaf_is_of_current_ca(),
            _ => self.assessment.leads_to(self.anchor.as_ref()),
        }
    }

    /// Why the current CA ends soon, or has ended.
    fn due_by_date(&self) -> Option<Cause> {
        let current = self.assessment.current_ca_certificate()?;
        Cause::of_end(Part::CaCert, current, self.spec, self.now)
    }

    /// The published pair as it is: the same certificates where a daemon does not read them, and without what the CA
    /// signed that is retired.
    fn good_pair(&self, causes: &mut Vec<Cause>) -> PairPlan {
        let Ok(chain) = &self.assessment.found.cert else {
            return PairPlan::Keep;
        };
        if !chain.is_intact() {
            causes.push(Cause::NotIntact { part: Part::Cert });
        }
        match self
            .word
            .closed()
            .and_then(|closed| chain.without_crosses_of(closed))
        {
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
            && let Ok(chain) = &self.assessment.found.cert
            && let Some(cross) = chain.cross(current.subject(), current.public_key(), anchor)
            && !cross.is_expired(self.now)
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
        let chain = self.assessment.found.cert.as_ref().ok()?;
        let mut crosses = chain.crosses().iter();
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
    /// one that also signs certificates, and not when a token asks for everything new.
    fn leaf_key(&self) -> LeafKey {
        let found = &self.assessment.found;
        let Some(key) = found.key.as_ref().ok().filter(|key| key.can_sign()) else {
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
    fn repaired_keys(&self, ca: &CaPlan, pair: &PairPlan, causes: &mut Vec<Cause>) -> Vec<Part> {
        let found = &self.assessment.found;
        let is_ca_key_kept = matches!(ca, CaPlan::Keep(_));
        let is_key_kept = match pair {
            PairPlan::Issue { key, .. } | PairPlan::IssueByAnchor { key, .. } => {
                matches!(key, LeafKey::Keep(_))
            }
            PairPlan::Keep | PairPlan::Repair(_) | PairPlan::Rewrite { .. } => true,
        };
        let keys = [
            (Part::CaKey, &found.ca_key, is_ca_key_kept),
            (Part::Key, &found.key, is_key_kept),
        ];
        let spoilt = keys
            .into_iter()
            .filter(|(_, key, is_kept)| *is_kept && key.as_ref().is_ok_and(|key| !key.is_intact()));
        let spoilt: Vec<Part> = spoilt.map(|(part, _, _)| part).collect();
        causes.extend(spoilt.iter().map(|part| Cause::NotIntact { part: *part }));
        spoilt
    }

    /// Why the published pair does not stay; nothing where the operator's word says it all.
    fn new_pair_causes(&self) -> Vec<Cause> {
        if !self.pair_causes.is_empty() {
            return self.pair_causes.clone();
        }
        match (&self.word, self.previous_ca()) {
            (Word::Move | Word::TakeBack(_), _) => Vec::new(),
            (_, Some(anchor)) => vec![Cause::NotLeadingTo {
                anchor: anchor.fingerprint(),
            }],
            (_, None) => vec![Cause::NotIssuedBySet],
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
        let expected = std::iter::once(current)
            .chain(anchor)
            .chain(self.left_behind());
        let lacking = expected.filter(|authority| !bundle.contains(authority));
        causes.extend(lacking.map(|authority| Cause::BundleLacks {
            authority: authority.fingerprint(),
        }));
        // A listed CA that only the old chain leads to is no longer in use.
        let loses_its_use = |authority: &CaCertificate| {
            !matches!(pair, PairPlan::Keep | PairPlan::Repair(_))
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
