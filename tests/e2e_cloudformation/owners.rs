//! Stacks that share a rack, and one whose Create fails.

use docker_tls_certgen::set::rack::Part;

use crate::published::Published;
use crate::rack;
use crate::stack::Stack;
use crate::story::{Outage, Story};

#[test]
fn two_stacks_of_one_rack_go_in_either_order() {
    let story = Story::begin("two stacks of one rack");
    for [leaves, stays] in [["first", "second"], ["second", "first"]] {
        let rack = format!("shared-until-{leaves}-goes");
        let of_rack = [("Rack", rack.as_str())];
        let name = |stack| format!("{stack}-of-{rack}");
        let mut leaving = Stack::ours(&story, &name(leaves));
        let mut staying = Stack::ours(&story, &name(stays));
        let [first, second] = if leaves == "first" {
            [&mut leaving, &mut staying]
        } else {
            [&mut staying, &mut leaving]
        };
        first.create("create the first", &of_rack).created();
        let before = story.set(&rack);
        second.create("create the second", &of_rack).created();
        assert_eq!(story.set(&rack), before);
        leaving
            .update(
                &format!("a token for the {leaves}"),
                &[("RotationToken", "1")],
            )
            .updated();
        let rotated = story.set(&rack);
        assert_eq!(rotated.written_since(&before), rack::AS_WRITTEN);
        assert_eq!(Published::of(&[&before, &rotated]).check_all_connect(), 4);
        staying
            .update(
                &format!("the same token for the {stays}"),
                &[("RotationToken", "1")],
            )
            .updated()
            .writes_nothing();
        leaving.delete(&format!("delete the {leaves}")).deleted();
        assert_eq!(story.set(&rack), rotated);
        staying.delete(&format!("delete the {stays}")).deleted();
        story.check_removed(&rack);
    }
}

#[test]
fn a_create_that_fails_leaves_nothing_behind_and_nobody_without_a_set() {
    let story = Story::begin("failed Creates");
    let rack = "failing";
    let create = |step: &str, name: &str, parameters: &[(&str, &str)]| {
        Stack::ours(&story, name)
            .create(step, parameters)
            .ends("ROLLBACK_COMPLETE")
            .exchanges(&[
                "Create DockerTLSCertGenerate FAILED",
                "Delete DockerTLSCertGenerate SUCCESS",
            ])
    };
    let bad = [("Rack", rack), ("ValidityDays", "5")];
    let failed = create("a bad property", "failing-at-once", &bad).writes_nothing();
    let id = format!("not-created-{}", rack::hex(rack));
    assert_eq!(failed.exchanges[1].event["id"], *id);

    story.begin_outage(&Outage {
        name: &rack::name(Part::Key, rack),
        action: Some("PutParameter"),
        ..Outage::default()
    });
    let failed = create("SSM fails half way", "failing-half-way", &[("Rack", rack)]);
    story.end_outage();
    assert_eq!(failed.exchanges[1].event["id"], *rack::hex(rack));
    assert!(failed.written.contains(&rack::state(rack)));
    story.check_removed(rack);

    let mut owner = Stack::ours(&story, "failing-beside");
    owner
        .create("another stack's set", &[("Rack", rack)])
        .created();
    let set = story.set(rack);
    create("a bad property beside it", "failing-again", &bad).writes_nothing();
    assert_eq!(story.set(rack), set);
    owner.delete("delete the other stack").deleted();
    story.check_removed(rack);
}
