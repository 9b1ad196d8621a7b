//! What operators and nodes may read, as IAM judges the policies that the stack makes.

use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};

use crate::rack;
use crate::stack::Stack;
use crate::story::Story;

/// A user whose own policy is this one, beside another.
struct User<'story> {
    story: &'story Story,
    name: &'static str,
    key: Value,
}

impl<'story> User<'story> {
    #[track_caller]
    fn create(story: &'story Story, name: &'static str) -> Self {
        let user = json!({ "UserName": name });
        let mut connection = story.connection();
        connection.check_call("iam", "CreateUser", &user);
        let key = connection.check_call("iam", "CreateAccessKey", &user)["AccessKey"].clone();
        drop(connection);
        Self { story, name, key }
    }

    /// From now on, it has a policy with these statements.
    #[track_caller]
    fn allow(&self, statements: &[Value]) {
        let document = json!({ "Version": "2012-10-17", "Statement": statements });
        let policy = json!({
            "UserName": self.name,
            "PolicyName": "policy",
            "PolicyDocument": document.to_string(),
        });
        let mut connection = self.story.connection();
        connection.check_call("iam", "PutUserPolicy", &policy);
    }

    /// The parameters among these that it may read.
    #[track_caller]
    fn reads(&self, names: &[String]) -> Vec<String> {
        let mut connection = self.story.connection();
        let mut may_read = |name: &&String| {
            let request = json!({ "Names": [name], "WithDecryption": true });
            match connection.call_as(&self.key, "ssm", "GetParameters", &request) {
                Ok(_) => true,
                Err(error) => {
                    assert!(error.contains("is not authorized"), "{error}");
                    false
                }
            }
        };
        names
            .iter()
            .filter(|name| may_read(name))
            .cloned()
            .collect()
    }
}

/// The statements of a policy that the stack has made.
#[track_caller]
fn statements(stack: &Stack<'_>, story: &Story, output: &str) -> Vec<Value> {
    let arn = stack.outputs()[output].clone();
    let mut connection = story.connection();
    let policy = connection.check_call("iam", "GetPolicy", &json!({ "PolicyArn": arn }));
    let version = json!({ "PolicyArn": arn, "VersionId": policy["Policy"]["DefaultVersionId"] });
    let version = connection.check_call("iam", "GetPolicyVersion", &version);
    let statements = version["PolicyVersion"]["Document"]["Statement"].as_array();
    statements.expect("statements").clone()
}

#[test]
fn operators_and_nodes_read_what_the_policies_of_the_stack_say_and_no_key_that_rules_others() {
    let story = Story::begin("the policies of a fleet");
    let rack = "policies";
    let mut stack = Stack::ours(&story, rack);
    let apart = [("Rack", rack), ("ClientCertificate", "Separate")];
    stack.create("create", &apart).created();
    let names = rack::all_names(rack);
    let own = |parts: &[Part]| -> Vec<String> {
        let own = names
            .iter()
            .filter(|name| parts.iter().any(|part| **name == rack::name(*part, rack)));
        own.cloned().collect()
    };

    let operator = User::create(&story, "operator");
    operator.allow(&statements(&stack, &story, "FleetOperatorPolicy"));
    assert_eq!(operator.reads(&names), own(&[Part::CaCert, Part::Cert]));

    let node = User::create(&story, "node");
    let policy = statements(&stack, &story, "FleetNodePolicy");
    node.allow(&policy);
    assert_eq!(
        node.reads(&names),
        own(&[Part::CaCert, Part::Cert, Part::Key])
    );
    let core = json!({
        "Sid": "AmazonSSMManagedInstanceCore",
        "Effect": "Allow",
        "Action": ["ssm:GetParameter", "ssm:GetParameters"],
        "Resource": "*",
    });
    let beside = |statements: &[Value]| [statements, std::slice::from_ref(&core)].concat();
    let forbidden = [
        rack::name(Part::CaKey, rack),
        rack::name(Part::ClientKey, rack),
        rack::state(rack),
    ];
    node.allow(&beside(&policy));
    let others: Vec<_> = names
        .iter()
        .filter(|name| !forbidden.contains(name))
        .cloned()
        .collect();
    assert_eq!(node.reads(&names), others);
    let mut without = policy.clone();
    without.retain(|statement| statement["Effect"] != "Deny");
    assert_eq!(without.len() + 1, policy.len());
    node.allow(&beside(&without));
    assert_eq!(node.reads(&names), names);

    stack.delete("delete").deleted();
    story.check_removed(rack);
}
