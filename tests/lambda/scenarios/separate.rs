//! `ClientCertificate`: the API has a pair of its own, or presents the daemons'.

use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};

use crate::certificates::{certificates, public_key_of, public_key_of_key, sides};
use crate::cloudformation::Resource;
use crate::fixtures;
use crate::published::Published;
use crate::rack::{self, Set};
use crate::rig::{Exchange, Rig};
use crate::ssm::{Call, Calls};

const RACK: &str = "rack-1";
const CLIENT: [Part; 2] = [Part::ClientCert, Part::ClientKey];
const CLIENT_ATTRIBUTES: [&str; 4] = [
    "ClientCertNotAfter",
    "ClientCertSSMKey",
    "ClientCertSha256",
    "ClientKeySSMKey",
];

fn separate() -> Value {
    json!({ "ClientCertificate": "Separate" })
}

fn shared() -> Value {
    json!({ "ClientCertificate": null })
}

/// Whether a part's certificate is a server's, and whether it is a client's.
#[track_caller]
fn sides_of(set: &Set, part: Part) -> (bool, bool) {
    sides(&certificates(set.value(part))[0])
}

/// Checks that a set has two pairs, each with a key and a usage of its own, and that the answer names them.
#[track_caller]
fn check_apart(rig: &Rig, exchange: &Exchange) -> Set {
    let set = Set::read(&rig.ssm, RACK);
    assert_eq!(set.parts(), Part::PUBLISHED);
    assert_eq!(sides_of(&set, Part::Cert), (true, false));
    assert_eq!(sides_of(&set, Part::ClientCert), (false, true));
    let chain = certificates(set.value(Part::ClientCert));
    let key = public_key_of_key(set.value(Part::ClientKey));
    assert_eq!(public_key_of(&chain[0]), key);
    assert_ne!(public_key_of_key(set.value(Part::Key)), key);
    for part in Part::PUBLISHED {
        let named = exchange.response.data(rack::data_key(part));
        assert_eq!(named, rack::name(part, RACK));
    }
    let keys = exchange.response.data_keys();
    for attribute in CLIENT_ATTRIBUTES {
        assert!(keys.contains(&attribute), "{keys:?}");
    }
    set
}

#[test]
fn create_makes_both_pairs_and_the_getter_gives_them() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, RACK);
    let created = generator.create(separate()).succeeded();
    assert_eq!(created.parts_put(RACK), rack::APART_AS_WRITTEN);
    let created = created.claimed_first_and_last(RACK);
    let set = check_apart(&rig, &created);
    assert_eq!(set.stored(Part::ClientKey).kind, "SecureString");
    assert_eq!(set.stored(Part::ClientCert).kind, "String");
    for part in CLIENT {
        let mut getter = Resource::getter(&rig, RACK, &rack::name(part, RACK));
        let got = getter.create(json!({})).succeeded().wrote_nothing();
        assert_eq!(got.response.data("Value"), set.value(part));
        assert_eq!(got.response.no_echo(), part.is_key(), "{part:?}");
    }
    let again = generator.update(json!({ "Version": "2" })).succeeded();
    assert_eq!(again.calls.len(), 1, "{:?}", again.calls);
    assert_eq!(again.response.data_keys(), created.response.data_keys());
    generator.check_removed();
}

#[test]
fn a_deployed_set_is_separated_shared_again_and_refuses_nobody() {
    let [deployed, _] = fixtures::deployed();
    let rig = Rig::start();
    let before = deployed.install(&rig.ssm);
    let mut generator = Resource::deployed(&rig, &deployed);
    let adopted = generator.update(json!({ "Version": "2" })).succeeded();
    let mut all = Published::of(&[&before]);

    let apart = generator.update(separate()).succeeded();
    let parts = [Part::ClientKey, Part::ClientCert, Part::Cert];
    assert_eq!(apart.parts_put(RACK), parts);
    let set = check_apart(&rig, &apart);
    for part in [Part::CaCert, Part::CaKey, Part::Key] {
        assert_eq!(set.value(part), before.value(part), "{part:?}");
    }
    all.add(&set);
    all.check_all_connect();

    let again = generator.update(shared()).succeeded();
    assert_eq!(again.parts_put(RACK), [Part::Cert]);
    assert_eq!(again.response.data_keys(), adopted.response.data_keys());
    let deletions: Vec<&Call> = again
        .calls
        .iter()
        .filter(|call| call.action == "DeleteParameters")
        .collect();
    let names = CLIENT.map(|part| rack::name(part, RACK));
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0].names(), names);
    let set = Set::read(&rig.ssm, RACK);
    assert_eq!(set.parts(), Part::SHARED);
    assert_eq!(sides_of(&set, Part::Cert), (true, true));
    all.add(&set);
    all.check_all_connect();
    generator.check_kept();
}

#[test]
fn a_switch_that_fails_halfway_is_completed_by_the_next_update_and_by_a_rollback() {
    for rolls_back in [false, true] {
        let rig = Rig::start();
        let mut generator = Resource::generator(&rig, RACK);
        generator.create(separate()).succeeded();
        let apart = Set::read(&rig.ssm, RACK);
        rig.ssm.refuse(Calls::Of("DeleteParameters"), 0);
        let failed = generator.update(shared());
        let failed = failed.failed(&["DeleteParameters", "next update completes"]);
        assert_eq!(failed.parts_put(RACK), [Part::Cert]);
        rig.ssm.recover();
        let half = Set::read(&rig.ssm, RACK);
        let mut all = Published::of(&[&apart, &half]);
        if rolls_back {
            let back = generator.roll_back(shared());
            let set = check_apart(&rig, &back);
            assert_eq!(set.value(Part::ClientKey), apart.value(Part::ClientKey));
            all.add(&set);
        } else {
            generator.update(shared()).succeeded();
            let set = Set::read(&rig.ssm, RACK);
            assert_eq!(set.parts(), Part::SHARED);
            all.add(&set);
        }
        all.check_all_connect();
    }
}

#[test]
fn a_getter_waits_for_the_pair_that_its_parameter_is_of_and_for_no_other() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, RACK);
    generator.create(separate()).succeeded();
    let other = {
        let mut second = Resource::generator(&rig, "rack-2");
        second.create(separate()).succeeded();
        Set::read(&rig.ssm, "rack-2")
    };
    let name = rack::name(Part::ClientKey, RACK);
    rig.ssm
        .write(&name, "SecureString", other.value(Part::ClientKey));
    // The daemons' pair is none of this getter's business, and the other way round.
    let mut getter = Resource::getter(&rig, RACK, &rack::name(Part::Cert, RACK));
    getter.create(json!({})).succeeded();
    let mut getter = Resource::getter(&rig, RACK, &name);
    getter.create(json!({})).failed(&["match"]);
    generator.update(json!({ "Version": "2" })).succeeded();
    getter.create(json!({})).succeeded();
}

#[test]
fn a_getter_of_a_pair_that_nobody_asks_for_says_what_to_ask_for() {
    let rig = Rig::start();
    Resource::created(&rig, RACK);
    for part in CLIENT {
        let name = rack::name(part, RACK);
        let mut getter = Resource::getter(&rig, RACK, &name);
        let got = getter.create(json!({}));
        got.failed(&[&name, "ClientCertificate: Separate"]);
    }
}

#[test]
fn a_client_certificate_that_is_neither_is_refused() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, RACK);
    generator
        .create(json!({ "ClientCertificate": "separate" }))
        .failed(&["ClientCertificate", "Shared, Separate"]);
}
