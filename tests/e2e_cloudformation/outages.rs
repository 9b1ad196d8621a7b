//! AWS that says no: SSM is away, IAM refuses, and S3 does not take an answer at once.

use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};

use crate::engine::ACCOUNT;
use crate::rack;
use crate::stack::Stack;
use crate::story::{Outage, Story};
use crate::template::Template;

const UPDATED: &str = "Update DockerTLSCertGenerate SUCCESS";
const UPDATE_FAILED: &str = "Update DockerTLSCertGenerate FAILED";

#[test]
fn a_rollback_that_failed_goes_on_when_ssm_is_back() {
    let story = Story::begin("an outage of SSM");
    let rack = "away";
    let mut stack = Stack::ours(&story, rack);
    stack.create("create", &[("Rack", rack)]).created();
    let set = story.set(rack);
    story.begin_outage(&Outage {
        name: &rack::hex(rack),
        ..Outage::default()
    });
    stack
        .update("a token while SSM is away", &[("RotationToken", "1")])
        .ends("UPDATE_ROLLBACK_FAILED")
        .exchanges(&[UPDATE_FAILED, UPDATE_FAILED])
        .because(&["GetParameters", "server's error"])
        .writes_nothing();
    story.end_outage();
    stack
        .continue_rollback("ContinueUpdateRollback")
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[UPDATED])
        .writes_nothing();
    assert_eq!(story.set(rack), set);
    stack
        .update("the token again", &[("RotationToken", "1")])
        .updated();
    assert_eq!(story.set(rack).written_since(&set), rack::AS_WRITTEN);
    stack.delete("delete").deleted();
    story.check_removed(rack);
}

#[test]
fn a_set_that_could_not_be_cleaned_up_stays_behind() {
    let story = Story::begin("a cleanup that fails");
    let rack = "uncleaned";
    let mut stack = Stack::ours(&story, rack);
    stack.create("create", &[("Rack", rack)]).created();
    let set = story.set(rack);
    story.begin_outage(&Outage {
        name: &rack::hex(rack),
        action: Some("DeleteParameters"),
        is_refusal: true,
        ..Outage::default()
    });
    stack
        .update("Rack emptied", &[("Rack", "")])
        .ends("UPDATE_COMPLETE")
        .exchanges(&[
            "Delete DockerTLSCert SUCCESS",
            "Delete DockerTLSCertGenerate FAILED",
        ])
        .because(&["ssm:DeleteParameters", &rack::name(Part::CaCert, rack)]);
    story.end_outage();
    stack
        .update("another Version", &[("Version", "2")])
        .ends("UPDATE_COMPLETE")
        .exchanges(&[]);
    stack
        .delete("delete")
        .ends("DELETE_COMPLETE")
        .exchanges(&[]);
    assert_eq!(story.set(rack), set);
    for name in rack::all_names(rack) {
        story.ssm.remove(&name);
    }
}

#[test]
fn an_answer_that_s3_refuses_once_is_given_by_the_next_invocation() {
    let story = Story::begin("S3 refuses an answer");
    let rack = "refused";
    let mut stack = Stack::ours(&story, rack);
    stack.create("create", &[("Rack", rack)]).created();
    story.begin_outage(&Outage {
        name: &format!("arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{rack}/"),
        action: Some("PutObject"),
        times: Some(1),
        ..Outage::default()
    });
    let updated = stack
        .update("another Version", &[("Version", "2")])
        .updated()
        .writes_nothing();
    assert_eq!(updated.errors.len(), 1);
    assert!(updated.errors[0].contains("403"), "{:?}", updated.errors);
    stack.delete("delete").deleted();
}

/// The role's policy for parameters, as IAM has it.
struct Policy<'story> {
    story: &'story Story,
    role: Value,
    document: Value,
}

