//! The decision: rules 4 to 7 of the rotation algorithm.
//!
//! [`plan`] is a total function of what is wanted, what was found, and the time. It issues nothing, draws no random
//! number and knows no store.

use time::OffsetDateTime;

use crate::bundle::TrustBundle;
use crate::certificate::{CaCertificate, Fingerprint};
use crate::chain::CertificateChain;
use crate::flaw::Flaw;
use crate::found::Found;
use crate::plan::{
    Action, AnchorPlan, AnchorRecordPlan, CaPlan, CrossPlan, CutOff, LeafKey, Occasion, PairPlan,
    Plan, Refusal, Spec, StatePlan, TokenPlan,
};
use crate::private_key::PrivateKey;
use crate::rack::Part;
use crate::standing::{self, Anchor, Cause, CurrentCa, Standing};
use crate::state::{AnchorRecord, State};

/// Decides what to do: the least change that keeps everyone connected.
pub fn plan(spec: &Spec, found: &Found, now: OffsetDateTime) -> Result<Plan, Refusal> {
    let mut state = opening_state(spec, found, now);
    let closed = close(spec, found, &mut state)?;
    let token = spec.properties.rotation_token.clone();
    let token = token.filter(|token| !state.has_seen(token));
    let rotates_for_token = token.is_some() && obeys_tokens(spec, found, now);
    let token = match token {
        Some(token) if !rotates_for_token => {
            state.see(token);
            None
        }
        token => token,
    };

    let properties = &spec.properties;
    let standing = Standing::of(
        found,
        Some(&state),
        properties.alternative_names.as_deref(),
        properties.renew_before,
        now,
    );
    let case = Case {
        spec,
        found,
        now,
        state: &state,
        standing: &standing,
        closed,
        rotates_for_token,
    };
    let due = case.due_causes();
    if rotates_for_token || !due.is_empty() {
        case.check_word()?;
    }
    if rotates_for_token && due.is_empty() {
        case.check_token()?;
    }
    let mut decision = match &standing.current {
        Some(current) if due.is_empty() && !rotates_for_token => case.keep_ca(current),
        _ => case.new_ca(due),
    };
    if decision.publishes() && standing.lacks_issuer(found, now) {
        decision.cut_off = CutOff::Everyone;
    }
    let token = match token {
        None => TokenPlan::None,
        Some(token) if decision.publishes_leaf_of_new_ca() => TokenPlan::Obey(token),
        Some(token) => TokenPlan::See(token),
    };
    case.finish(decision, token)
}

/// The state that the event starts from: its owner is listed, and a token that was obeyed counts as seen.
fn opening_state(spec: &Spec, found: &Found, now: OffsetDateTime) -> State {
    let mut state = match (&found.state, spec.occasion) {
        (Ok(state), _) => state.clone(),
        (Err(_), Occasion::Adoption) if found.is_empty() => State::new(),
        (Err(_), _) => State::of_a_former_owner(),
    };
    if spec.occasion == Occasion::Adoption && !is_late_duplicate(spec, found) {
        state.add_owner(spec.owner.clone(), spec.asked, now.unix_timestamp());
    }
    if let Some(issuer) = issuer_of_leaf(found) {
        state.settle_pending(&issuer);
    }
    state
}

fn is_late_duplicate(spec: &Spec, found: &Found) -> bool {
    match (spec.occasion, spec.asked, &found.state) {
        (Occasion::Adoption, Some(asked), Ok(state)) => state.has_later_change(&spec.owner, asked),
        _ => false,
    }
}

fn issuer_of_leaf(found: &Found) -> Option<Fingerprint> {
    let leaf = found.cert.as_ref().ok()?.leaf();
    let bundle = found.ca_cert.as_ref().ok()?;
    let issuer = bundle.authorities().iter().find(|ca| ca.has_issued(leaf))?;
    Some(issuer.fingerprint())
}

