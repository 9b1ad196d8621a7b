//! Carrying a plan out: what is issued, which values result, and in which order they are written.
//!
//! SSM has no transactions. Every prefix of the writes leaves a set that still connects everyone, and that the next
//! event heals: the state first, for it holds what the later writes overwrite; then who signs, then who is trusted, for
//! a CA that is trusted before its key is stored may be given up by the next event; then what is presented; and the
//! state again, once all of it is true.

use time::OffsetDateTime;

use crate::authority::{CertificateAuthority, IssueError, Mint};
use crate::bundle::TrustBundle;
use crate::certificate::{CaCertificate, Certificate};
use crate::chain::CertificateChain;
use crate::found::Found;
use crate::parameter::{
    MAX_VALUE_CHARS, ParameterType, ParameterValue, StoredParameter, StoredSet,
};
use crate::plan::{
    AnchorPlan, AnchorRecordPlan, CaPlan, CrossPlan, LeafKey, PairPlan, Plan, Refusal, Spec,
    StatePlan, TokenPlan,
};
use crate::planner;
use crate::private_key::PrivateKey;
use crate::rack::Part;
use crate::response;
use crate::standing::CurrentCa;
use crate::state::{AnchorRecord, State};

/// One write of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which parameter.
    pub part: Part,
    /// Its new value.
    pub value: ParameterValue,
    /// Its type: an existing parameter keeps its own.
    pub parameter_type: ParameterType,
    /// Whether it exists already.
    pub exists: bool,
}

/// Why a plan is not carried out; nothing has been written.
#[derive(Debug, thiserror::Error)]
pub enum PublicationError {
    /// Something could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A value would not fit its parameter.
    #[error(
        "the {part} would take {chars} characters, but an SSM parameter holds {MAX_VALUE_CHARS}; {advice}"
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
        "the {part} would take {bytes} bytes, but a getter's response has room for {room} with this rack's name; ask \
         for fewer SubjectAlternativeNames, for KeyAlgorithm ECDSA_P256, or give the rack a shorter name"
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
        "the set that would result is not one that the next event keeps ({next}); this is a bug, and nothing was \
         written"
    )]
    Unstable {
        /// What the next event would do.
        next: String,
    },
}

/// What carrying out a plan needs to be given.
struct Issued {
    current: CaCertificate,
    new_ca_key: Option<PrivateKey>,
    anchor: Option<CaCertificate>,
    chain: Option<(Certificate, Option<CaCertificate>)>,
    new_key: Option<PrivateKey>,
}

