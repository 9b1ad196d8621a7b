//! Who connects to whom: a daemon for each generation of a rack, and clients of each generation calling each.

use docker_tls_certgen::set::rack::Part;

use crate::engine::{Daemon, Verdict, Verification, call, call_without_certificate};
use crate::history::{Generation, History};
use crate::table::Table;

/// What the client says of a certificate without a subjectAltName, before it looks at anything else.
const NO_NAMES: &str =
    "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs";

/// What a daemon tells its log of clients that it refuses.
const UNKNOWN_CLIENT: &str = "x509: certificate signed by unknown authority";
const NO_CERTIFICATE: &str = "client didn't provide a certificate";

/// Who calls.
#[derive(Clone, Copy)]
enum Caller<'a> {
    /// A client of this generation of the rack.
    Of(&'a Generation),
    /// A client with a certificate of a CA that has the name of the rack's first, but is another.
    Stranger(&'a Generation),
    /// A client that trusts this generation, and shows no certificate.
    Anonymous(&'a Generation),
}

impl Caller<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Of(generation) => generation.name,
            Self::Stranger(_) => "a stranger",
            Self::Anonymous(_) => "no certificate",
        }
    }

    /// Whether it is to get through to a daemon of this generation.
    fn is_welcome(self, at: &Generation) -> bool {
        matches!(self, Self::Of(generation) if generation.connects_to(at))
    }

    /// Calls. A client that is to get through verifies all that it can; the others nothing, for it is the daemon that has
    /// to refuse them.
    #[track_caller]
    fn call(self, daemon: &Daemon, generation: &Generation) -> Verdict {
        let verification = if self.is_welcome(generation) && generation.has_names() {
            Verification::Full
        } else {
            Verification::None
        };
        match self {
            Self::Of(client) | Self::Stranger(client) => {
                call(client, daemon.address(), verification)
            }
            Self::Anonymous(trusting) => {
                call_without_certificate(trusting, daemon.address(), verification)
            }
        }
    }
}

/// Starts a daemon for each generation, and calls each from each, from a stranger and without a certificate.
#[track_caller]
fn check_matrix(title: &str, history: &History, stranger: &Generation) {
    let generations = &history.generations;
    let daemons = Daemon::start_all(generations);
    let names: Vec<_> = generations.iter().map(|g| g.name.to_owned()).collect();
    let mut table = Table::new(title, "client \\ daemon", &names);
    let mut wrong = Vec::new();
    let others = [
        Caller::Stranger(stranger),
        Caller::Anonymous(history.latest()),
    ];
    for caller in generations.iter().map(Caller::Of).chain(others) {
        let mut cells = Vec::new();
        for (generation, daemon) in generations.iter().zip(&daemons) {
            let verdict = caller.call(daemon, generation);
            let is_connected = verdict == Verdict::Connected;
            cells.push(match (is_connected, generation.has_names()) {
                (true, true) => "connects".to_owned(),
                (true, false) => "connects *".to_owned(),
                (false, _) => "refused".to_owned(),
            });
            if is_connected != caller.is_welcome(generation) {
                wrong.push(format!(
                    "{} to {}: {verdict:?}",
                    caller.name(),
                    generation.name
                ));
            }
        }
        table.add(caller.name(), cells);
    }
    table.print();
    assert!(wrong.is_empty(), "{wrong:#?}");

    // The stranger has shown its certificate, and the anonymous client none.
    daemons[0].wait_for_log(UNKNOWN_CLIENT);
    daemons[0].wait_for_log(NO_CERTIFICATE);
    for (generation, daemon) in generations.iter().zip(&daemons) {
        if !generation.has_names() {
            // It always was so: whoever calls such a daemon cannot have verified names, and nothing changes for it.
            let verdict = call(generation, daemon.address(), Verification::Full);
            assert!(verdict.refusal().contains(NO_NAMES), "{verdict:?}");
        }
    }
}

#[test]
fn everyone_of_a_deployed_rack_connects_through_rotations_and_losses_until_the_close() {
    let history = History::deployed().live();
    let stranger = History::other_deployed();
    check_matrix(
        "A rack of the deployed handler (*: the certificate has no names, so that a docker client cannot verify it: it \
         verifies name and chain or neither. Go does verify that chain here, where it is a client's)",
        &history,
        stranger.latest(),
    );
}

#[test]
fn everyone_of_our_own_rack_connects_through_rotations_and_losses_until_the_close() {
    let history = History::created(&[]).live();
    let stranger = history.make_stranger();
    check_matrix("A rack of ours, ECDSA P-256", &history, &stranger);
}

#[test]
fn everyone_of_our_own_rsa_rack_connects_through_rotations_and_losses_until_the_close() {
    let history = History::created(&["KeyAlgorithm=RSA_2048"]).live();
    let stranger = history.make_stranger();
    check_matrix("A rack of ours, RSA 2048", &history, &stranger);
}

#[test]
fn everyone_of_a_deployed_rack_connects_when_its_ca_key_was_lost_before_any_rotation() {
    let mut history = History::deployed();
    history.lose(Part::CaKey, "CA key lost");
    history.rotate("rotated");
    history.lose(Part::CaKey, "lost again");
    let stranger = History::other_deployed();
    check_matrix(
        "A rack of the deployed handler, its CA key lost at first (*: the certificate has no names)",
        &history,
        stranger.latest(),
    );
}

#[test]
fn everyone_of_our_own_rack_connects_when_its_ca_certificate_was_lost_before_any_rotation() {
    let mut history = History::created(&["KeyAlgorithm=ECDSA_P384"]);
    history.lose(Part::CaCert, "CA cert lost");
    history.rotate("rotated");
    history.lose(Part::CaCert, "lost again");
    let stranger = history.make_stranger();
    check_matrix(
        "A rack of ours, ECDSA P-384, its CA certificate lost at first",
        &history,
        &stranger,
    );
}
