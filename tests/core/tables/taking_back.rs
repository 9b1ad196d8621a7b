//! A rotation that is taken back: the anchor's own set is published again, and nobody is refused.

use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::inspection::Inspection;
use docker_tls_certgen::plan::open_rotation::OpenRotation;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::{RetirementWord, Spec};
use docker_tls_certgen::plan::taking_back::TakingBackObstacle;
use docker_tls_certgen::plan::warning::Warning;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::made_elsewhere::make_case;
use super::{
    check_accepts, check_all_connect, check_calm, current_ca, effect, fingerprint, leaf,
    make_rotated,
};
use crate::event::{assess, carry_out, check_kept, make_change, make_update, plan, written};
use crate::fixtures::merged;
use crate::mint::FreshMint;
use crate::store::{
    NOW, certificates, make_deployed, make_other_deployed, make_own, make_own_with, set_value,
    value,
};

/// What the template holds once a token has opened the rotation.
fn template() -> Value {
    json!({ "RotationToken": "a" })
}

/// The same with the word that takes the rotation back.
fn with_back(stored: &StoredSet) -> Value {
    let (previous, current) = (fingerprint(stored, 1), fingerprint(stored, 0));
    merged(
        &template(),
        json!({ "RetiredCA": format!("{current}/{previous}") }),
    )
}

/// What was said about CAs that are long gone.
fn old_word() -> String {
    let [retired, staying] = [make_other_deployed(), make_own(KeyAlgorithm::EcdsaP256)];
    format!("{}/{}", fingerprint(&retired, 0), fingerprint(&staying, 0))
}

/// An Update that takes the rotation back.
fn make_back(stored: &StoredSet) -> Spec {
    make_change(&template(), &with_back(stored))
}

fn has_anchor(stored: &StoredSet) -> bool {
    let assessment = assess(stored);
    let state = assessment.found.state.as_ref().expect("a state");
    state.anchor().is_some()
}

#[track_caller]
fn check_cannot(spec: &Spec, stored: &StoredSet, now: OffsetDateTime) -> TakingBackObstacle {
    let refusal = plan(spec, stored, now).expect_err("it cannot be taken back");
    let finish = RetirementWord {
        retired: fingerprint(stored, 1),
        staying: Some(fingerprint(stored, 0)),
        has_moved: assess(stored).previous_ca().is_some() && has_moved(stored),
    };
    let text = refusal.to_string();
    match refusal {
        Refusal::CannotTakeBack {
            previous,
            obstacle,
            finish: found,
        } => {
            assert_eq!((previous, *found), (finish.retired, finish));
            assert!(
                text.contains(&finish.to_string()) && text.contains("RetiredCA"),
                "{text}"
            );
            obstacle
        }
        refusal => panic!("another refusal: {refusal}"),
    }
}

fn has_moved(stored: &StoredSet) -> bool {
    let rotation = OpenRotation::of(&assess(stored)).expect("a rotation is open");
    rotation.next_word().is_some_and(|word| word.has_moved)
}

#[test]
fn the_two_cas_in_the_other_order_publish_the_anchors_own_set_again() {
    for before in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        for tokens in [&["a"][..], &["b", "a"]] {
            let rotated = make_rotated(before.clone(), tokens);
            let mut stored = rotated.clone();
            let done = carry_out(&make_back(&rotated), &mut stored, NOW, &mut FreshMint);
            assert_eq!(done.plan.action, Action::TakeBack);
            let authority = fingerprint(&before, 0);
            assert_eq!(done.plan.causes, [Cause::TakenBack { authority }]);
            assert!(!done.plan.cuts_off(), "{}", done.plan);
            // Who signs before who is trusted, and the key of the pair stays, so that it changes with one write.
            let parts = [
                Part::State,
                Part::CaKey,
                Part::CaCert,
                Part::Cert,
                Part::State,
            ];
            assert_eq!(written(&done.writes), parts);

            assert_eq!(certificates(&stored, Part::CaCert), [current_ca(&before)]);
            assert_eq!(certificates(&stored, Part::Cert).len(), 1);
            assert!(current_ca(&stored).fingerprint() == authority);
            check_accepts(&before, &stored, NOW);
            let assessment = assess(&stored);
            let current = assessment.current_ca_certificate();
            assert_eq!(
                current.map(|current| current.fingerprint()),
                Some(authority)
            );
            assert!(assessment.previous_ca().is_none());
            assert!(!has_anchor(&stored), "A's key is the CA key again");
            check_all_connect(&[&before, &rotated, &stored], NOW);
        }
    }
}

