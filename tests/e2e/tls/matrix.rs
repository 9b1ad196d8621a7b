//! Every stack with every other, as client and as server, in every generation.

use crate::engine::Verdict;
use crate::history::{Generation, History};
use crate::table::Table;
use crate::tls::gnutls::GnuTls;
use crate::tls::go::Go;
use crate::tls::openssl::OpenSsl;
use crate::tls::rustls::Rustls;
use crate::tls::{Names, Role, Stack};

const STACKS: [&dyn Stack; 5] = [&OpenSsl::Latest, &OpenSsl::Tls12, &GnuTls, &Rustls, &Go];

/// Starts a server of each stack in each generation, and calls each with a client of each stack in each generation, and
/// with one from a stranger.
#[track_caller]
fn check_matrix(title: &str, history: &History, stranger: &Generation) {
    let generations = &history.generations;
    let numbers: Vec<String> = (0..generations.len()).map(|i| i.to_string()).collect();
    let named = generations.iter().zip(&numbers);
    let legend: Vec<_> = named
        .map(|(g, number)| format!("{number} {}", g.name))
        .collect();
    let columns = STACKS.map(|stack| format!("{} {}", stack.name(), numbers.concat()));
    let title = format!("{title}\n+ connects, - refused; {}", legend.join(", "));
    let mut table = Table::new(&title, "client \\ server", &columns);
    let mut wrong = Vec::new();
    let servers = STACKS.map(|stack| {
        let servers = generations.iter().map(|generation| stack.serve(generation));
        servers.collect::<Vec<_>>()
    });
    for client_stack in STACKS {
        let clients = generations.iter().zip(&numbers);
        let clients = clients.map(|(g, number)| (g, number.as_str(), Membership::Rack));
        for (client, heading, membership) in
            clients.chain([(stranger, "stranger", Membership::None)])
        {
            let mut cells = Vec::new();
            for (server_stack, servers) in STACKS.into_iter().zip(&servers) {
                let mut cell = String::new();
                for (generation, server) in generations.iter().zip(servers) {
                    let expected = membership == Membership::Rack
                        && client.connects_to(generation)
                        && takes(server_stack, client, Role::Client)
                        && takes(client_stack, generation, Role::Server);
                    let verdict = client_stack.call(client, server.address(), names_of(generation));
                    let is_connected = verdict == Verdict::Connected;
                    cell.push(if is_connected { '+' } else { '-' });
                    if is_connected != expected {
                        let server = format!("{} {}", server_stack.name(), generation.name);
                        wrong.push(format!(
                            "{} {heading} to {server}: {verdict:?}",
                            client_stack.name()
                        ));
                    }
                }
                cells.push(cell);
            }
            table.add(&format!("{} {heading}", client_stack.name()), cells);
        }
    }
    table.print();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether a client is of the rack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Membership {
    Rack,
    None,
}

fn names_of(server: &Generation) -> Names {
    if server.has_names() {
        Names::Address
    } else {
        Names::Nothing
    }
}

/// Whether a stack takes the kind of certificate that a peer has, if it trusts the CA. It is so since before any rotation.
fn takes(stack: &dyn Stack, peer: &Generation, role: Role) -> bool {
    peer.has_names() || stack.takes_deployed(role)
}

#[test]
fn every_stack_goes_with_every_other_in_every_generation_of_a_deployed_rack() {
    let history = History::deployed().live();
    let stranger = History::other_deployed();
    check_matrix(
        "TLS stacks with a rack of the deployed handler, whose certificate (0) is refused by OpenSSL, for its subject is its \
         issuer, and by clients that verify names: rustls; docker's must verify nothing of that server",
        &history,
        stranger.latest(),
    );
}

#[test]
fn every_stack_goes_with_every_other_in_every_generation_of_our_own_rack() {
    let history = History::created(&[]).live();
    let stranger = history.make_stranger();
    check_matrix("TLS stacks with a rack of ours", &history, &stranger);
}
