//! The plan: what an event's word and token mean for a set, what is decided of it, and what is recorded.
//!
//! [`plan`] is a total function of what is wanted, what was found, and the time. It issues nothing, draws no random
//! number and knows no store.

use time::OffsetDateTime;

use crate::pki::certificate::Fingerprint;
use crate::plan::assessment::{Anchor, Assessment};
use crate::plan::case::{Case, PairCase};
use crate::plan::cause::Cause;
use crate::plan::recording;
use crate::plan::refusal::Refusal;
use crate::plan::spec::{ClientCertificate, Occasion, Spec};
use crate::plan::taking_back::{TakingBack, TakingBackObstacle};
use crate::plan::word::{self, Word};
use crate::plan::{CutOff, Plan, TokenPlan};
use crate::set::decoded::Found;
use crate::set::state::State;

/// Decides what to do: the least change that keeps everyone connected.
pub fn plan(spec: &Spec, assessment: &Assessment, now: OffsetDateTime) -> Result<Plan, Refusal> {
    let mut state = opening_state(spec, &assessment.found, now);
    let (word, warning) = Word::of(spec, assessment, now, &mut state)?;
    let returned = returned(&word, assessment);
    let assessment = returned.as_ref().unwrap_or(assessment);
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
        Word::Move | Word::TakeBack(_) => Some(Anchor::Current),
        Word::Close { retired } => assessment.anchor(Some(retired), now),
        Word::None => assessment.anchor(None, now),
    };
    refuse_to_take_away_what_others_use(spec, &assessment.found)?;
    let case = Case {
        spec,
        assessment,
        now,
        state: &state,
        anchor,
        word,
        rotates_for_token,
        pairs: PairCase::all(spec, assessment, now),
    };
    let due = case.due_causes();
    case.refuse_taking_back_to_what_is_due(&due)?;
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
    let plan = recording::record(&case, plan, token)?;
    case.refuse_a_switch_that_cuts_off(&plan)?;
    Ok(Plan { warning, ..plan })
}

/// The set as it is once the CA that becomes the current one again has its key back; `None` where it has.
fn returned(word: &Word, assessment: &Assessment) -> Option<Assessment> {
    let Word::TakeBack(taking_back) = word else {
        return None;
    };
    let current = assessment.current.as_ref();
    let has_returned = current.is_some_and(|current| current.has_key_of(&taking_back.returning));
    (!has_returned).then(|| assessment.with_ca_key(taking_back.key.clone()))
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
    let leaf = found.telling_leaf()?;
    let issuer = found.bundled().iter().find(|ca| ca.has_issued(leaf))?;
    Some(issuer.fingerprint())
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

/// Refuses to take the API's own pair away from a set that the resource is only now brought to.
fn refuse_to_take_away_what_others_use(spec: &Spec, found: &Found) -> Result<(), Refusal> {
    let is_asked_for = spec.properties.client_certificate == ClientCertificate::Separate;
    if spec.occasion == Occasion::Adoption && !is_asked_for && !found.client.is_missing() {
        return Err(Refusal::ClientPairOfOthers);
    }
    Ok(())
}

impl Case<'_> {
    /// Refuses a `RetiredCA` that this very update would make the previous CA: sent once more, it would close.
    fn refuse_retiring_the_current_ca(&self) -> Result<(), Refusal> {
        let current = self.assessment.current_ca_certificate();
        let current = current.map(|ca| ca.fingerprint());
        let given = self.spec.properties.retired_ca;
        // A rollback may bring back what an earlier update said.
        let is_new = given != self.spec.old.retired_ca
            && !given.is_some_and(|word| self.state.has_heard(&word.to_string()));
        match current.filter(|current| is_new && Some(*current) == given.map(|word| word.retired)) {
            Some(current) => Err(Refusal::RetiresCurrentCa { current }),
            None => Ok(()),
        }
    }

    /// Refuses to take a rotation back to a CA that could not stay. What was begun is completed all the same.
    fn refuse_taking_back_to_what_is_due(&self, due: &[Cause]) -> Result<(), Refusal> {
        match &self.word {
            Word::TakeBack(TakingBack {
                returning,
                finish: Some(finish),
                ..
            }) if !due.is_empty() => Err(Refusal::CannotTakeBack {
                previous: returning.fingerprint(),
                obstacle: TakingBackObstacle::Due(due.to_vec()),
                finish: Box::new(*finish),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses another `ClientCertificate` than the stored set was made by where the CA that everything knows cannot issue
    /// what that asks for, and where nobody would be cut off without it.
    fn refuse_a_switch_that_cuts_off(&self, plan: &Plan) -> Result<(), Refusal> {
        let CutOff::KnowingOnly {
            authority,
            obstacle,
            ..
        } = &plan.cut_off
        else {
            return Ok(());
        };
        let former = ClientCertificate::of(&self.assessment.found);
        if former == self.spec.properties.client_certificate {
            return Ok(());
        }
        let mut without = self.spec.clone();
        without.properties.client_certificate = former;
        match self::plan(&without, self.assessment, self.now) {
            Ok(without) if without.cut_off == CutOff::Nobody => {
                Err(Refusal::ClientCertificateCutsOff {
                    authority: *authority,
                    obstacle: obstacle.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Rule 7 of docs/rotation.md.
    fn refuse_a_token_near_the_anchors_end(&self) -> Result<(), Refusal> {
        match self.previous_ca() {
            Some(anchor) if self.spec.is_due(anchor, self.now) => Err(Refusal::AnchorEndsSoon {
                anchor: anchor.fingerprint(),
                finish: Box::new(word::finish(self.assessment, anchor)),
                not_after: anchor.not_after(),
            }),
            _ => Ok(()),
        }
    }
}
