//! Events that cannot be obeyed: FAILED, with a reason that can be acted on, and nothing written.

use serde_json::{Value, json};

use crate::cloudformation::Resource;
use crate::rack::Set;
use crate::rig::{FUNCTION_TIMEOUT, Invoke as _, Rig};

/// A bad property, and what the reason must say: the property, the value, and what was expected.
fn bad_properties() -> Vec<(Value, &'static [&'static str])> {
    vec![
        (json!({ "Rack": null }), &["Rack"]),
        (json!({ "Rack": "" }), &["Rack", "empty"]),
        (json!({ "Rack": ["rack-1"] }), &["Rack", "a list"]),
        (
            json!({ "CAValidityDays": "soon" }),
            &["CAValidityDays", "soon", "days"],
        ),
        (
            json!({ "CAValidityDays": "0" }),
            &["CAValidityDays", "\"0\"", "from 1"],
        ),
        (
            json!({ "ValidityDays": "-5" }),
            &["ValidityDays", "-5", "days"],
        ),
        (
            json!({ "ValidityDays": "3.5" }),
            &["ValidityDays", "3.5", "whole"],
        ),
        (
            json!({ "ValidityDays": {} }),
            &["ValidityDays", "an object"],
        ),
        (
            json!({ "ValidityDays": "99999999999999999999" }),
            &["ValidityDays", "99999999999999999999"],
        ),
        (
            json!({ "RenewBeforeDays": "often" }),
            &["RenewBeforeDays", "often", "days"],
        ),
        (
            json!({ "RenewBeforeDays": "100", "ValidityDays": "200" }),
            &["RenewBeforeDays", "100", "ValidityDays", "200", "half"],
        ),
        (
            json!({ "CAValidityDays": "120" }),
            &["RenewBeforeDays", "60", "CAValidityDays", "120", "half"],
        ),
        (
            json!({ "KeyAlgorithm": "RSA_4096" }),
            &[
                "KeyAlgorithm",
                "RSA_4096",
                "ECDSA_P256",
                "ECDSA_P384",
                "RSA_2048",
            ],
        ),
        (
            json!({ "SubjectAlternativeNames": "localhost,*bad name*" }),
            &["SubjectAlternativeNames", "*bad name*", "DNS"],
        ),
        (
            json!({ "SubjectAlternativeNames": [["localhost"]] }),
            &["SubjectAlternativeNames", "a list"],
        ),
        (
            json!({ "RotationToken": ["now"] }),
            &["RotationToken", "a list", "text"],
        ),
        (
            json!({ "RetiredCA": "abc" }),
            &["RetiredCA", "abc", "SHA-256"],
        ),
        (
            json!({ "RetiredCA": format!("{}/abc", "0".repeat(64)) }),
            &["RetiredCA", "0000", "previous/current"],
        ),
        (
            json!({ "KeyParameterType": "StringList" }),
            &["KeyParameterType", "StringList", "SecureString"],
        ),
    ]
}

#[test]
fn create_with_a_bad_property_fails_naming_it_and_touches_nothing() {
    let rig = Rig::start();
    for (changes, mentions) in bad_properties() {
        let mut generator = Resource::generator(&rig, "rack-1");
        generator
            .create(changes.clone())
            .failed(mentions)
            .wrote_nothing();
        let id = generator.physical_id();
        assert!(id.starts_with("not-created-"), "{changes}: {id}");
        generator.delete().succeeded().wrote_nothing();
    }
    assert_eq!(rig.ssm.names(), [""; 0]);
}

#[test]
fn update_with_a_bad_property_fails_naming_it_and_leaves_the_set() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, "rack-1");
    let before = Set::read(&rig.ssm, "rack-1");
    for (changes, mentions) in bad_properties() {
        let failed = generator.update(changes.clone());
        assert_eq!(
            failed.response.physical_id(),
            generator.physical_id(),
            "{changes}"
        );
        failed.failed(mentions).wrote_nothing();
        generator.check_rolled_back(changes);
    }
    assert_eq!(Set::read(&rig.ssm, "rack-1"), before);
}

#[test]
fn create_with_an_unknown_property_names_the_nearest_known_one() {
    let rig = Rig::start();
    for (unknown, nearest) in [
        ("KeyAlgoritm", "KeyAlgorithm"),
        ("CaValidityDays", "CAValidityDays"),
        ("RetiredCa", "RetiredCA"),
        ("rotation_token", "RotationToken"),
        ("SubjectAltNames", "SubjectAlternativeNames"),
    ] {
        let mut generator = Resource::generator(&rig, "rack-1");
        let failed = generator.create(json!({ unknown: "1" }));
        failed.failed(&[unknown, nearest]).wrote_nothing();
        assert_eq!(generator.physical_id(), "not-created-7261636b2d31");
    }
    assert_eq!(rig.ssm.names(), [""; 0]);
}

#[test]
fn update_and_delete_only_log_an_unknown_property() {
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, "rack-1");
    generator
        .update(json!({ "KeyAlgoritm": "RSA_2048" }))
        .succeeded()
        .only_read();
    generator.check_removed();
    let log = rig.function.stop();
    assert!(log.contains("KeyAlgoritm"), "{log}");
}

