//! The exhaustive model test of a fleet: every interleaving of two nodes, the tool, the operator and the world, and in
//! none of them is anybody refused; and what becomes of that where one guard is left out.
//!
//! The tool is the product's own [`Run`] and [`decide`]. Guards are left out around them: in what the tool is shown, in
//! what is made of its answer, and in how a node or the stack behaves.
//!
//! A publication is one step here; what may happen between its writes is the matter of `tests/core/model.rs`. That a
//! launch template is up to date before the tool is run is taken for granted: no node tells what the next one will be
//! launched with.
//!
//! [`Run`]: docker_tls_certgen::fleet::run::Run
//! [`decide`]: docker_tls_certgen::fleet::decision::decide

mod catalog;
mod hash;
mod runs;
mod search;
mod step;
mod world;

use docker_tls_testing::table;

use self::search::{Findings, search};
use self::world::{Guard, Left, Scenario};

/// A second rotation, one that is taken back, and one thing that befalls a node, besides all that has no limit:
/// removals, interrupted runs, late commands and late words.
const EVERYTHING: Left = Left {
    rotations: 2,
    takings_back: 1,
    mishaps: 1,
};

/// One rotation, and more that befalls the nodes.
const MISHAPS: Left = Left {
    rotations: 1,
    takings_back: 1,
    mishaps: 2,
};

/// Two rotations that are not taken back.
const ONWARDS: Left = Left {
    rotations: 2,
    takings_back: 0,
    mishaps: 1,
};

/// Both nodes read what is published when they boot, and every CA can vouch for the next.
const PLAIN: Scenario = Scenario {
    name: "nodes that read SSM at boot",
    has_launch_data: [false, false],
    first_vouches: true,
    starts_slowly: true,
    without: None,
    left: EVERYTHING,
};

/// New nodes are there at once, so that one run may go on with what is published later.
const WITHOUT_IDS: Scenario = Scenario {
    name: "nodes that SSM knows at once",
    starts_slowly: false,
    ..PLAIN
};

/// One node writes its files from launch data at every boot.
const LAUNCH_DATA: Scenario = Scenario {
    name: "a node that boots with its launch data",
    has_launch_data: [false, true],
    ..PLAIN
};

/// The first CA cannot vouch for another, so trust comes first.
const TRUST_FIRST: Scenario = Scenario {
    name: "a first CA that cannot vouch",
    first_vouches: false,
    ..PLAIN
};

#[test]
fn nobody_is_refused_by_a_close_however_nodes_tool_operator_and_world_interleave() {
    check_nobody_is_refused(&PLAIN);
}

#[test]
fn nobody_is_refused_by_a_close_after_whatever_befalls_the_nodes() {
    check_nobody_is_refused(&Scenario {
        left: MISHAPS,
        ..PLAIN
    });
}

#[test]
fn nobody_is_refused_by_a_close_where_one_run_outlives_a_publication() {
    check_nobody_is_refused(&Scenario {
        left: ONWARDS,
        ..WITHOUT_IDS
    });
}

#[test]
fn nobody_is_refused_by_a_close_where_a_node_boots_with_its_launch_data() {
    check_nobody_is_refused(&Scenario {
        left: ONWARDS,
        ..LAUNCH_DATA
    });
}

#[test]
fn nobody_is_refused_by_a_move_and_a_close_where_trust_comes_first() {
    let left = Left {
        mishaps: 0,
        ..EVERYTHING
    };
    check_nobody_is_refused(&Scenario {
        left,
        ..TRUST_FIRST
    });
}

#[test]
fn nobody_is_refused_by_a_move_and_a_close_after_what_befalls_a_node_where_trust_comes_first() {
    let left = Left {
        rotations: 1,
        ..EVERYTHING
    };
    check_nobody_is_refused(&Scenario {
        left,
        ..TRUST_FIRST
    });
}

/// Such a command only restarts a daemon that nobody meant to restart any more.
#[test]
fn a_late_command_that_brings_whatever_is_published_moves_no_node_backwards() {
    let left = Left {
        rotations: 1,
        ..EVERYTHING
    };
    check_nobody_is_refused(&Scenario {
        left,
        without: Some(Guard::MeantSetAlone),
        ..PLAIN
    });
}

