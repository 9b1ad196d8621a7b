//! The texts in which the same certificates and keys may be stored, and those that have to be written again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::json;

use super::{Effect, check_all_connect, check_calm, effect, make_plain, make_rotated};
use crate::damage::{join_blocks, text_of};
use crate::event::{check_kept, make_change};
use crate::openssl::run;
use crate::store::{NOW, certificates, make_deployed, make_own, set_value, value};

fn make_starts() -> [StoredSet; 4] {
    [
        make_deployed(),
        make_own(KeyAlgorithm::EcdsaP256),
        make_own(KeyAlgorithm::EcdsaP384),
        make_rotated(make_deployed(), &["a"]),
    ]
}

/// Puts another text with the same blocks into every parameter.
fn rewrite(stored: &mut StoredSet, change: impl Fn(&str) -> String) {
    for part in Part::PUBLISHED {
        let text = change(&text_of(value(stored, part)));
        set_value(stored, part, &STANDARD.encode(text));
    }
}

#[test]
fn line_ends_blanks_and_text_outside_of_blocks_are_no_reason_to_write() {
    let changes: [fn(&str) -> String; 6] = [
        |text| text.replace('\n', "\r\n"),
        |text| format!("\n \n{} \n\n  ", text.trim()),
        |text| text.trim_end().to_owned(),
        |text| format!("# a comment\n{text}subject=CN = somebody\n"),
        |text| {
            text.replace(
                "-----\n-----BEGIN",
                "-----\nissuer=CN = somebody\n\n-----BEGIN",
            )
        },
        |text| text.replace("-----\n-----BEGIN", "-----  \n-----BEGIN"),
    ];
    for start in make_starts() {
        for change in changes {
            let mut stored = start.clone();
            rewrite(&mut stored, change);
            check_kept(&make_plain(), &stored, NOW);
        }
    }
}

#[test]
fn base64_in_several_lines_and_with_blanks_around_it_is_no_reason_to_write() {
    for start in make_starts() {
        let mut stored = start.clone();
        for part in Part::PUBLISHED {
            let (front, back) = value(&start, part).split_at(76);
            set_value(&mut stored, part, &format!(" {front}\r\n{back}\n"));
        }
        check_kept(&make_plain(), &stored, NOW);
    }
}

#[test]
fn keys_in_pkcs1_sec1_and_pkcs8_are_no_reason_to_write() {
    for start in make_starts() {
        for arguments in [&["pkey"][..], &["pkey", "-traditional"]] {
            let mut stored = start.clone();
            for part in [Part::CaKey, Part::Key] {
                let output = run(arguments, text_of(value(&start, part)).as_bytes());
                assert!(output.status.success());
                set_value(&mut stored, part, &STANDARD.encode(output.stdout));
            }
            check_kept(&make_plain(), &stored, NOW);
        }
    }
    // OpenSSL puts the curve's parameters in front of an EC key unless told otherwise.
    let mut stored = make_own(KeyAlgorithm::EcdsaP256);
    let key = text_of(value(&stored, Part::Key));
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    set_value(
        &mut stored,
        Part::Key,
        &STANDARD.encode(format!("{parameters}{key}")),
    );
    check_kept(&make_plain(), &stored, NOW);
}

#[test]
fn two_blocks_on_one_line_are_written_again_for_they_keep_a_daemon_from_starting() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    for part in [Part::CaCert, Part::Cert] {
        let mut stored = rotated.clone();
        join_blocks(&mut stored, part);
        let found = effect(&make_plain(), &mut stored, NOW);
        let expected = Effect {
            action: Action::Repair,
            causes: vec![Cause::NotIntact { part }],
            cut_off: CutOff::Nobody,
            kept: Part::ALL
                .into_iter()
                .filter(|kept| *kept != part && stored.contains_key(kept))
                .collect(),
        };
        assert_eq!(found, expected);
        assert_eq!(
            value(&stored, part),
            value(&rotated, part),
            "the same certificates"
        );
    }
}

#[test]
fn a_chain_on_one_line_whose_leaf_another_ca_issued_keeps_its_cross_certificate() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    // Without the anchor's key a new CA is only introduced, and the pair stays the rotated CA's.
    let mut introduced = rotated.clone();
    introduced.remove(&Part::State);
    let token = make_change(
        &json!({ "RotationToken": "a" }),
        &json!({ "RotationToken": "b" }),
    );
    let found = effect(&token, &mut introduced, NOW);
    assert_eq!(found.action, Action::Introduce);
    // The same pair under the anchor itself, put back from before the rotation with the rest.
    let mut put_back = rotated.clone();
    for part in [Part::CaCert, Part::CaKey] {
        set_value(&mut put_back, part, value(&make_deployed(), part));
    }
    for start in [introduced, put_back] {
        let mut stored = start.clone();
        join_blocks(&mut stored, Part::Cert);
        check_calm(&make_plain(), &mut stored, NOW, Action::Repair);
        assert_eq!(value(&stored, Part::Cert), value(&start, Part::Cert));
    }
}

#[test]
fn an_indented_block_is_written_again_for_go_does_not_see_it() {
    let start = make_deployed();
    let mut stored = start.clone();
    rewrite(&mut stored, |text| format!("  {text}"));
    check_calm(&make_plain(), &mut stored, NOW, Action::Repair);
    for part in [Part::CaCert, Part::Cert] {
        assert_eq!(value(&stored, part), value(&start, part));
    }
}

#[test]
fn garbage_between_good_blocks_is_left_out_when_the_bundle_is_written_again() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let garbage = "-----BEGIN CERTIFICATE-----\nanVuaw==\n-----END CERTIFICATE-----\n";
    let leaf = text_of(value(&make_deployed(), Part::Cert));
    for more in [garbage, &leaf, "-----BEGIN CERTIFICATE-----\nhalf of it\n"] {
        let mut stored = rotated.clone();
        let text = format!("{more}{}", text_of(value(&stored, Part::CaCert)));
        set_value(&mut stored, Part::CaCert, &STANDARD.encode(text));
        check_calm(&make_plain(), &mut stored, NOW, Action::Repair);
        assert_eq!(value(&stored, Part::CaCert), value(&rotated, Part::CaCert));
    }
}

#[test]
fn what_is_written_is_base64_in_one_line_of_blocks_on_lines_of_their_own() {
    for stored in make_starts() {
        for part in Part::PUBLISHED {
            let value = value(&stored, part);
            assert!(!value.contains(char::is_whitespace), "{part}");
            let text = text_of(value);
            assert!(
                text.starts_with("-----BEGIN ") && text.ends_with("-----\n"),
                "{part}"
            );
            assert!(!text.contains("----------"), "{part}");
        }
    }
    check_all_connect(&make_starts().each_ref()[3..], NOW);
    assert_eq!(certificates(&make_starts()[3], Part::CaCert).len(), 2);
}
