//! What template.yaml has for a rack's fleet: the document that SSM runs on nodes, and what operators and nodes may do.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;

use docker_tls_certgen::fleet::LONGEST_SCRIPT;
use docker_tls_testing::engine::sam;
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../src/fleet/converge.sh");

const RACK: &str = "rack-1";
const ID: &str = "7261636b2d31";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/given";

static TEMPLATE: LazyLock<Value> = LazyLock::new(sam::template);
static RESOURCES: LazyLock<Value> = LazyLock::new(|| TEMPLATE["Resources"].clone());

fn document() -> &'static Value {
    &RESOURCES["ConvergeDocument"]["Properties"]["Content"]
}

#[test]
fn the_documents_script_is_the_file() {
    let commands = &document()["mainSteps"][0]["inputs"]["runCommand"];
    assert_eq!(
        *commands,
        json!([{ "Fn::FindInMap": ["Converge", "Script", "Text"] }])
    );
    assert!(
        TEMPLATE["Mappings"]["Converge"]["Script"]["Text"] == SCRIPT,
        "template.yaml has another script than src/fleet/converge.sh: `make document` puts it there"
    );
}

#[test]
fn the_document_takes_what_the_script_knows_and_nothing_else() {
    let parameters = document()["parameters"].as_object().expect("parameters");
    assert_eq!(SCRIPT.matches("{{").count(), parameters.len());
    for (name, parameter) in parameters {
        let line = format!("\n{name}='{{{{ {name} }}}}' ");
        assert_eq!(SCRIPT.matches(&line).count(), 1, "{line}");
        let is_bounded =
            ["allowedValues", "allowedPattern"].map(|bound| !parameter[bound].is_null());
        assert_eq!(is_bounded.iter().filter(|is| **is).count(), 1, "{name}");
    }
    for (name, branches) in [
        ("Action", &["move"][..]),
        ("Containers", &["stop", "live-restore"]),
    ] {
        let (_, comment) = SCRIPT.split_once(&format!("\n{name}='")).expect("its line");
        let (_, comment) = comment
            .split_once("# ")
            .expect("a comment that lists values");
        let listed = comment.split(['\n', ':']).next().unwrap_or_default();
        let allowed: Vec<_> = listed.split(", ").collect();
        assert_eq!(parameters[name]["allowedValues"], json!(allowed), "{name}");
        // What comes first is what is done unless something else is asked for, and does no harm.
        assert_eq!(parameters[name]["default"], allowed[0], "{name}");
        assert_eq!(branches, &allowed[1..], "{name}");
        for branch in branches {
            assert!(SCRIPT.contains(&format!("\n  {branch}) ")), "{branch}");
        }
    }
    let pattern = |name: &str| parameters[name]["allowedPattern"].clone();
    assert_eq!(pattern("Id"), "^([0-9a-f]{2}){1,100}$");
    for name in ["CA", "Cert"] {
        assert_eq!(pattern(name), "^[0-9a-f]{64}$");
    }
}

#[test]
fn the_document_gives_the_script_more_time_than_the_script_takes() {
    let seconds = |name: &str| -> u64 {
        let (_, rest) = SCRIPT
            .split_once(&format!("\nreadonly {name}="))
            .expect(name);
        let number = rest.lines().next().unwrap_or_default();
        number.parse().expect("a number of seconds")
    };
    // Three reads with two waits between them, two restarts, and what is asked of the daemon besides.
    let longest = seconds("LOCK_PATIENCE")
        + 3 * seconds("READ_PATIENCE")
        + 2 * 2
        + 2 * (seconds("RESTART_PATIENCE") + seconds("TLS_PATIENCE"))
        + seconds("RELOAD_PATIENCE")
        + 5 * seconds("ANSWER_PATIENCE");
    let limit = &document()["mainSteps"][0]["inputs"]["timeoutSeconds"];
    let limit: u64 = limit
        .as_str()
        .and_then(|limit| limit.parse().ok())
        .expect("seconds");
    assert!(longest < limit, "{longest} s");
    // Whoever sends it waits no longer for its end.
    assert_eq!(limit, LONGEST_SCRIPT.as_secs());
}

