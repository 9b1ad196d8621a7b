//! The function in a stack of its own, for the stacks of others.

use crate::certificates::check_strict;
use crate::stack::Stack;
use crate::story::Story;
use crate::template::Template;

const README: &str = include_str!("../../README.md");

/// The stack's name in the README's example.
const FUNCTION: &str = "docker-tls-certgen";

#[test]
fn another_stack_imports_the_service_token_as_the_readme_shows() {
    let story = Story::begin("another stack by !ImportValue");
    let mut function = Stack::ours(&story, FUNCTION);
    function
        .create("the function alone", &[])
        .ends("CREATE_COMPLETE")
        .exchanges(&[]);

    let blocks = README.split("```yaml\n").skip(1);
    let mut blocks = blocks.filter_map(|block| block.split("```").next());
    let example = blocks.find(|block| block.contains("!ImportValue"));
    let resource = example
        .expect("the README has an example")
        .lines()
        .map(|line| format!("  {line}\n"));
    let template = format!(
        "Parameters:\n  Version:\n    Type: String\n\
         Resources:\n{}\
         Outputs:\n  Parameter:\n    Value: !GetAtt DockerTLSCertGenerate.CACertSSMKey\n",
        resource.collect::<String>()
    );
    let mut rack = Stack::of(&story, "imports", Template::new(template));
    rack.create("a rack of another stack", &[("Version", "1")])
        .ends("CREATE_COMPLETE")
        .exchanges(&["Create DockerTLSCertGenerate SUCCESS"]);
    let set = story.set("imports");
    check_strict(&set);
    rack.update("another Version", &[("Version", "2")])
        .ends("UPDATE_COMPLETE")
        .exchanges(&["Update DockerTLSCertGenerate SUCCESS"])
        .writes_nothing();
    let refused = function.delete("delete the function while it is in use");
    assert!(
        refused.status.contains("imported by stack imports"),
        "{}",
        refused.status
    );
    rack.delete("delete the rack")
        .ends("DELETE_COMPLETE")
        .exchanges(&["Delete DockerTLSCertGenerate SUCCESS"]);
    story.check_removed("imports");
    function
        .delete("delete the function")
        .ends("DELETE_COMPLETE");
}