#[test]
fn it_says_what_it_did_and_that_nobody_is_cut_off() {
    let rotated = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let plan = plan(&make_back(&rotated), &rotated, NOW).expect("it can be taken back");
    let previous = fingerprint(&rotated, 1);
    assert_eq!(
        plan.to_string(),
        format!(
            "took the rotation back: the previous CA is the current one again, because RetiredCA returns to the \
             previous CA {previous}; no running daemon or client is cut off"
        )
    );
}

#[test]
fn the_rotation_after_it_is_under_the_same_anchor_and_refuses_nobody_of_any_generation() {
    let before = make_deployed();
    let first = make_rotated(before.clone(), &["a"]);
    let mut stored = first.clone();
    effect(&make_back(&first), &mut stored, NOW);
    let back = stored.clone();
    let old = with_back(&first);
    let new = merged(&old, json!({ "RotationToken": "b" }));
    check_calm(&make_change(&old, &new), &mut stored, NOW, Action::Rotate);
    assert_eq!(certificates(&stored, Part::CaCert)[1], current_ca(&before));
    check_all_connect(&[&before, &first, &back, &stored], NOW);
    // The word that is still in the template names a CA that is gone, and so does the one that would have finished.
    check_kept(&make_update(&new), &stored, NOW);
    check_kept(&make_change(&template(), &new), &stored, NOW);
    let (a, b) = (fingerprint(&first, 1), fingerprint(&first, 0));
    let late = merged(&new, json!({ "RetiredCA": format!("{a}/{b}") }));
    let refusal = plan(&make_change(&new, &late), &stored, NOW);
    let refusal = refusal.expect_err("it would cut off who has moved to neither");
    assert!(
        matches!(refusal, Refusal::NotThePreviousCa { .. }),
        "{refusal}"
    );
}

#[test]
fn given_again_or_set_back_it_changes_nothing() {
    let rotated = make_rotated(make_deployed(), &["a"]);
    let mut stored = rotated.clone();
    let spec = make_back(&rotated);
    effect(&spec, &mut stored, NOW);
    check_kept(&spec, &stored, NOW);
    check_kept(&make_update(&with_back(&rotated)), &stored, NOW);
    check_kept(
        &make_change(&with_back(&rotated), &template()),
        &stored,
        NOW,
    );
    let (a, b) = (fingerprint(&rotated, 1), fingerprint(&rotated, 0));
    let finish = merged(&template(), json!({ "RetiredCA": format!("{a}/{b}") }));
    check_kept(&make_change(&template(), &finish), &stored, NOW);
}

