//! Sets that the deployed handler wrote are taken over byte for byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::set::rack::Part;
use serde_json::json;

use crate::certificates::{certificates, check_coherent, fingerprint, rewritten_key};
use crate::cloudformation::{DEPLOYED_GENERATOR, Resource};
use crate::damage::text_of;
use crate::fixtures;
use crate::rack::{self, Set};
use crate::rig::Rig;

#[test]
fn update_adopts_a_deployed_set_without_a_single_write() {
    for deployed in fixtures::deployed() {
        let rig = Rig::start();
        let before = deployed.install(&rig.ssm);
        let mut generator = Resource::deployed(&rig, &deployed).of_type(DEPLOYED_GENERATOR);
        let updated = generator.check_kept();
        assert_eq!(updated.response.physical_id(), deployed.physical_id);
        let ca = &certificates(before.value(Part::CaCert))[0];
        assert_eq!(updated.current_ca(), fingerprint(ca));
        assert_eq!(Set::read(&rig.ssm, &deployed.rack), before);
        assert_eq!(rig.ssm.read(&rack::state(&deployed.rack)), None);
    }
}

#[test]
fn create_adopts_a_deployed_set_and_writes_none_of_its_four_values() {
    for deployed in fixtures::deployed() {
        let rig = Rig::start();
        let before = deployed.install(&rig.ssm);
        let mut generator = Resource::generator(&rig, &deployed.rack);
        let created = generator.create(json!({})).succeeded();
        assert_eq!(created.parts_put(&deployed.rack), []);
        assert_eq!(created.response.physical_id(), deployed.physical_id);
        assert_eq!(Set::read(&rig.ssm, &deployed.rack), before);
        let track = rig.ssm.read(&rack::version_track(&deployed.rack));
        assert_eq!(track.expect("the track is left alone").version, 1);
        generator.check_kept();
    }
}

#[test]
fn a_deployed_set_is_one_by_the_judgement_of_rustls() {
    for deployed in fixtures::deployed() {
        check_coherent(&deployed.install(&crate::ssm::Ssm::start()));
    }
}

#[test]
fn an_adopted_set_outlives_the_resource_that_adopted_it() {
    let [deployed, _] = fixtures::deployed();
    let rig = Rig::start();
    let before = deployed.install(&rig.ssm);
    let generator = Resource::created(&rig, &deployed.rack);
    generator.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, &deployed.rack), before);
}

/// Checks that an update takes a set as it is, however it is written.
#[track_caller]
fn check_kept(rig: &Rig, rack: &str) {
    let before = Set::read(&rig.ssm, rack);
    let mut generator = Resource::generator(rig, rack).existing(&rack::hex(rack));
    generator.check_kept();
    assert_eq!(Set::read(&rig.ssm, rack), before);
}

/// Rewrites those of a rack's values.
fn rewrite(rig: &Rig, rack: &str, which: impl Fn(Part) -> bool, how: impl Fn(&str) -> String) {
    let set = Set::read(&rig.ssm, rack);
    for part in set.parts().into_iter().filter(|part| which(*part)) {
        let stored = set.stored(part);
        rig.ssm
            .write(&rack::name(part, rack), &stored.kind, &how(&stored.value));
    }
}

#[test]
fn values_that_others_have_written_differently_are_kept_as_they_are() {
    type Form = (&'static str, fn(Part) -> bool, fn(&str) -> String);
    let forms: [Form; 5] = [
        (
            "crlf",
            |_| true,
            |value| STANDARD.encode(text_of(value).replace('\n', "\r\n")),
        ),
        ("blanks", |_| true, |value| format!("{value} ")),
        (
            "comments",
            |_| true,
            |value| STANDARD.encode(format!("made by hand\n\n{}\nthe end\n", text_of(value))),
        ),
        ("pkcs8", Part::is_key, |value| rewritten_key(value, false)),
        ("traditional", Part::is_key, |value| {
            rewritten_key(value, true)
        }),
    ];
    let rig = Rig::start();
    let [deployed, _] = fixtures::deployed();
    let theirs = deployed.install(&rig.ssm);
    Resource::created(&rig, "ours");
    let ours = Set::read(&rig.ssm, "ours");
    for (form, which, how) in forms {
        for (whose, set) in [("theirs", &theirs), ("ours", &ours)] {
            let rack = format!("{whose}-{form}");
            set.write(&rig.ssm, &rack);
            rewrite(&rig, &rack, which, how);
            check_kept(&rig, &rack);
        }
    }
}