#[test]
fn a_create_without_a_usable_rack_gets_an_id_of_its_own() {
    let rig = Rig::start();
    let generator = Resource::generator(&rig, "rack-1");
    for properties in [
        Value::Null,
        json!("Rack"),
        json!(["Rack"]),
        json!(7),
        json!({}),
        json!({ "Rack": {} }),
    ] {
        let mut event = generator.create_event();
        event["ResourceProperties"] = properties;
        let failed = rig.deliver(&event).failed(&["Rack"]).wrote_nothing();
        let request_id = event["RequestId"].as_str().expect("it is text");
        assert_eq!(
            failed.response.physical_id(),
            format!("not-created-{request_id}")
        );
    }
    let mut event = generator.create_event();
    event
        .as_object_mut()
        .expect("it is an object")
        .remove("ResourceProperties");
    rig.deliver(&event)
        .failed(&["ResourceProperties"])
        .wrote_nothing();
}

#[test]
fn an_update_to_properties_that_are_no_object_fails_and_its_rollback_does_not() {
    let rig = Rig::start();
    let generator = Resource::created(&rig, "rack-1");
    for properties in [Value::Null, json!("Rack"), json!(["Rack"]), json!({})] {
        let good = generator.create_event()["ResourceProperties"].clone();
        let mut event = generator.update_event(&good, &good);
        event["ResourceProperties"] = properties.clone();
        rig.deliver(&event).failed(&["Rack"]).wrote_nothing();
        let mut event = generator.update_event(&good, &good);
        event["OldResourceProperties"] = properties;
        rig.deliver(&event).succeeded().only_read();
    }
}

#[test]
fn an_unknown_resource_type_fails_naming_the_ones_that_are_served() {
    let rig = Rig::start();
    let mut generator =
        Resource::generator(&rig, "rack-1").of_type("Custom::DockerTLSCertGenerator");
    let mentions = [
        "Custom::DockerTLSCertGenerator",
        "Custom::DockerTLSCertGenerate",
        "Custom::SelfSignedCertificate",
        "Custom::DockerTLSCertGetter",
        "Custom::SelfSignedCertificateGetter",
    ];
    let failed = generator.create(json!({}));
    failed.failed(&mentions).wrote_nothing();
    let failed = generator.update(json!({}));
    failed.failed(&mentions).wrote_nothing();
    generator.check_removed();
}

#[test]
fn a_rack_too_long_for_a_response_is_refused_before_anything_is_written() {
    let rig = Rig::start();
    let long = "r".repeat(600);
    let mut generator = Resource::generator(&rig, &long);
    generator
        .create(json!({}))
        .failed(&["Rack"])
        .wrote_nothing();
    generator.delete().succeeded().wrote_nothing();
    assert_eq!(rig.ssm.names(), [""; 0]);
}

/// Invokes with an event that nobody can be told about, and gives the error that the invoker reads.
#[track_caller]
fn check_invocation_error(rig: &Rig, event: &Value) -> Value {
    let outcome = rig.function.invoke(FUNCTION_TIMEOUT, event);
    let error = outcome.expect_err("nobody was answered");
    assert_eq!(rig.ssm.take_calls().len(), 0, "{event}");
    assert_eq!(rig.sink.targets(), [""; 0], "{event}");
    serde_json::from_str(&error).expect("errors are JSON")
}

#[test]
fn an_event_without_a_response_url_is_an_invocation_error_that_says_what_was_expected() {
    let rig = Rig::start();
    let mut event = Resource::generator(&rig, "rack-1").create_event();
    for url in [Value::Null, json!(""), json!(7), json!({})] {
        event["ResponseURL"] = url;
        let error = check_invocation_error(&rig, &event);
        assert_eq!(error["errorType"], "NoResponseUrl");
        let message = error["errorMessage"].as_str().unwrap_or_default();
        for mention in ["ResponseURL", "nothing was done", "custom resource event"] {
            assert!(message.contains(mention), "no {mention} in: {message}");
        }
    }
    // What the console's test button sends.
    let hello = json!({ "key1": "value1", "key2": "value2", "key3": "value3" });
    for event in [hello, json!("hello"), json!([]), Value::Null] {
        let error = check_invocation_error(&rig, &event);
        assert_eq!(error["errorType"], "NoResponseUrl", "{event}");
    }
}

#[test]
fn an_event_whose_response_url_is_refused_is_an_invocation_error_that_shows_no_signature() {
    let rig = Rig::start();
    let mut event = Resource::generator(&rig, "rack-1").create_event();
    for (url, mention) in [
        ("hello", "cannot be parsed"),
        ("https://evil.example/?X-Amz-Signature=c37a", "evil.example"),
        (
            "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/arn%3Aaws%3Acloudformation\
             %3Aus-east-1%3A999999999999%3Astack/a/b%7Cc%7Cd?X-Amz-Signature=c37a",
            "999999999999",
        ),
    ] {
        event["ResponseURL"] = json!(url);
        let error = check_invocation_error(&rig, &event);
        assert_eq!(error["errorType"], "ResponseUrlRefused");
        let message = error["errorMessage"].as_str().unwrap_or_default();
        for mention in [mention, "nothing was done"] {
            assert!(message.contains(mention), "no {mention} in: {message}");
        }
        assert!(!error.to_string().contains("c37a"), "{error}");
    }
    let log = rig.function.stop();
    assert!(!log.contains("c37a"), "{log}");
}
