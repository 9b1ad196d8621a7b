//! The state: missing, spoilt or of another version, and the owners that it lists.

use docker_tls_certgen::plan::Action;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::{Occasion, Spec};
use docker_tls_certgen::set::anchor_record::AnchorRecord;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::{ParameterType, StoredSet};
use docker_tls_certgen::set::rack::Part;
use docker_tls_certgen::set::state::{Owner, State};
use serde_json::{Value, json};

use super::{check_all_connect, check_calm, effect, make_plain, make_rotated, make_token};
use crate::event::{carry_out, check_kept, make_adoption, make_owner, make_update, plan};
use crate::mint::FreshMint;
use crate::store::{NOW, make_deployed, set_value, value};

fn state(stored: &StoredSet) -> State {
    State::decode(value(stored, Part::State)).expect("the state is good")
}

fn make_spoilt(mut stored: StoredSet, state: &str) -> StoredSet {
    set_value(&mut stored, Part::State, state);
    stored
}

/// The state's JSON with another version, and with something in it that this version cannot know.
fn of_version(stored: &StoredSet, version: u32, readable: bool) -> String {
    let mut state: Value =
        serde_json::from_str(value(stored, Part::State)).expect("the state is JSON");
    state["version"] = version.into();
    state["later"] = json!({ "something": "new" });
    if !readable {
        state["tokens"] = json!({ "now": "an object" });
    }
    state.to_string()
}

#[test]
fn a_state_that_is_missing_or_spoilt_is_no_reason_to_write() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let mut missing = rotated.clone();
    missing.remove(&Part::State);
    check_kept(&make_plain(), &missing, NOW);
    for spoilt in [
        "",
        "not JSON",
        "{}",
        "[]",
        "bm90IEpTT04=",
        r#"{"version":1,"tokens":7}"#,
    ] {
        let stored = make_spoilt(rotated.clone(), spoilt);
        assert!(Found::decode(&stored).state.is_err(), "{spoilt:?}");
        check_kept(&make_plain(), &stored, NOW);
    }
}

#[test]
fn a_missing_or_spoilt_state_is_written_anew_with_the_next_change_and_keeps_the_anchor() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    for spoilt in [None, Some("not JSON")] {
        let mut stored = rotated.clone();
        match spoilt {
            None => drop(stored.remove(&Part::State)),
            Some(text) => set_value(&mut stored, Part::State, text),
        }
        stored.remove(&Part::Key);
        // The cross-certificate in the chain serves on.
        check_calm(&make_plain(), &mut stored, NOW, Action::Reissue);
        assert!(state(&stored).is_owned_by(&Owner::former()));
        let state = state(&stored);
        let anchor = state.anchor().and_then(AnchorRecord::certificate);
        assert_eq!(
            anchor.map(|ca| ca.fingerprint()),
            Some(super::fingerprint(&before, 0))
        );
        check_all_connect(&[&before, &rotated, &stored], NOW);
    }
}

#[test]
fn what_a_later_version_added_to_the_state_is_carried_along() {
    let stored = make_rotated(make_deployed(), &["a"]);
    let mut stored = make_spoilt(stored.clone(), &of_version(&stored, 2, true));
    check_kept(&make_plain(), &stored, NOW);
    stored.remove(&Part::Key);
    let spec = make_token("b");
    effect(&spec, &mut stored, NOW);
    let json: Value = serde_json::from_str(value(&stored, Part::State)).expect("it is JSON");
    assert_eq!(json["version"], 2);
    assert_eq!(json["later"], json!({ "something": "new" }));
}

#[test]
fn a_state_of_a_later_version_that_cannot_be_read_is_never_overwritten() {
    let stored = make_rotated(make_deployed(), &["a"]);
    let stored = make_spoilt(stored.clone(), &of_version(&stored, 2, false));
    check_kept(&make_plain(), &stored, NOW);
    let refusal = plan(&make_token("b"), &stored, NOW).expect_err("it would be overwritten");
    assert_eq!(refusal, Refusal::LaterState);
    let refusal = plan(&make_adoption(&json!({})), &stored, NOW);
    assert_eq!(
        refusal.expect_err("it would be overwritten"),
        Refusal::LaterState
    );
}

#[test]
fn a_create_lists_its_owner_and_on_a_set_without_a_state_the_former_one() {
    let owner = make_owner("DockerTLSCertGenerate");
    let mut fresh = StoredSet::new();
    check_calm(&make_adoption(&json!({})), &mut fresh, NOW, Action::Create);
    assert!(state(&fresh).is_owned_by(&owner));
    assert!(!state(&fresh).is_owned_by(&Owner::former()));

    let mut adopted = make_deployed();
    let found = check_calm(
        &make_adoption(&json!({})),
        &mut adopted,
        NOW,
        Action::Record,
    );
    assert_eq!(found.kept, Part::SHARED);
    assert!(state(&adopted).is_owned_by(&owner));
    assert!(state(&adopted).is_owned_by(&Owner::former()));
}

