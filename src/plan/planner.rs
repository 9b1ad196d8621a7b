//! The plan: what an event's word and token mean for a set, what is decided of it, and what is recorded.
//!
//! [`plan`] is a total function of what is wanted, what was found, and the time. It issues nothing, draws no random
//! number and knows no store.

use time::OffsetDateTime;

use crate::pki::certificate::{CaCertificate, Fingerprint};
use crate::plan::assessment::Assessment;
use crate::plan::decision::Case;
use crate::plan::recording;
use crate::plan::spec::{Occasion, Spec};
use crate::plan::{Plan, Refusal, TokenPlan};
use crate::set::decoded::Found;
use crate::set::state::State;

/// Decides what to do: the least change that keeps everyone connected.
pub fn plan(spec: &Spec, assessment: &Assessment, now: OffsetDateTime) -> Result<Plan, Refusal> {
    let mut state = opening_state(spec, &assessment.found, now);
    let closed = close(spec, assessment, &mut state)?;
    let token = spec.properties.rotation_token.clone();
    let token = token.filter(|token| !state.has_seen(token));
    let rotates_for_token = token.is_some() && obeys_tokens(spec, assessment, now);
    let token = match token {
        Some(token) if !rotates_for_token => {
            state.see(token);
            None
        }
        token => token,
    };

    let case = Case {
        spec,
        assessment,
        now,
        state: &state,
        anchor: assessment.anchor(closed.as_ref(), now),
        closed,
        rotates_for_token,
        pair_causes: assessment.pair_causes(spec, now),
    };
    let due = case.due_causes();
    if rotates_for_token || !due.is_empty() {
        case.refuse_retiring_the_current_ca()?;
    }
    if rotates_for_token && due.is_empty() {
        case.refuse_a_token_near_the_anchors_end()?;
    }
    let plan = match &assessment.current {
        Some(current) if due.is_empty() && !rotates_for_token => case.keep_ca(current),
        _ => case.new_ca(due),
    };
    let token = match token {
        None => TokenPlan::None,
        Some(token) if plan.publishes_leaf_of_new_ca() => TokenPlan::Obey(token),
        Some(token) => TokenPlan::See(token),
    };
    recording::record(&case, plan, token)
}

/// The state that the event starts from: its owner is listed, and a token that was obeyed counts as seen.
fn opening_state(spec: &Spec, found: &Found, now: OffsetDateTime) -> State {
    let mut state = match (&found.state, spec.occasion) {
        (Ok(state), _) => state.clone(),
        (Err(_), Occasion::Adoption) if found.is_empty() => State::empty(),
        (Err(_), _) => State::of_a_former_owner(),
    };
    state.set_closing(None);
    if spec.occasion == Occasion::Adoption && !spec.is_late_duplicate(&found.state) {
        state.add_owner(spec.owner.clone(), spec.sent_at, now.unix_timestamp());
    }
    if let Some(issuer) = issuer_of_leaf(found) {
        state.settle_pending(&issuer);
    }
    state
}

fn issuer_of_leaf(found: &Found) -> Option<Fingerprint> {
    let leaf = found.cert.as_ref().ok()?.leaf();
    let issuer = found.bundled().iter().find(|ca| ca.has_issued(leaf))?;
    Some(issuer.fingerprint())
}

/// The CA that is retired by this event's word, or by that of an earlier event which did not come to its end. The state
/// then lists it.
fn close(
    spec: &Spec,
    assessment: &Assessment,
    state: &mut State,
) -> Result<Option<CaCertificate>, Refusal> {
    let begun = assessment.closing().cloned();
    let (Some(word), Some(anchor)) = (spec.properties.retired_ca, assessment.previous_ca()) else {
        return Ok(begun);
    };
    let given = word.retired;
    let previous = anchor.fingerprint();
    if spec.old.retired_ca.is_some_and(|old| old.retired == given) {
        // The word was given by an earlier update. It is obeyed already, or it came before this rotation.
        return Ok(begun);
    }
    let found = &assessment.found;
    if given != previous {
        let is_old = match &found.state {
            Ok(state) => state.has_retired(&given),
            // Without a state, a rollback's old word looks like a wrong one.
            Err(_) => !assessment.knows(&given),
        };
        return if is_old {
            Ok(begun)
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
    for authority in found.bundled().iter().filter(|ca| ca.has_key_of(anchor)) {
        state.retire(&authority.fingerprint());
    }
    Ok(Some(anchor.clone()))
}

/// Whether a token that the state has not seen rotates. Where there is no state, the template may have held the token
/// for long (rule 8 of docs/rotation.md).
fn obeys_tokens(spec: &Spec, assessment: &Assessment, now: OffsetDateTime) -> bool {
    // Without a state, a rollback's old token looks like a new one. Rule 7 must not refuse it.
    let is_new = || {
        let anchor = assessment.previous_ca();
        spec.old.rotation_token != spec.properties.rotation_token
            && !anchor.is_some_and(|anchor| spec.is_due(anchor, now))
    };
    spec.occasion == Occasion::Update && (assessment.found.state.is_ok() || is_new())
}
