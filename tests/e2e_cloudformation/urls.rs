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

/// A bucket of somebody else's, which takes what is put there.
const FOREIGN_BUCKET: &str = "cloudformation-custom-resource-response-useast2";

#[test]
fn an_answer_goes_nowhere_but_where_cloudformation_signed() {
    let story = Story::begin("response URLs that are not CloudFormation's");
    let mut function = Stack::ours(&story, "urls-certgen");
    function
        .create("the function alone", &[])
        .ends("CREATE_COMPLETE");
    let bucket = json!({ "Bucket": FOREIGN_BUCKET });
    story.connection().check_call("s3", "CreateBucket", &bucket);

    for (step, forgery) in [
        ("a wrong signature", json!({ "signature": "00000000" })),
        ("a foreign account", json!({ "account": "210987654321" })),
        ("a foreign bucket", json!({ "bucket": FOREIGN_BUCKET })),
    ] {
        story.forge("urls", &forgery);
        let mut stack = Stack::of(&story, "urls", Template::new(CONSUMER));
        let failed = stack
            .create(step, &[])
            .ends("ROLLBACK_FAILED")
            .exchanges(&[
                "Create DockerTLSCertGenerate no answer",
                "Delete DockerTLSCertGenerate no answer",
            ])
            .because(&["timed out"]);
        // Twice three invocations.
        assert_eq!(failed.errors.len(), 6, "{step}");
        story.check_removed("urls");
        story.forge("urls", &json!({}));
        stack
            .delete(&format!("delete after {step}"))
            .ends("DELETE_COMPLETE");
    }
    let kept = story
        .connection()
        .check_call("s3", "ListObjectsV2", &bucket);
    assert_eq!(kept["KeyCount"], 0);
    function
        .delete("delete the function")
        .ends("DELETE_COMPLETE");
}
