//! What a run does next, rule by rule of docs/fleet.md.

use docker_tls_certgen::fleet::decision::{Aim, Decision, Halt, Limits, decide};
use docker_tls_certgen::fleet::observation::{Lasts, Observation, Outcome, Unreadable};
use docker_tls_certgen::fleet::run::{Also, Run};
use docker_tls_certgen::fleet::target::{Rotation, Target};
use docker_tls_certgen::fleet::verdict::{Answer, Verdict};
use docker_tls_certgen::fleet::{Inventory, NODES_PER_COMMAND, NodeId, Presence};

use super::{
    make_answer, make_fingerprint, make_names, make_observation, make_old_answer, make_target,
};

const MOVE: Limits = Limits {
    aim: Aim::Move,
    max_failures: 0,
};
const OBSERVE: Limits = Limits {
    aim: Aim::Observe,
    ..MOVE
};

fn node(number: usize) -> NodeId {
    NodeId::parse(&format!("i-{number:08x}")).expect("eight hex digits")
}

fn nodes(numbers: impl IntoIterator<Item = usize>) -> Vec<NodeId> {
    numbers.into_iter().map(node).collect()
}

fn make_inventory(presences: &[Presence]) -> Inventory {
    let listed = presences.iter().enumerate();
    Inventory::new(
        listed.map(|(number, presence)| (node(number), *presence)),
        [],
    )
}

fn make_online(count: usize) -> Inventory {
    make_inventory(&vec![Presence::Online; count])
}

fn make_run(inventory: Inventory) -> Run {
    Run::new(make_target(), inventory, Also::NotGiven)
}

/// A run of so many nodes that has been answered so by each.
fn make_answered(answers: &[Answer]) -> Run {
    let mut run = make_run(make_online(answers.len()));
    for (number, answer) in answers.iter().enumerate() {
        run.observed(node(number), answer.clone());
    }
    run
}

/// The same nodes and the same publication, looked at after the last answer.
fn look(run: &mut Run) {
    run.look(run.target().clone(), run.inventory().clone());
}

fn moved() -> Answer {
    make_answer(Outcome::Moved)
}

fn make_other_target() -> Target {
    Target {
        current: make_fingerprint(0x0c),
        ..make_target()
    }
}

#[test]
fn whoever_has_not_been_asked_is_observed_first_fifty_at_a_time() {
    let mut run = make_run(make_online(NODES_PER_COMMAND + 2));
    let first = nodes(0..NODES_PER_COMMAND);
    assert_eq!(decide(&run, &MOVE), Decision::Observe(first.clone()));
    for node in first {
        run.observed(node, make_old_answer());
    }
    let rest = nodes(NODES_PER_COMMAND..NODES_PER_COMMAND + 2);
    assert_eq!(decide(&run, &MOVE), Decision::Observe(rest.clone()));
    for node in rest {
        run.observed(node, make_old_answer());
    }
    let first = nodes(0..NODES_PER_COMMAND);
    assert_eq!(decide(&run, &MOVE), Decision::Move(first));
}

#[test]
fn another_publication_starts_over() {
    let mut run = make_answered(&[moved(), make_old_answer()]);
    run.moved(node(1), make_answer(Outcome::RolledBack));
    run.look(make_other_target(), make_online(2));
    assert_eq!(decide(&run, &MOVE), Decision::Retarget);
    run.retarget();
    assert_eq!(run.target(), &make_other_target());
    assert_eq!(decide(&run, &MOVE), Decision::Observe(nodes(0..2)));
    for number in 0..2 {
        run.observed(node(number), make_old_answer());
    }
    assert_eq!(decide(&run, &MOVE), Decision::Move(nodes(0..2)));
}

#[test]
fn another_publication_ends_a_run_that_was_given_the_ids_that_ec2_knows() {
    let mut run = Run::new(make_target(), make_online(1), Also::Given);
    run.look(make_other_target(), make_online(1));
    assert_eq!(decide(&run, &MOVE), Decision::Halt(Halt::OutdatedIds));
}

