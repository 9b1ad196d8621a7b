//! The plan: what an event's word and token mean for a set, what is decided of it, and what is recorded.
//!
//! [`plan`] is a total function of what is wanted, what was found, and the time. It issues nothing, draws no random
//! number and knows no store.

use time::OffsetDateTime;

use crate::pki::bundle::TrustBundle;
use crate::pki::certificate::Fingerprint;
use crate::plan::assessment::{Assessment, CurrentCa};
use crate::plan::decision::Case;
use crate::plan::spec::{Occasion, Spec};
use crate::plan::{
    Action, AnchorPlan, AnchorRecordPlan, CaPlan, CutOff, PairPlan, Plan, Refusal, StatePlan,
    TokenPlan,
};
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::state::{AnchorRecord, State};

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
    let assessment = Assessment::of(
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
        assessment: &assessment,
        closed,
        rotates_for_token,
    };
    let due = case.due_causes();
    if rotates_for_token || !due.is_empty() {
        case.refuse_retiring_the_current_ca()?;
    }
    if rotates_for_token && due.is_empty() {
        case.refuse_a_token_near_the_anchors_end()?;
    }
    let mut plan = match &assessment.current {
        Some(current) if due.is_empty() && !rotates_for_token => case.keep_ca(current),
        _ => case.new_ca(due),
    };
    if plan.publishes() && assessment.pair_is_orphaned(found, now) {
        plan.cut_off = CutOff::Everyone;
    }
    let token = match token {
        None => TokenPlan::None,
        Some(token) if plan.publishes_leaf_of_new_ca() => TokenPlan::Obey(token),
        Some(token) => TokenPlan::See(token),
    };
    case.record(plan, token)
}

/// The state that the event starts from: its owner is listed, and a token that was obeyed counts as seen.
fn opening_state(spec: &Spec, found: &Found, now: OffsetDateTime) -> State {
    let mut state = match (known_state(found), spec.occasion) {
        (Some(state), _) => state,
        (None, Occasion::Adoption) if found.is_empty() => State::new(),
        (None, _) => State::of_a_former_owner(),
    };
    if spec.occasion == Occasion::Adoption && !is_late_duplicate(spec, found) {
        state.add_owner(spec.owner.clone(), spec.sent_at, now.unix_timestamp());
    }
    if let Some(issuer) = issuer_of_leaf(found) {
        state.settle_pending(&issuer);
    }
    state
}

/// What the state says, but that a CA which is in use is not retired: the other parameters may be older than the state,
/// put back from a copy.
fn known_state(found: &Found) -> Option<State> {
    let mut state = found.state.as_ref().ok()?.clone();
    let in_use = match Assessment::current_ca(found) {
        Some(current) => current.certificate().map(|ca| ca.fingerprint()),
        None => issuer_of_leaf(found),
    };
    if let Some(in_use) = in_use {
        state.reinstate(&in_use);
    }
    Some(state)
}

