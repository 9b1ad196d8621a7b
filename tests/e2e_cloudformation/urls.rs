//! Where an answer may go: to the place that CloudFormation signed, and to no other.

use serde_json::json;

use crate::stack::Stack;
use crate::story::Story;
use crate::template::Template;

/// A generator with a function of another stack, which waits for its answer for a second.
const CONSUMER: &str = "
Resources:
  DockerTLSCertGenerate:
    Type: Custom::DockerTLSCertGenerate
    Properties:
      ServiceToken: !ImportValue urls-certgen-ServiceToken
      ServiceTimeout: 1
      Rack: urls
";

/// CloudFormation's bucket of another region, which takes what is signed for it.
const ANOTHER_REGION: &str = "cloudformation-custom-resource-response-useast2";

#[test]
fn an_answer_goes_nowhere_but_where_cloudformation_signed() {
    let rack = "urls";
    let story = Story::begin("response URLs that are not CloudFormation's");
    let mut function = Stack::ours(&story, "urls-certgen");
    function
        .create("the function alone", &[])
        .ends("CREATE_COMPLETE");

    for (step, forgery, error, written) in [
        (
            "a wrong signature",
            json!({ "signature": "00000000" }),
            "answered 403",
            "claim state ca-key ca-cert key cert claim \
             claim ca-cert ca-key cert key client-cert client-key state claim version-track",
        ),
        (
            "a foreign account",
            json!({ "account": "210987654321" }),
            "account",
            "",
        ),
        (
            "a foreign bucket",
            json!({ "bucket": ANOTHER_REGION }),
            "not in CloudFormation's bucket of this region",
            "",
        ),
    ] {
        story.forge(rack, &forgery);
        let mut stack = Stack::of(&story, rack, Template::new(CONSUMER));
        let failed = stack
            .create(step, &[])
            .ends("ROLLBACK_FAILED")
            .exchanges(&[
                "Create DockerTLSCertGenerate no answer",
                "Delete DockerTLSCertGenerate no answer",
            ])
            .because(&["timed out"])
            .writes(written);
        // Twice three invocations.
        assert_eq!(failed.errors.len(), 6);
        for said in failed.errors {
            assert!(said.contains(error), "{said}");
        }
        story.check_removed(rack);
        story.forge(rack, &json!({}));
        stack
            .delete(&format!("delete after {step}"))
            .ends("DELETE_COMPLETE")
            .exchanges(&["Delete DockerTLSCertGenerate SUCCESS"]);
    }
    let bucket = json!({ "bucket": ANOTHER_REGION });
    let kept = story.connection().command("answers", bucket);
    assert_eq!(kept, json!([]));
    function
        .delete("delete the function")
        .ends("DELETE_COMPLETE");
}