#[test]
fn the_association_stops_no_containers_and_starts_nothing_outside_its_hours() {
    let association = &RESOURCES["Convergence"];
    assert_eq!(association["Condition"], "Converges");
    let properties = &association["Properties"];
    assert_eq!(properties["Parameters"]["Action"], json!(["move"]));
    assert_eq!(properties["Parameters"]["Containers"], json!(["refuse"]));
    assert_eq!(properties["ApplyOnlyAtCronInterval"], true);
    assert_eq!(properties["MaxErrors"], "0");
}

#[test]
fn what_is_for_a_fleet_exists_only_with_a_rack() {
    for name in ["ConvergeDocument", "FleetOperatorPolicy", "FleetNodePolicy"] {
        assert_eq!(RESOURCES[name]["Condition"], "HasRack", "{name}");
    }
}

/// A call, as IAM judges it: of an action, on a resource, with what it knows besides.
#[derive(Clone, Debug)]
struct Call {
    action: &'static str,
    resource: String,
    context: BTreeMap<&'static str, String>,
}

impl Call {
    fn new(action: &'static str, resource: impl Into<String>) -> Self {
        Self {
            action,
            resource: resource.into(),
            context: BTreeMap::new(),
        }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.insert(key, value.into());
        self
    }
}

/// What IAM makes of a text in the template, with AWS's own values and those of a set of rack-1.
#[track_caller]
fn resolve(value: &Value) -> Value {
    let text = match value {
        Value::Array(items) => return items.iter().map(resolve).collect(),
        Value::String(text) => return text.clone().into(),
        value => match value["Fn::If"].as_array() {
            // With everything that a template can have.
            Some(branches) => return resolve_all(&branches[1]),
            None => value["Fn::Sub"].as_str().map_or_else(
                || {
                    format!(
                        "${{{}}}",
                        value["Ref"].as_str().expect("a function that is known")
                    )
                },
                str::to_owned,
            ),
        },
    };
    let known = [
        ("AWS::Partition", "aws"),
        ("AWS::Region", "us-east-1"),
        ("AWS::AccountId", "123456789012"),
        ("Rack", RACK),
        ("KmsKeyId", KEY),
        ("ConvergeDocument", "document"),
        (
            "DockerTLSCertGenerate.CACertSSMKey",
            "7261636b2d31-docker-tls-ca-cert",
        ),
        (
            "DockerTLSCertGenerate.CertSSMKey",
            "7261636b2d31-docker-tls-cert",
        ),
        (
            "DockerTLSCertGenerate.KeySSMKey",
            "7261636b2d31-docker-tls-key",
        ),
    ];
    let replace =
        |text: String, (name, value): (&str, &str)| text.replace(&format!("${{{name}}}"), value);
    let text = known.into_iter().fold(text, replace);
    assert!(!text.contains("${"), "{text}");
    text.into()
}

/// The same with everything in it.
#[track_caller]
fn resolve_all(value: &Value) -> Value {
    let is_function = |object: &serde_json::Map<String, Value>| {
        object
            .keys()
            .any(|key| key == "Ref" || key.starts_with("Fn::"))
    };
    match value {
        Value::Object(object) if !is_function(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), resolve_all(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(resolve_all).collect(),
        value => resolve(value),
    }
}

/// The statements of one of the template's policies.
#[track_caller]
fn statements(policy: &str) -> Vec<Value> {
    let document = &RESOURCES[policy]["Properties"]["PolicyDocument"];
    let statements = document["Statement"].as_array().expect("statements");
    statements.iter().map(resolve_all).collect()
}

fn items(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        item => item.as_str().into_iter().collect(),
    }
}

/// Whether a text is one that a pattern of IAM's with asterisks means.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    let mut ends = rest
        .char_indices()
        .map(|(index, _)| index)
        .chain([rest.len()]);
    ends.any(|index| matches(after, &rest[index..]))
}

/// Whether a statement is about a call.
#[track_caller]
fn is_about(statement: &Value, call: &Call) -> bool {
    let conditions = statement["Condition"].as_object().into_iter().flatten();
    let holds = |(operator, keys): (&String, &Value)| {
        assert_eq!(operator, "StringEquals");
        keys.as_object()
            .expect("keys")
            .iter()
            .all(|(key, allowed)| {
                let value = call.context.get(key.as_str());
                value.is_some_and(|value| items(allowed).contains(&value.as_str()))
            })
    };
    items(&statement["Action"])
        .iter()
        .any(|pattern| matches(pattern, call.action))
        && items(&statement["Resource"])
            .iter()
            .any(|pattern| matches(pattern, &call.resource))
        && conditions.into_iter().all(holds)
}

