//! Renewal by date: 61 days left are kept, 59 are renewed.
//!
//! The function has no other clock than the machine's, so what is short-lived is issued as such.

use docker_tls_certgen::set::rack::Part;
use serde_json::json;

use crate::certificates::{certificates, check_strict};
use crate::cloudformation::Resource;
use crate::published::Published;
use crate::rack::Set;
use crate::rig::Rig;

/// Defaults again, after what was issued short-lived.
fn defaults() -> serde_json::Value {
    json!({ "CAValidityDays": null, "ValidityDays": null, "RenewBeforeDays": null })
}

#[test]
fn what_has_61_days_left_is_kept() {
    for property in ["ValidityDays", "CAValidityDays"] {
        let rig = Rig::start();
        let mut generator = Resource::generator(&rig, "rack-1");
        generator
            .create(json!({ property: "61", "RenewBeforeDays": "30" }))
            .succeeded();
        generator.update(defaults()).succeeded().only_read();
    }
}

#[test]
fn a_certificate_with_59_days_left_is_reissued_for_the_same_key_from_the_same_ca() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, "rack-1");
    generator
        .create(json!({ "ValidityDays": "59", "RenewBeforeDays": "29" }))
        .succeeded();
    let before = Set::read(&rig.ssm, "rack-1");
    generator.check_kept();
    let updated = generator.update(defaults()).succeeded();
    assert_eq!(updated.parts_put("rack-1"), [Part::Cert]);
    let after = Set::read(&rig.ssm, "rack-1");
    assert_eq!(after.written_since(&before), [Part::Cert]);
    check_strict(&after);
    generator.check_kept();
}

#[test]
fn a_ca_with_59_days_left_is_rotated_and_refuses_nobody() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, "rack-1");
    let created = generator
        .create(json!({ "CAValidityDays": "59", "RenewBeforeDays": "29" }))
        .succeeded();
    let before = Set::read(&rig.ssm, "rack-1");
    let updated = generator.update(defaults()).succeeded();
    let after = Set::read(&rig.ssm, "rack-1");
    let previous = created.current_ca();
    assert_eq!(updated.previous_ca(), previous);
    assert_ne!(updated.current_ca(), previous);
    check_strict(&after);
    let [old, new] = [&before, &after].map(|set| certificates(set.value(Part::CaCert)));
    assert_eq!(new[1], old[0]);
    assert_eq!(Published::of(&[&before, &after]).check_all_connect(), 4);
    generator.check_kept();
}

#[test]
fn a_ca_that_ends_before_its_certificate_would_cuts_it_short() {
    let rig = Rig::start();
    let created = Resource::generator(&rig, "rack-1")
        .create(json!({ "CAValidityDays": "365", "ValidityDays": "730" }))
        .succeeded();
    assert_eq!(
        created.response.data("CertNotAfter"),
        created.response.data("CACertNotAfter")
    );
}
