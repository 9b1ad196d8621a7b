//! Carrying a plan out: what is issued, which values result, and in which order they are written.
//!
//! SSM has no transactions. Every prefix of the writes leaves a set that still connects everyone, and that the next
//! event heals: the state first, for it holds what the later writes overwrite; then who signs, then who is trusted, for
//! a CA that is trusted before its key is stored may be given up by the next event; then what is presented; and the
//! state again, once all of it is true.

use time::OffsetDateTime;

use crate::pki::authority::{IssueError, Mint};
use crate::pki::bundle::TrustBundle;
use crate::pki::certificate::Certificate;
use crate::pki::private_key::PrivateKey;
use crate::plan::assessment::Assessment;
use crate::plan::issuance::{Issued, issue};
use crate::plan::planner;
use crate::plan::refusal::Refusal;
use crate::plan::spec::Spec;
use crate::plan::write::Write;
use crate::plan::{AnchorRecordPlan, CaPlan, PairPlan, Plan, StatePlan, TokenPlan};
use crate::set::anchor_record::AnchorRecord;
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::pair::Pair;
use crate::set::parameter::{MAX_VALUE_CHARS, ParameterType, ParameterValue, StoredSet};
use crate::set::rack::Part;
use crate::set::state::State;

/// Why a plan is not carried out; nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum PublicationError {
    /// Something could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A value would not fit its parameter.
    #[error(
        "the {part} would take {chars} characters, but an SSM parameter holds at most {MAX_VALUE_CHARS}; {advice}"
    )]
    TooLong {
        /// Which parameter.
        part: Part,
        /// How long its value would be.
        chars: usize,
        /// What to change.
        advice: &'static str,
    },
    /// A value would not fit the getter's response.
    #[error(
        "the {part} would take {bytes} bytes, but a getter's response has room for {room} with this rack's name; \
         set SubjectAlternativeNames to the names that are needed, KeyAlgorithm to ECDSA_P256, or use a shorter \
         rack name"
    )]
    TooLongForGetter {
        /// Which parameter.
        part: Part,
        /// How long its value would be.
        bytes: usize,
        /// What there is room for.
        room: usize,
    },
    /// The resulting set would not be kept by the next event: a bug, found before any harm.
    #[error(
        "the next event would not keep the resulting set ({next}); this is a bug, and nothing was written"
    )]
    Unstable {
        /// What the next event would do.
        next: String,
    },
}

/// What carries a plan out.
#[derive(Debug)]
pub struct Publication {
    /// The writes, in their order.
    pub writes: Vec<Write>,
    /// The pairs that are deleted when all is written.
    pub removed: Vec<Pair>,
    /// The set that results, as the next event finds it.
    pub result: Assessment,
}

