//! The three steps after which what an instance has is no client's any more: separate, rotate, retire.

use crate::engine::{Daemon, Verdict, Verification, call};
use crate::history::{Generation, History};

/// What a daemon tells its log of a client that presents a server's certificate.
const OF_A_SERVER: &str = "x509: certificate specifies an incompatible key usage";
/// And of one whose certificate leads to none of its CAs, which it names: Go's clients then present nothing.
const OF_NO_CA: &str = "tls: client didn't provide a certificate";

/// Checks that daemons take all of these clients, which verify them in turn. The deployed handler's certificates have no
/// names, so that they cannot be verified.
#[track_caller]
fn check_all_taken(daemons: &[&Daemon], clients: &[&Generation], verification: Verification) {
    for daemon in daemons {
        for client in clients {
            let verdict = call(client, daemon.address(), verification);
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
fn check_the_three_steps(mut history: History, verification: Verification) {
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
    check_all_taken(&[old, apart], &[&before, &separated], verification);
    check_none_taken(old, &[&of_separated], OF_A_SERVER);
    check_none_taken(apart, &[&of_separated], OF_A_SERVER);

    history.rotate("rotated");
    let (rotated, of_rotated) = (history.latest().clone(), history.make_instance("rotated"));
    let [moved] = &Daemon::start_all([&of_rotated])[..] else {
        panic!("one daemon")
    };
    let all = [&before, &separated, &rotated];
    check_all_taken(&[old, apart, moved], &all, verification);
    check_none_taken(moved, &[&of_separated, &of_rotated], OF_A_SERVER);

    history.close("retired");
    let (retired, of_retired) = (history.latest().clone(), history.make_instance("retired"));
    let [one, other] = &Daemon::start_all([&of_retired, &of_retired])[..] else {
        panic!("two daemons")
    };
    // What was moved, and what is made now: the API's pair is taken by all of them.
    let own = [&rotated, &retired];
    check_all_taken(&[moved, one, other], &own, Verification::Full);
    // One that was moved before the close takes the former pair until it is started anew.
    check_all_taken(&[moved], &[&before], verification);
    // An instance's own files are refused by another instance's daemon, and so are those that it had before.
    for daemon in [one, other] {
        check_none_taken(daemon, &[&of_rotated, &of_retired], OF_A_SERVER);
        check_none_taken(daemon, &[&before, &of_separated], OF_NO_CA);
    }
}

#[test]
fn after_three_steps_a_deployed_racks_instances_are_no_clients_of_each_other() {
    check_the_three_steps(History::deployed(), Verification::None);
}

#[test]
fn after_three_steps_a_racks_instances_are_no_clients_of_each_other() {
    check_the_three_steps(History::created(&[]), Verification::Full);
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
    let clients = [&before, &separated, &shared, &of_shared];
    check_all_taken(&daemons, &clients, Verification::Full);
}
