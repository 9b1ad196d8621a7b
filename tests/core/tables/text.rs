//! The texts in which the same certificates and keys may be stored, and those that have to be written again.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::Certificate;
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::pki::instance;
use docker_tls_certgen::pki::private_key::{KeyAlgorithm, PrivateKey};
use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::{Effect, check_all_connect, check_calm, effect, make_plain, make_rotated};
use crate::cases::cases;
use crate::damage::{join_blocks, text_of};
use crate::event::{check_kept, make_change};
use crate::forms::{BYTES, TEXTS, VALUES, forms};
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

static STARTS: LazyLock<StoredSet> = LazyLock::new(|| {
    let [_, _, _, rotated] = make_starts();
    rotated
});

/// What `base64 -d` writes, whether it likes the value or not.
#[track_caller]
fn base64_writes(value: &str) -> Vec<u8> {
    let mut process = Command::new("base64")
        .arg("-d")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("base64 is installed");
    let mut stdin = process.stdin.take().expect("stdin is piped");
    stdin.write_all(value.as_bytes()).expect("base64 reads");
    drop(stdin);
    process.wait_with_output().expect("base64 ends").stdout
}

/// What a person sees in a value, whether an instance reads the same, and the value that is written for it.
fn read(part: Part, value: &str) -> Result<(Vec<Vec<u8>>, bool, String), Undecodable> {
    let ders = |certificates: &[Certificate]| -> Vec<Vec<u8>> {
        let ders = certificates.iter().map(Certificate::der);
        ders.map(<[u8]>::to_vec).collect()
    };
    Ok(match part {
        Part::CaCert => {
            let bundle = TrustBundle::decode(value)?;
            let mut certificates = ders(bundle.certificates());
            certificates.sort();
            let plain = TrustBundle::encode(bundle.certificates());
            (certificates, bundle.is_intact(), plain.to_string())
        }
        Part::Cert => {
            let chain = CertificateChain::decode(value)?;
            let crosses = chain.crosses().iter().map(|cross| &**cross);
            let certificates = std::iter::once(chain.leaf()).chain(crosses).cloned();
            let certificates = ders(&certificates.collect::<Vec<_>>());
            (certificates, chain.is_intact(), chain.encode().to_string())
        }
        _ => {
            let key = PrivateKey::decode(value)?;
            let der = vec![key.der().to_vec()];
            (der, key.is_intact(), key.encode().to_string())
        }
    })
}