/// Handles `RetiredCA`: returns the CA that is retired by this event, which the state then lists.
fn close(spec: &Spec, found: &Found, state: &mut State) -> Result<Option<Fingerprint>, Refusal> {
    let Some(given) = spec.properties.retired_ca else {
        return Ok(None);
    };
    let Some(previous) = Standing::previous_ca(found).map(|ca| ca.fingerprint()) else {
        return Ok(None);
    };
    if spec.old.retired_ca == Some(given) {
        // The word was given by an earlier update. It is obeyed already, or it came before this rotation.
        return Ok(None);
    }
    if given != previous {
        return if state.has_retired(&given) {
            Ok(None)
        } else {
            Err(Refusal::NotThePreviousCa { given, previous })
        };
    }
    let current = found.ca_key.as_ref().ok().zip(found.cert.as_ref().ok());
    if !current.is_some_and(|(key, chain)| chain.leaf().is_signed_by(key.public_key())) {
        return Err(Refusal::PairOfPreviousCa { previous });
    }
    state.retire(&given);
    Ok(Some(given))
}

/// Whether a token that the state has not seen rotates. Where there is no state, the template may have held the token
/// for long (rule 7).
fn obeys_tokens(spec: &Spec, found: &Found, now: OffsetDateTime) -> bool {
    let anchor_ends_soon = || {
        let anchor = Standing::previous_ca(found);
        anchor.is_some_and(|ca| ca.not_after() < now + spec.properties.renew_before)
    };
    // Without a state, a rollback's old token looks like a new one. Rule 6 must not refuse it.
    let is_new =
        || spec.old.rotation_token != spec.properties.rotation_token && !anchor_ends_soon();
    spec.occasion == Occasion::Update && (found.state.is_ok() || is_new())
}

/// What is decided of the certificates and keys.
struct Decision {
    action: Action,
    causes: Vec<Cause>,
    cut_off: CutOff,
    ca: CaPlan,
    anchor: AnchorPlan,
    carried: Option<CaCertificate>,
    writes_bundle: bool,
    pair: PairPlan,
}

impl Decision {
    fn publishes_leaf_of_new_ca(&self) -> bool {
        matches!(self.ca, CaPlan::New { .. }) && matches!(self.pair, PairPlan::Issue { .. })
    }

    fn publishes(&self) -> bool {
        self.writes_bundle || self.pair != PairPlan::Keep || self.cut_off != CutOff::Nobody
    }
}

/// One event's question, with the answers to what comes before the decision.
struct Case<'a> {
    spec: &'a Spec,
    found: &'a Found,
    now: OffsetDateTime,
    state: &'a State,
    standing: &'a Standing,
    closed: Option<Fingerprint>,
    rotates_for_token: bool,
}

