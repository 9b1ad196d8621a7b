//! What the operator's word, `RetiredCA`, means for a set.

use time::OffsetDateTime;

use crate::pki::certificate::{CaCertificate, Fingerprint};
use crate::plan::assessment::Assessment;
use crate::plan::open_rotation::OpenRotation;
use crate::plan::refusal::Refusal;
use crate::plan::spec::{Occasion, RetirementWord, Spec};
use crate::plan::taking_back::TakingBack;
use crate::plan::warning::Warning;
use crate::set::state::{Closing, State};

/// What the operator's word does.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// Nothing, or nothing new.
    None,
    /// The current CA is to issue the certificate, for everything that runs trusts it. The previous one cannot vouch for
    /// it.
    Move,
    /// The previous CA is retired: by this event, or by one before it that did not come to its end.
    Close {
        /// The previous CA.
        retired: CaCertificate,
    },
    /// The previous CA is the current one again: by this event, or by one before it that did not come to its end.
    TakeBack(TakingBack),
}

impl Word {
    /// What the operator's word does, or what is left to do of an earlier event's word, which the state then says; and
    /// what there is to warn of in the word.
    pub(crate) fn of(
        spec: &Spec,
        assessment: &Assessment,
        now: OffsetDateTime,
        state: &mut State,
    ) -> Result<(Self, Option<Warning>), Refusal> {
        // Half of it written, the set looks like a rotation from the CA that goes.
        if let Some(begun) = TakingBack::begun(assessment, now) {
            return Ok((Self::TakeBack(begun), None));
        }
        let begun = assessment
            .closing()
            .map_or(Self::None, |retired| Self::Close {
                retired: retired.clone(),
            });
        let (Some(given), Some(previous)) = (spec.properties.retired_ca, assessment.previous_ca())
        else {
            return Ok((begun, None));
        };
        let is_old = spec.old.retired_ca.is_some_and(|old| old.implies(&given));
        if is_old || spec.occasion == Occasion::Return {
            // The word was given by an earlier update. It is obeyed already, or it came before this rotation.
            return Ok((begun, None));
        }
        let finish = finish(assessment, previous);
        let names_both = given.staying.is_none() || given.staying == finish.staying;
        if given.retired == finish.retired && names_both {
            let half = given.staying.is_none();
            let warning = half.then_some(Warning::HalfAWord { whole: finish });
            let is_new = given.staying.is_some()
                || !state.has_heard(&given.to_string())
                || state.moved_from() == Some(previous);
            // Half a word fits any rotation from that CA, and a rollback may bring it back from before this one.
            let word = if is_new {
                obeyed(&given, begun, assessment, previous, state)?
            } else {
                begun
            };
            return Ok((word, warning));
        }
        match taken_back(&given, &finish, assessment) {
            Ok(taking_back) => {
                state.give_up_pending();
                Ok((Self::TakeBack(taking_back), None))
            }
            Err(refusal) if is_of_an_earlier_rotation(&given, &finish, assessment) => {
                // Where an earlier event's word comes to its end, there will be no open rotation to say one about.
                let is_open = matches!(begun, Self::None);
                Ok((begun, is_open.then(|| unheeded(given, refusal))))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The CA that is retired, where it was the anchor.
    pub(crate) const fn closed(&self) -> Option<&CaCertificate> {
        match self {
            Self::Close { retired } => Some(retired),
            Self::None | Self::Move | Self::TakeBack(_) => None,
        }
    }

    /// The end of a rotation that this is.
    pub(crate) fn closing(&self) -> Option<Closing> {
        match self {
            Self::Close { retired } => Some(Closing::finish(&retired.fingerprint())),
            Self::TakeBack(taking_back) => Some(taking_back.closing.clone()),
            Self::None | Self::Move => None,
        }
    }
}

/// The word that takes the open rotation's next step.
pub(crate) fn finish(assessment: &Assessment, previous: &CaCertificate) -> RetirementWord {
    let current = assessment.current_ca_certificate();
    RetirementWord {
        retired: previous.fingerprint(),
        staying: current.map(|current| current.fingerprint()),
        has_moved: assessment.moved_from() == Some(previous),
    }
}

/// The word that takes the open rotation back, if that is possible.
fn back(assessment: &Assessment) -> Option<Box<RetirementWord>> {
    OpenRotation::of(assessment)?.word_back.map(Box::new)
}

/// What a word does that names the previous CA and the current one.
fn obeyed(
    given: &RetirementWord,
    begun: Word,
    assessment: &Assessment,
    previous: &CaCertificate,
    state: &mut State,
) -> Result<Word, Refusal> {
    if assessment.moved_from() == Some(previous) {
        return Ok(if given.has_moved {
            close(previous, assessment, state)
        } else {
            // It is this word that moved the certificate.
            begun
        });
    }
    if assessment.leaves_are_of_current_ca() {
        return Ok(close(previous, assessment, state));
    }
    match assessment.vouching(previous) {
        Ok(_) => Err(Refusal::PairOfPreviousCa {
            previous: previous.fingerprint(),
            back: back(assessment),
        }),
        Err(_) if given.has_moved => Err(Refusal::NotMovedYet {
            expected: finish(assessment, previous),
        }),
        Err(_) => {
            state.set_moved_from(Some(previous));
            Ok(Word::Move)
        }
    }
}

/// A word that does nothing, for this reason, and that no event is refused for.
fn unheeded(given: RetirementWord, refusal: Refusal) -> Warning {
    let obstacle = match refusal {
        Refusal::CannotTakeBack { obstacle, .. } => Some(obstacle),
        _ => None,
    };
    Warning::UnheededWord { given, obstacle }
}

/// What a word begins that names other CAs than those, or the two in the other order.
fn taken_back(
    given: &RetirementWord,
    finish: &RetirementWord,
    assessment: &Assessment,
) -> Result<TakingBack, Refusal> {
    let is_swapped = given.staying == Some(finish.retired)
        && finish.staying == Some(given.retired)
        && !given.has_moved;
    if !is_swapped {
        return Err(Refusal::NotThePreviousCa {
            given: *given,
            expected: Box::new(*finish),
            back: back(assessment),
        });
    }
    TakingBack::possible(assessment).map_err(|obstacle| Refusal::CannotTakeBack {
        previous: finish.retired,
        obstacle,
        finish: Box::new(*finish),
    })
}

/// Whether a word that fits no more may have been given before the rotation that is open now: a rollback brings old
/// words back.
fn is_of_an_earlier_rotation(
    given: &RetirementWord,
    finish: &RetirementWord,
    assessment: &Assessment,
) -> bool {
    let is_current = finish.staying == Some(given.retired);
    let is_previous = finish.retired == given.retired;
    match &assessment.found.state {
        Ok(state) => {
            let is_trusted = assessment.knows(&given.retired);
            state.has_heard(&given.to_string())
                || state.has_retired(&given.retired)
                || (is_trusted && !is_current && !is_previous)
        }
        // Without a state, an old word looks like a wrong one.
        Err(_) => true,
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