#[test]
fn one_that_was_broken_off_is_completed_by_the_same_event_and_by_a_rollback_in_all_its_parts() {
    for before in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        let rotated = make_rotated(before.clone(), &["a"]);
        let spec = make_back(&rotated);
        let mut done = rotated.clone();
        let writes = carry_out(&spec, &mut done, NOW, &mut FreshMint).writes;
        let rollback = make_change(&with_back(&rotated), &template());
        for next in [&spec, &rollback, &make_update(&template())] {
            for count in 1..writes.len() {
                let mut stored = rotated.clone();
                for write in &writes[..count] {
                    write.apply(&mut stored);
                }
                check_all_connect(&[&before, &rotated, &stored], NOW);
                // A rollback may bring a word with it, which is about no rotation any more.
                let old = merged(&template(), json!({ "RetiredCA": old_word() }));
                let rollback = make_change(&with_back(&rotated), &old);
                let plan = plan(&rollback, &stored, NOW).expect("it is completed");
                assert_eq!(
                    (plan.action, plan.warning),
                    (Action::TakeBack, None),
                    "{count}"
                );
                effect(next, &mut stored, NOW);
                for part in [Part::CaCert, Part::CaKey, Part::Key, Part::State] {
                    assert_eq!(value(&stored, part), value(&done, part), "{count}: {part}");
                }
                let (leaf, authority) = (leaf(&stored), assess(&stored));
                let authority = authority.current_ca_certificate().expect("a CA").clone();
                assert!(authority.has_issued(&leaf), "{count}");
                check_all_connect(&[&before, &rotated, &stored], NOW);
            }
        }
    }
}

#[test]
fn a_copy_of_another_time_that_is_put_back_in_the_middle_ends_it() {
    let before = make_own(KeyAlgorithm::EcdsaP256);
    let first = make_rotated(before.clone(), &["a"]);
    let mut closed = first.clone();
    let (a, b) = (fingerprint(&first, 1), fingerprint(&first, 0));
    let closing = merged(&template(), json!({ "RetiredCA": format!("{a}/{b}") }));
    effect(&make_change(&template(), &closing), &mut closed, NOW);
    let again = merged(&closing, json!({ "RotationToken": "b" }));
    let mut second = closed.clone();
    effect(&make_change(&closing, &again), &mut second, NOW);
    let (b, c) = (fingerprint(&second, 1), fingerprint(&second, 0));
    let back = merged(&again, json!({ "RetiredCA": format!("{c}/{b}") }));
    let mut done = second.clone();
    let spec = make_change(&again, &back);
    let writes = carry_out(&spec, &mut done, NOW, &mut FreshMint).writes;
    for copy in [&before, &first] {
        for count in 1..writes.len() {
            let mut stored = second.clone();
            for write in &writes[..count] {
                write.apply(&mut stored);
            }
            for part in Part::SHARED {
                set_value(&mut stored, part, value(copy, part));
            }
            let found = effect(&make_update(&again), &mut stored, NOW);
            assert!(
                matches!(found.action, Action::Keep | Action::Record),
                "{found:?}"
            );
            check_all_connect(&[copy, &stored], NOW);
        }
    }
}

#[test]
fn one_that_was_broken_off_is_given_up_once_the_anchor_has_ended() {
    let long = json!({ "CAValidityDays": 4000, "ValidityDays": 4000 });
    let mut rotated = make_own_with(&json!({ "CAValidityDays": 200, "ValidityDays": 200 }));
    let not_after = current_ca(&rotated).not_after();
    let old = merged(&long, template());
    effect(&make_change(&long, &old), &mut rotated, NOW);
    let spec = make_change(&old, &merged(&with_back(&rotated), long));
    let mut done = rotated.clone();
    let writes = carry_out(&spec, &mut done, NOW, &mut FreshMint).writes;
    let mut stored = rotated.clone();
    writes[0].apply(&mut stored);

    let now = not_after + Duration::SECOND;
    let found = effect(&make_update(&old), &mut stored, now);
    assert!(
        found.action <= Action::Record && found.cut_off == CutOff::Nobody,
        "{found:?}"
    );
    check_all_connect(&[&rotated, &stored], now);
}

#[test]
fn a_token_in_the_same_update_rotates_from_the_anchor_again() {
    let before = make_deployed();
    let rotated = make_rotated(before.clone(), &["a"]);
    let mut stored = rotated.clone();
    let new = merged(&with_back(&rotated), json!({ "RotationToken": "b" }));
    let found = check_calm(
        &make_change(&template(), &new),
        &mut stored,
        NOW,
        Action::Rotate,
    );
    let authority = fingerprint(&before, 0);
    assert_eq!(
        found.causes,
        [Cause::TakenBack { authority }, Cause::NewToken]
    );
    let bundle = certificates(&stored, Part::CaCert);
    assert_eq!(bundle[1..], [current_ca(&before)]);
    check_all_connect(&[&before, &rotated, &stored], NOW);
}