#[test]
fn a_run_that_may_not_move_tells_who_has_not_moved() {
    let mut run = make_answered(&[moved(), make_old_answer()]);
    assert_eq!(decide(&run, &OBSERVE), Decision::Recheck);
    look(&mut run);
    let blocking = vec![(node(1), Verdict::NotYet)];
    assert_eq!(decide(&run, &OBSERVE), Decision::Blocked(blocking));
}

#[test]
fn who_is_down_or_trusts_a_retired_ca_is_moved_as_well() {
    let trusting_more = Answer::Told(Observation {
        trusts: make_names(&["A", "B", "X"]),
        ..make_observation(&make_target())
    });
    let run = make_answered(&[make_answer(Outcome::Down), moved(), trusting_more]);
    assert_eq!(decide(&run, &MOVE), Decision::Move(nodes([0, 2])));
}

#[test]
fn a_node_that_was_tried_is_not_tried_again_before_time_has_passed() {
    for outcome in [Outcome::Refused, Outcome::Stale, Outcome::Busy] {
        let mut run = make_answered(&[make_old_answer()]);
        run.moved(node(0), make_answer(outcome));
        if decide(&run, &MOVE) == Decision::Observe(nodes([0])) {
            run.observed(node(0), make_old_answer());
        }
        look(&mut run);
        let Decision::Blocked(_) = decide(&run, &MOVE) else {
            panic!("{outcome:?}: {:?}", decide(&run, &MOVE));
        };
        // Unless time has passed, and with it what was in the way.
        run.wait();
        assert_eq!(decide(&run, &MOVE), Decision::Observe(nodes([0])));
        run.observed(node(0), make_old_answer());
        assert_eq!(decide(&run, &MOVE), Decision::Move(nodes([0])));
    }
}

#[test]
fn an_answer_that_does_not_say_how_the_daemon_stands_leads_to_another_look_at_the_node() {
    for answer in [
        make_answer(Outcome::Stale),
        make_answer(Outcome::Busy),
        Answer::Unreadable(Unreadable::Cut),
        Answer::Undelivered,
    ] {
        let mut run = make_answered(&[make_old_answer()]);
        run.moved(node(0), answer.clone());
        assert_eq!(
            decide(&run, &MOVE),
            Decision::Observe(nodes([0])),
            "{answer:?}"
        );
        run.observed(node(0), moved());
        look(&mut run);
        assert_eq!(decide(&run, &MOVE), Decision::Converged, "{answer:?}");
    }
}

#[test]
fn a_command_that_never_arrived_is_sent_again_a_few_times() {
    let mut run = make_answered(&[make_old_answer()]);
    for _ in 0..Run::UNDELIVERED_LIMIT {
        assert_eq!(decide(&run, &MOVE), Decision::Move(nodes([0])));
        run.moved(node(0), Answer::Undelivered);
        run.observed(node(0), make_old_answer());
    }
    look(&mut run);
    let blocking = vec![(node(0), Verdict::NotYet)];
    assert_eq!(decide(&run, &MOVE), Decision::Blocked(blocking));
}

#[test]
fn more_failures_than_may_be_end_the_run_and_are_remembered() {
    for answer in [
        make_answer(Outcome::RolledBack),
        make_answer(Outcome::Broken),
        make_answer(Outcome::Down),
    ] {
        let mut run = make_answered(&[make_old_answer(), make_old_answer()]);
        run.moved(node(0), answer);
        let failed = nodes([0]);
        let halted = Decision::Halt(Halt::TooManyFailures { failed });
        assert_eq!(decide(&run, &MOVE), halted);
        let generous = Limits {
            max_failures: 1,
            ..MOVE
        };
        assert_eq!(decide(&run, &generous), Decision::Move(nodes([1])));

        run.wait();
        run.observed(node(0), make_old_answer());
        run.observed(node(1), make_old_answer());
        assert_eq!(decide(&run, &MOVE), halted);

        // One that has moved after all has not failed, and neither has one that is gone.
        let mut mended = run.clone();
        mended.observed(node(0), moved());
        assert_eq!(decide(&mended, &MOVE), Decision::Move(nodes([1])));
        run.look(
            make_target(),
            Inventory::new([(node(1), Presence::Online)], []),
        );
        assert_eq!(decide(&run, &MOVE), Decision::Move(nodes([1])));
    }
}

