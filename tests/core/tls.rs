//! Real TLS: rustls and OpenSSL as client and as server, each with a certificate, over the loopback interface; all
//! pairs of generations after three rotations in a row.
//!
//! What a stack cannot do even before any rotation is left out: OpenSSL takes a deployed end-entity certificate for a
//! self-signed one, because its subject is its issuer's (error 18), whoever presents it. Go and rustls accept it.

mod openssl_peer;
mod rustls_peer;

use std::fmt::Write as _;

use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::table;

use crate::issued::{Origin, make_generations};
use crate::store::{certificate, make_deployed, make_other_deployed, make_own};

/// What a client sends, and what a server sends back: only then has each accepted the other's certificate.
const QUESTION: &[u8] = b"ping\n";
const ANSWER: &[u8] = b"gnip\n";

/// A TLS implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stack {
    Rustls,
    OpenSsl,
}

const STACKS: [Stack; 2] = [Stack::Rustls, Stack::OpenSsl];

/// Lets a client with the one set talk to a server with the other; what the one that refused said.
fn talk(client: (Stack, &StoredSet), server: (Stack, &StoredSet)) -> Result<(), String> {
    let name = server_name(server.1);
    match server.0 {
        Stack::Rustls => {
            let running = rustls_peer::Server::start(server.1);
            let said = [connect(client, &running.address(), name), running.end()];
            let errors: Vec<String> = said.into_iter().filter_map(Result::err).collect();
            if errors.is_empty() {
                Ok(())
            } else {
                Err(errors.join("; "))
            }
        }
        Stack::OpenSsl => {
            let running = openssl_peer::Server::start(server.1);
            connect(client, &running.address(), name)
        }
    }
}

fn connect(client: (Stack, &StoredSet), address: &str, name: Option<&str>) -> Result<(), String> {
    match client.0 {
        Stack::Rustls => rustls_peer::connect(client.1, address, name),
        Stack::OpenSsl => openssl_peer::connect(client.1, address, name),
    }
}

/// The name that a server's certificate is checked for; the deployed handler's certificates have none.
fn server_name(stored: &StoredSet) -> Option<&'static str> {
    let leaf = certificate(stored, Part::Cert, 0);
    (!leaf.alternative_names().is_empty()).then_some("localhost")
}

/// Whether a stack can verify what a set presents, whatever it trusts.
fn can_verify(stack: Stack, presenter: &StoredSet) -> bool {
    let leaf = certificate(presenter, Part::Cert, 0);
    stack == Stack::Rustls || leaf.subject() != leaf.issuer()
}

#[test]
fn all_generations_of_a_deployed_set_connect_on_both_stacks_in_both_directions() {
    check_all_connect(
        "deployed, RSA, then P-256",
        Origin::Deployed,
        KeyAlgorithm::EcdsaP256,
    );
}

#[test]
fn all_generations_of_a_set_of_our_own_connect_on_both_stacks_in_both_directions() {
    let p256 = KeyAlgorithm::EcdsaP256;
    check_all_connect("own, P-256", Origin::Own(p256), p256);
}

#[test]
fn all_generations_connect_where_an_ec_anchor_signs_rsa() {
    let (p384, rsa) = (KeyAlgorithm::EcdsaP384, KeyAlgorithm::Rsa2048);
    check_all_connect("own, P-384, then RSA", Origin::Own(p384), rsa);
}

/// Lets every generation talk to every generation, and prints who did.
#[track_caller]
fn check_all_connect(family: &str, origin: Origin, algorithm: KeyAlgorithm) {
    let generations = make_generations(origin, algorithm);
    let mut table = format!("{family}; rows are the client's generation, columns the server's\n");
    let mut refusals = Vec::new();
    for client_stack in STACKS {
        for server_stack in STACKS {
            writeln!(table, "  client {client_stack:?}, server {server_stack:?}")
                .expect("a String takes all");
            for (row, client) in generations.iter().enumerate() {
                write!(table, "    s{row}").expect("a String takes all");
                for (column, server) in generations.iter().enumerate() {
                    if !can_verify(client_stack, server) || !can_verify(server_stack, client) {
                        table += "  left out";
                        continue;
                    }
                    match talk((client_stack, client), (server_stack, server)) {
                        Ok(()) => table += "  connects",
                        Err(error) => {
                            table += "  REFUSED ";
                            refusals.push(format!("s{row} to s{column}: {error}"));
                        }
                    }
                }
                table += "\n";
            }
        }
    }
    table::print(&table);
    assert_eq!(refusals, Vec::<String>::new(), "{table}");
}

#[test]
fn a_stranger_is_refused_by_both_stacks_as_client_and_as_server() {
    let own = make_own(KeyAlgorithm::EcdsaP256);
    let stranger = make_own(KeyAlgorithm::EcdsaP256);
    for client_stack in STACKS {
        for server_stack in STACKS {
            let what = format!("client {client_stack:?}, server {server_stack:?}");
            let both = |client, server| talk((client_stack, client), (server_stack, server));
            assert_eq!(both(&own, &own), Ok(()), "{what}");
            both(&own, &stranger).expect_err(&what);
            // A stranger that trusts the server, so that it is the server who refuses.
            let mut intruder = stranger.clone();
            intruder.insert(Part::CaCert, own[&Part::CaCert].clone());
            both(&intruder, &own).expect_err(&what);
        }
    }
}

#[test]
fn openssl_refuses_a_deployed_pair_even_under_its_own_ca_and_rustls_does_not() {
    let deployed = make_deployed();
    assert_eq!(
        talk((Stack::Rustls, &deployed), (Stack::Rustls, &deployed)),
        Ok(())
    );
    let refusal = talk((Stack::OpenSsl, &deployed), (Stack::Rustls, &deployed));
    let refusal = refusal.expect_err("subject equals issuer");
    assert!(refusal.contains("self-signed certificate"), "{refusal}");
    let other = make_other_deployed();
    talk((Stack::Rustls, &other), (Stack::Rustls, &deployed)).expect_err("another CA's");
}
