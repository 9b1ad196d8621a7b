//! What is issued fits: 4096 characters in a parameter, 4096 bytes in a response.

use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::{PublicationError, publication};
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::set::parameter::{MAX_VALUE_CHARS, StoredSet};
use docker_tls_certgen::set::rack::Part;
use docker_tls_certgen::set::state::State;
use serde_json::{Value, json};

use super::families;
use crate::event::{assess, carry_out, make_adoption, make_change, make_owner, make_update};
use crate::mint::FreshMint;
use crate::store::{NOW, make_deployed, make_own_with, value};

#[test]
fn every_value_of_every_generation_and_algorithm_fits_its_parameter() {
    let mut longest = 0;
    for (name, _, generations) in families() {
        for (generation, stored) in generations.iter().enumerate() {
            for part in stored.keys() {
                let chars = value(stored, *part).chars().count();
                assert!(
                    chars <= MAX_VALUE_CHARS,
                    "{name}, {generation}, {part}: {chars}"
                );
                longest = longest.max(chars);
            }
            if generation > 0 {
                let chars = state(stored).worst_case_chars();
                assert!(chars <= MAX_VALUE_CHARS, "{name}, {generation}: {chars}");
            }
        }
    }
    println!("the longest value has {longest} characters");
}

fn state(stored: &StoredSet) -> State {
    State::decode(value(stored, Part::State)).expect("the state is good")
}

#[test]
fn a_state_with_all_lists_full_and_an_rsa_anchor_fits_its_parameter() {
    let mut stored = make_deployed();
    let rsa = json!({ "KeyAlgorithm": "RSA_2048" });
    carry_out(&make_adoption(&rsa), &mut stored, NOW, &mut FreshMint);
    for number in 0..4 {
        let spec = Spec {
            owner: make_owner(&format!("Owner{number}")),
            ..make_adoption(&rsa)
        };
        carry_out(&spec, &mut stored, NOW, &mut FreshMint);
    }
    let mut template = rsa;
    // Each round opens a rotation and closes it; the last one stays open.
    for number in 0..=20 {
        template = change(&template, "RotationToken", number.into(), &mut stored);
        if number < 20 {
            let assessment = assess(&stored);
            let previous = assessment.previous_ca();
            let previous = previous.expect("a rotation is open").fingerprint();
            template = change(
                &template,
                "RetiredCA",
                previous.to_string().into(),
                &mut stored,
            );
        }
    }
    assert_eq!(state(&stored).counts(), (6, 20, 20));
    let chars = value(&stored, Part::State).chars().count();
    let worst = state(&stored).worst_case_chars();
    println!("the state has {chars} characters, and {worst} at worst");
    assert!(
        chars <= worst && worst <= MAX_VALUE_CHARS,
        "{chars}, {worst}"
    );
}

/// Sends an Update that changes one property; returns the new properties.
fn change(old: &Value, property: &str, value: Value, stored: &mut StoredSet) -> Value {
    let mut new = old.clone();
    new[property] = value;
    carry_out(&make_change(old, &new), stored, NOW, &mut FreshMint);
    new
}

#[test]
fn too_many_names_are_an_error_before_anything_is_written() {
    let name = |number| format!("host-{number:03}.a-rather-long-domain.example");
    let names: Vec<String> = (0..60).map(name).collect();
    let stored = make_own_with(&json!({}));
    let assessment = assess(&stored);
    let spec = make_update(&json!({ "SubjectAlternativeNames": names }));
    let plan = planner::plan(&spec, &assessment, NOW).expect("names are no reason to refuse");
    let error = publication(&plan, &spec, &stored, &assessment, NOW, &mut FreshMint);
    let error = error.expect_err("it does not fit");
    let is_expected = matches!(
        error,
        PublicationError::TooLong {
            part: Part::Cert,
            ..
        }
    );
    assert!(is_expected, "{error}");
    assert!(
        error.to_string().contains("SubjectAlternativeNames"),
        "{error}"
    );
}

#[test]
fn too_many_owners_are_an_error_before_anything_is_written() {
    let mut stored = make_deployed();
    change(&json!({}), "RotationToken", 1.into(), &mut stored);
    for number in 0..100 {
        let spec = Spec {
            owner: make_owner(&format!("Owner{number}")),
            ..make_adoption(&json!({}))
        };
        let assessment = assess(&stored);
        let plan = planner::plan(&spec, &assessment, NOW).expect("owners are no reason to refuse");
        match publication(&plan, &spec, &stored, &assessment, NOW, &mut FreshMint) {
            Ok(publication) => publication
                .writes
                .iter()
                .for_each(|write| write.apply(&mut stored)),
            Err(error) => {
                let is_expected = matches!(
                    error,
                    PublicationError::TooLong {
                        part: Part::State,
                        ..
                    }
                );
                assert!(
                    is_expected && number >= 10,
                    "after {number} owners: {error}"
                );
                return;
            }
        }
    }
    panic!("a hundred owners cannot fit");
}
