//! Events, as far as the core sees them, and carrying them out on a set.

use docker_tls_certgen::pki::authority::Mint;
use docker_tls_certgen::plan::Plan;
use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::{Publication, publication};
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::{GeneratorProperties, Occasion, OldProperties, Spec};
use docker_tls_certgen::plan::write::Write;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::set::state::Owner;
use serde_json::Value;
use time::OffsetDateTime;

use crate::mint::FreshMint;
use crate::sets::{NOW, RACK};

/// An Update that leaves these properties as they were.
#[track_caller]
pub fn make_update(properties: &Value) -> Spec {
    make_change(properties, properties)
}

/// An Update from the one to the other properties.
#[track_caller]
pub fn make_change(old: &Value, properties: &Value) -> Spec {
    make_spec(old, properties, Occasion::Update)
}

/// A Create with these properties.
#[track_caller]
pub fn make_adoption(properties: &Value) -> Spec {
    make_spec(&Value::Null, properties, Occasion::Adoption)
}

#[track_caller]
fn make_spec(old: &Value, properties: &Value, occasion: Occasion) -> Spec {
    let rack = Rack::new(RACK).expect("a name that is not empty");
    Spec {
        properties: GeneratorProperties::parse(rack, properties).expect("the properties are good"),
        old: OldProperties::read(old),
        occasion,
        owner: make_owner("DockerTLSCertGenerate"),
        sent_at: None,
    }
}

/// The owner with that logical id in the stack that every event here comes from.
pub fn make_owner(logical_id: &str) -> Owner {
    Owner::new(
        "arn:aws:cloudformation:us-east-1:123456789012:stack/rack-1/f00",
        logical_id,
    )
}

/// Where a stored set stands.
pub fn assess(stored: &StoredSet) -> Assessment {
    Assessment::of(Found::decode(stored))
}

/// What an event would do to a set.
pub fn plan(spec: &Spec, stored: &StoredSet, now: OffsetDateTime) -> Result<Plan, Refusal> {
    planner::plan(spec, &assess(stored), now)
}

/// An event that was carried out.
pub struct Done {
    /// What was decided.
    pub plan: Plan,
    /// What was written, in this order.
    pub writes: Vec<Write>,
}

/// Carries an event out, and checks that the next event with the same properties makes no write.
#[track_caller]
pub fn carry_out(
    spec: &Spec,
    stored: &mut StoredSet,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Done {
    let assessment = assess(stored);
    let plan = match planner::plan(spec, &assessment, now) {
        Ok(plan) => plan,
        Err(refusal) => panic!("refused: {refusal}"),
    };
    let publication = match publication(&plan, spec, stored, &assessment, now, mint) {
        Ok(publication) => publication,
        Err(error) => panic!("{plan}: {error}"),
    };
    let Publication {
        writes, removed, ..
    } = publication;
    let is_quiet = writes.is_empty() && removed.is_empty();
    assert_eq!(plan.is_keep(), is_quiet, "{plan}");
    for write in &writes {
        write.apply(stored);
    }
    for pair in removed {
        stored.remove(&pair.cert());
        stored.remove(&pair.key());
    }
    check_kept(&sticky(spec), stored, now);
    Done { plan, writes }
}

/// Carries an Update from the one to the other properties out.
#[track_caller]
pub fn change(old: &Value, properties: &Value, stored: &mut StoredSet) {
    carry_out(&make_change(old, properties), stored, NOW, &mut FreshMint);
}

/// The event that comes next when nothing changes but `Version`, dated as this one.
pub fn sticky(spec: &Spec) -> Spec {
    Spec {
        sent_at: spec.sent_at,
        ..spec.next()
    }
}

/// Checks that an event changes nothing.
#[track_caller]
pub fn check_kept(spec: &Spec, stored: &StoredSet, now: OffsetDateTime) {
    match plan(spec, stored, now) {
        Ok(plan) => assert!(plan.is_keep(), "{plan}"),
        Err(refusal) => panic!("refused: {refusal}"),
    }
}

/// Which parts were written, in this order.
pub fn written(writes: &[Write]) -> Vec<Part> {
    writes.iter().map(|write| write.part).collect()
}