impl Case<'_> {
    /// Why the current CA cannot stay, apart from a token.
    fn due_causes(&self) -> Vec<Cause> {
        match &self.standing.current {
            Some(CurrentCa::Stored(authority)) => standing::expiry(
                Part::CaCert,
                authority,
                self.spec.properties.renew_before,
                self.now,
            )
            .into_iter()
            .collect(),
            Some(CurrentCa::LostCertificate(_)) => Vec::new(),
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
            Ok(_) if self.found.ca_cert.is_ok() => causes.push(Cause::ForeignCaKey),
            Ok(_) => {}
        }
        causes
    }

    /// Refuses a `RetiredCA` that this very update would make the previous CA: sent once more, it would close.
    fn check_word(&self) -> Result<(), Refusal> {
        let current = self.standing.current.as_ref();
        let current = current.and_then(|ca| Some(ca.certificate()?.fingerprint()));
        let given = self.spec.properties.retired_ca;
        match current.filter(|_| current == given && given != self.spec.old.retired_ca) {
            Some(current) => Err(Refusal::RetiresCurrentCa { current }),
            None => Ok(()),
        }
    }

    /// Rule 6.
    fn check_token(&self) -> Result<(), Refusal> {
        if let Some(anchor) = self.standing.other_anchor() {
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

    /// Rule 4: the current CA is healthy and no token asks for another.
    fn keep_ca(&self, current: &CurrentCa) -> Decision {
        let chain = self.found.cert.as_ref().ok();
        let pair_is_good = self.standing.pair_flaws.is_empty();
        let leads_to_anchor = self.standing.leads_to_anchor(self.found);
        let same_leaf = pair_is_good && chain.is_some_and(|chain| current.has_issued(chain.leaf()));

        let mut causes: Vec<Cause> = Vec::new();
        let mut cut_off = CutOff::Nobody;
        let mut anchor = match self.standing.other_anchor() {
            Some(authority) => AnchorPlan::Other(authority.clone()),
            None => AnchorPlan::Current,
        };
        let cross = self.cross(current);
        let pair = if pair_is_good && leads_to_anchor {
            match chain {
                Some(chain) if self.closed.is_some() && chain.has_cross() => {
                    PairPlan::Rewrite { cross: None }
                }
                Some(chain) if !chain.is_intact() => {
                    causes.push(Cause::NotIntact { part: Part::Cert });
                    let cross = if same_leaf { cross.plan() } else { None };
                    PairPlan::Rewrite { cross }
                }
                _ => PairPlan::Keep,
            }
        } else {
            causes.extend(self.standing.pair_flaws.iter().cloned());
            if causes.is_empty() {
                causes.push(self.leads_nowhere());
            }
            if let Cross::Unobtainable { anchor: authority } = &cross {
                cut_off = knowing_only(authority);
                anchor = AnchorPlan::Current;
            }
            match cross {
                Cross::Unobtainable { .. } if same_leaf => PairPlan::Keep,
                cross if same_leaf => PairPlan::Rewrite {
                    cross: cross.plan(),
                },
                cross => PairPlan::Issue {
                    key: self.leaf_key(),
                    cross: cross.plan(),
                },
            }
        };

        let carried = match (&anchor, current) {
            (AnchorPlan::Current, CurrentCa::Stored(authority)) => self.carried(authority),
            _ => None,
        };
        let bundle_causes = self.bundle_causes(current, &anchor);
        let writes_bundle = self.closed.is_some() || !bundle_causes.is_empty();
        causes.splice(0..0, bundle_causes);
        causes.splice(
            0..0,
            self.closed.map(|authority| Cause::Retired { authority }),
        );
        let action = match (current, &pair) {
            (CurrentCa::LostCertificate(_), _) => Action::ReissueCa,
            _ if self.closed.is_some() => Action::Close,
            (_, PairPlan::Issue { .. }) => Action::Reissue,
            (_, PairPlan::Rewrite { .. }) => Action::Repair,
            _ if writes_bundle => Action::Repair,
            _ if cut_off != CutOff::Nobody => Action::Record,
            _ => Action::Keep,
        };
        Decision {
            action,
            causes,
            cut_off,
            ca: CaPlan::Keep(current.clone()),
            anchor,
            carried,
            writes_bundle,
            pair,
        }
    }

    /// Rule 5: the current CA is missing, expiring or expired, or a token asks for a new one.
    fn new_ca(&self, mut causes: Vec<Cause>) -> Decision {
        if self.rotates_for_token {
            causes.push(Cause::NewToken);
        }
        causes.splice(
            0..0,
            self.closed.map(|authority| Cause::Retired { authority }),
        );
        let former = self.standing.current.clone();
        let anchor = match &self.standing.anchor {
            Some(Anchor::Other(authority)) => Some(AnchorPlan::Other(authority.clone())),
            Some(Anchor::Current) if self.former_is_unexpired() => Some(AnchorPlan::Former),
            _ => None,
        };
        let anchor_signs = match &anchor {
            Some(AnchorPlan::Other(authority)) => self.anchor_key(authority).is_some(),
            Some(_) => true,
            None => false,
        };
        let pair_is_good =
            self.standing.pair_flaws.is_empty() && self.standing.leads_to_anchor(self.found);
        let issue = |cross| PairPlan::Issue {
            key: self.leaf_key(),
            cross,
        };
        let (action, anchor, carried, pair, cut_off) = match anchor {
            Some(anchor) if anchor_signs => {
                let pair = issue(Some(CrossPlan::Sign));
                (Action::Rotate, anchor, None, pair, CutOff::Nobody)
            }
            Some(AnchorPlan::Other(authority)) if pair_is_good => {
                let pair = self.kept_pair(&authority);
                if pair != PairPlan::Keep {
                    causes.push(Cause::NotIntact { part: Part::Cert });
                }
                let cut_off = self.left_out(&authority);
                let anchor = AnchorPlan::Other(authority);
                (Action::Introduce, anchor, None, pair, cut_off)
            }
            // Nothing more can be done for who knows the anchor alone, but for who knows the current CA as well.
            Some(AnchorPlan::Other(authority)) if self.former_is_unexpired() => {
                let cut_off = knowing_only(&authority);
                let pair = issue(Some(CrossPlan::Sign));
                (Action::Rotate, AnchorPlan::Former, None, pair, cut_off)
            }
            Some(AnchorPlan::Other(authority)) => {
                let cut_off = knowing_only(&authority);
                (
                    Action::Replace,
                    AnchorPlan::Current,
                    Some(authority),
                    issue(None),
                    cut_off,
                )
            }
            _ => {
                let (action, cut_off) = self.nothing_survives();
                (action, AnchorPlan::Current, None, issue(None), cut_off)
            }
        };
        Decision {
            action,
            causes,
            cut_off,
            ca: CaPlan::New { former },
            anchor,
            carried,
            writes_bundle: true,
            pair,
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
                PairPlan::Rewrite { cross }
            }
            _ => PairPlan::Keep,
        }
    }

    /// A first set cuts nobody off, and neither does the end of a CA that expired: it was refused before.
    fn nothing_survives(&self) -> (Action, CutOff) {
        let found = self.found;
        if found.is_empty() && self.spec.occasion == Occasion::Adoption {
            (Action::Create, CutOff::Nobody)
        } else if self.standing.current.is_some() {
            (Action::Replace, CutOff::Nobody)
        } else {
            (Action::Replace, CutOff::Everyone)
        }
    }

    fn former_is_unexpired(&self) -> bool {
        match &self.standing.current {
            Some(CurrentCa::Stored(authority)) => !authority.is_expired(self.now),
            Some(CurrentCa::LostCertificate(_)) => true,
            None => false,
        }
    }

    /// The cross-certificate for the current CA: the stored one, else one that the anchor signs.
    fn cross(&self, current: &CurrentCa) -> Cross<'_> {
        let Some(anchor) = self.standing.other_anchor() else {
            return Cross::NotNeeded;
        };
        let stored = |chain: &CertificateChain| {
            let cross = chain.cross(current.certificate()?, anchor)?;
            (!cross.is_expired(self.now)).then(|| CrossPlan::Stored(cross.clone()))
        };
        let stored = self.found.cert.as_ref().ok().and_then(stored);
        match stored.or_else(|| self.anchor_key(anchor).map(|_| CrossPlan::Sign)) {
            Some(plan) => Cross::Obtainable(plan),
            None => Cross::Unobtainable { anchor },
        }
    }

    fn anchor_key(&self, anchor: &CaCertificate) -> Option<PrivateKey> {
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
            LeafKey::Keep
        }
    }

    fn leads_nowhere(&self) -> Cause {
        match self.standing.other_anchor() {
            Some(anchor) => Cause::NotLeadingTo {
                anchor: anchor.fingerprint(),
            },
            None => Cause::NotIssuedBySet,
        }
    }

    /// A CA beside the current one that the bundle goes on trusting although no rotation is open.
    fn carried(&self, current: &CaCertificate) -> Option<CaCertificate> {
        let bundle = self.found.ca_cert.as_ref().ok()?;
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
        let (Ok(bundle), CurrentCa::Stored(current)) = (&self.found.ca_cert, current) else {
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

    /// What is recorded of the anchor once a decision is carried out.
    fn anchor_record(&self, decision: &Decision) -> AnchorRecordPlan {
        let recorded = self.state.anchor();
        if !decision.publishes() {
            return AnchorRecordPlan::Keep;
        }
        match &decision.anchor {
            AnchorPlan::Other(authority) => match recorded {
                Some(record) if record.certificate().as_ref() == Some(authority) => {
                    AnchorRecordPlan::Keep
                }
                _ => AnchorRecordPlan::Record(AnchorRecord::new(authority, None)),
            },
            AnchorPlan::Former => AnchorRecordPlan::RecordFormer,
            AnchorPlan::Current if decision.carried.is_some() => AnchorRecordPlan::RecordCurrent,
            AnchorPlan::Current => AnchorRecordPlan::Clear,
        }
    }

    fn finish(&self, decision: Decision, token: TokenPlan) -> Result<Plan, Refusal> {
        let anchor = self.anchor_record(&decision);
        let mut state = self.state.clone();
        // Without a state, nothing tells that the former token was seen, and a rollback would bring it back.
        if self.found.state.is_err()
            && decision.publishes()
            && let Some(former) = &self.spec.old.rotation_token
        {
            state.see(former.clone());
        }
        let changes_record = match &anchor {
            AnchorRecordPlan::Keep => false,
            AnchorRecordPlan::Clear => state.anchor().is_some(),
            _ => true,
        };
        let is_new = match &self.found.state {
            Ok(found) => *found != state,
            Err(_) => {
                self.spec.occasion == Occasion::Adoption || state != State::of_a_former_owner()
            }
        };
        let mut writes_state =
            is_new || changes_record || token != TokenPlan::None || self.settles(&decision);
        if writes_state && matches!(self.found.state, Err(Flaw::LaterState)) {
            let is_quiet = decision.action == Action::Keep && token == TokenPlan::None;
            if !is_quiet || self.spec.occasion == Occasion::Adoption {
                return Err(Refusal::LaterState);
            }
            // Properties that stay in a template must not fail an update that changes nothing else.
            writes_state = false;
        }
        if writes_state && let Some(given) = self.stale_retired_ca() {
            state.retire(&given);
        }
        let action = match decision.action {
            Action::Keep if writes_state => Action::Record,
            action => action,
        };
        if action != Action::Keep && is_late_duplicate(self.spec, self.found) {
            return Err(Refusal::LateDuplicate);
        }
        Ok(Plan {
            action,
            causes: decision.causes,
            cut_off: decision.cut_off,
            ca: decision.ca,
            anchor: decision.anchor,
            carried: decision.carried,
            writes_bundle: decision.writes_bundle,
            pair: decision.pair,
            state: if writes_state {
                StatePlan::Write {
                    state,
                    token,
                    anchor,
                }
            } else {
                StatePlan::Keep
            },
        })
    }

    /// Whether a token that was being obeyed is seen now, for its CA issues the published leaf at last.
    fn settles(&self, decision: &Decision) -> bool {
        match (&decision.ca, &decision.pair) {
            (CaPlan::Keep(CurrentCa::Stored(current)), PairPlan::Issue { .. }) => {
                self.state.is_pending_for(&current.fingerprint())
            }
            _ => false,
        }
    }

    /// A `RetiredCA` that was left in the template and names nothing that is stored. It is remembered when the state
    /// is written anyway, so that it does not stand in the way of the next rotation.
    fn stale_retired_ca(&self) -> Option<Fingerprint> {
        let given = self.spec.properties.retired_ca?;
        let stored = self.found.ca_cert.iter().flat_map(TrustBundle::authorities);
        let recorded = self.state.anchor().and_then(AnchorRecord::certificate);
        let current = self.standing.current.as_ref();
        let is_stored = stored
            .chain(recorded.as_ref())
            .chain(current.and_then(CurrentCa::certificate))
            .any(|authority| authority.fingerprint() == given);
        (!is_stored).then_some(given)
    }
}

/// Whether the current CA can have a cross-certificate.
enum Cross<'a> {
    /// The current CA is the anchor.
    NotNeeded,
    /// It stands in the chain, or the anchor's key is known.
    Obtainable(CrossPlan),
    /// Neither: what knows the anchor alone cannot be led to anything new.
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
