//! What the state remembers of a plan.

use crate::plan::decision::Case;
use crate::plan::spec::Occasion;
use crate::plan::{
    Action, AnchorPlan, AnchorRecordPlan, CaPlan, PairPlan, Plan, Refusal, StatePlan, TokenPlan,
};
use crate::set::flaw::Flaw;
use crate::set::state::{AnchorRecord, State};

/// Adds to a plan for certificates and keys what the state records of it.
pub(crate) fn record(case: &Case<'_>, mut plan: Plan, token: TokenPlan) -> Result<Plan, Refusal> {
    let (spec, found) = (case.spec, &case.assessment.found);
    let anchor = anchor_record(case, &plan);
    let mut state = case.state.clone();
    // Without a state, nothing tells that the old token was seen, and a rollback would bring it back.
    if found.state.is_err()
        && plan.publishes()
        && let Some(old) = &spec.old.rotation_token
    {
        state.see(old.clone());
    }
    let changes_record = match &anchor {
        AnchorRecordPlan::Keep => false,
        AnchorRecordPlan::Clear => state.anchor().is_some(),
        _ => true,
    };
    let is_new = match &found.state {
        Ok(known) => *known != state,
        Err(_) => spec.occasion == Occasion::Adoption || state != State::of_a_former_owner(),
    };
    let mut writes_state =
        is_new || changes_record || token != TokenPlan::None || settles(case, &plan);
    if writes_state && matches!(found.state, Err(Flaw::LaterState)) {
        let is_quiet = plan.action == Action::Keep && token == TokenPlan::None;
        if !is_quiet || spec.occasion == Occasion::Adoption {
            return Err(Refusal::LaterState);
        }
        // Properties that stay in a template must not fail an update that changes nothing else.
        writes_state = false;
    }
    if writes_state {
        // A word that names nothing stored must stand in the way neither of the next rotation nor of a rollback.
        let words = [spec.old.retired_ca, spec.properties.retired_ca];
        for word in words.into_iter().flatten() {
            if !case.assessment.knows(&word.retired) {
                state.retire(&word.retired);
            }
        }
        if plan.action == Action::Keep {
            plan.action = Action::Record;
        }
        plan.state = StatePlan::Write {
            state,
            closing: case.closed.as_ref().map(|closed| closed.fingerprint()),
            token,
            anchor,
        };
    }
    if !plan.is_keep() && spec.is_late_duplicate(&found.state) {
        return Err(Refusal::LateDuplicate);
    }
    Ok(plan)
}

/// What is recorded of the anchor once a plan is carried out.
fn anchor_record(case: &Case<'_>, plan: &Plan) -> AnchorRecordPlan {
    if !plan.publishes() {
        return AnchorRecordPlan::Keep;
    }
    match &plan.anchor {
        AnchorPlan::Previous(authority) => {
            let recorded = case.state.anchor().and_then(AnchorRecord::certificate);
            if recorded == Some(authority) && !case.state.has_retired(&authority.fingerprint()) {
                return AnchorRecordPlan::Keep;
            }
            let key = case.anchor_key(authority);
            AnchorRecordPlan::Record(AnchorRecord::new(authority, key.as_ref()))
        }
        AnchorPlan::Outgoing(outgoing) => AnchorRecordPlan::RecordOutgoing(outgoing.key.clone()),
        AnchorPlan::Current if plan.also_trusted.is_some() => AnchorRecordPlan::RecordCurrent,
        AnchorPlan::Current => AnchorRecordPlan::Clear,
    }
}

/// Whether a token that was being obeyed is seen now, for its CA issues the published leaf at last.
fn settles(case: &Case<'_>, plan: &Plan) -> bool {
    match (&plan.ca, &plan.pair) {
        (CaPlan::Keep(current), PairPlan::Issue { .. }) => {
            let current = current.certificate();
            current.is_some_and(|ca| case.state.is_pending_for(&ca.fingerprint()))
        }
        _ => false,
    }
}
