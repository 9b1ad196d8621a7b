//! The template as it is, by the tool that people deploy it with.

use std::process::Command;

use crate::certificates::check_strict;
use crate::engine::{CODE_BUCKET, ENGINE};
use crate::isolation;
use crate::process::check;
use crate::sam::sam;
use crate::stack::Stack;
use crate::story::Story;

const STACK: &str = "deployed-by-sam";
const RACK: &str = "deployed";

#[test]
fn sam_builds_deploys_and_deletes_the_template_as_it_is() {
    let story = Story::begin("sam build, sam deploy, sam delete");
    let built = isolation::make_folder();
    check(sam("build").arg("--build-dir").arg(built.path()));
    let deploy = |version: &str| {
        let mut deploy = call("deploy --no-resolve-s3 --no-confirm-changeset");
        deploy
            .arg("--template")
            .arg(built.path().join("template.yaml"));
        deploy.args(["--s3-bucket", CODE_BUCKET, "--parameter-overrides"]);
        deploy.args([format!("Rack={RACK}"), format!("Version={version}")]);
        check(&mut deploy);
        Ok(())
    };

    let stack = Stack::ours(&story, STACK);
    stack.watch("sam deploy", || deploy("1")).created();
    let set = story.set(RACK);
    check_strict(&set);
    stack
        .watch("another Version", || deploy("2"))
        .updated()
        .writes_nothing();
    assert_eq!(story.set(RACK), set);
    stack
        .watch("sam delete", || {
            check(&mut call("delete --no-prompts"));
            Ok(())
        })
        .deleted();
    story.check_removed(RACK);
}

/// A call of sam that reaches the engine, with the project's configuration for another stack.
fn call(subcommand: &str) -> Command {
    let mut command = sam(subcommand);
    let configuration = concat!(env!("CARGO_MANIFEST_DIR"), "/samconfig.toml");
    command.args(["--stack-name", STACK, "--config-file", configuration]);
    command.envs(ENGINE.environment());
    command
}
