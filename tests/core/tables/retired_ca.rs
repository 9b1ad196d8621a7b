//! `RetiredCA`: the operator's word that everything has moved, which stays in the template for good.

use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::{RetirementWord, Spec};
use docker_tls_certgen::plan::warning::Warning;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::Duration;

use super::{
    check_accepts, check_all_connect, check_calm, check_refuses, current_ca, effect, fingerprint,
    make_rotated,
};
use crate::event::{carry_out, check_kept, make_change, make_update, plan, written};
use crate::mint::FreshMint;
use crate::store::{
    NOW, certificates, make_deployed, make_other_deployed, make_own, set_value, value,
};

fn retired(stored: &StoredSet, index: usize) -> Value {
    json!({ "RotationToken": "a", "RetiredCA": fingerprint(stored, index).to_string() })
}

/// An Update that puts `RetiredCA` into the template.
fn make_close(stored: &StoredSet, index: usize) -> Spec {
    make_change(&json!({ "RotationToken": "a" }), &retired(stored, index))
}

#[test]
fn the_previous_cas_fingerprint_closes_the_rotation_at_once() {
    for before in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        let rotated = make_rotated(before.clone(), &["a"]);
        let mut stored = rotated.clone();
        let found = effect(&make_close(&rotated, 1), &mut stored, NOW);
        let authority = fingerprint(&rotated, 1);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Close, CutOff::Nobody)
        );
        assert_eq!(found.causes[0], Cause::Retired { authority });
        assert_eq!(found.kept, [Part::CaKey, Part::Key]);
        assert_eq!(certificates(&stored, Part::CaCert), [current_ca(&rotated)]);
        assert_eq!(certificates(&stored, Part::Cert), [super::leaf(&rotated)]);
        // Everything that was made after the rotation goes on; what was made before is refused now.
        check_all_connect(&[&rotated, &stored], NOW);
        check_refuses(&before, &stored, NOW);
        check_refuses(&stored, &before, NOW);
    }
}

#[test]
fn the_fingerprint_may_be_in_upper_case_and_with_colons() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let plain = fingerprint(&rotated, 1).to_string().to_uppercase();
    let pairs: Vec<&str> = (0..64).step_by(2).map(|at| &plain[at..at + 2]).collect();
    let new = json!({ "RotationToken": "a", "RetiredCA": pairs.join(":") });
    let spec = make_change(&json!({ "RotationToken": "a" }), &new);
    assert_eq!(
        effect(&spec, &mut rotated.clone(), NOW).action,
        Action::Close
    );
}

#[test]
fn another_cas_fingerprint_is_refused_with_the_right_one() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let previous = fingerprint(&rotated, 1);
    for given in [
        fingerprint(&rotated, 0),
        fingerprint(&make_other_deployed(), 0),
    ] {
        let new = json!({ "RotationToken": "a", "RetiredCA": given.to_string() });
        let refusal = plan(
            &make_change(&json!({ "RotationToken": "a" }), &new),
            &rotated,
            NOW,
        );
        let refusal = refusal.expect_err("a wrong fingerprint is refused");
        let expected = RetirementWord {
            retired: previous,
            staying: Some(fingerprint(&rotated, 0)),
            has_moved: false,
        };
        let word = RetirementWord {
            retired: given,
            staying: None,
            has_moved: false,
        };
        let back = RetirementWord {
            retired: fingerprint(&rotated, 0),
            staying: Some(previous),
            has_moved: false,
        };
        let is_expected = Refusal::NotThePreviousCa {
            given: word,
            expected: Box::new(expected),
            back: Some(Box::new(back)),
        };
        assert_eq!(refusal, is_expected);
        let text = refusal.to_string();
        assert!(text.contains("RetiredCA"), "{text}");
        assert!(text.contains(&given.to_string()), "{text}");
        assert!(text.contains(&expected.to_string()), "{text}");
        assert!(text.contains(&back.to_string()), "{text}");
    }
}

#[test]
fn it_has_no_effect_while_no_rotation_is_open() {
    for stored in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        for given in [
            fingerprint(&stored, 0),
            fingerprint(&make_other_deployed(), 0),
        ] {
            let new = json!({ "RetiredCA": given.to_string() });
            check_kept(&make_change(&json!({}), &new), &stored, NOW);
        }
    }
}

#[test]
fn left_in_the_template_it_has_no_effect_on_later_updates_and_rotations() {
    let mut stored = make_rotated(make_deployed(), &["a"]);
    let close = make_close(&stored, 1);
    let template = retired(&stored, 1);
    effect(&close, &mut stored, NOW);
    let closed = stored.clone();
    check_kept(&make_update(&template), &stored, NOW);
    check_kept(&close, &stored, NOW);
    let mut next = template.clone();
    next["RotationToken"] = "b".into();
    check_calm(
        &make_change(&template, &next),
        &mut stored,
        NOW,
        Action::Rotate,
    );
    check_all_connect(&[&closed, &stored], NOW);
    // Nor where the state that remembers it is lost; the token is recorded again.
    stored.remove(&Part::State);
    let found = effect(&make_update(&next), &mut stored, NOW);
    assert_eq!(
        (found.action, found.kept),
        (Action::Record, Part::SHARED.to_vec())
    );
}

