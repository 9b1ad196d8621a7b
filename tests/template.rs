//! template.yaml grants what the code needs, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use docker_tls_certgen::cloudformation::event::ResourceKind;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_testing::lambda::rig::FUNCTION_TIMEOUT;
use docker_tls_testing::lambda::runtime_api::ENVIRONMENT;
use docker_tls_testing::sources::read_all;

const TEMPLATE: &str = include_str!("../template.yaml");

/// How often Lambda tries an event, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>.
const ATTEMPTS: u64 = 3;
/// The seconds that it waits between them.
const WAITS: u64 = 60 + 120;
/// The most seconds that CloudFormation waits for a custom resource.
const LONGEST_SERVICE_TIMEOUT: u64 = 3_600;

/// Where the sources call SSM's Parameter Store, and where the tool calls Run Command.
const STORE: &str = "src/store";
const TOOL: &str = "src/bin/docker-tls";

/// The SDK's calls in a folder, as the actions that IAM knows: `.client.put_parameter()` is `ssm:PutParameter`.
fn read_called_actions(folder: &str) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    let sources = read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
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

/// The function's role.
const ROLE: &str = "DockerTLSCertRole";
/// What whoever moves a fleet needs.
const OPERATOR: &str = "FleetOperatorPolicy";

/// A resource, as the template has it.
fn resource(name: &str) -> &'static str {
    let (_, resource) = TEMPLATE
        .split_once(&format!("\n  {name}:\n"))
        .expect("the template has it");
    let (resource, _) = resource.split_once("\n\n").expect("it is not the last");
    resource
}

/// What stands behind a service's prefix in a resource's actions, comments left out.
fn read_granted_actions(name: &str, service: &str) -> BTreeSet<String> {
    let lines = resource(name).lines().map(str::trim);
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

/// The numbers that the template gives a property, wherever it has it.
fn read_numbers(property: &str) -> Vec<u64> {
    let lines = TEMPLATE.lines().map(str::trim);
    let values = lines.filter_map(|line| line.strip_prefix(property)?.strip_prefix(": "));
    values
        .map(|value| value.parse().expect("a number"))
        .collect()
}

#[test]
fn the_role_may_call_exactly_the_ssm_actions_that_the_code_calls() {
    let called = read_called_actions(STORE);
    assert_eq!(called.len(), 3, "{called:?}");
    assert_eq!(read_granted_actions(ROLE, "ssm:"), called);
}

#[test]
fn whoever_moves_a_fleet_may_call_exactly_the_ssm_actions_that_the_tool_calls() {
    let mut called = read_called_actions(TOOL);
    assert_eq!(called.len(), 4, "{called:?}");
    // What is published is read as the function reads it.
    called.insert("ssm:GetParameters".to_owned());
    assert_eq!(read_granted_actions(OPERATOR, "ssm:"), called);
}

#[test]
fn the_role_may_use_one_kms_key_to_encrypt_and_decrypt() {
    let expected = ["kms:Decrypt", "kms:Encrypt"].map(str::to_owned);
    assert_eq!(read_granted_actions(ROLE, "kms:"), BTreeSet::from(expected));
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

#[test]
fn cloudformation_waits_for_every_attempt_of_an_event() {
    let [timeout] = read_numbers("Timeout")[..] else {
        panic!("there is one function");
    };
    let service_timeouts = read_numbers("ServiceTimeout");
    assert_eq!(service_timeouts.len(), 2);
    for service_timeout in service_timeouts {
        assert!(ATTEMPTS * timeout + WAITS <= service_timeout);
        assert!(service_timeout <= LONGEST_SERVICE_TIMEOUT);
    }
    // With fewer attempts, an event that ran out of time would be answered by nobody.
    assert!(!TEMPLATE.contains("MaximumRetryAttempts"));
}

#[test]
fn the_tests_give_the_function_what_the_template_gives_it() {
    assert_eq!(read_numbers("Timeout"), [FUNCTION_TIMEOUT.as_secs()]);
    let [memory_size] = read_numbers("MemorySize")[..] else {
        panic!("there is one function");
    };
    let memory_size = memory_size.to_string();
    let of_the_tests = ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_size.as_str());
    assert!(ENVIRONMENT.contains(&of_the_tests));
}
