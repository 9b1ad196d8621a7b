//! What the state remembers of a plan.

use crate::pki::certificate::Certificate;
use crate::plan::case::Case;
use crate::plan::obstacle::Signer;
use crate::plan::refusal::Refusal;
use crate::plan::spec::Occasion;
use crate::plan::word::Word;
use crate::plan::{Action, AnchorPlan, AnchorRecordPlan, CaPlan, Plan, StatePlan, TokenPlan};
use crate::set::anchor_record::AnchorRecord;
use crate::set::flaw::Flaw;
use crate::set::state::State;

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
    // What there is no room for is cut off, and so done with.
    let moved_from = state.moved_from().map(|ca| Certificate::clone(ca));
    if moved_from.is_some_and(|ca| plan.left_out().contains(&ca)) {
        state.set_moved_from(None);
    }
    if matches!(plan.ca, CaPlan::New) || matches!(case.word, Word::Move) {
        let assessment = case.assessment;
        let ours = assessment
            .current_ca_certificate()
            .into_iter()
            .chain(assessment.previous_ca());
        for authority in ours {
            if !state.has_retired(&authority.fingerprint()) {
                state.add_generation(&authority.fingerprint());
            }
        }
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
    let mut writes_state = is_new
            || changes_record
            || token != TokenPlan::None
            // Which CAs are ours is remembered, and the word that made one was heard.
            || matches!(plan.ca, CaPlan::New)
            || settles(case, &plan);
    if writes_state && matches!(found.state, Err(Flaw::LaterState)) {
        let is_quiet = plan.action == Action::Keep && token == TokenPlan::None;
        if !is_quiet || spec.occasion == Occasion::Adoption {
            return Err(Refusal::LaterState);
        }
        // Properties that stay in a template must not fail an update that changes nothing else.
        writes_state = false;
    }
    if writes_state {
        // A word must stand in the way of no rollback that brings it back.
        let words = [spec.old.retired_ca, spec.properties.retired_ca];
        for word in words.into_iter().flatten() {
            state.hear(&word.to_string());
        }
        if plan.action == Action::Keep {
            plan.action = Action::Record;
        }
        plan.state = StatePlan::Write {
            state,
            closing: case.word.closing(),
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
    let recorded = case.state.anchor().and_then(AnchorRecord::certificate);
    match &plan.anchor {
        AnchorPlan::Previous(authority) => {
            if recorded == Some(authority) && !case.state.has_retired(&authority.fingerprint()) {
                return AnchorRecordPlan::Keep;
            }
            let key = case.assessment.recorded_key(authority);
            AnchorRecordPlan::Record(AnchorRecord::new(authority, key.as_ref()))
        }
        AnchorPlan::Outgoing(outgoing) => {
            AnchorRecordPlan::RecordOutgoing(Signer::current(outgoing).to_record(case.state))
        }
        AnchorPlan::Current => AnchorRecordPlan::Clear,
    }
}

/// Whether a token that was being obeyed is seen now, for its CA issues the published leaf at last.
fn settles(case: &Case<'_>, plan: &Plan) -> bool {
    match &plan.ca {
        CaPlan::Keep(current) if plan.issues_leaf() => {
            let current = current.certificate();
            current.is_some_and(|ca| case.state.is_pending_for(&ca.fingerprint()))
        }
        _ => false,
    }
}