fn is_late_duplicate(spec: &Spec, found: &Found) -> bool {
    match (spec.occasion, spec.sent_at, &found.state) {
        (Occasion::Adoption, Some(sent_at), Ok(state)) => {
            state.has_later_change(&spec.owner, sent_at)
        }
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
    let Some(anchor) = Assessment::previous_ca(found) else {
        return Ok(None);
    };
    let previous = anchor.fingerprint();
    if spec.old.retired_ca == Some(given) {
        // The word was given by an earlier update. It is obeyed already, or it came before this rotation.
        return Ok(None);
    }
    if given != previous {
        let known = found.state.as_ref();
        return if known.is_ok_and(|state| state.has_retired(&given)) {
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
    // Another certificate of the same key goes with it.
    let bundled = found.ca_cert.iter().flat_map(TrustBundle::authorities);
    for authority in bundled.filter(|ca| ca.public_key() == anchor.public_key()) {
        state.retire(&authority.fingerprint());
    }
    Ok(Some(given))
}

/// Whether a token that the state has not seen rotates. Where there is no state, the template may have held the token
/// for long (rule 8 of docs/rotation.md).
fn obeys_tokens(spec: &Spec, found: &Found, now: OffsetDateTime) -> bool {
    let anchor_ends_soon = || {
        let anchor = Assessment::previous_ca(found);
        anchor.is_some_and(|ca| ca.not_after() < now + spec.properties.renew_before)
    };
    // Without a state, a rollback's old token looks like a new one. Rule 7 must not refuse it.
    let is_new =
        || spec.old.rotation_token != spec.properties.rotation_token && !anchor_ends_soon();
    spec.occasion == Occasion::Update && (found.state.is_ok() || is_new())
}

impl Case<'_> {
    /// What is recorded of the anchor once a plan is carried out.
    fn anchor_record(&self, plan: &Plan) -> AnchorRecordPlan {
        let recorded = self.state.anchor();
        if !plan.publishes() {
            return AnchorRecordPlan::Keep;
        }
        match &plan.anchor {
            AnchorPlan::Other(authority) => match recorded {
                Some(record) if record.certificate().as_ref() == Some(authority) => {
                    AnchorRecordPlan::Keep
                }
                _ => {
                    let key = self.anchor_key(authority);
                    AnchorRecordPlan::Record(AnchorRecord::new(authority, key.as_ref()))
                }
            },
            AnchorPlan::Former => AnchorRecordPlan::RecordFormer,
            AnchorPlan::Current if plan.also_trusted.is_some() => AnchorRecordPlan::RecordCurrent,
            AnchorPlan::Current => AnchorRecordPlan::Clear,
        }
    }

    /// Adds to a plan for certificates and keys what the state records of it.
    fn record(&self, mut plan: Plan, token: TokenPlan) -> Result<Plan, Refusal> {
        let anchor = self.anchor_record(&plan);
        let mut state = self.state.clone();
        // Without a state, nothing tells that the former token was seen, and a rollback would bring it back.
        if self.found.state.is_err()
            && plan.publishes()
            && let Some(former) = &self.spec.old.rotation_token
        {
            state.see(former.clone());
        }
        let changes_record = match &anchor {
            AnchorRecordPlan::Keep => false,
            AnchorRecordPlan::Clear => state.anchor().is_some(),
            _ => true,
        };
        let is_new = match known_state(self.found) {
            Some(known) => known != state,
            None => self.spec.occasion == Occasion::Adoption || state != State::of_a_former_owner(),
        };
        let mut writes_state =
            is_new || changes_record || token != TokenPlan::None || self.settles(&plan);
        if writes_state && matches!(self.found.state, Err(Flaw::LaterState)) {
            let is_quiet = plan.action == Action::Keep && token == TokenPlan::None;
            if !is_quiet || self.spec.occasion == Occasion::Adoption {
                return Err(Refusal::LaterState);
            }
            // Properties that stay in a template must not fail an update that changes nothing else.
            writes_state = false;
        }
        if writes_state && let Some(given) = self.stale_retired_ca() {
            state.retire(&given);
        }
        if writes_state {
            if plan.action == Action::Keep {
                plan.action = Action::Record;
            }
            plan.state = StatePlan::Write {
                state,
                token,
                anchor,
            };
        }
        if !plan.is_keep() && is_late_duplicate(self.spec, self.found) {
            return Err(Refusal::LateDuplicate);
        }
        Ok(plan)
    }

    /// Whether a token that was being obeyed is seen now, for its CA issues the published leaf at last.
    fn settles(&self, plan: &Plan) -> bool {
        match (&plan.ca, &plan.pair) {
            (CaPlan::Keep(current), PairPlan::Issue { .. }) => {
                let current = current.certificate();
                current.is_some_and(|ca| self.state.is_pending_for(&ca.fingerprint()))
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
        let current = self.assessment.current.as_ref();
        let is_stored = stored
            .chain(recorded.as_ref())
            .chain(current.and_then(CurrentCa::certificate))
            .any(|authority| authority.fingerprint() == given);
        (!is_stored).then_some(given)
    }
}
