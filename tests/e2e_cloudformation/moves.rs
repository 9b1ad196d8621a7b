//! A resource that becomes another one: for another rack, or under another logical id.

use crate::certificates::check_strict;
use crate::stack::Stack;
use crate::story::Story;
use crate::template::{Order, Template};

#[test]
fn a_stack_moves_to_another_rack() {
    let story = Story::begin("another rack");
    let mut stack = Stack::ours(&story, "moves");
    let to = |rack| [("Rack", rack)];
    stack.create("create", &to("moves-1")).created();
    let first = story.set("moves-1");

    stack.set_template(Template::ours().with_failure(Order::Before));
    stack
        .update(
            "Rack changed, and an earlier resource fails",
            &to("moves-2"),
        )
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&["Create Failing FAILED", "Delete Failing SUCCESS"])
        .writes_nothing();
    assert_eq!(story.set("moves-1"), first);
    story.check_removed("moves-2");

    stack.set_template(Template::ours().with_failure(Order::After));
    stack
        .update("Rack changed, and a later resource fails", &to("moves-2"))
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[
            "Update DockerTLSCertGenerate SUCCESS",
            "Update DockerTLSCert SUCCESS",
            "Create Failing FAILED",
            "Delete Failing SUCCESS",
            "Delete DockerTLSCert SUCCESS",
            "Delete DockerTLSCertGenerate SUCCESS",
        ]);
    assert_eq!(story.set("moves-1"), first);
    story.check_removed("moves-2");

    stack.set_template(Template::ours());
    stack
        .update("Rack changed", &to("moves-2"))
        .ends("UPDATE_COMPLETE")
        .exchanges(&[
            "Update DockerTLSCertGenerate SUCCESS",
            "Update DockerTLSCert SUCCESS",
            "Delete DockerTLSCert SUCCESS",
            "Delete DockerTLSCertGenerate SUCCESS",
        ]);
    story.check_removed("moves-1");
    check_strict(&story.set("moves-2"));
    stack.delete("delete").deleted();
    story.check_removed("moves-2");
}

#[test]
fn a_renamed_resource_keeps_the_set() {
    let story = Story::begin("another logical id");
    let rack = "renamed";
    let mut stack = Stack::ours(&story, "renamed");
    stack.create("create", &[("Rack", rack)]).created();
    let set = story.set(rack);

    let renamed = |template: Template| template.with_generator_named("Renamed");
    stack.set_template(renamed(Template::ours().with_failure(Order::After)));
    stack
        .update("renamed, and a later resource fails", &[])
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[
            "Create Renamed SUCCESS",
            "Create Failing FAILED",
            "Delete Failing SUCCESS",
            "Delete Renamed SUCCESS",
        ]);
    assert_eq!(story.set(rack), set);

    stack.set_template(renamed(Template::ours()));
    stack
        .update("renamed", &[])
        .ends("UPDATE_COMPLETE")
        .exchanges(&[
            "Create Renamed SUCCESS",
            "Delete DockerTLSCertGenerate SUCCESS",
        ]);
    assert_eq!(story.set(rack), set);
    stack
        .delete("delete")
        .ends("DELETE_COMPLETE")
        .exchanges(&["Delete DockerTLSCert SUCCESS", "Delete Renamed SUCCESS"]);
    story.check_removed(rack);
}
