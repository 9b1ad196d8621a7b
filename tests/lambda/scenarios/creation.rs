//! Create and Update of a set that is, and stays, in good order.

use docker_tls_certgen::set::rack::Part;
use serde_json::json;
use x509_parser::extensions::GeneralName;

use crate::certificates::{
    certificates, check_coherent, check_strict, fingerprint, not_after, parsed,
};
use crate::clock;
use crate::cloudformation::{DEPLOYED_GENERATOR, Resource};
use crate::damage::text_of;
use crate::rack::{self, Set};
use crate::rig::Rig;

const RACK: &str = "rack-1";

/// What Data holds, in the order of the alphabet.
const DATA_KEYS: [&str; 9] = [
    "CACertNotAfter",
    "CACertSSMKey",
    "CACertSha256",
    "CAKeySSMKey",
    "CertNotAfter",
    "CertSSMKey",
    "CertSha256",
    "KeySSMKey",
    "PreviousCACertSha256",
];

#[test]
fn create_on_an_empty_rack_writes_one_strict_set_and_names_it() {
    let rig = Rig::start();
    let created = Resource::generator(&rig, RACK)
        .create(json!({}))
        .succeeded();
    assert_eq!(created.parts_put(RACK), rack::AS_WRITTEN);
    let created = created.claimed_first_and_last(RACK);

    let set = Set::read(&rig.ssm, RACK);
    check_strict(&set);
    let bundle = certificates(set.value(Part::CaCert));
    let chain = certificates(set.value(Part::Cert));
    assert_eq!((bundle.len(), chain.len()), (1, 1));

    let response = created.response;
    assert_eq!(response.physical_id(), "7261636b2d31");
    assert!(!response.no_echo());
    let mut keys = response.data_keys();
    keys.sort_unstable();
    assert_eq!(keys, DATA_KEYS);
    for part in Part::SHARED {
        assert_eq!(response.data(rack::data_key(part)), rack::name(part, RACK));
    }
    assert_eq!(response.data("CACertSha256"), fingerprint(&bundle[0]));
    assert_eq!(response.data("CertSha256"), fingerprint(&chain[0]));
    assert_eq!(response.data("PreviousCACertSha256"), "");
    check_date(response.data("CACertNotAfter"), &bundle[0]);
    check_date(response.data("CertNotAfter"), &chain[0]);
}

/// RFC 3339 in UTC, whole seconds, of a certificate's end.
#[track_caller]
fn check_date(text: &str, certificate: &[u8]) {
    let format = time::format_description::well_known::Rfc3339;
    let date = not_after(certificate)
        .format(&format)
        .expect("it is a date of this era");
    assert_eq!(text, date);
    assert!(
        text.ends_with('Z') && text.len() == "2026-11-21T16:04:05Z".len(),
        "{text}"
    );
}

#[test]
fn created_keys_and_state_are_secure_strings_and_the_former_handlers_track_is_left_alone() {
    let rig = Rig::start();
    Resource::created(&rig, RACK);
    let set = Set::read(&rig.ssm, RACK);
    for part in Part::SHARED.into_iter().filter(|part| part.is_key()) {
        assert_eq!(set.stored(part).kind, "SecureString", "{part:?}");
    }
    let state = rig.ssm.read(&rack::state(RACK)).expect("there is a state");
    assert_eq!(state.kind, "SecureString");
    assert_eq!(rig.ssm.read(&rack::version_track(RACK)), None);
}

