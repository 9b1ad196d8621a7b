//! Micro-benchmarks of the core: what the function computes between its requests.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use docker_tls_certgen::machine::real::SystemMint;
use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::publication;
use docker_tls_certgen::plan::spec::{GeneratorProperties, Occasion, OldProperties, Spec};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::{ParameterType, StoredParameter, StoredSet};
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::set::state::Owner;
use serde_json::{Value, json};
use time::OffsetDateTime;

const DEPLOYED: &str = include_str!("../fixtures/deployed-handler-rack-1.json");
/// Some weeks after the deployed handler wrote the fixture.
const NOW: i64 = 1_800_014_400;

criterion_group!(benches, decode_and_decide, issue, rotate);
criterion_main!(benches);

fn decode_and_decide(criterion: &mut Criterion) {
    let adopted = adopted();
    let spec = make_spec(&json!({}), Occasion::Update);
    criterion.bench_function("decode and decide, deployed RSA set", |bencher| {
        bencher.iter(|| {
            let assessment = Assessment::of(Found::decode(black_box(&adopted)));
            let plan = planner::plan(&spec, &assessment, now()).expect("nothing is refused");
            assert!(plan.is_keep(), "{plan}");
        });
    });
}

fn issue(criterion: &mut Criterion) {
    let spec = make_spec(&json!({}), Occasion::Adoption);
    criterion.bench_function("issue a P-256 set", |bencher| {
        bencher.iter(|| carry_out(&spec, black_box(&StoredSet::new())));
    });
}

fn rotate(criterion: &mut Criterion) {
    let adopted = adopted();
    let spec = make_spec(&json!({ "RotationToken": "a" }), Occasion::Update);
    criterion.bench_function("rotation with an RSA-2048 anchor", |bencher| {
        bencher.iter(|| carry_out(&spec, black_box(&adopted)));
    });
}

/// Reads, decides and issues; what would be stored next.
fn carry_out(spec: &Spec, stored: &StoredSet) -> StoredSet {
    let assessment = Assessment::of(Found::decode(stored));
    let plan = planner::plan(spec, &assessment, now()).expect("nothing is refused");
    let publication = publication(&plan, spec, stored, &assessment, now(), &mut SystemMint);
    let writes = publication.expect("everything can be issued").writes;
    assert!(!writes.is_empty(), "{plan}");
    let mut next = stored.clone();
    for write in &writes {
        write.apply(&mut next);
    }
    next
}

/// The deployed handler's set, and a state beside it.
fn adopted() -> StoredSet {
    let fixture: Value = serde_json::from_str(DEPLOYED).expect("fixtures are JSON");
    let rack = fixture["Rack"].as_str().and_then(Rack::new);
    let rack = rack.expect("fixtures name their rack");
    let stored = |part| {
        let value = &fixture["Parameters"][rack.parameter_name(part)]["Value"];
        let parameter = StoredParameter {
            value: value.as_str().expect("fixtures hold text").into(),
            parameter_type: ParameterType::String,
            version: 1,
        };
        (part, parameter)
    };
    let deployed = Part::PUBLISHED.into_iter().map(stored).collect();
    carry_out(&make_spec(&json!({}), Occasion::Adoption), &deployed)
}

fn make_spec(properties: &Value, occasion: Occasion) -> Spec {
    let mut properties = properties.clone();
    properties["Rack"] = "rack-1".into();
    Spec {
        properties: GeneratorProperties::parse(&properties).expect("the properties are good"),
        old: OldProperties::read(&json!({ "Rack": "rack-1" })),
        occasion,
        owner: Owner::new(
            "arn:aws:cloudformation:us-east-1:123456789012:stack/rack-1/f00",
            "DockerTLSCertGenerate",
        ),
        sent_at: None,
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).expect("a date")
}