#[test]
fn a_rotation_that_was_broken_off_is_taken_back_and_its_token_counts_as_seen() {
    let before = make_deployed();
    let mut rotated = before.clone();
    let spec = make_change(&json!({}), &template());
    let writes = carry_out(&spec, &mut rotated, NOW, &mut FreshMint).writes;
    let trusted = written(&writes)
        .iter()
        .position(|part| *part == Part::CaCert)
        .expect("a rotation writes the bundle");
    let mut stored = before.clone();
    for write in &writes[..=trusted] {
        write.apply(&mut stored);
    }
    let rotation = OpenRotation::of(&assess(&stored)).expect("a rotation is open");
    let word = rotation.word_back.expect("it can be taken back");

    let back = json!({ "RetiredCA": word.to_string() });
    let found = check_calm(
        &make_change(&json!({}), &back),
        &mut stored,
        NOW,
        Action::TakeBack,
    );
    // The pair was the anchor's all along.
    assert_eq!(found.kept, [Part::Cert, Part::Key]);
    assert_eq!(
        value(&stored, Part::Cert),
        value(&before, Part::Cert),
        "the certificate stays byte for byte"
    );
    let again = merged(&back, template());
    check_kept(&make_change(&back, &again), &stored, NOW);
}

#[test]
fn a_ca_that_is_only_introduced_goes_again_and_the_pair_stays() {
    let before = make_case("path-length-0");
    let mut introduced = before.clone();
    check_calm(
        &make_change(&json!({}), &template()),
        &mut introduced,
        NOW,
        Action::Introduce,
    );
    let mut stored = introduced.clone();
    let found = check_calm(&make_back(&introduced), &mut stored, NOW, Action::TakeBack);
    assert_eq!(found.kept, [Part::Cert, Part::Key]);
    assert_eq!(
        certificates(&stored, Part::CaCert),
        certificates(&before, Part::CaCert)
    );
    check_all_connect(&[&before, &introduced, &stored], NOW);
}

#[test]
fn without_the_previous_cas_key_it_is_refused_in_each_step() {
    let mut lost = make_deployed();
    lost.remove(&Part::CaKey);
    for before in [make_case("rsa-3072-ca"), lost] {
        let mut introduced = before;
        check_calm(
            &make_change(&json!({}), &template()),
            &mut introduced,
            NOW,
            Action::Introduce,
        );
        let obstacle = check_cannot(&make_back(&introduced), &introduced, NOW);
        assert_eq!(obstacle, TakingBackObstacle::KeyNotRecorded);
        let rotation = OpenRotation::of(&assess(&introduced)).expect("a rotation is open");
        assert_eq!(rotation.word_back, None);

        let (a, b) = (fingerprint(&introduced, 1), fingerprint(&introduced, 0));
        let word = merged(&template(), json!({ "RetiredCA": format!("{a}/{b}") }));
        let mut moved = introduced.clone();
        let spec = make_change(&template(), &word);
        check_calm(&spec, &mut moved, NOW, Action::Move);
        let spec = make_change(&word, &with_back(&moved));
        assert_eq!(
            check_cannot(&spec, &moved, NOW),
            TakingBackObstacle::KeyNotRecorded
        );
    }
}