#[test]
fn create_takes_every_property_and_scalars_of_every_type() {
    let rig = Rig::start();
    let properties = json!({
        "Description": "Docker TLS",
        "CAValidityDays": 730,
        "ValidityDays": "365",
        "RenewBeforeDays": 30,
        "KeyAlgorithm": "ECDSA_P384",
        "SubjectAlternativeNames": ["docker.example.com", "10.0.0.1", "::1"],
        "RotationToken": 1,
        "RetiredCA": "",
        "KeyParameterType": "String",
        "KmsKeyId": "alias/docker",
    });
    let created = Resource::generator(&rig, RACK)
        .create(properties)
        .succeeded();
    let set = Set::read(&rig.ssm, RACK);
    check_coherent(&set);
    assert_eq!(set.stored(Part::CaKey).kind, "String");
    assert_eq!(set.stored(Part::Key).kind, "String");
    assert_eq!(
        rig.ssm
            .read(&rack::state(RACK))
            .expect("there is a state")
            .kind,
        "SecureString"
    );
    let secured = created
        .calls
        .iter()
        .filter(|call| call.request["Type"] == "SecureString");
    for call in secured {
        assert_eq!(call.request["KeyId"], "alias/docker", "{:?}", call.names());
    }

    let ca = &certificates(set.value(Part::CaCert))[0];
    let leaf = &certificates(set.value(Part::Cert))[0];
    let days_left = |certificate: &[u8]| (not_after(certificate) - clock::now()).whole_hours() / 24;
    assert!((729..=730).contains(&days_left(ca)), "{}", days_left(ca));
    assert!(
        (364..=365).contains(&days_left(leaf)),
        "{}",
        days_left(leaf)
    );
    let leaf = parsed(leaf);
    let names = leaf
        .subject_alternative_name()
        .expect("it parses")
        .expect("there is one");
    let loopback = std::net::Ipv6Addr::LOCALHOST.octets();
    assert_eq!(
        names.value.general_names,
        [
            GeneralName::DNSName("docker.example.com"),
            GeneralName::IPAddress(&[10, 0, 0, 1]),
            GeneralName::IPAddress(&loopback),
        ]
    );
}

#[test]
fn every_key_algorithm_gives_a_set_that_openssl_accepts() {
    let rig = Rig::start();
    for (algorithm, label) in [
        ("ECDSA_P256", "PRIVATE KEY"),
        ("ECDSA_P384", "PRIVATE KEY"),
        ("RSA_2048", "PRIVATE KEY"),
    ] {
        Resource::generator(&rig, algorithm)
            .create(json!({ "KeyAlgorithm": algorithm }))
            .succeeded();
        let set = Set::read(&rig.ssm, algorithm);
        check_strict(&set);
        assert!(text_of(set.value(Part::Key)).contains(label));
    }
}

#[test]
fn update_with_another_version_reads_once_and_answers_the_same_bytes() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, RACK);
    let created = generator.create(json!({ "Version": "1" })).succeeded();
    let set = Set::read(&rig.ssm, RACK);
    for version in ["2", "3"] {
        let updated = generator
            .update(json!({ "Version": version }))
            .succeeded()
            .only_read();
        assert_eq!(
            updated.response.without_request_id(),
            created.response.without_request_id()
        );
    }
    assert_eq!(Set::read(&rig.ssm, RACK), set);
}

#[test]
fn the_one_read_names_every_parameter_but_the_version_track() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let updated = generator.check_kept();
    let mut names = updated.calls[0].names();
    names.sort_unstable();
    let mut expected = rack::all_names(RACK);
    expected.retain(|name| *name != rack::version_track(RACK));
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn other_properties_never_reissue_what_they_do_not_contradict() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    for changes in [
        json!({ "KeyAlgorithm": "RSA_2048" }),
        json!({ "ValidityDays": "365" }),
        json!({ "CAValidityDays": "3650" }),
        json!({ "KeyParameterType": "String" }),
        json!({ "KmsKeyId": "alias/other" }),
        json!({ "SubjectAlternativeNames": "127.0.0.1, localhost" }),
        json!({ "SubjectAlternativeNames": ["localhost"] }),
        json!({ "SubjectAlternativeNames": null }),
    ] {
        generator.update(changes).succeeded().only_read();
    }
}

#[test]
fn names_that_the_certificate_lacks_reissue_it_alone() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let before = Set::read(&rig.ssm, RACK);
    let names =
        json!({ "SubjectAlternativeNames": ["localhost", "127.0.0.1", "docker.example.com"] });
    let updated = generator.update(names).succeeded();
    assert_eq!(updated.parts_put(RACK), [Part::Cert]);
    let after = Set::read(&rig.ssm, RACK);
    assert_eq!(after.written_since(&before), [Part::Cert]);
    check_strict(&after);
    generator.check_kept();
}

#[test]
fn a_set_of_the_deployed_resource_type_lives_like_any_other() {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, RACK).of_type(DEPLOYED_GENERATOR);
    generator.create(json!({})).succeeded();
    generator.check_kept();
    generator.check_removed();
}