impl<'story> Policy<'story> {
    #[track_caller]
    fn of(stack: &Stack<'story>, story: &'story Story) -> Self {
        let role = stack.resource("DockerTLSCertRole");
        let name = json!({ "RoleName": role, "PolicyName": "parameters" });
        let mut connection = story.connection();
        let policy = connection.check_call("iam", "GetRolePolicy", &name);
        Self {
            story,
            role: role.into(),
            document: policy["PolicyDocument"].clone(),
        }
    }

    /// Has the role do with this policy.
    #[track_caller]
    fn put(&self, document: &Value) {
        let policy = json!({
            "RoleName": self.role,
            "PolicyName": "parameters",
            "PolicyDocument": document.to_string(),
        });
        self.story
            .connection()
            .check_call("iam", "PutRolePolicy", &policy);
    }

    /// Takes an action or a resource away that a statement lists; all of the statement where that is all it has.
    #[track_caller]
    fn take_away(&self, sid: &str, what: &str) {
        let mut document = self.document.clone();
        let statements = document["Statement"].as_array_mut().expect("statements");
        let index = statements
            .iter()
            .position(|statement| statement["Sid"] == sid);
        let index = index.expect("the role has the statement");
        let lists = |item: &Value| item.as_str().is_some_and(|text| text.ends_with(what));
        let mut fields = ["Action", "Resource"].into_iter();
        let field = fields.find(|field| match &statements[index][field] {
            Value::Array(list) => list.iter().any(lists),
            item => lists(item),
        });
        match &mut statements[index][field.expect("the statement has it")] {
            Value::Array(list) => list.retain(|item| !lists(item)),
            _ => drop(statements.remove(index)),
        }
        self.put(&document);
    }
}

/// But for those that the engine does not ask for: it writes logs itself, and has no keys of KMS.
#[test]
fn each_permission_that_the_role_lacks_is_named() {
    let story = Story::begin("the role without one permission");
    let rack = "denied";
    let mut function = Stack::ours(&story, "denied-certgen");
    function
        .create("the function alone", &[])
        .ends("CREATE_COMPLETE");
    let policy = Policy::of(&function, &story);
    // Where a Delete fails, AWS spares what the resource depends on; the engine does not.
    let template = Template::ours().importing("denied-certgen");
    let mut stack = Stack::of(&story, rack, template);
    stack.create("create", &[("Rack", rack)]).created();
    let set = story.set(rack);
    let token = [("RotationToken", "1")];

    policy.take_away("KeepSets", "ssm:GetParameters");
    stack
        .update("no ssm:GetParameters", &token)
        .ends("UPDATE_ROLLBACK_FAILED")
        .exchanges(&[UPDATE_FAILED, UPDATE_FAILED])
        .because(&["ssm:GetParameters", &rack::name(Part::CaCert, rack)])
        .writes_nothing();
    policy.put(&policy.document);
    stack
        .continue_rollback("all permissions")
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[UPDATED])
        .writes_nothing();

    policy.take_away("KeepSets", "ssm:PutParameter");
    stack
        .update("no ssm:PutParameter", &token)
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[UPDATE_FAILED, UPDATED])
        .because(&["ssm:PutParameter", &rack::claim(rack)])
        .writes_nothing();
    policy.put(&policy.document);

    for (what, name) in [
        ("ssm:DeleteParameters", rack::name(Part::CaCert, rack)),
        ("parameter/*-docker-tls-*", rack::name(Part::CaCert, rack)),
        ("parameter/*-version-track", rack::version_track(rack)),
    ] {
        policy.take_away("DeleteSets", what);
        stack
            .delete(&format!("no {what}"))
            .ends("DELETE_FAILED")
            .because(&["ssm:DeleteParameters", &name])
            .writes("claim claim");
        policy.put(&policy.document);
        assert_eq!(story.set(rack), set);
    }
    stack.delete("all permissions").ends("DELETE_COMPLETE");
    story.check_removed(rack);
    function
        .delete("delete the function")
        .ends("DELETE_COMPLETE");
}
