//! `RotationToken`: a word not seen before rotates the CA once, and no word does it twice.

use docker_tls_certgen::plan::Action;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::publication;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::RetirementWord;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_certgen::set::state::{State, TokenHash};
use serde_json::json;
use time::Duration;

use super::made_elsewhere::make_case;
use super::{
    check_all_connect, check_calm, current_ca, effect, fingerprint, make_plain, make_rotated,
    make_token,
};
use crate::event::{assess, check_kept, make_adoption, make_change, make_update, plan, sticky};
use crate::mint::FreshMint;
use crate::store::{NOW, make_deployed, make_own_with, value};

fn has_seen(stored: &StoredSet, token: &str) -> bool {
    let state = State::decode(value(stored, Part::State)).expect("the state is good");
    state.has_seen(&TokenHash::new(token))
}

#[test]
fn a_token_that_was_not_seen_before_rotates_once() {
    let mut stored = make_deployed();
    let spec = make_token("a");
    let found = check_calm(&spec, &mut stored, NOW, Action::Rotate);
    assert_eq!(found.causes, [Cause::NewToken]);
    assert!(has_seen(&stored, "a"));
    check_kept(&spec, &stored, NOW);
    check_kept(&sticky(&spec), &stored, NOW);
}

#[test]
fn on_create_a_token_is_only_recorded() {
    for mut stored in [StoredSet::new(), make_deployed()] {
        let existed = stored.clone();
        let template = json!({ "RotationToken": "a" });
        let found = effect(&make_adoption(&template), &mut stored, NOW);
        let expected = if existed.is_empty() {
            Action::Create
        } else {
            Action::Record
        };
        assert_eq!(found.action, expected);
        assert_eq!(found.kept, existed.keys().copied().collect::<Vec<_>>());
        assert!(has_seen(&stored, "a"));
        check_kept(&make_update(&template), &stored, NOW);
    }
}

#[test]
fn a_token_that_a_rollback_sets_back_changes_nothing() {
    let stored = make_rotated(make_deployed(), &["a", "b"]);
    let [a, b] = ["a", "b"].map(|token| json!({ "RotationToken": token }));
    check_kept(&make_change(&b, &a), &stored, NOW);
    check_kept(&make_change(&a, &b), &stored, NOW);
    check_kept(&make_change(&b, &json!({})), &stored, NOW);
}

#[test]
fn without_a_state_a_token_that_the_template_held_before_is_recorded_and_not_obeyed() {
    let mut stored = make_deployed();
    let spec = make_update(&json!({ "RotationToken": "a" }));
    let found = effect(&spec, &mut stored, NOW);
    assert_eq!(found.action, Action::Record);
    assert_eq!(found.causes, []);
    assert_eq!(found.kept, Part::SHARED);
    assert!(has_seen(&stored, "a"));
}

#[test]
fn a_token_is_satisfied_by_the_introduction_of_a_new_ca() {
    let mut stored = make_deployed();
    stored.remove(&Part::CaKey);
    let found = check_calm(&make_token("a"), &mut stored, NOW, Action::Introduce);
    assert_eq!(found.kept, [Part::Cert, Part::Key]);
    assert!(has_seen(&stored, "a"));
}