#[test]
fn to_a_ca_within_its_renewal_window_it_is_refused_with_the_date() {
    let long = json!({ "CAValidityDays": 4000, "ValidityDays": 4000 });
    let mut stored = make_own_with(&json!({ "CAValidityDays": 200, "ValidityDays": 200 }));
    let not_after = current_ca(&stored).not_after();
    let boundary = not_after - Duration::days(60);
    let old = merged(&long, template());
    let spec = make_change(&long, &old);
    check_calm(&spec, &mut stored, boundary, Action::Rotate);
    let new = merged(&with_back(&stored), long);
    let spec = make_change(&old, &new);
    let is_taken_back = plan(&spec, &stored, boundary).expect("on the boundary it can stay");
    assert_eq!(is_taken_back.action, Action::TakeBack);
    let shown = |now| Inspection::of(&make_update(&old), &stored, now).take_back;
    assert_eq!(shown(boundary).as_deref(), new["RetiredCA"].as_str());
    assert_eq!(shown(boundary + Duration::SECOND), None);
    for moment in [boundary + Duration::SECOND, not_after + Duration::SECOND] {
        let TakingBackObstacle::Due(causes) = check_cannot(&spec, &stored, moment) else {
            panic!("it is its end that stands in the way");
        };
        assert!(
            matches!(
                causes[..],
                [Cause::Expiring { not_after: end, .. } | Cause::Expired { not_after: end, .. }, ..]
                    if end == not_after
            ),
            "{causes:?}"
        );
    }
}

#[test]
fn what_is_damaged_is_repaired_first() {
    let rotated = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let spec = make_back(&rotated);
    let without_anchor = TrustBundle::encode(&[current_ca(&rotated)]);
    let other = make_other_deployed();
    for (part, damage) in [
        (Part::CaCert, Some(without_anchor.to_string())),
        (Part::Cert, Some(value(&other, Part::Cert).to_owned())),
        (Part::Cert, None),
    ] {
        let mut stored = rotated.clone();
        match damage {
            Some(value) => set_value(&mut stored, part, &value),
            None => drop(stored.remove(&part)),
        }
        let refusal = plan(&spec, &stored, NOW).expect_err("nothing shows that all lead there");
        let is_expected = matches!(
            refusal,
            Refusal::CannotTakeBack {
                obstacle: TakingBackObstacle::NotLedTo,
                ..
            }
        );
        assert!(is_expected, "{refusal}");
        effect(&make_update(&template()), &mut stored, NOW);
        check_calm(&spec, &mut stored, NOW, Action::TakeBack);
    }
}

#[test]
fn without_a_state_a_rollback_to_it_does_not_stumble() {
    let mut stored = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    stored.remove(&Part::State);
    let plan = plan(&make_back(&stored), &stored, NOW).expect("an old word may come back");
    assert_eq!(plan.action, Action::Record, "{plan}");
    let given = RetirementWord {
        retired: fingerprint(&stored, 0),
        staying: Some(fingerprint(&stored, 1)),
        has_moved: false,
    };
    let obstacle = Some(TakingBackObstacle::KeyNotRecorded);
    assert_eq!(
        plan.warning,
        Some(Warning::UnheededWord { given, obstacle })
    );
}

#[test]
fn whatever_else_is_trusted_stays() {
    let rotated = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let partner = current_ca(&make_other_deployed());
    let mut bundle = certificates(&rotated, Part::CaCert);
    bundle.push(partner.clone());
    let mut stored = rotated.clone();
    set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&bundle));
    check_calm(&make_back(&rotated), &mut stored, NOW, Action::TakeBack);
    assert_eq!(
        certificates(&stored, Part::CaCert),
        [bundle[1].clone(), partner]
    );
}

#[test]
fn it_is_no_way_back_to_say_that_everything_has_moved() {
    let rotated = make_rotated(make_own(KeyAlgorithm::EcdsaP256), &["a"]);
    let mut new = with_back(&rotated);
    let word = new["RetiredCA"].as_str().expect("a word").to_owned();
    new["RetiredCA"] = format!("{word}/moved").into();
    let refusal = plan(&make_change(&template(), &new), &rotated, NOW);
    let refusal = refusal.expect_err("nothing moves to a CA that everything trusts");
    let text = refusal.to_string();
    assert!(
        matches!(refusal, Refusal::NotThePreviousCa { .. }) && text.contains(&word),
        "{text}"
    );
}
