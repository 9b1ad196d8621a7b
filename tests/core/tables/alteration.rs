//! One bit of a certificate or of a key: the alteration is seen and healed, and nobody is cut off.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::{Value, json};

use super::{check_all_connect, effect, make_plain, make_rotated, make_token};
use crate::damage::{Damage, text_of};
use crate::event::{check_kept, make_change, plan};
use crate::store::{
    NOW, certificates, make_deployed, make_other_deployed, make_own, public_key, set_value, value,
};

/// The set with one bit of one block of a parameter's value inverted.
fn make_altered(healthy: &StoredSet, part: Part, block: usize, bit: usize) -> StoredSet {
    let mut blocks = blocks(healthy, part);
    let (label, mut der) = (
        blocks[block].tag().to_owned(),
        blocks[block].contents().to_vec(),
    );
    der[bit / 8] ^= 1 << (bit % 8);
    blocks[block] = Pem::new(label, der);
    let line_ends = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let mut stored = healthy.clone();
    let text = pem::encode_many_config(&blocks, line_ends);
    set_value(&mut stored, part, &STANDARD.encode(text));
    stored
}

fn blocks(stored: &StoredSet, part: Part) -> Vec<Pem> {
    pem::parse_many(text_of(value(stored, part))).expect("the value is PEM")
}

#[test]
fn whichever_byte_of_a_certificate_or_key_is_altered_it_is_seen_and_healed() {
    let starts = [
        make_deployed(),
        make_own(KeyAlgorithm::EcdsaP256),
        make_rotated(make_deployed(), &["a"]),
    ];
    for healthy in starts {
        for part in Part::PUBLISHED {
            for (block, content) in blocks(&healthy, part).iter().enumerate() {
                for byte in 0..content.contents().len() {
                    // Of each byte another bit than of the one before.
                    let mut stored = make_altered(&healthy, part, block, 8 * byte + byte % 8);
                    check_seen(&healthy, &stored, part);
                    if byte % 16 == 0 {
                        effect(&make_plain(), &mut stored, NOW);
                        check_all_connect(&[&healthy, &stored], NOW);
                    }
                }
            }
        }
    }
}

#[track_caller]
fn check_seen(healthy: &StoredSet, stored: &StoredSet, part: Part) {
    let plan = plan(&make_plain(), stored, NOW).expect("nothing is asked that could be refused");
    let (before, after) = (Found::decode(healthy), Found::decode(stored));
    if plan.is_keep() {
        // Of a key the version and the form of its public point, of a root its issuer's name: nobody looks at them.
        match part {
            Part::CaCert => {
                let root = &certificates(stored, part)[0];
                assert_ne!(root.issuer(), root.subject());
                assert_eq!(root.subject(), certificates(healthy, part)[0].subject());
            }
            part if part.is_key() => {
                assert_eq!(public_key(healthy, part), public_key(stored, part));
            }
            part => panic!("{part}: {plan}"),
        }
    }
    // A certificate that does not say whose it is may be one of a CA that is lost.
    let is_told = issuing_keys(&after) == issuing_keys(&before);
    if part != Part::Cert || (is_told && issuing_keys(&before).iter().all(Option::is_some)) {
        assert_eq!(plan.cut_off, CutOff::Nobody, "{part}: {plan}");
    }
}

/// The key identifiers of the issuers that a chain tells of.
fn issuing_keys(found: &Found) -> Vec<Option<Vec<u8>>> {
    let chain = found.cert.iter();
    let certificates = chain.flat_map(|chain| {
        let crosses = chain.crosses().iter().map(|cross| &**cross);
        std::iter::once(chain.leaf()).chain(crosses)
    });
    certificates
        .map(|certificate| certificate.authority_key_id().map(<[u8]>::to_vec))
        .collect()
}

#[test]
fn whichever_byte_of_the_recorded_anchor_is_altered_nobody_is_cut_off_and_its_key_is_not_forgotten()
{
    let before = make_deployed();
    let healthy = make_rotated(before.clone(), &["a"]);
    let json: Value = serde_json::from_str(value(&healthy, Part::State)).expect("it is JSON");
    let anchor = json["anchor"]["cert"].as_str().expect("it is text");
    let anchor = STANDARD.decode(anchor).expect("it is base64");
    for byte in (0..anchor.len()).step_by(3) {
        let mut der = anchor.clone();
        der[byte] ^= 1 << (byte % 8);
        let mut json = json.clone();
        json["anchor"]["cert"] = STANDARD.encode(der).into();
        let mut stored = healthy.clone();
        set_value(&mut stored, Part::State, &json.to_string());
        check_kept(&make_plain(), &stored, NOW);

        stored.remove(&Part::Key);
        for (spec, action) in [
            (make_plain(), Action::Reissue),
            (make_token("b"), Action::Rotate),
        ] {
            let found = effect(&spec, &mut stored, NOW);
            assert_eq!(
                (found.action, found.cut_off),
                (action, CutOff::Nobody),
                "byte {byte}"
            );
            check_all_connect(&[&before, &healthy, &stored], NOW);
        }
    }
}

#[test]
fn an_altered_ca_certificate_and_a_bad_pair_are_healed_at_once() {
    for healthy in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        let der = blocks(&healthy, Part::CaCert)[0].contents().to_vec();
        let in_signature = 8 * der.len() - 1;
        for part in [Part::Cert, Part::Key] {
            for damage in Damage::ALL {
                let mut stored = make_altered(&healthy, Part::CaCert, 0, in_signature);
                damage.strike(&mut stored, part, &make_other_deployed());
                let found = effect(&make_plain(), &mut stored, NOW);
                assert_eq!(
                    (found.action, found.cut_off),
                    (Action::ReissueCa, CutOff::Nobody),
                    "{part} {damage:?}"
                );
                check_all_connect(&[&healthy, &stored], NOW);
            }
        }
    }
}

#[test]
fn whichever_byte_of_the_previous_ca_is_altered_a_close_takes_it_away() {
    let healthy = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let previous = certificates(&healthy, Part::CaCert)[1].clone();
    let old = json!({ "RotationToken": "a" });
    let mut word = old.clone();
    word["RetiredCA"] = previous.fingerprint().to_string().into();
    let mut word_and_token = word.clone();
    word_and_token["RotationToken"] = "b".into();
    for byte in (0..previous.der().len()).step_by(3) {
        for (new, action, cas) in [
            (&word, Action::Close, 1),
            (&word_and_token, Action::Rotate, 2),
        ] {
            let mut stored = make_altered(&healthy, Part::CaCert, 1, 8 * byte + byte % 8);
            // Another key than the previous CA's is another CA's.
            let found = Found::decode(&stored)
                .ca_cert
                .expect("one of the CAs is good");
            let mut others = found.authorities().iter().skip(1);
            if others.any(|other| other.public_key() != previous.public_key()) {
                continue;
            }
            let found = effect(&make_change(&old, new), &mut stored, NOW);
            assert_eq!(
                (found.action, found.cut_off),
                (action, CutOff::Nobody),
                "byte {byte}"
            );
            assert_eq!(
                certificates(&stored, Part::CaCert).len(),
                cas,
                "byte {byte}"
            );
            check_all_connect(&[&healthy, &stored], NOW);
        }
    }
}