#[test]
fn a_token_is_refused_while_the_open_rotations_anchor_is_within_the_renewal_window() {
    let long = json!({ "CAValidityDays": 4000, "ValidityDays": 4000 });
    let mut stored = make_own_with(&json!({ "CAValidityDays": 200, "ValidityDays": 200 }));
    let anchor = current_ca(&stored);
    let not_after = anchor.not_after();
    effect(
        &make_update(&long),
        &mut stored,
        not_after - Duration::days(61),
    );
    let in_window = not_after - Duration::days(60) + Duration::SECOND;
    effect(&make_update(&long), &mut stored, in_window);
    let mut with_token = long.clone();
    with_token["RotationToken"] = "b".into();
    let spec = make_change(&long, &with_token);
    for moment in [in_window, not_after] {
        let refusal = plan(&spec, &stored, moment).expect_err("two generations would part");
        let anchor = fingerprint(&stored, 1);
        let finish = Box::new(RetirementWord {
            retired: anchor,
            staying: Some(fingerprint(&stored, 0)),
            has_moved: false,
        });
        let is_expected = Refusal::AnchorEndsSoon {
            anchor,
            finish,
            not_after,
        };
        assert_eq!(refusal, is_expected);
        let text = refusal.to_string();
        assert!(
            text.contains("RotationToken") && text.contains("RetiredCA"),
            "{text}"
        );
        check_kept(&make_change(&with_token, &long), &stored, moment);
    }
    // Once the anchor is gone, there is nothing to part.
    let later = not_after + Duration::SECOND;
    assert_eq!(
        effect(&spec, &mut stored.clone(), later).action,
        Action::Rotate
    );
}

#[test]
fn a_token_counts_as_seen_once_the_leaf_of_the_ca_that_was_made_for_it_is_published() {
    let before = make_deployed();
    let spec = make_token("a");
    let assessment = assess(&before);
    let plan = planner::plan(&spec, &assessment, NOW).expect("a token is obeyed");
    let publication = publication(&plan, &spec, &before, &assessment, NOW, &mut FreshMint);
    let writes = publication.expect("everything fits").writes;
    let mut stored = before;
    for (count, write) in (1..).zip(&writes) {
        write.apply(&mut stored);
        let is_published = count >= 5;
        // The stack is rolled back, and later the token is set again.
        let mut crashed = stored.clone();
        effect(
            &make_change(&json!({ "RotationToken": "a" }), &json!({})),
            &mut crashed,
            NOW,
        );
        let found = effect(&spec, &mut crashed, NOW);
        let is_seen = found.action != Action::Rotate;
        // With CA key and bundle of the new CA in place, healing publishes its leaf.
        assert_eq!(is_seen, is_published || count == 4, "after write {count}");
        assert!(has_seen(&crashed, "a"));
    }
    assert!(has_seen(&stored, "a"));
}

#[test]
fn the_newest_twenty_tokens_are_remembered() {
    let mut stored = make_deployed();
    for number in 0..=20 {
        let template = json!({ "RotationToken": number });
        effect(&make_adoption(&template), &mut stored, NOW);
    }
    assert!(!has_seen(&stored, "0"));
    assert!((1..=20).all(|number| has_seen(&stored, &number.to_string())));
    check_kept(&make_plain(), &stored, NOW);
}

#[test]
fn whatever_else_is_trusted_swallows_no_token_with_a_state_or_without() {
    for name in [
        "expired-ca-beside",
        "partner-ca",
        "pinned-client-certificate",
    ] {
        let without_state = make_case(name);
        let mut with_state = without_state.clone();
        effect(&make_adoption(&json!({})), &mut with_state, NOW);
        for before in [without_state, with_state] {
            let spec = make_token("a");
            let mut stored = before.clone();
            let found = check_calm(&spec, &mut stored, NOW, Action::Rotate);
            assert_eq!(found.causes, [Cause::NewToken], "{name}");
            assert!(has_seen(&stored, "a"), "{name}");
            check_kept(&spec, &stored, NOW);
            check_all_connect(&[&before, &stored], NOW);
        }
    }
}

#[test]
fn an_anchor_that_has_expired_swallows_no_token_where_the_state_is_lost() {
    let long = json!({ "CAValidityDays": 4000, "ValidityDays": 4000 });
    let mut stored = make_own_with(&json!({ "CAValidityDays": 200, "ValidityDays": 200 }));
    let end = current_ca(&stored).not_after();
    effect(&make_update(&long), &mut stored, end - Duration::days(59));
    stored.remove(&Part::State);
    let mut with_token = long.clone();
    with_token["RotationToken"] = "b".into();
    let spec = make_change(&long, &with_token);
    let later = end + Duration::SECOND;
    check_calm(&spec, &mut stored, later, Action::Rotate);
    assert!(has_seen(&stored, "b"));
}
