//! The three steps after which what an instance has is no client's any more: separate, rotate, retire.

use crate::engine::{Daemon, Verdict, Verification, call};
use crate::history::{Generation, History};

/// What a daemon tells its log of a client that presents a server's certificate.
const OF_A_SERVER: &str = "x509: certificate specifies an incompatible key usage";
/// And of one whose certificate leads to none of its CAs, which it names: Go's clients then present nothing.
const OF_NO_CA: &str = "tls: client didn't provide a certificate";

/// Checks that daemons take all of these clients. The deployed handler's certificates have no names.
#[track_caller]
fn check_all_taken(daemons: &[&Daemon], clients: &[&Generation]) {
    for daemon in daemons {
        for client in clients {
            let verdict = call(client, daemon.address(), Verification::None);
            assert_eq!(verdict, Verdict::Connected, "{}", client.name);
        }
    }
}

/// Checks that a daemon takes none of these for clients, for this reason.
#[track_caller]
fn check_none_taken(daemon: &Daemon, clients: &[&Generation], cause: &str) {
    for client in clients {
        let verdict = call(client, daemon.address(), Verification::None);
        assert_ne!(verdict, Verdict::Connected, "{}", client.name);
    }
    daemon.wait_for_log(cause);
}

#[track_caller]
fn check_the_three_steps(mut history: History) {
    let before = history.latest().clone();
    let [old] = &Daemon::start_all([&before])[..] else {
        panic!("one daemon")
    };

    history.separate("separated");
    let (separated, of_separated) = (history.latest().clone(), history.make_instance("separated"));
    let [apart] = &Daemon::start_all([&of_separated])[..] else {
        panic!("one daemon")
    };
    // Whatever ran before goes on, and is a client still.
    check_all_taken(&[old, apart], &[&before, &separated]);
    check_none_taken(old, &[&of_separated], OF_A_SERVER);
    check_none_taken(apart, &[&of_separated], OF_A_SERVER);

    history.rotate("rotated");
    let (rotated, of_rotated) = (history.latest().clone(), history.make_instance("rotated"));
    let [moved] = &Daemon::start_all([&of_rotated])[..] else {
        panic!("one daemon")
    };
    check_all_taken(&[old, apart, moved], &[&before, &separated, &rotated]);
    check_none_taken(moved, &[&of_separated, &of_rotated], OF_A_SERVER);

    history.close("retired");
    let (retired, of_retired) = (history.latest().clone(), history.make_instance("retired"));
    let [one, other] = &Daemon::start_all([&of_retired, &of_retired])[..] else {
        panic!("two daemons")
    };
    // What was moved, and what is made now: the API's pair is taken by all of them.
    check_all_taken(&[moved, one, other], &[&rotated, &retired]);
    // An instance's own files are refused by another instance's daemon, and so are those that it had before.
    for daemon in [one, other] {
        check_none_taken(daemon, &[&of_rotated, &of_retired], OF_A_SERVER);
        check_none_taken(daemon, &[&before, &of_separated], OF_NO_CA);
    }
    // A client verifies what the daemons present: theirs are a server's.
    for daemon in [moved, one, other] {
        let verdict = call(&retired, daemon.address(), Verification::Full);
        assert_eq!(verdict, Verdict::Connected);
    }
}

#[test]
fn after_three_steps_a_deployed_racks_instances_are_no_clients_of_each_other() {
    check_the_three_steps(History::deployed());
}

#[test]
fn after_three_steps_a_racks_instances_are_no_clients_of_each_other() {
    check_the_three_steps(History::created(&[]));
}

#[test]
fn sharing_again_refuses_nobody_and_makes_instances_clients_again() {
    let mut history = History::created(&[]);
    let before = history.latest().clone();
    history.separate("separated");
    let (separated, of_separated) = (history.latest().clone(), history.make_instance("separated"));
    history.share("shared again");
    let (shared, of_shared) = (
        history.latest().clone(),
        history.make_instance("shared again"),
    );
    let daemons = Daemon::start_all([&before, &of_separated, &of_shared]);
    let daemons: Vec<&Daemon> = daemons.iter().collect();
    check_all_taken(&daemons, &[&before, &separated, &shared, &of_shared]);
}