#[test]
fn a_move_whose_end_nobody_tells_counts_as_failed_unless_the_node_has_moved() {
    let mut run = make_answered(&[make_old_answer()]);
    run.moved(node(0), Answer::Unreadable(Unreadable::Absent));
    run.observed(node(0), make_old_answer());
    let failed = nodes([0]);
    let halted = Decision::Halt(Halt::TooManyFailures { failed });
    assert_eq!(decide(&run, &MOVE), halted);
}

#[test]
fn whoever_cannot_be_asked_or_would_boot_with_another_set_blocks_until_it_is_gone() {
    let boots_old = Answer::Told(Observation {
        lasts: Lasts::UntilBoot,
        ..make_observation(&make_target())
    });
    for (presence, answer, verdict) in [
        (Presence::Lost, None, Verdict::Lost),
        (Presence::NotInSsm, None, Verdict::NotInSsm),
        (Presence::Online, Some(boots_old), Verdict::BootsOld),
        (Presence::Online, Some(Answer::Undelivered), Verdict::Silent),
        (
            Presence::Online,
            Some(make_answer(Outcome::Busy)),
            Verdict::Busy,
        ),
    ] {
        let mut run = make_run(make_inventory(&[Presence::Online, presence]));
        run.observed(node(0), moved());
        if let Some(answer) = answer {
            run.observed(node(1), answer);
        }
        assert_eq!(decide(&run, &MOVE), Decision::Recheck);
        look(&mut run);
        let blocking = vec![(node(1), verdict)];
        assert_eq!(decide(&run, &MOVE), Decision::Blocked(blocking));
        run.look(make_target(), make_online(1));
        assert_eq!(decide(&run, &MOVE), Decision::Converged, "{verdict:?}");
    }
}

#[test]
fn a_node_that_was_lost_meanwhile_is_asked_again() {
    let mut run = make_answered(&[moved(), moved()]);
    run.look(
        make_target(),
        make_inventory(&[Presence::Online, Presence::Lost]),
    );
    run.look(make_target(), make_online(2));
    assert_eq!(decide(&run, &MOVE), Decision::Observe(nodes([1])));
}

#[test]
fn it_is_converged_only_after_a_look_that_follows_the_last_answer() {
    let mut run = make_answered(&[moved(), moved()]);
    assert_eq!(decide(&run, &MOVE), Decision::Recheck);
    run.look(make_target(), make_online(3));
    assert_eq!(decide(&run, &MOVE), Decision::Observe(nodes([2])));
    run.observed(node(2), moved());
    assert_eq!(decide(&run, &MOVE), Decision::Recheck);
    look(&mut run);
    assert_eq!(decide(&run, &MOVE), Decision::Converged);
    assert_eq!(decide(&run, &OBSERVE), Decision::Converged);
}

#[test]
fn after_a_close_whoever_was_started_before_is_restarted_until_all_trust_the_bundle_alone() {
    let closed = Target {
        trusts: make_names(&["B"]),
        rotation: Rotation::None,
        ..make_target()
    };
    let mut run = Run::new(closed.clone(), make_online(2), Also::NotGiven);
    run.observed(node(0), Answer::Told(make_observation(&closed)));
    run.observed(node(1), Answer::Told(make_observation(&make_target())));
    assert_eq!(decide(&run, &MOVE), Decision::Move(nodes([1])));
    run.moved(node(1), Answer::Told(make_observation(&closed)));
    assert_eq!(decide(&run, &MOVE), Decision::Recheck);
    run.look(closed, make_online(2));
    assert_eq!(decide(&run, &MOVE), Decision::Converged);
}

#[test]
fn a_rack_of_which_no_node_is_known_has_not_converged() {
    let mut run = make_run(make_online(0));
    assert_eq!(decide(&run, &MOVE), Decision::Halt(Halt::NoNodes));
    run.retarget();
    assert_eq!(decide(&run, &MOVE), Decision::Recheck);
}