/// Issues what a plan calls for, and gives the writes in their order. `assessment` is of what `stored` decodes to.
pub fn publication(
    plan: &Plan,
    spec: &Spec,
    stored: &StoredSet,
    assessment: &Assessment,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Result<Publication, PublicationError> {
    let issued = issue(plan, spec, &assessment.found, now, mint)?;
    let (before, after) = states(plan, &issued);

    let ours = std::iter::once(&issued.current).chain(&issued.anchor);
    let ours = ours.map(|authority| &**authority);
    let bundle: Vec<Certificate> = ours.chain(&plan.trust.kept).cloned().collect();
    let repaired = |part: Part, key: &Result<PrivateKey, Flaw>| {
        let key = key
            .as_ref()
            .ok()
            .filter(|_| plan.repaired_keys.contains(&part));
        key.map(PrivateKey::encode)
    };
    let found = &assessment.found;
    // New, or the anchor's again.
    let other_ca_key = Some(&issued.ca_key).filter(|key| {
        let stored = found.ca_key.as_ref();
        !stored.is_ok_and(|stored| stored.public_key() == key.public_key())
    });
    let other_ca_key = other_ca_key.map(PrivateKey::encode);
    let mut values = vec![
        (Part::State, before.as_ref().map(State::encode)),
        (
            Part::CaKey,
            other_ca_key.or_else(|| repaired(Part::CaKey, &found.ca_key)),
        ),
        (
            Part::CaCert,
            plan.writes_bundle.then(|| TrustBundle::encode(&bundle)),
        ),
    ];
    // The daemons' pair comes last, for it tells where the set stands; and until it is a server's alone, the API's own
    // is there.
    for pair in Pair::ALL.into_iter().rev() {
        let issued = issued.pairs.iter().find(|issued| issued.pair == pair);
        let new_key = issued.and_then(|issued| issued.new_key.as_ref());
        let new_key = new_key.map(PrivateKey::encode);
        let key = new_key.or_else(|| repaired(pair.key(), &found.pair(pair).key));
        values.push((pair.key(), key));
        values.push((pair.cert(), issued.map(|issued| issued.chain.encode())));
    }
    let last = after.as_ref().filter(|_| after != before);
    values.push((Part::State, last.map(State::encode)));
    let mut result = stored.clone();
    let mut writes = Vec::new();
    for (part, value) in values {
        let Some(value) = value.map(ParameterValue::from) else {
            continue;
        };
        let existing = result.get(&part);
        if existing.is_some_and(|existing| existing.value == value) {
            continue;
        }
        let write = Write {
            part,
            parameter_type: existing.map_or_else(
                || type_of_new(part, spec),
                |existing| existing.parameter_type,
            ),
            exists: existing.is_some(),
            value,
        };
        write.apply(&mut result);
        writes.push(write);
    }
    let removed = plan
        .pairs
        .iter()
        .filter(|(_, plan)| matches!(plan, PairPlan::Remove));
    let removed: Vec<Pair> = removed.map(|(pair, _)| *pair).collect();
    check_sizes(spec, stored, &writes, after.as_ref())?;
    let result = check_stable(spec, found, &writes, &removed, now)?;
    Ok(Publication {
        writes,
        removed,
        result,
    })
}

/// Keys are as the properties say, the state is always encrypted, certificates never need to be.
fn type_of_new(part: Part, spec: &Spec) -> ParameterType {
    match part {
        Part::State => ParameterType::SecureString,
        part if part.is_key() => spec.properties.key_parameter_type,
        _ => ParameterType::String,
    }
}

/// The state before the certificates and keys are written, and after.
fn states(plan: &Plan, issued: &Issued) -> (Option<State>, Option<State>) {
    let StatePlan::Write {
        state,
        closing,
        token,
        anchor,
    } = &plan.state
    else {
        return (None, None);
    };
    let mut before = state.clone();
    if matches!(plan.ca, CaPlan::New) {
        before.add_generation(&issued.current.fingerprint());
    }
    let mut after = before.clone();
    if let Some(closing) = closing {
        before.set_closing(Some(closing.clone()));
        after.close(closing.clone());
    }
    match token {
        TokenPlan::None => {}
        TokenPlan::See(token) => after.see(token.clone()),
        TokenPlan::Obey(token) => {
            before.expect_token(token.clone(), &issued.current.fingerprint());
            after.see(token.clone());
        }
    }
    if plan.issues_leaf() {
        after.settle_pending(&issued.current.fingerprint());
    }
    match anchor {
        AnchorRecordPlan::Keep => {}
        AnchorRecordPlan::Clear => after.forget_anchor(),
        AnchorRecordPlan::Record(record) => {
            before.record_anchor(record.clone());
            after.record_anchor(record.clone());
        }
        AnchorRecordPlan::RecordOutgoing(key) => {
            if let Some(anchor) = &issued.anchor {
                let record = AnchorRecord::new(anchor, key.as_ref());
                before.record_anchor(record.clone());
                after.record_anchor(record);
            }
        }
    }
    if plan.writes_only_state() {
        before = after.clone();
    }
    (Some(before), Some(after))
}

fn check_sizes(
    spec: &Spec,
    stored: &StoredSet,
    writes: &[Write],
    state: Option<&State>,
) -> Result<(), PublicationError> {
    let room = spec.properties.getter_room_bytes;
    for Write { part, value, .. } in writes {
        let (chars, bytes) = (value.expose().chars().count(), value.expose().len());
        check_parameter(*part, chars)?;
        // What was too long for a getter before may be repaired all the same.
        let was_longer = stored
            .get(part)
            .is_some_and(|stored| stored.value.expose().len() >= bytes);
        if Part::PUBLISHED.contains(part) && bytes > room && !was_longer {
            return Err(PublicationError::TooLongForGetter {
                part: *part,
                bytes,
                room,
            });
        }
    }
    state.map_or(Ok(()), |state| {
        check_parameter(Part::State, state.worst_case_chars())
    })
}

fn check_parameter(part: Part, chars: usize) -> Result<(), PublicationError> {
    if chars <= MAX_VALUE_CHARS {
        return Ok(());
    }
    let advice = match part {
        Part::State => "too many resources share this rack; give some of them a rack of their own",
        Part::CaCert => {
            "use KeyAlgorithm ECDSA_P256 for new CAs, which are the shortest, and see with docker-tls inspect what \
             the bundle holds"
        }
        _ => "set SubjectAlternativeNames to the names that are needed",
    };
    Err(PublicationError::TooLong {
        part,
        chars,
        advice,
    })
}

/// Rule 10 of docs/rotation.md: the next event must keep what this one publishes. What is written is decoded from its
/// text, as that event will; what stays is taken as found.
fn check_stable(
    spec: &Spec,
    found: &Found,
    writes: &[Write],
    removed: &[Pair],
    now: OffsetDateTime,
) -> Result<Assessment, PublicationError> {
    let mut result = found.clone();
    for write in writes {
        result.replace(write.part, &write.value);
    }
    for pair in removed {
        result.remove(*pair);
    }
    let result = Assessment::of(result);
    let next = match planner::plan(&spec.next(), &result, now) {
        Ok(plan) if plan.is_keep() => return Ok(result),
        Ok(plan) => format!("{:?} because {:?}", plan.action, plan.causes),
        Err(refusal) => Refusal::to_string(&refusal),
    };
    Err(PublicationError::Unstable { next })
}
