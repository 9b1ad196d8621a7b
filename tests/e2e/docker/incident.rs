//! What happened to racks on every update: a new CA, which no running instance knew.

use crate::engine::{Daemon, Verdict, Verification, call};
use crate::history::History;

/// What a daemon tells its log of a client whose CA it does not know. What it tells the client depends on its Go: `remote
/// error: tls: unknown certificate authority`, or `bad certificate`.
const CAUSE: &str = "x509: certificate signed by unknown authority";

/// The deployed handler made two sets, each with a new CA, as it did on every update.
#[test]
fn a_daemon_refuses_the_new_ca_that_the_deployed_handler_made_on_an_update() {
    let before = History::deployed();
    let after = History::other_deployed();
    let instance = &Daemon::start_all([before.latest()])[0];
    let old_api = call(before.latest(), instance.address(), Verification::None);
    assert_eq!(old_api, Verdict::Connected);
    let new_api = call(after.latest(), instance.address(), Verification::None);
    assert_ne!(new_api, Verdict::Connected);
    instance.wait_for_log(CAUSE);
}

#[test]
fn a_daemon_takes_the_same_client_after_our_update_and_the_new_one_after_our_rotation() {
    let mut history = History::deployed();
    let instance = &Daemon::start_all([history.latest()])[0];
    history.update("updated");
    let api = call(history.latest(), instance.address(), Verification::None);
    assert_eq!(api, Verdict::Connected);
    history.rotate("rotated");
    let api = call(history.latest(), instance.address(), Verification::None);
    assert_eq!(api, Verdict::Connected);
}

/// What the operator would get who only adds a new CA to the old one.
#[test]
fn a_daemon_refuses_a_rotated_client_that_leaves_out_the_cross_certificate() {
    let mut history = History::created(&[]);
    let instance = &Daemon::start_all([history.latest()])[0];
    history.rotate("rotated");
    let whole = call(history.latest(), instance.address(), Verification::Full);
    assert_eq!(whole, Verdict::Connected);
    let bare = history.latest().make_bare();
    let without = call(&bare, instance.address(), Verification::Full);
    assert_ne!(without, Verdict::Connected);
}
