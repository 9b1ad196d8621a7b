//! Micro-benchmarks of the core: what the function computes between its requests.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use docker_tls_certgen::machine::real::SystemMint;
use docker_tls_certgen::pki::private_key::PrivateKey;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::publication;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::event::{assess, make_adoption, make_change, make_update};
use docker_tls_testing::sets::{NOW, make_deployed};
use serde_json::json;

criterion_group!(benches, decode_and_decide, load_keys, issue, rotate);
criterion_main!(benches);

fn decode_and_decide(criterion: &mut Criterion) {
    let adopted = adopted();
    let spec = make_update(&json!({}));
    criterion.bench_function("decode and decide, deployed RSA set", |bencher| {
        bencher.iter(|| {
            let assessment = assess(black_box(&adopted));
            let plan = planner::plan(&spec, &assessment, NOW).expect("nothing is refused");
            assert!(plan.is_keep(), "{plan}");
        });
    });
}

/// What decoding cannot do without: a damaged key would be found by a daemon only when it starts.
fn load_keys(criterion: &mut Criterion) {
    let deployed = make_deployed();
    let keys = [Part::CaKey, Part::Key].map(|part| {
        let key = PrivateKey::decode(deployed[&part].value.expose());
        key.expect("a daemon loads it")
    });
    criterion.bench_function("load its two RSA keys, which checks them", |bencher| {
        bencher.iter(|| {
            for key in &keys {
                let loaded = PrivateKey::from_der(black_box(key.der()));
                assert!(loaded.is_ok());
            }
        });
    });
}

fn issue(criterion: &mut Criterion) {
    let spec = make_adoption(&json!({}));
    criterion.bench_function("issue a P-256 set", |bencher| {
        bencher.iter(|| carry_out(&spec, black_box(&StoredSet::new())));
    });
}

fn rotate(criterion: &mut Criterion) {
    let adopted = adopted();
    let spec = make_change(&json!({}), &json!({ "RotationToken": "a" }));
    criterion.bench_function("rotation with an RSA-2048 anchor", |bencher| {
        bencher.iter(|| carry_out(&spec, black_box(&adopted)));
    });
}

/// Reads, decides and issues; what would be stored next.
fn carry_out(spec: &Spec, stored: &StoredSet) -> StoredSet {
    let assessment = assess(stored);
    let plan = planner::plan(spec, &assessment, NOW).expect("nothing is refused");
    let publication = publication(&plan, spec, stored, &assessment, NOW, &mut SystemMint);
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
    carry_out(&make_adoption(&json!({})), &make_deployed())
}
