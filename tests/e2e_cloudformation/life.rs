//! A rack's whole life in one stack of ours.

use docker_tls_certgen::set::rack::Part;

use crate::certificates::{certificates, check_strict, fingerprint};
use crate::published::Published;
use crate::rack;
use crate::stack::{CREATED, DELETED, Stack, UPDATED};
use crate::story::Story;
use crate::template::{Order, Template};

/// Where the generator fails: an Update back follows.
const ROLLED_BACK: [&str; 2] = [
    "Update DockerTLSCertGenerate FAILED",
    "Update DockerTLSCertGenerate SUCCESS",
];
#[test]
fn a_rack_is_created_kept_rotated_closed_and_deleted() {
    let rack = "life";
    let story = Story::begin("a rack's life");
    let mut stack = Stack::ours(&story, rack);
    stack
        .create("create", &[("Rack", rack)])
        .created()
        .writes("claim state ca-key ca-cert key cert claim");
    let first = story.set(rack);
    check_strict(&first);
    let created = stack.outputs();
    for part in Part::SHARED {
        assert_eq!(created[rack::data_key(part)], rack::name(part, rack));
    }
    let ca = fingerprint(&certificates(first.value(Part::CaCert))[0]);
    assert_eq!(created["CACertSha256"], ca);
    assert_eq!(created["DockerTLSCert"], first.value(Part::Cert));

    stack
        .update("the same again", &[])
        .ends("No updates are to be performed.");
    stack
        .update("another Version", &[("Version", "2")])
        .updated()
        .writes_nothing();
    assert_eq!(stack.outputs(), created);

    let step = stack
        .update("a token", &[("RotationToken", "1")])
        .updated()
        .writes("claim state ca-key ca-cert key cert state claim");
    let second = story.set(rack);
    assert_eq!(second.written_since(&first), rack::AS_WRITTEN);
    assert_eq!(Published::of(&[&first, &second]).check_all_connect(), 4);
    let rotated = stack.outputs();
    // What the getter is called for.
    let fingerprints = step.changes("DockerTLSCert", "Fingerprint");
    assert_eq!(
        fingerprints,
        [&created["CertSha256"], &rotated["CertSha256"]]
    );
    assert_eq!(rotated["PreviousCACertSha256"], ca);
    assert_eq!(rotated["DockerTLSCert"], second.value(Part::Cert));

    let word = format!("{ca}/{}", rotated["CACertSha256"]);
    stack
        .update("the word", &[("RetiredCA", &word)])
        .ends("UPDATE_COMPLETE")
        .exchanges(&UPDATED[..1])
        .writes("claim state ca-cert cert state claim");
    let third = story.set(rack);
    assert_eq!(third.written_since(&second), [Part::CaCert, Part::Cert]);
    check_strict(&third);
    assert_eq!(stack.outputs()["PreviousCACertSha256"], "");
    stack
        .delete("delete")
        .deleted()
        .writes("claim ca-cert ca-key cert key client-cert client-key state claim version-track");
    story.check_removed(rack);
}

#[test]
fn a_rack_that_is_emptied_is_removed_and_can_be_given_again() {
    let rack = "emptied";
    let story = Story::begin("a stack without a rack for a while");
    let mut stack = Stack::ours(&story, rack);
    stack.create("create", &[("Rack", rack)]).created();
    stack
        .update("Rack emptied", &[("Rack", "")])
        .ends("UPDATE_COMPLETE")
        .exchanges(&DELETED);
    story.check_removed(rack);
    stack
        .update("Rack given again", &[("Rack", rack)])
        .ends("UPDATE_COMPLETE")
        .exchanges(&CREATED);
    check_strict(&story.set(rack));
    stack.delete("delete").deleted();
    story.check_removed(rack);
}