#[test]
fn a_second_create_adds_its_owner_and_leaves_the_set_alone() {
    let mut stored = StoredSet::new();
    effect(&make_adoption(&json!({})), &mut stored, NOW);
    let other = Spec {
        owner: make_owner("Other"),
        ..make_adoption(&json!({}))
    };
    let found = effect(&other, &mut stored, NOW);
    assert_eq!(
        (found.action, found.kept),
        (Action::Record, Part::SHARED.to_vec())
    );
    assert!(state(&stored).is_owned_by(&make_owner("DockerTLSCertGenerate")));
    assert!(state(&stored).is_owned_by(&make_owner("Other")));
}

#[test]
fn a_create_that_is_older_than_the_owners_latest_change_changes_nothing() {
    let spec = |sent_at| Spec {
        sent_at: Some(sent_at),
        ..make_adoption(&json!({ "RotationToken": sent_at }))
    };
    let mut stored = StoredSet::new();
    effect(&spec(200), &mut stored, NOW);
    let refusal = plan(&spec(100), &stored, NOW).expect_err("it is late");
    assert_eq!(refusal, Refusal::LateDuplicate);
    check_kept(&spec(200), &stored, NOW);
    assert_eq!(effect(&spec(300), &mut stored, NOW).action, Action::Record);
}

#[test]
fn an_update_lists_nobody_who_is_not_listed() {
    let mut stored = make_deployed();
    effect(&make_token("a"), &mut stored, NOW);
    assert!(!state(&stored).is_owned_by(&make_owner("DockerTLSCertGenerate")));
    assert!(state(&stored).is_owned_by(&Owner::former()));
}

#[test]
fn a_return_writes_nothing_where_its_resource_is_listed_or_is_the_former_owner() {
    let at = |occasion, sent_at| Spec {
        occasion,
        sent_at: Some(sent_at),
        ..make_adoption(&json!({ "RotationToken": "a" }))
    };
    let mut own = StoredSet::new();
    effect(&at(Occasion::Adoption, 200), &mut own, NOW);
    let mut adopted = make_deployed();
    effect(&make_token("a"), &mut adopted, NOW);
    for stored in [&own, &adopted] {
        check_kept(&at(Occasion::Return, 300), stored, NOW);
    }
    check_kept(
        &Spec {
            occasion: Occasion::Return,
            ..make_plain()
        },
        &make_deployed(),
        NOW,
    );
    // What the set needs is done all the same, but not by a late duplicate.
    own.remove(&Part::Cert);
    let refusal = plan(&at(Occasion::Return, 100), &own, NOW).expect_err("it is late");
    assert_eq!(refusal, Refusal::LateDuplicate);
    let before = state(&own);
    let found = effect(&at(Occasion::Return, 300), &mut own, NOW);
    assert_eq!(found.action, Action::Reissue);
    assert_eq!(state(&own), before);
}

#[test]
fn a_token_that_comes_with_a_return_is_only_recorded() {
    let back = |token: &str| Spec {
        occasion: Occasion::Return,
        ..make_update(&json!({ "RotationToken": token }))
    };
    let mut stored = StoredSet::new();
    effect(&make_adoption(&json!({})), &mut stored, NOW);
    let found = effect(&back("a"), &mut stored, NOW);
    assert_eq!(found.action, Action::Record);
    check_kept(&make_token("a"), &stored, NOW);
}

#[test]
fn new_keys_get_the_type_that_the_properties_give_and_existing_parameters_keep_theirs() {
    for (name, keys) in [
        ("SecureString", ParameterType::SecureString),
        ("String", ParameterType::String),
    ] {
        let template = json!({ "KeyParameterType": name });
        let mut stored = StoredSet::new();
        effect(&make_adoption(&template), &mut stored, NOW);
        for (part, parameter) in &stored {
            let expected = match part {
                Part::CaKey | Part::Key => keys,
                Part::State => ParameterType::SecureString,
                _ => ParameterType::String,
            };
            assert_eq!(parameter.parameter_type, expected, "{part}");
        }
        // All parameters of the deployed set are of the type String.
        let mut deployed = make_deployed();
        deployed.remove(&Part::CaKey);
        let done = carry_out(&make_update(&template), &mut deployed, NOW, &mut FreshMint);
        for write in done.writes {
            let expected = match write.part {
                Part::State => ParameterType::SecureString,
                Part::CaKey => keys,
                _ => ParameterType::String,
            };
            assert_eq!(write.parameter_type, expected, "{}", write.part);
        }
    }
}