#[test]
fn a_rollback_after_a_close_changes_nothing() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let mut stored = rotated.clone();
    effect(&make_close(&rotated, 1), &mut stored, NOW);
    let back = make_change(&retired(&rotated, 1), &json!({ "RotationToken": "a" }));
    check_kept(&back, &stored, NOW);
}

#[test]
fn it_is_refused_while_the_published_pair_is_of_a_previous_ca_that_can_vouch() {
    let before = make_deployed();
    let mut stored = make_rotated(before.clone(), &["a"]);
    // As if the rotation had crashed before its key and certificate were written.
    for part in [Part::Cert, Part::Key] {
        set_value(&mut stored, part, crate::store::value(&before, part));
    }
    let previous = fingerprint(&stored, 1);
    let new = json!({ "RetiredCA": previous.to_string() });
    let refusal = plan(&make_change(&json!({}), &new), &stored, NOW);
    let refusal = refusal.expect_err("the pair would be refused");
    let back = RetirementWord {
        retired: fingerprint(&stored, 0),
        staying: Some(previous),
        has_moved: false,
    };
    let back = Some(Box::new(back));
    assert_eq!(refusal, Refusal::PairOfPreviousCa { previous, back });
}

#[test]
fn a_word_that_was_given_before_the_rotation_does_not_close_it() {
    for lost in [Part::CaKey, Part::CaCert] {
        let mut stored = make_own(KeyAlgorithm::EcdsaP256);
        let template = json!({ "RetiredCA": fingerprint(&stored, 0).to_string() });
        check_kept(&make_change(&json!({}), &template), &stored, NOW);
        stored.remove(&lost);
        effect(&make_update(&template), &mut stored, NOW);
        let mut next = template.clone();
        next["RotationToken"] = "a".into();
        let before = stored.clone();
        let found = effect(&make_change(&template, &next), &mut stored, NOW);
        assert_ne!(found.action, Action::Close);
        assert_eq!(certificates(&stored, Part::CaCert).len(), 2);
        check_accepts(&before, &stored, NOW);
    }
}

#[test]
fn a_word_that_this_very_update_would_make_true_is_refused() {
    let stored = make_own(KeyAlgorithm::EcdsaP256);
    let current = fingerprint(&stored, 0);
    let word = json!({ "RetiredCA": current.to_string() });
    let mut with_token = word.clone();
    with_token["RotationToken"] = "a".into();
    let due = current_ca(&stored).not_after() - Duration::days(1);
    for (new, now) in [(&with_token, NOW), (&word, due)] {
        let refusal = plan(&make_change(&json!({}), new), &stored, now);
        let refusal = refusal.expect_err("a retry would close the rotation");
        assert_eq!(refusal, Refusal::RetiresCurrentCa { current });
    }
}

#[test]
fn a_close_and_a_token_in_one_update_close_first_and_rotate_then() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let mut stored = rotated.clone();
    let mut new = retired(&rotated, 1);
    new["RotationToken"] = "b".into();
    let found = check_calm(
        &make_change(&json!({ "RotationToken": "a" }), &new),
        &mut stored,
        NOW,
        Action::Rotate,
    );
    let authority = fingerprint(&rotated, 1);
    assert_eq!(
        found.causes,
        [Cause::Retired { authority }, Cause::NewToken]
    );
    assert_eq!(certificates(&stored, Part::CaCert)[1], current_ca(&rotated));
    check_all_connect(&[&rotated, &stored], NOW);
}

#[test]
fn without_a_state_a_rollback_does_not_stumble_over_an_old_word() {
    let mut stored = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let old = json!({ "RetiredCA": fingerprint(&make_other_deployed(), 0).to_string() });
    stored.remove(&Part::State);
    let rollback = make_change(&retired(&stored, 1), &old);
    check_kept(&rollback, &stored, NOW);
}