/// Whether IAM allows a call: some statement does, and none denies it.
#[track_caller]
fn is_allowed(statements: &[Value], call: &Call) -> bool {
    let has = |effect: &str| {
        let mut statements = statements.iter();
        statements.any(|statement| statement["Effect"] == effect && is_about(statement, call))
    };
    has("Allow") && !has("Deny")
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:us-east-1:123456789012:{resource}")
}

fn parameter(name: &str) -> String {
    arn("ssm", &format!("parameter/{name}"))
}

fn of_the_rack(part: &str) -> String {
    parameter(&format!("{ID}-docker-tls-{part}"))
}

/// A command to a node is judged twice: for the document, and for each node.
fn to_node(rack: &str) -> Call {
    Call::new("ssm:SendCommand", arn("ec2", "instance/i-1")).with("ssm:resourceTag/Rack", rack)
}

/// Everything that the tool asks for, and that its operator may want when it has begun.
fn calls_of_the_operator() -> Vec<Call> {
    vec![
        Call::new("ssm:SendCommand", arn("ssm", "document/document")),
        to_node(RACK),
        Call::new("ssm:DescribeInstanceInformation", "*"),
        Call::new("ssm:ListCommandInvocations", "*"),
        // Ends a move before its next nodes.
        Call::new("ssm:CancelCommand", "*"),
        Call::new("ssm:GetParameters", of_the_rack("ca-cert")),
        Call::new("ssm:GetParameters", of_the_rack("cert")),
    ]
}

/// Everything that a node asks for.
fn calls_of_a_node() -> Vec<Call> {
    let decrypt = |part: &str| {
        let context = "kms:EncryptionContext:PARAMETER_ARN";
        Call::new("kms:Decrypt", KEY).with(context, of_the_rack(part))
    };
    let parts = ["ca-cert", "cert", "key"];
    let reads = parts.map(|part| Call::new("ssm:GetParameters", of_the_rack(part)));
    // <https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-setting-up-messageAPIs.html>
    let agent = [
        "ec2messages:AcknowledgeMessage",
        "ec2messages:DeleteMessage",
        "ec2messages:FailMessage",
        "ec2messages:GetEndpoint",
        "ec2messages:GetMessages",
        "ec2messages:SendReply",
        "ssm:UpdateInstanceInformation",
        "ssm:ListInstanceAssociations",
        "ssm:UpdateInstanceAssociationStatus",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ];
    let agent = agent.map(|action| Call::new(action, "*"));
    [&reads[..], &parts.map(decrypt), &agent].concat()
}

/// The policies that are left of one when something is taken out of it: a statement, an action, or a resource; each with
/// what that is.
fn mutilations(statements: &[Value]) -> Vec<(String, Vec<Value>)> {
    let mut all = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        let mut without = statements.to_vec();
        without.remove(index);
        all.push((statement["Sid"].to_string(), without));
        for field in ["Action", "Resource"] {
            let listed = statement[field].as_array().into_iter().flatten();
            for (position, item) in listed.enumerate() {
                let mut without = statements.to_vec();
                let items = without[index][field].as_array_mut().expect("it is a list");
                items.remove(position);
                all.push((format!("{} of {}", item, statement["Sid"]), without));
            }
        }
    }
    all
}

/// Checks that a policy allows all of these calls and none of those, and that nothing can be taken out of it without a
/// loss of one, or a gain of one that is refused.
#[track_caller]
fn check_policy(policy: &str, besides: &[Value], allowed: &[Call], refused: &[Call]) {
    let own = statements(policy);
    let is_kept = |statements: &[Value]| {
        let statements = [statements, besides].concat();
        let lost = allowed.iter().find(|call| !is_allowed(&statements, call));
        let gained = refused.iter().find(|call| is_allowed(&statements, call));
        match (lost, gained) {
            (Some(call), _) => Err(format!("{call:?} is refused")),
            (None, Some(call)) => Err(format!("{call:?} is allowed")),
            (None, None) => Ok(()),
        }
    };
    assert_eq!(is_kept(&own), Ok(()));
    for (what, statements) in mutilations(&own) {
        assert!(
            is_kept(&statements).is_err(),
            "{policy} does not need {what}"
        );
    }
}