/// What is published and the nodes are looked at together, so whoever comes later has what is published. The last look
/// tells how many nodes there are, and that none was lost meanwhile.
#[test]
fn a_run_that_ends_with_the_last_answer_cuts_nobody_off() {
    check_nobody_is_refused(&Scenario {
        left: ONWARDS,
        without: Some(Guard::LookAfterLastAnswer),
        ..WITHOUT_IDS
    });
}

#[track_caller]
fn check_nobody_is_refused(scenario: &Scenario) {
    let scenario = Scenario {
        left: Left::from_environment().unwrap_or(scenario.left),
        ..*scenario
    };
    let findings = search(&scenario);
    show(&scenario, &findings);
    assert_eq!(findings.counterexample, None, "{}", scenario.name);
    assert_eq!(findings.endless, None, "{}", scenario.name);
    assert!(findings.closes > 0 && findings.second_passes > 0);
}

fn show(scenario: &Scenario, findings: &Findings) {
    let mut text = format!(
        "fleet, {}: {} states, {} steps, {} closes, {} moves of the certificate, {} takings back, {} runs of the tool, \
         {} restarts after a close, {} quiet ends",
        scenario.name,
        findings.states,
        findings.steps,
        findings.closes,
        findings.certificate_moves,
        findings.takings_back,
        findings.runs,
        findings.second_passes,
        findings.quiet_ends,
    );
    if let Some(guard) = scenario.without {
        text = format!("{text}; without: {}", guard.words());
    }
    if let Some(way) = &findings.counterexample {
        text = format!("{text}\n  {way}");
    }
    table::print(&text);
}

/// Checks that somebody is refused once a guard is left out.
#[track_caller]
fn check_is_needed(guard: Guard, scenario: &Scenario) {
    let scenario = Scenario {
        without: Some(guard),
        ..*scenario
    };
    let findings = search(&scenario);
    show(&scenario, &findings);
    assert!(
        findings.counterexample.is_some(),
        "nobody is refused without it: {}",
        guard.words()
    );
}

#[test]
fn a_word_that_names_the_previous_ca_alone_cuts_off_whoever_moved_before_the_next_rotation() {
    check_is_needed(Guard::WordOfBothCas, &PLAIN);
}

#[test]
fn launch_data_that_goes_unnoticed_cuts_off_a_node_that_boots() {
    check_is_needed(Guard::LaunchData, &LAUNCH_DATA);
}

#[test]
fn files_of_another_set_that_go_unnoticed_cut_off_a_node_whose_daemon_is_started_anew() {
    check_is_needed(Guard::Files, &PLAIN);
}

#[test]
fn an_inventory_from_before_a_publication_lacks_a_node_that_came_before_it_as_well() {
    check_is_needed(Guard::InventoryAnew, &WITHOUT_IDS);
}

/// Where the ids that EC2 knows are given, such a node blocks by its id.
#[test]
fn lost_nodes_that_are_forgotten_are_cut_off_when_they_come_back() {
    check_is_needed(Guard::LostNodes, &WITHOUT_IDS);
}

#[test]
fn without_the_ids_that_ec2_knows_a_node_that_is_starting_is_cut_off() {
    check_is_needed(Guard::IdsOfEc2, &PLAIN);
}

#[test]
fn ids_that_were_listed_before_the_set_was_published_lack_a_node_that_is_starting() {
    check_is_needed(Guard::IdsListedAnew, &PLAIN);
}

#[test]
fn a_node_that_takes_two_commands_at_once_may_go_back_to_the_set_of_the_first() {
    check_is_needed(Guard::NodesLock, &PLAIN);
}

#[test]
fn a_node_that_is_observed_while_it_moves_may_go_back_afterwards() {
    check_is_needed(Guard::BusyWhileMoving, &PLAIN);
}

#[test]
fn a_late_command_that_brings_the_set_it_was_sent_for_moves_a_node_backwards() {
    check_is_needed(Guard::PublishedSetAlone, &PLAIN);
}

#[test]
fn a_rotation_that_is_taken_back_after_its_certificate_was_moved_cuts_off() {
    check_is_needed(Guard::NoTakingBackOnceMoved, &TRUST_FIRST);
}