#[test]
fn a_word_is_warned_of_where_it_is_half_a_word_or_does_nothing_to_the_open_rotation() {
    let rotated = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let (previous, current) = (fingerprint(&rotated, 1), fingerprint(&rotated, 0));
    let other = fingerprint(&make_other_deployed(), 0);
    let whole = RetirementWord {
        retired: previous,
        staying: Some(current),
        has_moved: false,
    };
    let half = RetirementWord {
        staying: None,
        ..whole
    };
    let wrong = RetirementWord {
        retired: other,
        ..half
    };
    let closed = {
        let mut closed = rotated.clone();
        effect(&make_close(&rotated, 1), &mut closed, NOW);
        closed
    };
    let mut heard = rotated.clone();
    // Remembered when the state is written for something else.
    let said = json!({ "RotationToken": "a", "RetiredCA": wrong.to_string() });
    effect(
        &make_change(&said, &json!({ "RotationToken": "b" })),
        &mut heard,
        NOW,
    );
    let unheeded = |given| Warning::UnheededWord {
        given,
        obstacle: None,
    };
    for (name, stored, old, given, warning) in [
        ("the whole word", &rotated, None, whole, None),
        (
            "half of it",
            &rotated,
            None,
            half,
            Some(Warning::HalfAWord { whole }),
        ),
        ("as before", &rotated, Some(half), half, None),
        ("no rotation is open", &closed, None, half, None),
        ("an old one", &heard, None, wrong, Some(unheeded(wrong))),
        ("an old one, as before", &heard, Some(wrong), wrong, None),
    ] {
        let template = |word: Option<RetirementWord>| {
            let word = word.map(|word| word.to_string()).unwrap_or_default();
            json!({ "RotationToken": "b", "RetiredCA": word })
        };
        let spec = make_change(&template(old), &template(Some(given)));
        let plan = plan(&spec, stored, NOW).expect("it is not refused");
        assert_eq!(plan.warning, warning, "{name}");
    }
}

#[test]
fn a_close_that_was_broken_off_is_finished_by_a_rollback_in_all_its_parts() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let spec = make_close(&rotated, 1);
    let mut closed = rotated.clone();
    let writes = carry_out(&spec, &mut closed, NOW, &mut FreshMint).writes;
    let parts = [Part::State, Part::CaCert, Part::Cert, Part::State];
    assert_eq!(written(&writes), parts);
    let rollback = make_change(&retired(&rotated, 1), &json!({ "RotationToken": "a" }));
    for done in 1..writes.len() {
        let mut stored = rotated.clone();
        for write in &writes[..done] {
            write.apply(&mut stored);
        }
        effect(&rollback, &mut stored, NOW);
        for part in Part::SHARED.into_iter().chain([Part::State]) {
            assert_eq!(value(&stored, part), value(&closed, part), "{done}: {part}");
        }
    }
}

fn put_back(stored: &mut StoredSet, copy: &StoredSet) {
    for part in Part::SHARED {
        set_value(stored, part, value(copy, part));
    }
}

/// The set before a rotation, and the same restored from a copy after the close: the state is all that is newer.
fn make_restored() -> (StoredSet, StoredSet) {
    let before = make_own(KeyAlgorithm::EcdsaP256);
    let mut stored = make_rotated(before.clone(), &["a"]);
    effect(&make_close(&stored.clone(), 1), &mut stored, NOW);
    put_back(&mut stored, &before);
    (before, stored)
}

#[test]
fn a_set_that_is_put_back_over_a_later_rotation_is_rotated_under_its_own_ca() {
    let (before, _) = make_restored();
    let mut stored = make_rotated(before.clone(), &["a"]);
    effect(&make_close(&stored.clone(), 1), &mut stored, NOW);
    let old = retired(&before, 0);
    let mut token = old.clone();
    token["RotationToken"] = "b".into();
    effect(&make_change(&old, &token), &mut stored, NOW);
    put_back(&mut stored, &before);

    check_kept(&make_update(&token), &stored, NOW);
    let mut next = token.clone();
    next["RotationToken"] = "c".into();
    check_calm(
        &make_change(&token, &next),
        &mut stored,
        NOW,
        Action::Rotate,
    );
    check_all_connect(&[&before, &stored], NOW);
}

#[test]
fn an_open_rotation_that_is_put_back_after_its_close_stays_open_and_cuts_nobody_off() {
    let before = make_own(KeyAlgorithm::EcdsaP256);
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    effect(&make_close(&rotated, 1), &mut stored, NOW);
    put_back(&mut stored, &rotated);
    let word = retired(&rotated, 1);
    check_kept(&make_update(&word), &stored, NOW);

    // The anchor's key went with the close, so a new CA can only be introduced.
    let mut token = word.clone();
    token["RotationToken"] = "b".into();
    check_calm(
        &make_change(&word, &token),
        &mut stored,
        NOW,
        Action::Introduce,
    );
    check_all_connect(&[&before, &rotated, &stored], NOW);
}

#[test]
fn a_retired_ca_that_is_put_back_can_be_rotated_again() {
    let (before, mut stored) = make_restored();
    let old = retired(&before, 0);
    check_kept(&make_update(&old), &stored, NOW);
    let mut new = old.clone();
    new["RotationToken"] = "b".into();
    check_calm(&make_change(&old, &new), &mut stored, NOW, Action::Rotate);
    check_all_connect(&[&before, &stored], NOW);
}

#[test]
fn a_retired_ca_that_is_put_back_without_its_key_is_trusted_on() {
    let (before, mut stored) = make_restored();
    stored.remove(&Part::CaKey);
    check_calm(
        &make_update(&retired(&before, 0)),
        &mut stored,
        NOW,
        Action::Introduce,
    );
    check_all_connect(&[&before, &stored], NOW);
}
