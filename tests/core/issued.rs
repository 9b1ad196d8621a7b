//! What is issued, judged by code that did not issue it: the openssl command line at its strictest, and x509-parser.

mod profile;
mod size;

use std::sync::LazyLock;

use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::json;

use crate::damage::text_of;
use crate::event::change;
use crate::openssl::{self, Files};
use crate::store::{NOW, make_deployed, make_own, value};

/// How often a set is rotated here.
const ROTATIONS: usize = 3;

/// What the sets of a family begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The deployed handler's, RSA.
    Deployed,
    /// Our own, with this algorithm.
    Own(KeyAlgorithm),
}

impl Origin {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::Deployed,
        Self::Own(KeyAlgorithm::EcdsaP256),
        Self::Own(KeyAlgorithm::EcdsaP384),
        Self::Own(KeyAlgorithm::Rsa2048),
    ];
}

/// A set, and what became of it after one, two and three rotations with this algorithm.
pub fn make_generations(origin: Origin, algorithm: KeyAlgorithm) -> Vec<StoredSet> {
    let mut stored = match origin {
        Origin::Deployed => make_deployed(),
        Origin::Own(algorithm) => make_own(algorithm),
    };
    let mut generations = vec![stored.clone()];
    let mut old = json!({});
    for token in 1..=ROTATIONS {
        let new = json!({ "RotationToken": token, "KeyAlgorithm": algorithm.name() });
        change(&old, &new, &mut stored);
        generations.push(stored.clone());
        old = new;
    }
    generations
}

/// An origin, and every generation of a set from there.
type Family = (String, Origin, Vec<StoredSet>);

/// Each origin with each algorithm of what is newly issued; RSA keys take their time, so all tests share them.
pub fn families() -> &'static [Family] {
    static FAMILIES: LazyLock<Vec<Family>> = LazyLock::new(|| {
        let mut families = Vec::new();
        for origin in Origin::ALL {
            for algorithm in KeyAlgorithm::ALL {
                let name = format!("{origin:?}, then {}", algorithm.name());
                families.push((name, origin, make_generations(origin, algorithm)));
            }
        }
        families
    });
    &FAMILIES
}

#[test]
fn openssl_verifies_every_generations_chain_under_every_generations_bundle() {
    for (name, origin, generations) in families() {
        let files: Vec<Files> = generations.iter().map(Files::write).collect();
        for (presented, presenter) in files.iter().enumerate() {
            for (trusted, verifier) in files.iter().enumerate() {
                for purpose in ["sslserver", "sslclient"] {
                    let more = ["-purpose", purpose];
                    let result = openssl::verify(verifier, presenter, &more, NOW);
                    let what = format!("{name}: bundle {trusted}, chain {presented}, {purpose}");
                    if *origin == Origin::Deployed && presented == 0 {
                        // Subject equals issuer: OpenSSL takes it for self-signed.
                        let refusal = result.expect_err(&what);
                        assert!(refusal.contains("error 18"), "{what}: {refusal}");
                    } else {
                        assert_eq!(result, Ok(()), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn openssl_finds_the_names_that_a_certificate_is_good_for_and_no_others() {
    let files = Files::write(&make_own(KeyAlgorithm::EcdsaP256));
    let verify = |more: &[&str]| openssl::verify(&files, &files, more, NOW);
    assert_eq!(verify(&["-verify_hostname", "localhost"]), Ok(()));
    assert_eq!(verify(&["-verify_ip", "127.0.0.1"]), Ok(()));
    assert!(verify(&["-verify_hostname", "example.com"]).is_err());
    assert!(verify(&["-verify_ip", "127.0.0.2"]).is_err());
    assert!(verify(&["-purpose", "codesign"]).is_err());
    assert!(verify(&["-purpose", "smimesign"]).is_err());
}

#[test]
fn openssl_verifies_every_ca_of_every_bundle_of_ours_as_self_signed() {
    for (name, _, generations) in families() {
        for stored in generations {
            let files = Files::write(stored);
            let pem = text_of(value(stored, Part::CaCert));
            for ca in pem.split_inclusive("-----END CERTIFICATE-----\n") {
                let verdict = openssl::verify_input(&files, &[], ca.as_bytes(), NOW);
                assert_eq!(verdict, Ok(()), "{name}");
            }
        }
    }
}

#[test]
fn openssl_refuses_a_chain_without_its_cross_certificate_under_an_old_bundle() {
    let generations = make_generations(
        Origin::Own(KeyAlgorithm::EcdsaP256),
        KeyAlgorithm::EcdsaP256,
    );
    let [old, new] = [&generations[0], &generations[1]].map(Files::write);
    assert_eq!(openssl::verify(&old, &new, &[], NOW), Ok(()));
    std::fs::write(new.path("cross.pem"), "").expect("the folder is ours");
    let refusal = openssl::verify(&old, &new, &[], NOW).expect_err("no path leads to the old CA");
    assert!(refusal.contains("error 20"), "{refusal}");
}