#[test]
fn an_operator_may_send_this_document_to_this_racks_nodes_and_read_certificates_and_nothing_else() {
    let refused = [
        to_node("rack-2"),
        Call::new("ssm:SendCommand", arn("ec2", "instance/i-2")),
        Call::new("ssm:SendCommand", arn("ssm", "document/AWS-RunShellScript")),
        Call::new(
            "ssm:SendCommand",
            "arn:aws:ssm:us-east-1::document/AWS-RunShellScript",
        ),
        Call::new("ssm:StartSession", arn("ec2", "instance/i-1"))
            .with("ssm:resourceTag/Rack", RACK),
        Call::new("ssm:UpdateDocument", arn("ssm", "document/document")),
        Call::new("ssm:GetParameters", of_the_rack("key")),
        Call::new("ssm:GetParameters", of_the_rack("ca-key")),
        Call::new("ssm:GetParameters", of_the_rack("state")),
        Call::new(
            "ssm:GetParameters",
            parameter("7261636b2d32-docker-tls-cert"),
        ),
        Call::new("ssm:PutParameter", of_the_rack("ca-cert")),
    ];
    check_policy(
        "FleetOperatorPolicy",
        &[],
        &calls_of_the_operator(),
        &refused,
    );
}

#[test]
fn a_node_may_read_its_own_set_and_no_key_of_others_whatever_else_its_role_allows() {
    const DENIED: [&str; 3] = ["ca-key", "state", "client-key"];
    // What it allows that has to do with parameters.
    let core = json!({
        "Sid": "AmazonSSMManagedInstanceCore",
        "Effect": "Allow",
        "Action": ["ssm:GetParameter", "ssm:GetParameters"],
        "Resource": "*",
    });
    let everything = json!({ "Sid": "all", "Effect": "Allow", "Action": "ssm:*", "Resource": "*" });
    let reads = [
        "ssm:GetParameter",
        "ssm:GetParameters",
        "ssm:GetParameterHistory",
    ];
    let keys = DENIED.map(of_the_rack).into_iter();
    let of_another = |part| parameter(&format!("7261636b2d32-docker-tls-{part}"));
    let keys = keys.chain(DENIED.map(of_another));
    let keys: Vec<_> = keys
        .flat_map(|key| reads.map(|action| Call::new(action, key.clone())))
        .collect();
    let own = statements("FleetNodePolicy");
    for besides in [core, everything] {
        let all = [&own[..], &[besides]].concat();
        for call in calls_of_a_node() {
            assert!(is_allowed(&all, &call), "{call:?}");
        }
        for call in &keys {
            assert!(!is_allowed(&all, call), "{call:?}");
        }
    }

    let elsewhere = "kms:EncryptionContext:PARAMETER_ARN";
    let refused = [
        Call::new(
            "ssm:GetParameters",
            parameter("7261636b2d32-docker-tls-key"),
        ),
        Call::new("ssm:GetParameters", parameter("password")),
        Call::new("ssm:PutParameter", of_the_rack("ca-cert")),
        Call::new("ssm:SendCommand", arn("ssm", "document/document")),
        Call::new("kms:Decrypt", KEY).with(elsewhere, of_the_rack("ca-key")),
        Call::new("kms:Decrypt", KEY),
        Call::new("kms:Encrypt", KEY).with(elsewhere, of_the_rack("key")),
    ];
    let own = ["FleetNodePolicy"].map(statements).concat();
    for call in refused.iter().chain(&keys) {
        assert!(!is_allowed(&own, call), "{call:?}");
    }
    // Beside a role that may do everything to parameters of a CA, so that the Deny is not idle.
    let more = json!({
        "Sid": "more",
        "Effect": "Allow",
        "Action": reads,
        "Resource": DENIED.map(|part| parameter(&format!("*-docker-tls-{part}"))),
    });
    let refused = [&refused[..], &keys].concat();
    check_policy("FleetNodePolicy", &[more], &calls_of_a_node(), &refused);
}

#[test]
fn shellcheck_finds_nothing_in_the_script() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fleet/converge.sh");
    let output = Command::new("shellcheck").arg(script).output();
    let output = output.expect("`make packages` has installed shellcheck");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
