//! template.yaml grants what the code needs, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use docker_tls_certgen::cloudformation::event::ResourceKind;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_testing::sources::read_all;

const TEMPLATE: &str = include_str!("../template.yaml");

/// The SDK's calls in the sources, as the actions that IAM knows: `.client.put_parameter()` is `ssm:PutParameter`.
fn read_called_actions() -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    let sources = read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    for (_, text) in sources {
        if !text.contains("use aws_sdk_ssm::") {
            continue;
        }
        let compact: String = text.split_whitespace().collect();
        for call in compact.split("self.client.").skip(1) {
            let method = call.split('(').next().unwrap_or_default();
            let words = method.split('_').map(|word| {
                let (first, rest) = word.split_at(1);
                format!("{}{rest}", first.to_uppercase())
            });
            actions.insert(format!("ssm:{}", words.collect::<String>()));
        }
    }
    actions
}

/// What stands behind a service's prefix in the template's actions, comments left out.
fn read_granted_actions(service: &str) -> BTreeSet<String> {
    let lines = TEMPLATE.lines().map(str::trim);
    let words = lines
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace);
    words
        .filter(|word| {
            word.strip_prefix(service)
                .is_some_and(|action| action.chars().all(char::is_alphanumeric))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_role_may_call_exactly_the_ssm_actions_that_the_code_calls() {
    let called = read_called_actions();
    assert_eq!(called.len(), 3, "{called:?}");
    assert_eq!(read_granted_actions("ssm:"), called);
}

#[test]
fn the_role_may_use_one_kms_key_to_encrypt_and_decrypt() {
    let expected = ["kms:Decrypt", "kms:Encrypt"].map(str::to_owned);
    assert_eq!(read_granted_actions("kms:"), BTreeSet::from(expected));
    assert!(TEMPLATE.contains("Resource: !Ref KmsKeyId"));
}

#[test]
fn every_parameter_name_is_covered_by_the_roles_resources() {
    let rack = Rack::new("rack-1").expect("a name that is not empty");
    for part in Part::ALL {
        let name = rack.parameter_name(part);
        assert!(name.contains("-docker-tls-"), "{name}");
    }
    assert!(rack.version_track_name().ends_with("-version-track"));
    for pattern in ["parameter/*-docker-tls-*", "parameter/*-version-track"] {
        assert!(TEMPLATE.contains(pattern), "{pattern}");
    }
    assert!(!TEMPLATE.contains("parameter/*\n"));
}

#[test]
fn nobody_else_may_invoke_the_function() {
    for line in TEMPLATE.lines().filter(|line| line.contains("Type: ")) {
        assert!(!line.contains("AWS::Lambda::Permission"), "{line}");
    }
}

#[test]
fn the_templates_resources_are_of_types_that_are_served() {
    let types: Vec<&str> = TEMPLATE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Type: "))
        .filter(|name| name.starts_with("Custom::"))
        .collect();
    assert_eq!(types.len(), 2);
    for name in types {
        assert!(
            ResourceKind::TYPES.iter().any(|(known, _)| *known == name),
            "{name}"
        );
    }
}