/// Issues what a plan calls for, and gives the writes in their order. `found` is what `stored` decodes to.
pub fn writes(
    plan: &Plan,
    spec: &Spec,
    stored: &StoredSet,
    found: &Found,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Result<Vec<Write>, PublicationError> {
    let issued = issue(plan, spec, found, now, mint)?;
    let (before, after) = states(plan, found, &issued);

    let bundle: Vec<CaCertificate> = std::iter::once(&issued.current)
        .chain(&issued.anchor)
        .chain(&plan.carried)
        .take(TrustBundle::MAX_AUTHORITIES)
        .cloned()
        .collect();
    let values = [
        (Part::State, before.as_ref().map(State::encode)),
        (
            Part::CaKey,
            issued.new_ca_key.as_ref().map(PrivateKey::encode),
        ),
        (
            Part::CaCert,
            plan.writes_bundle.then(|| TrustBundle::encode(&bundle)),
        ),
        (Part::Key, issued.new_key.as_ref().map(PrivateKey::encode)),
        (
            Part::Cert,
            issued
                .chain
                .as_ref()
                .map(|(leaf, cross)| CertificateChain::encode(leaf, cross.as_ref())),
        ),
        (
            Part::State,
            after
                .as_ref()
                .filter(|_| after != before)
                .map(State::encode),
        ),
    ];
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
    check_sizes(spec, &writes, after.as_ref())?;
    check_stable(spec, found, &writes, &issued.current, now)?;
    Ok(writes)
}

impl Write {
    /// What the store holds after this write.
    pub fn apply(&self, stored: &mut StoredSet) {
        let version = stored
            .get(&self.part)
            .map_or(0, |existing| existing.version);
        stored.insert(
            self.part,
            StoredParameter {
                value: self.value.clone(),
                parameter_type: self.parameter_type,
                version: version + 1,
            },
        );
    }
}

/// Keys are as the properties say, the state is always encrypted, certificates never need to be.
fn type_of_new(part: Part, spec: &Spec) -> ParameterType {
    match part {
        Part::State => ParameterType::SecureString,
        part if part.is_key() => spec.properties.key_parameter_type,
        _ => ParameterType::String,
    }
}

fn issue(
    plan: &Plan,
    spec: &Spec,
    found: &Found,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Result<Issued, PublicationError> {
    let properties = &spec.properties;
    let stored_key = found.ca_key.as_ref().ok();
    let former = match plan.former() {
        None => None,
        Some(CurrentCa::Stored(authority)) => Some(authority.clone()),
        Some(CurrentCa::LostCertificate(lost)) => {
            let key = stored_key.expect("a CA whose certificate is lost is known by its key");
            let validity = properties.ca_validity;
            let reissued = CertificateAuthority::reissue(lost, key, validity, now, mint)?;
            Some(reissued.certificate().clone())
        }
    };
    let (current, new_ca_key) = if let (CaPlan::Keep(_), Some(former)) = (&plan.ca, &former) {
        (former.clone(), None)
    } else {
        let key = mint
            .key(properties.key_algorithm)
            .map_err(IssueError::from)?;
        let validity = properties.ca_validity;
        let created = CertificateAuthority::create(&key, validity, now, mint)?;
        (created.certificate().clone(), Some(key))
    };
    let anchor = match &plan.anchor {
        AnchorPlan::Current => None,
        AnchorPlan::Former => former,
        AnchorPlan::Other(authority) => Some(authority.clone()),
    };

    let cross = match &plan.pair {
        PairPlan::Keep => None,
        PairPlan::Rewrite { cross } | PairPlan::Issue { cross, .. } => match (cross, &anchor) {
            (Some(CrossPlan::Stored(cross)), _) => Some(cross.clone()),
            (Some(CrossPlan::Sign), Some(anchor)) => {
                let recorded = found.state.as_ref().ok();
                let recorded = recorded.and_then(|state| state.anchor()?.key());
                let key = [recorded.as_ref(), stored_key]
                    .into_iter()
                    .flatten()
                    .find(|key| key.public_key() == anchor.public_key())
                    .expect("a cross-certificate is planned only where the anchor's key is known");
                let anchor = CertificateAuthority::new(anchor.clone(), key)?;
                Some(anchor.cross_sign(&current, now, mint)?)
            }
            _ => None,
        },
    };
    let mut new_key = None;
    let chain = match &plan.pair {
        PairPlan::Keep => None,
        PairPlan::Rewrite { .. } => {
            let chain = found.cert.as_ref();
            let chain = chain.expect("only a chain that could be read is written again");
            Some((chain.leaf().clone(), cross))
        }
        PairPlan::Issue { key, .. } => {
            if *key == LeafKey::New {
                new_key = Some(
                    mint.key(properties.key_algorithm)
                        .map_err(IssueError::from)?,
                );
            }
            let key = new_key.as_ref().or(found.key.as_ref().ok());
            let key = key.expect("a key is kept only if it loads");
            let ca_key = new_ca_key.as_ref().or(stored_key);
            let ca_key = ca_key.expect("the CA is kept only if its key loads");
            let authority = CertificateAuthority::new(current.clone(), ca_key)?;
            let names = spec.alternative_names();
            let leaf = authority.issue(key, &names, properties.validity, now, mint)?;
            Some((leaf, cross))
        }
    };
    Ok(Issued {
        current,
        new_ca_key,
        anchor,
        chain,
        new_key,
    })
}

/// The state before the certificates and keys are written, and after.
fn states(plan: &Plan, found: &Found, issued: &Issued) -> (Option<State>, Option<State>) {
    let StatePlan::Write {
        state,
        token,
        anchor,
    } = &plan.state
    else {
        return (None, None);
    };
    let mut before = state.clone();
    let mut after = state.clone();
    match token {
        TokenPlan::None => {}
        TokenPlan::See(token) => after.see(token.clone()),
        TokenPlan::Obey(token) => {
            before.expect_token(token.clone(), &issued.current.fingerprint());
            after.see(token.clone());
        }
    }
    if matches!(plan.pair, PairPlan::Issue { .. }) {
        after.settle_pending(&issued.current.fingerprint());
    }
    match anchor {
        AnchorRecordPlan::Keep => {}
        AnchorRecordPlan::Clear => after.set_anchor(None),
        AnchorRecordPlan::Record(record) => {
            before.set_anchor(Some(record.clone()));
            after.set_anchor(Some(record.clone()));
        }
        AnchorRecordPlan::RecordFormer => {
            let key = found.ca_key.as_ref().ok();
            let record = issued
                .anchor
                .as_ref()
                .map(|anchor| AnchorRecord::new(anchor, key));
            before.set_anchor(record.clone());
            after.set_anchor(record);
        }
        AnchorRecordPlan::RecordCurrent => {
            after.set_anchor(Some(AnchorRecord::new(&issued.current, None)));
        }
    }
    if plan.writes_only_state() {
        before = after.clone();
    }
    (Some(before), Some(after))
}

fn check_sizes(
    spec: &Spec,
    writes: &[Write],
    state: Option<&State>,
) -> Result<(), PublicationError> {
    let room = response::getter_room_bytes(&spec.properties.rack);
    for Write { part, value, .. } in writes {
        let (chars, bytes) = (value.expose().chars().count(), value.expose().len());
        check_parameter(*part, chars)?;
        if Part::PUBLISHED.contains(part) && bytes > room {
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
        _ => "ask for fewer SubjectAlternativeNames",
    };
    Err(PublicationError::TooLong {
        part,
        chars,
        advice,
    })
}

/// Rule 8: the next event must keep what this one publishes. What is written is decoded from its text, as that event
/// will; what stays is taken as found.
fn check_stable(
    spec: &Spec,
    found: &Found,
    writes: &[Write],
    current: &CaCertificate,
    now: OffsetDateTime,
) -> Result<(), PublicationError> {
    let mut result = found.clone();
    for write in writes {
        result.replace(write.part, &write.value);
    }
    result.ca_cert = result.ca_cert.map(|bundle| bundle.sharing(current));
    let next = match planner::plan(&spec.next(), &result, now) {
        Ok(plan) if plan.is_keep() => return Ok(()),
        Ok(plan) => format!("{:?} because {:?}", plan.action, plan.causes),
        Err(refusal) => Refusal::to_string(&refusal),
    };
    Err(PublicationError::Unstable { next })
}