#[test]
fn an_update_that_fails_is_rolled_back_and_a_rotation_is_not_done_twice() {
    let rack = "rolled-back";
    let story = Story::begin("updates that fail");
    let mut stack = Stack::ours(&story, rack);
    stack.create("create", &[("Rack", rack)]).created();
    let first = story.set(rack);
    let created = stack.outputs();
    let bad = ("ValidityDays", "5");
    for (step, changes) in [
        ("a bad property", &[bad][..]),
        ("with a token", &[bad, ("RotationToken", "1")]),
    ] {
        stack
            .update(step, changes)
            .ends("UPDATE_ROLLBACK_COMPLETE")
            .exchanges(&ROLLED_BACK)
            .because(&["RenewBeforeDays", "ValidityDays"])
            .writes_nothing();
        assert_eq!(stack.outputs(), created);
    }

    let token = [("RotationToken", "1")];
    stack.set_template(Template::ours().with_failure(Order::After));
    stack
        .update("a later resource fails after a rotation", &token)
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[
            "Update DockerTLSCertGenerate SUCCESS",
            "Update DockerTLSCert SUCCESS",
            "Create Failing FAILED",
            "Update DockerTLSCertGenerate SUCCESS",
            "Update DockerTLSCert SUCCESS",
            "Delete Failing SUCCESS",
        ])
        .because(&["a-foreign-parameter"]);
    let second = story.set(rack);
    assert_eq!(second.written_since(&first), rack::AS_WRITTEN);
    assert_eq!(Published::of(&[&first, &second]).check_all_connect(), 4);
    stack.set_template(Template::ours());
    stack
        .update("the same token again", &token)
        .updated()
        .writes_nothing();
    assert_eq!(stack.outputs()["DockerTLSCert"], second.value(Part::Cert));
    stack.delete("delete").deleted();
    story.check_removed(rack);
}

#[test]
fn server_and_client_are_told_apart_and_a_way_back_that_fails_is_rolled_back() {
    let rack = "apart";
    let story = Story::begin("server and client apart");
    let mut stack = Stack::ours(&story, rack);
    stack.create("create", &[("Rack", rack)]).created();
    let first = story.set(rack);
    let created = stack.outputs();

    let separate = ("ClientCertificate", "Separate");
    stack
        .update("the API gets a pair of its own", &[separate])
        .updated()
        .writes("claim client-key client-cert cert claim");
    let second = story.set(rack);
    let apart = stack.outputs();
    for part in Part::PUBLISHED {
        assert_eq!(apart[rack::data_key(part)], rack::name(part, rack));
    }
    assert_eq!(apart["DockerTLSCert"], second.value(Part::Cert));
    let client = fingerprint(&certificates(second.value(Part::ClientCert))[0]);
    assert_eq!(apart["ClientCertSha256"], client);
    stack
        .update("another Version", &[("Version", "2")])
        .updated()
        .writes_nothing();

    stack.set_template(Template::ours().with_failure(Order::After));
    let shared = ("ClientCertificate", "Shared");
    stack
        .update("a later resource fails when it is shared again", &[shared])
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[
            "Update DockerTLSCertGenerate SUCCESS",
            "Update DockerTLSCert SUCCESS",
            "Create Failing FAILED",
            "Update DockerTLSCertGenerate SUCCESS",
            "Update DockerTLSCert SUCCESS",
            "Delete Failing SUCCESS",
        ])
        .because(&["a-foreign-parameter"])
        .writes(
            "claim cert client-cert client-key claim \
             claim client-key client-cert cert claim",
        );
    let third = story.set(rack);
    assert_eq!(third.parts(), Part::PUBLISHED);

    stack.set_template(Template::ours());
    stack
        .update("shared again", &[shared])
        .updated()
        .writes("claim cert client-cert client-key claim");
    let fourth = story.set(rack);
    assert_eq!(fourth.parts(), Part::SHARED);
    check_strict(&fourth);
    let outputs = stack.outputs();
    assert_eq!(outputs["DockerTLSCert"], fourth.value(Part::Cert));
    assert!(outputs.keys().eq(created.keys()), "{outputs:?}");
    // One CA, and six chains.
    let sets = [&first, &second, &third, &fourth];
    assert_eq!(Published::of(&sets).check_all_connect(), 6);
    stack.delete("delete").deleted();
    story.check_removed(rack);
}