#[test]
fn every_form_is_read_and_only_what_no_instance_reads_is_not_intact() {
    for start in make_starts() {
        for part in Part::SHARED {
            let plain = value(&start, part);
            let text = text_of(plain);
            let (expected, _, _) = read(part, plain).expect("the value is good");
            for form in forms() {
                let written = form.value(&text);
                let found = read(part, &written);
                let (found, is_intact, repaired) =
                    found.unwrap_or_else(|flaw| panic!("{}: the {part} {flaw}", form.name));
                assert_eq!(found, expected, "{}: the {part}", form.name);
                assert_eq!(
                    is_intact,
                    form.is_read(part, &text),
                    "{}: the {part}",
                    form.name
                );
                let again = read(part, &repaired).expect("what is written can be read");
                assert_eq!(again, (expected.clone(), true, repaired.clone()));
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn what_happened_to_a_text_in_two_ways_is_undone(
        part in select(Part::SHARED.to_vec()),
        first in select(TEXTS),
        second in select([BYTES, VALUES].concat()),
    ) {
        let start = &*STARTS;
        let (expected, _, _) = read(part, value(start, part)).expect("the value is good");
        let text = text_of(&first.value(&text_of(value(start, part))));
        // Where another text ended cannot be told from what does not begin as PEM does.
        prop_assume!(text.starts_with("-----BEGIN ") || second.name != "each block in unpadded base64");
        let found = read(part, &second.value(&text));
        let (found, _, repaired) = found.expect("it can be read");
        prop_assert!(found == expected, "{text}");
        let again = read(part, &repaired).expect("what is written can be read");
        prop_assert_eq!(again, (expected, true, repaired.clone()));
    }

    #[test]
    fn an_instance_is_taken_to_write_the_files_that_base64_writes(value in "[AQgw=Z+/ \r\n*]{0,40}") {
        prop_assert_eq!(&*instance::file(&value), &base64_writes(&value));
    }
}

#[test]
fn what_an_instance_reads_is_no_reason_to_write() {
    for start in make_starts() {
        for form in forms() {
            let mut stored = start.clone();
            for part in Part::SHARED {
                let text = text_of(value(&start, part));
                if form.is_read(part, &text) {
                    set_value(&mut stored, part, &form.value(&text));
                }
            }
            check_kept(&make_plain(), &stored, NOW);
        }
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
    for part in [Part::CaCert, Part::Cert] {
        let text = format!("  {}", text_of(value(&start, part)));
        set_value(&mut stored, part, &STANDARD.encode(text));
    }
    check_calm(&make_plain(), &mut stored, NOW, Action::Repair);
    for part in [Part::CaCert, Part::Cert] {
        assert_eq!(value(&stored, part), value(&start, part));
    }
}

#[test]
fn garbage_that_no_daemon_trusts_stays_in_the_bundle() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let garbage = "-----BEGIN CERTIFICATE-----\nanVuaw==\n-----END CERTIFICATE-----\n";
    for more in [garbage, "-----BEGIN CERTIFICATE-----\nhalf of it\n"] {
        let mut stored = rotated.clone();
        let text = format!("{more}{}", text_of(value(&stored, Part::CaCert)));
        set_value(&mut stored, Part::CaCert, &STANDARD.encode(text));
        check_kept(&make_plain(), &stored, NOW);
    }
}

#[test]
fn a_certificate_that_is_no_cas_is_kept_in_bundle_and_chain() {
    let stored = make_own(KeyAlgorithm::EcdsaP256);
    let [bundle, chain] = [Part::CaCert, Part::Cert].map(|part| text_of(value(&stored, part)));
    let both = STANDARD.encode(format!("{bundle}{chain}"));
    let found = TrustBundle::decode(&both).expect("it has a CA");
    assert!(found.is_intact());
    assert_eq!(
        (found.certificates().len(), found.authorities().len()),
        (2, 1)
    );
    assert_eq!(*TrustBundle::encode(found.certificates()), both);
    let alone = TrustBundle::decode(value(&stored, Part::Cert)).expect("it can be read");
    assert_eq!(
        (alone.certificates().len(), alone.authorities().len()),
        (1, 0)
    );

    let twice = STANDARD.encode(format!("{chain}{chain}{bundle}"));
    let found = CertificateChain::decode(&twice).expect("it has a leaf");
    assert!(found.is_intact());
    assert_eq!(found.crosses().len(), 1);
    assert_eq!(*found.encode(), twice);
}

#[test]
fn a_private_key_among_certificates_is_damage_whatever_it_is_called() {
    let stored = make_deployed();
    let key = text_of(value(&stored, Part::Key));
    for key in [
        key.clone(),
        key.replace("RSA PRIVATE KEY", "CERTIFICATE"),
        key.replace("RSA PRIVATE KEY", "X"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nanVuaw==\n-----END ENCRYPTED PRIVATE KEY-----\n"
            .to_owned(),
    ] {
        let [bundle, chain] = [Part::CaCert, Part::Cert].map(|part| {
            let text = text_of(value(&stored, part));
            STANDARD.encode(format!("{text}{key}"))
        });
        let bundle = TrustBundle::decode(&bundle).expect("it has a CA");
        assert!(bundle.holds_private_key() && !bundle.is_intact());
        let chain = CertificateChain::decode(&chain).expect("it has a leaf");
        assert!(chain.holds_private_key() && !chain.is_intact());
        assert_eq!(*chain.encode(), value(&stored, Part::Cert));
    }
}

#[test]
fn of_several_keys_the_one_that_a_daemon_loads_counts() {
    let [own, other] = [make_own(KeyAlgorithm::EcdsaP256), make_deployed()];
    let [own, other] = [&own, &other].map(|stored| text_of(value(stored, Part::Key)));
    let strange = other.replace("RSA PRIVATE KEY", "KEY");
    let garbage = "-----BEGIN PRIVATE KEY-----\nanVuaw==\n-----END PRIVATE KEY-----\n";
    for (text, expected, is_intact) in [
        (format!("{own}{other}"), &own, true),
        (format!("{strange}{own}"), &own, true),
        (format!("{garbage}{own}{other}"), &own, false),
        (format!("{strange}{garbage}{own}"), &other, false),
    ] {
        let key = PrivateKey::decode(&STANDARD.encode(text)).expect("a key loads");
        assert_eq!(text_of(&key.encode()), *expected);
        assert_eq!(key.is_intact(), is_intact);
    }
}

#[test]
fn what_is_written_is_base64_in_one_line_of_blocks_on_lines_of_their_own() {
    for stored in make_starts() {
        for part in Part::SHARED {
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
