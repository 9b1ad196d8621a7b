//! The plan: what an event's word and token mean for a set, what is decided of it, and what is recorded.
//!
//! [`plan`] is a total function of what is wanted, what was found, and the time. It issues nothing, draws no random
//! number and knows no store.

use time::OffsetDateTime;

use crate::pki::certificate::{CaCertificate, Fingerprint};
use crate::plan::assessment::{Anchor, Assessment};
use crate::plan::case::{Case, Word};
use crate::plan::recording;
use crate::plan::spec::{Occasion, RetirementWord, Spec};
use crate::plan::{Plan, Refusal, TokenPlan};
use crate::set::decoded::Found;
use crate::set::state::State;

/// Decides what to do: the least change that keeps everyone connected.
pub fn plan(spec: &Spec, assessment: &Assessment, now: OffsetDateTime) -> Result<Plan, Refusal> {
    let mut state = opening_state(spec, &assessment.found, now);
    let word = word(spec, assessment, &mut state)?;
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

    let anchor = match &word {
        // Everything that runs trusts the current CA.
        Word::Move => Some(Anchor::Current),
        Word::Close { retired } => assessment.anchor(Some(retired), now),
        Word::None => assessment.anchor(None, now),
    };
    let case = Case {
        spec,
        assessment,
        now,
        state: &state,
        anchor,
        word,
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

/// What the operator's word does, or what is left to do of an earlier event's word. The state then says so.
fn word(spec: &Spec, assessment: &Assessment, state: &mut State) -> Result<Word, Refusal> {
    let begun = assessment
        .closing()
        .map_or(Word::None, |retired| Word::Close {
            retired: retired.clone(),
        });
    let (Some(given), Some(previous)) = (spec.properties.retired_ca, assessment.previous_ca())
    else {
        return Ok(begun);
    };
    let is_old = spec.old.retired_ca.is_some_and(|old| old.implies(&given));
    if is_old || spec.occasion == Occasion::Return {
        // The word was given by an earlier update. It is obeyed already, or it came before this rotation.
        return Ok(begun);
    }
    let current = assessment.current_ca_certificate();
    let expected = RetirementWord {
        retired: previous.fingerprint(),
        staying: current.map(|current| current.fingerprint()),
        has_moved: assessment.moved_from() == Some(previous),
    };
    let names_both = given.staying.is_none() || given.staying == expected.staying;
    if given.retired != expected.retired || !names_both {
        let found = &assessment.found;
        // A rollback brings old words back, also those from before the rotation that is open now.
        let is_current = current.is_some_and(|current| current.fingerprint() == given.retired);
        let is_previous = given.retired == expected.retired;
        let is_old = match &found.state {
            Ok(state) => {
                let is_trusted = assessment.knows(&given.retired);
                state.has_heard(&given.to_string())
                    || state.has_retired(&given.retired)
                    || (is_trusted && !is_current && !is_previous)
            }
            // Without a state, an old word looks like a wrong one.
            Err(_) => true,
        };
        return if is_old {
            Ok(begun)
        } else {
            Err(Refusal::NotThePreviousCa {
                given,
                expected: Box::new(expected),
            })
        };
    }
    if assessment.moved_from() == Some(previous) {
        return Ok(if given.has_moved {
            close(previous, assessment, state)
        } else {
            // It is this word that moved the certificate.
            begun
        });
    }
    if assessment.leaf_is_of_current_ca() {
        return Ok(close(previous, assessment, state));
    }
    match assessment.vouching(previous) {
        Ok(_) => Err(Refusal::PairOfPreviousCa {
            previous: expected.retired,
        }),
        Err(_) if given.has_moved => Err(Refusal::NotMovedYet { expected }),
        Err(_) => {
            state.set_moved_from(Some(previous));
            Ok(Word::Move)
        }
    }
}

/// Retires the previous CA, other certificates of its key, and whatever else was ours since the last close but the
/// current CA.
fn close(previous: &CaCertificate, assessment: &Assessment, state: &mut State) -> Word {
    state.retire(&previous.fingerprint());
    let current = assessment.current.as_ref();
    let goes_too = assessment.found.authorities().filter(|ca| {
        let is_ours = ca.has_key_of(previous)
            || state.has_generation(&ca.fingerprint())
            || assessment.moved_from() == Some(*ca);
        is_ours && !current.is_some_and(|current| current.has_key_of(ca))
    });
    let goes_too: Vec<Fingerprint> = goes_too.map(|ca| ca.fingerprint()).collect();
    for authority in &goes_too {
        state.retire(authority);
    }
    state.set_moved_from(None);
    state.forget_generations();
    Word::Close {
        retired: previous.clone(),
    }
}

/// Whether a token that the state has not seen rotates. One that the template held before does not: the state may be an
/// older copy, or lost.
fn obeys_tokens(spec: &Spec, assessment: &Assessment, now: OffsetDateTime) -> bool {
    let is_new = spec.old.rotation_token != spec.properties.rotation_token;
    // Without a state, a rollback's old token looks like a new one. Rule 7 must not refuse it.
    let is_refused = || match assessment.anchor(None, now) {
        Some(Anchor::Previous(anchor)) => spec.is_due(&anchor, now),
        _ => false,
    };
    let is_told = assessment.found.state.is_ok() || !is_refused();
    spec.occasion == Occasion::Update && is_new && is_told
}
