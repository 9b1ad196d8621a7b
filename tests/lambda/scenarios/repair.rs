//! The repair table: each of the four values, bad in each way, and exactly what is written then.

use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::repairs;
use docker_tls_testing::table::Table;
use serde_json::json;

use crate::certificates::{certificates, check_coherent, check_strict, parsed, public_key_of};
use crate::cloudformation::Resource;
use crate::damage::Damage;
use crate::fixtures;
use crate::published::Published;
use crate::rack::{self, Set};
use crate::rig::Rig;

#[test]
fn a_set_of_ours_is_repaired_by_exactly_what_is_bad() {
    let rig = Rig::start();
    Resource::created(&rig, "original");
    Resource::created(&rig, "other");
    let original = Set::read(&rig.ssm, "original");
    let other = Set::read(&rig.ssm, "other");
    let state = rig
        .ssm
        .read(&rack::state("original"))
        .expect("there is a state");
    check_table(
        "a set of ours, P-256",
        &rig,
        &original,
        &other,
        |rack, repaired| {
            let bundle = certificates(repaired.value(Part::CaCert));
            check_strict(repaired);
            assert!(bundle.iter().all(|ca| parsed(ca).is_ca()), "{rack}");
        },
        |rack| rig.ssm.write(&rack::state(rack), &state.kind, &state.value),
    );
}

#[test]
fn a_deployed_set_is_repaired_by_exactly_what_is_bad() {
    let rig = Rig::start();
    let [original, other] = fixtures::deployed().map(|deployed| deployed.install(&rig.ssm));
    check_table(
        "a deployed set, RSA-2048",
        &rig,
        &original,
        &other,
        |_, _| {},
        |_| {},
    );
}

/// Strikes a copy of the original for each part and each damage, updates it twice, and prints what was written.
#[track_caller]
fn check_table(
    title: &str,
    rig: &Rig,
    original: &Set,
    other: &Set,
    check: impl Fn(&str, &Set),
    prepare: impl Fn(&str),
) {
    let columns = ["damage", "written"].map(str::to_owned);
    let mut table = Table::new(&format!("repairs of {title}"), "parameter", &columns);
    for part in Part::SHARED {
        for damage in Damage::ALL {
            let rack = format!("{part:?}-{damage:?}");
            original.write(&rig.ssm, &rack);
            prepare(&rack);
            rack::strike(damage, &rig.ssm, &rack, part, other);
            let damaged = Set::read(&rig.ssm, &rack);

            let mut generator = Resource::generator(rig, &rack).existing(&rack::hex(&rack));
            let updated = generator.update(json!({ "Version": "2" })).succeeded();
            let expected = repairs::written(part, damage);
            assert_eq!(updated.parts_put(&rack), expected, "{rack}");
            updated.claimed_first_and_last(&rack);
            let repaired = Set::read(&rig.ssm, &rack);
            assert_eq!(repaired.written_since(&damaged), expected, "{rack}");
            check_repair(part, original, &repaired);
            check(&rack, &repaired);

            generator.check_kept();
            let written: Vec<_> = expected.iter().map(|part| part.suffix()).collect();
            let cells = vec![format!("{damage:?}"), written.join(", ")];
            table.add(part.suffix(), cells);
        }
    }
    table.print();
}

/// Checks that what was repaired works, and works with what was published before.
#[track_caller]
fn check_repair(part: Part, original: &Set, repaired: &Set) {
    let [old_bundle, new_bundle] =
        [original, repaired].map(|set| certificates(set.value(Part::CaCert)));
    check_coherent(original);
    check_coherent(repaired);
    Published::of(&[original, repaired]).check_all_connect();
    match part {
        Part::CaCert => {
            assert_eq!(public_key_of(&new_bundle[0]), public_key_of(&old_bundle[0]));
            let [old, new] =
                [&old_bundle[0], &new_bundle[0]].map(|ca| parsed(ca).subject().as_raw().to_vec());
            assert_eq!(old, new);
        }
        Part::CaKey => {
            assert_eq!(new_bundle.len(), 2);
            assert_eq!(new_bundle[1], old_bundle[0]);
        }
        _ => {}
    }
}
