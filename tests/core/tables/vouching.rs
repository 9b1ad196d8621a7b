//! CAs that cannot vouch for a new one: trust comes first, and the operator's words take the steps from there to the
//! close.

use docker_tls_certgen::pki::alternative_name::SubjectAlternativeName;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::inspection::Inspection;
use docker_tls_certgen::plan::obstacle::Obstacle;
use docker_tls_certgen::plan::open_rotation::{OpenRotation, RotationStep};
use docker_tls_certgen::plan::outlook::Condition;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::{RetirementWord, Spec};
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::made_elsewhere::{make_authority, make_ca_params, make_case, make_version_1};
use super::{
    Effect, check_accepts, check_all_connect, check_calm, check_refuses, current_ca, effect,
    fingerprint, leaf, make_plain, make_token,
};
use crate::event::{assess, carry_out, check_kept, make_change, make_update, plan};
use crate::fixtures::merged;
use crate::mint::{FreshMint, pool_key};
use crate::store::{NOW, certificates, make_deployed, make_own, value};

/// A set whose CA cannot vouch for another.
struct Start {
    name: &'static str,
    stored: StoredSet,
    /// Why it cannot.
    obstacle: Obstacle,
    /// Whether it can issue an end-entity certificate.
    issues: bool,
    /// Whether its key is worth recording once it is the previous CA, and fits.
    is_recorded: bool,
}

impl Start {
    fn of_case(name: &'static str, obstacle: Obstacle, issues: bool, is_recorded: bool) -> Self {
        Self {
            name,
            stored: make_case(name),
            obstacle,
            issues,
            is_recorded,
        }
    }

    fn of_lost_key(name: &'static str, mut stored: StoredSet) -> Self {
        stored.remove(&Part::CaKey);
        Self {
            name,
            stored,
            obstacle: Obstacle::KeyLost,
            issues: false,
            is_recorded: false,
        }
    }

    /// Why it cannot vouch once it is the previous CA: what its certificate says, or that its key is nowhere any more.
    fn obstacle_of_previous(&self) -> Obstacle {
        match self.obstacle {
            Obstacle::KeyLost if self.name.starts_with("path-length-0") => Obstacle::PathLength,
            Obstacle::RecordTooLong | Obstacle::UnusableKey => Obstacle::KeyLost,
            _ => self.obstacle.clone(),
        }
    }

    /// Whether the end-entity's key stays when a certificate is issued for it: one that is too short does not.
    fn keeps_key(&self) -> bool {
        self.name != "rsa-1024"
    }

    fn cut_off(&self) -> CutOff {
        knowing_only(&self.stored, self.obstacle.clone())
    }

    /// Checks what an event does to its set, whatever becomes of the state.
    #[track_caller]
    fn check(&self, spec: &Spec, stored: &mut StoredSet, now: OffsetDateTime, expected: &Effect) {
        let mut found = effect(spec, stored, now);
        found.kept.retain(|part| *part != Part::State);
        assert_eq!(&found, expected, "{}", self.name);
    }

    /// Its set, after a token has introduced a new CA.
    #[track_caller]
    fn introduced(&self) -> StoredSet {
        let mut stored = self.stored.clone();
        let spec = make_change(&plain_template(), &template());
        check_calm(&spec, &mut stored, NOW, Action::Introduce);
        stored
    }

    /// Its set, after the operator's word that everything trusts the new CA.
    #[track_caller]
    fn moved(&self) -> StoredSet {
        let mut stored = self.introduced();
        let spec = make_word(&stored);
        check_calm(&spec, &mut stored, NOW, Action::Move);
        stored
    }
}

fn knowing_only(stored: &StoredSet, obstacle: Obstacle) -> CutOff {
    let authority = current_ca(stored);
    CutOff::KnowingOnly {
        authority: authority.fingerprint(),
        common_name: authority.common_name().to_owned(),
        obstacle,
    }
}

/// One set with each obstacle.
fn make_starts() -> Vec<Start> {
    vec![
        Start::of_case("path-length-0", Obstacle::PathLength, true, true),
        Start::of_case("name-constraints", Obstacle::NameConstraints, true, true),
        Start {
            name: "version 1",
            stored: make_version_1_set(),
            obstacle: Obstacle::Version1,
            issues: true,
            is_recorded: true,
        },
        Start::of_case("rsa-3072-ca", Obstacle::RecordTooLong, true, false),
        Start::of_case("repeated-name-part", Obstacle::UnwritableName, false, false),
        Start::of_case("p521-ca", Obstacle::UnusableKey, false, false),
        Start::of_lost_key("deployed, key lost", make_deployed()),
        Start::of_lost_key("own, key lost", make_own(KeyAlgorithm::EcdsaP256)),
        Start::of_lost_key("path-length-0, key lost", make_case("path-length-0")),
        Start::of_case("rsa-1024", Obstacle::UnusableKey, false, false),
    ]
}

/// Those whose key is there.
fn make_starts_with_key() -> Vec<Start> {
    let mut starts = make_starts();
    starts.retain(|start| start.stored.contains_key(&Part::CaKey));
    starts
}

fn make_version_1_set() -> StoredSet {
    let mut params = make_ca_params("old root");
    params.not_after = NOW + Duration::days(900);
    make_version_1(&params, &pool_key(0)).make_set(&pool_key(1))
}

const CA_KEY_MISSING: Cause = Cause::Flawed {
    part: Part::CaKey,
    flaw: Flaw::Missing,
};

#[test]
fn a_token_introduces_a_new_ca_beside_one_that_cannot_vouch_and_the_pair_stays() {
    for start in make_starts() {
        let before = &start.stored;
        let is_lost = !before.contains_key(&Part::CaKey);
        let mut stored = before.clone();
        let expected = Effect {
            action: Action::Introduce,
            causes: is_lost
                .then_some(CA_KEY_MISSING)
                .into_iter()
                .chain([Cause::NewToken])
                .collect(),
            cut_off: CutOff::Nobody,
            kept: vec![Part::Cert, Part::Key],
        };
        start.check(&make_token("a"), &mut stored, NOW, &expected);
        let bundle = certificates(&stored, Part::CaCert);
        assert_eq!(bundle[1..], [current_ca(before)], "{}", start.name);
        check_all_connect(&[before, &stored], NOW);
    }
}

#[test]
fn a_ca_that_cannot_vouch_is_followed_by_a_new_one_within_its_renewal_window_and_the_pair_waits() {
    for start in make_starts_with_key() {
        let before = &start.stored;
        let not_after = current_ca(before).not_after();
        let later = not_after - Duration::days(59);
        check_kept(&make_plain(), before, later - Duration::days(1));
        let wide = json!({ "CAValidityDays": 365_000, "ValidityDays": 365_000, "RenewBeforeDays": 60_000 });
        for (spec, now) in [(make_plain(), later), (make_update(&wide), NOW)] {
            let mut stored = before.clone();
            let expiring = |part| Cause::Expiring {
                part,
                not_after,
                renew_before: spec.properties.renew_before,
            };
            let mut causes = vec![expiring(Part::CaCert)];
            if !start.issues {
                let obstacle = start.obstacle.clone();
                causes.extend([expiring(Part::Cert), Cause::CannotIssue { obstacle }]);
            }
            let expected = Effect {
                action: Action::Introduce,
                causes,
                cut_off: CutOff::Nobody,
                kept: vec![Part::Cert, Part::Key],
            };
            // A date is no damage.
            let shown = Inspection::of(&spec, before, now).standing.outlook;
            assert_eq!(
                (shown.is_renewal_due, shown.condition),
                (true, Condition::Sound)
            );
            start.check(&spec, &mut stored, now, &expected);
            check_all_connect(&[before, &stored], now);
        }
    }
}

#[test]
fn a_ca_that_cannot_vouch_and_whose_key_is_lost_is_trusted_on() {
    for start in make_starts_with_key() {
        let mut stored = start.stored.clone();
        stored.remove(&Part::CaKey);
        let expected = Effect {
            action: Action::Introduce,
            causes: vec![CA_KEY_MISSING],
            cut_off: CutOff::Nobody,
            kept: vec![Part::Cert, Part::Key],
        };
        start.check(&make_plain(), &mut stored, NOW, &expected);
        check_all_connect(&[&start.stored, &stored], NOW);
    }
}

#[test]
fn a_lost_pair_is_reissued_by_a_ca_that_can_issue_and_replaced_and_said_where_it_cannot() {
    for start in make_starts_with_key() {
        for part in [Part::Cert, Part::Key] {
            let before = &start.stored;
            let mut stored = before.clone();
            stored.remove(&part);
            let mut causes = vec![Cause::Flawed {
                part,
                flaw: Flaw::Missing,
            }];
            let mut kept = vec![Part::CaCert, Part::CaKey, Part::Key];
            kept.retain(|kept| *kept != part);
            let (action, cut_off) = if start.issues {
                (Action::Reissue, CutOff::Nobody)
            } else {
                causes.push(Cause::CannotIssue {
                    obstacle: start.obstacle.clone(),
                });
                kept.retain(|kept| *kept == Part::Key && start.keeps_key());
                (Action::Replace, start.cut_off())
            };
            let expected = Effect {
                action,
                causes,
                cut_off,
                kept,
            };
            start.check(&make_plain(), &mut stored, NOW, &expected);
            if start.issues {
                check_all_connect(&[before, &stored], NOW);
            } else {
                check_refuses(before, &stored, NOW);
                check_accepts(&stored, before, NOW);
                check_accepts(&stored, &stored, NOW);
            }
        }
    }
}

#[test]
fn a_token_and_a_lost_pair_introduce_a_new_ca_with_a_pair_of_the_old_one_where_it_can_issue() {
    for start in make_starts_with_key() {
        let before = &start.stored;
        let mut stored = before.clone();
        stored.remove(&Part::Cert);
        let found = effect(&make_token("a"), &mut stored, NOW);
        let expected = if start.issues {
            (Action::Introduce, CutOff::Nobody)
        } else {
            (Action::Replace, start.cut_off())
        };
        assert_eq!((found.action, found.cut_off), expected, "{}", start.name);
        if start.issues {
            check_all_connect(&[before, &stored], NOW);
        } else {
            check_refuses(before, &stored, NOW);
            check_accepts(&stored, before, NOW);
        }
    }
}

#[test]
fn what_the_log_says_of_a_cut_off_names_the_ca_and_the_obstacle() {
    for start in make_starts() {
        let mut stored = start.stored.clone();
        stored.remove(&Part::Cert);
        let plan = plan(&make_plain(), &stored, NOW).expect("it is not refused");
        let text = plan.to_string();
        let is_said = text.contains("CUTS OFF")
            && text.contains(&fingerprint(&start.stored, 0).to_string())
            && text.contains(&format!("because {}", start.obstacle));
        assert_eq!(is_said, !start.issues, "{}: {text}", start.name);
        assert_eq!(plan.cuts_off(), !start.issues, "{}", start.name);
    }
}

/// A template without a token. What it makes lasts longer than what others made.
fn plain_template() -> Value {
    json!({ "CAValidityDays": 365_000, "ValidityDays": 365_000 })
}

/// The template that the token of [`Start::introduced`] leaves.
fn template() -> Value {
    merged(&plain_template(), json!({ "RotationToken": "a" }))
}

fn with_word(word: &str) -> Value {
    merged(&template(), json!({ "RetiredCA": word }))
}

/// The word that takes the next step, as the tool tells it.
#[track_caller]
fn next_word(stored: &StoredSet) -> String {
    let word = rotation(stored).and_then(|rotation| rotation.next_word());
    word.expect("a rotation is open").to_string()
}

/// `A/B` for a bundle of B and A.
fn move_word(introduced: &StoredSet) -> String {
    format!(
        "{}/{}",
        fingerprint(introduced, 1),
        fingerprint(introduced, 0)
    )
}

fn close_word(moved: &StoredSet) -> String {
    move_word(moved) + "/moved"
}

/// An Update that gives the word for the next step, in the place of the word before it.
#[track_caller]
fn make_word(stored: &StoredSet) -> Spec {
    make_word_in(&template(), stored)
}

/// The same, in another template.
#[track_caller]
fn make_word_in(template: &Value, stored: &StoredSet) -> Spec {
    let word = next_word(stored);
    let with = |word: &str| merged(template, json!({ "RetiredCA": word }));
    let before = word.strip_suffix("/moved");
    let before = before.map_or_else(|| template.clone(), with);
    make_change(&before, &with(&word))
}

fn rotation(stored: &StoredSet) -> Option<OpenRotation> {
    OpenRotation::of(&assess(stored))
}

#[track_caller]
fn check_rotation(stored: &StoredSet, step: RotationStep, word: &str, has_way_back: bool) {
    let [current, previous] =
        [0, 1].map(|index| certificates(stored, Part::CaCert).swap_remove(index));
    let expected = OpenRotation {
        previous: previous.fingerprint(),
        not_after: previous.not_after(),
        current: current.fingerprint(),
        step,
        word_back: has_way_back.then(|| RetirementWord {
            retired: current.fingerprint(),
            staying: Some(previous.fingerprint()),
            has_moved: false,
        }),
    };
    let found = rotation(stored);
    assert_eq!(found.as_ref(), Some(&expected));
    assert_eq!(
        found.and_then(|rotation| rotation.next_word()),
        RetirementWord::parse(word)
    );
    let shown = Inspection::of(&make_update(&template()), stored, NOW);
    let text = shown.rotation.expect("it is open");
    assert!(
        text.ends_with(&format!("then set RetiredCA to {word}")),
        "{text}"
    );
    assert_eq!(shown.previous_ca, Some(previous.fingerprint().to_string()));
}

#[test]
fn introduced_moved_and_closed_each_connect_with_the_step_before_and_say_what_comes_next() {
    for start in make_starts() {
        let before = &start.stored;
        let introduced = start.introduced();
        let step = RotationStep::Introduced {
            obstacle: start.obstacle_of_previous(),
            leaf_not_after: leaf(&introduced).not_after(),
        };
        check_rotation(
            &introduced,
            step,
            &move_word(&introduced),
            start.is_recorded,
        );
        check_all_connect(&[before, &introduced], NOW);

        let mut moved = introduced.clone();
        let mut kept = vec![Part::CaCert, Part::CaKey, Part::Key];
        kept.retain(|part| *part != Part::Key || start.keeps_key());
        let expected = Effect {
            action: Action::Move,
            causes: vec![Cause::Trusted {
                authority: fingerprint(&introduced, 0),
            }],
            cut_off: CutOff::Nobody,
            kept,
        };
        start.check(&make_word(&introduced), &mut moved, NOW, &expected);
        check_rotation(&moved, RotationStep::Moved, &close_word(&moved), false);
        check_all_connect(&[&introduced, &moved], NOW);
        // Whoever trusts A alone is refused: that is what the word said there is none of. Its certificate is still good.
        check_refuses(before, &moved, NOW);
        check_accepts(&moved, before, NOW);

        let mut closed = moved.clone();
        let expected = Effect {
            action: Action::Close,
            causes: vec![Cause::Retired {
                authority: fingerprint(&introduced, 1),
            }],
            cut_off: CutOff::Nobody,
            kept: vec![Part::CaKey, Part::Cert, Part::Key],
        };
        start.check(&make_word(&moved), &mut closed, NOW, &expected);
        assert_eq!(
            certificates(&closed, Part::CaCert),
            [current_ca(&introduced)]
        );
        assert_eq!(rotation(&closed), None, "{}", start.name);
        assert_eq!(assess(&closed).previous_ca(), None, "{}", start.name);
        let state = Found::decode(&closed).state.expect("the state is good");
        assert!(state.anchor().is_none(), "{}", start.name);
        check_all_connect(&[&moved, &closed], NOW);
        check_refuses(&closed, before, NOW);
    }
}

#[test]
fn the_previous_cas_fingerprint_alone_moves_and_does_not_close() {
    for start in make_starts() {
        let mut stored = start.introduced();
        let plain = with_word(&fingerprint(&stored, 1).to_string());
        let spec = make_change(&template(), &plain);
        check_calm(&spec, &mut stored, NOW, Action::Move);
        check_kept(&spec, &stored, NOW);
        check_rotation(&stored, RotationStep::Moved, &close_word(&stored), false);
    }
}

#[test]
fn a_word_that_stays_or_comes_twice_takes_no_second_step() {
    for start in make_starts() {
        let introduced = start.introduced();
        let mut stored = introduced.clone();
        for action in [Action::Move, Action::Close] {
            let spec = make_word(&stored);
            check_calm(&spec, &mut stored, NOW, action);
            check_kept(&spec, &stored, NOW);
            check_kept(&spec.next(), &stored, NOW);
        }
        // And again, from the first to the last.
        let (first, last) = (move_word(&introduced), close_word(&introduced));
        for (old, new) in [
            (template(), with_word(&first)),
            (with_word(&first), with_word(&last)),
        ] {
            check_kept(&make_change(&old, &new), &stored, NOW);
        }
    }
}

#[test]
fn a_rollback_of_a_word_changes_nothing() {
    for start in make_starts() {
        let moved = start.moved();
        let (first, last) = (
            with_word(&move_word(&moved)),
            with_word(&close_word(&moved)),
        );
        check_kept(&make_change(&first, &template()), &moved, NOW);
        check_kept(&make_change(&first, &json!({})), &moved, NOW);
        check_kept(&make_change(&last, &first), &moved, NOW);
        let mut closed = moved.clone();
        check_calm(&make_word(&moved), &mut closed, NOW, Action::Close);
        for back in [first, template(), json!({})] {
            check_kept(&make_change(&last, &back), &closed, NOW);
        }
    }
}

#[track_caller]
fn check_refused(stored: &StoredSet, old: &Value, given: &str, expected: &str) {
    let refusal = plan(&make_change(old, &with_word(given)), stored, NOW);
    let refusal = refusal.expect_err("the word is wrong");
    let [given, expected] =
        [given, expected].map(|word| RetirementWord::parse(word).expect("it is a word"));
    let wanted = match refusal {
        Refusal::NotMovedYet { .. } => Refusal::NotMovedYet { expected },
        Refusal::NotThePreviousCa { ref back, .. } => Refusal::NotThePreviousCa {
            given,
            expected: Box::new(expected),
            back: back.clone(),
        },
        refusal => panic!("another refusal: {refusal}"),
    };
    assert_eq!(refusal, wanted);
    assert!(
        refusal.to_string().contains(&expected.to_string()),
        "{refusal}"
    );
}

#[test]
fn a_wrong_word_is_refused_with_the_right_one_in_each_step() {
    let stranger = fingerprint(&make_own(KeyAlgorithm::EcdsaP256), 0);
    for start in make_starts() {
        let introduced = start.introduced();
        let (a, b) = (fingerprint(&introduced, 1), fingerprint(&introduced, 0));
        let right = move_word(&introduced);
        for wrong in [
            format!("{b}/{a}/moved"),
            format!("{b}"),
            format!("{stranger}/{b}"),
            format!("{a}/{stranger}"),
            format!("{a}/{stranger}/moved"),
            format!("{stranger}"),
            format!("{a}/{b}/moved"),
        ] {
            check_refused(&introduced, &template(), &wrong, &right);
        }
        let spec = make_change(&template(), &with_word(&close_word(&introduced)));
        let refusal = plan(&spec, &introduced, NOW).expect_err("it has not moved");
        assert!(matches!(refusal, Refusal::NotMovedYet { .. }), "{refusal}");
    }
}

#[test]
fn once_it_has_moved_a_wrong_word_is_refused_with_the_one_that_closes() {
    let stranger = fingerprint(&make_own(KeyAlgorithm::EcdsaP256), 0);
    for start in make_starts() {
        let moved = start.moved();
        let (a, b) = (fingerprint(&moved, 1), fingerprint(&moved, 0));
        let (old, right) = (with_word(&move_word(&moved)), close_word(&moved));
        for wrong in [
            format!("{b}/{a}/moved"),
            format!("{stranger}/{b}/moved"),
            format!("{a}/{stranger}/moved"),
            format!("{stranger}"),
        ] {
            check_refused(&moved, &old, &wrong, &right);
        }
    }
}

/// An Update that replaces the token of [`Start::introduced`] by another, and leaves the word as it is.
fn make_second_token(word: Option<&str>) -> Spec {
    let old = word.map_or_else(template, with_word);
    make_change(&old, &merged(&old, json!({ "RotationToken": "b" })))
}

#[test]
fn a_token_in_introduced_makes_another_ca_in_the_new_ones_place() {
    for start in make_starts() {
        let before = &start.stored;
        let introduced = start.introduced();
        let mut stored = introduced.clone();
        let expected = Effect {
            action: Action::Introduce,
            causes: vec![Cause::NewToken],
            cut_off: CutOff::Nobody,
            kept: vec![Part::Cert, Part::Key],
        };
        start.check(&make_second_token(None), &mut stored, NOW, &expected);
        let bundle = certificates(&stored, Part::CaCert);
        assert_eq!(bundle.len(), 2, "{}", start.name);
        assert_eq!(bundle[1], current_ca(before), "{}", start.name);
        assert_ne!(bundle[0], current_ca(&introduced), "{}", start.name);
        check_all_connect(&[before, &introduced, &stored], NOW);
    }
}

#[test]
fn a_token_in_moved_rotates_under_the_new_ca_and_the_close_drops_both() {
    for start in make_starts() {
        let before = &start.stored;
        let introduced = start.introduced();
        let mut moved = introduced.clone();
        check_calm(&make_word(&introduced), &mut moved, NOW, Action::Move);
        let word = move_word(&introduced);
        let mut rotated = moved.clone();
        let spec = make_second_token(Some(&word));
        let plan = carry_out(&spec, &mut rotated, NOW, &mut FreshMint).plan;
        assert_eq!(
            (plan.action, &plan.cut_off),
            (Action::Rotate, &CutOff::Nobody)
        );
        let (a, b) = (current_ca(before), current_ca(&introduced));
        let bundle = certificates(&rotated, Part::CaCert);
        check_all_connect(&[&moved, &rotated], NOW);
        // A getter has no room for a CA of 3072 bits behind two others.
        if start.name == "rsa-3072-ca" {
            assert_eq!((plan.left_out(), plan.cuts_off()), (&[a][..], true));
            assert_eq!(bundle[1..], [b], "{}", start.name);
            check_refuses(&rotated, before, NOW);
        } else {
            assert!(!plan.cuts_off(), "{plan}");
            assert_eq!(bundle[1..], [b, a], "{}", start.name);
            // What presents A's certificate is still taken.
            check_all_connect(&[&introduced, &moved, &rotated], NOW);
            check_accepts(&rotated, before, NOW);
        }
        check_rotation(&rotated, RotationStep::Anchored, &move_word(&rotated), true);

        let mut closed = rotated.clone();
        let old = merged(&with_word(&word), json!({ "RotationToken": "b" }));
        let new = merged(&old, json!({ "RetiredCA": move_word(&rotated) }));
        check_calm(&make_change(&old, &new), &mut closed, NOW, Action::Close);
        assert_eq!(
            certificates(&closed, Part::CaCert),
            bundle[..1],
            "{}",
            start.name
        );
        assert_eq!(rotation(&closed), None, "{}", start.name);
        check_all_connect(&[&rotated, &closed], NOW);
        for gone in [before, &moved] {
            check_refuses(&closed, gone, NOW);
        }
    }
}

fn names() -> Value {
    json!({ "SubjectAlternativeNames": ["docker.internal.example", "new.internal.example"] })
}

fn has_name(stored: &StoredSet, name: &str) -> bool {
    let name = SubjectAlternativeName::dns(name);
    leaf(stored).alternative_names().contains(&name)
}

#[test]
fn a_name_asked_for_in_introduced_is_issued_by_the_previous_ca_or_waits_until_moved() {
    let wanted = "new.internal.example";
    for start in make_starts() {
        let before = &start.stored;
        let introduced = start.introduced();
        let old = template();
        let asked = merged(&old, names());
        let mut stored = introduced.clone();
        if start.is_recorded {
            check_calm(
                &make_change(&old, &asked),
                &mut stored,
                NOW,
                Action::Reissue,
            );
            assert!(has_name(&stored, wanted), "{}", start.name);
            check_all_connect(&[before, &introduced, &stored], NOW);
        } else {
            check_kept(&make_change(&old, &asked), &stored, NOW);
        }
        let with_word = merged(&asked, json!({ "RetiredCA": move_word(&introduced) }));
        let found = effect(&make_change(&asked, &with_word), &mut stored, NOW);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Move, CutOff::Nobody)
        );
        assert!(has_name(&stored, wanted), "{}", start.name);
        check_all_connect(&[&introduced, &stored], NOW);
    }
}

#[test]
fn an_expiring_pair_waits_in_introduced_until_moved() {
    for start in make_starts() {
        let introduced = start.introduced();
        let end = leaf(&introduced).not_after();
        let ca_end = current_ca(&start.stored).not_after();
        let plain = make_update(&template());
        let mut stored = introduced.clone();
        let moment = end - Duration::days(59);
        // A certificate of the previous CA would end no later.
        if ca_end > end && start.is_recorded {
            check_calm(&plain, &mut stored, moment, Action::Reissue);
        } else {
            check_kept(&plain, &stored, moment);
        }
        check_all_connect(&[&start.stored, &introduced, &stored], moment);
        let found = effect(&make_word(&stored), &mut stored, moment);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Move, CutOff::Nobody)
        );
        assert!(leaf(&stored).not_after() > end, "{}", start.name);
        check_all_connect(&[&introduced, &stored], moment);
    }
}

#[test]
fn a_pair_that_expires_in_introduced_is_issued_by_the_new_ca_without_a_word_of_cut_offs_where_the_ca_ends_too()
 {
    for start in make_starts_with_key() {
        let introduced = start.introduced();
        let end = current_ca(&start.stored).not_after();
        assert_eq!(leaf(&introduced).not_after(), end, "{}", start.name);
        let later = end + Duration::SECOND;
        let mut stored = introduced.clone();
        let found = effect(&make_update(&template()), &mut stored, later);
        assert_eq!(
            (found.action, found.cut_off),
            (Action::Reissue, CutOff::Nobody),
            "{}",
            start.name
        );
        check_accepts(&stored, &stored, later);
        check_accepts(&introduced, &stored, later);
    }
}

#[test]
fn a_pair_that_is_lost_in_introduced_is_issued_by_the_previous_ca_where_its_key_is_recorded() {
    for start in make_starts() {
        for part in [Part::Cert, Part::Key] {
            let before = &start.stored;
            let introduced = start.introduced();
            let mut stored = introduced.clone();
            stored.remove(&part);
            let found = effect(&make_update(&template()), &mut stored, NOW);
            let cut_off = if start.is_recorded {
                CutOff::Nobody
            } else {
                // With its key it could issue, whatever it may vouch for.
                match start.obstacle_of_previous() {
                    Obstacle::PathLength => knowing_only(before, Obstacle::KeyLost),
                    obstacle => knowing_only(before, obstacle),
                }
            };
            assert_eq!(
                (found.action, found.cut_off),
                (Action::Reissue, cut_off),
                "{}: {part}",
                start.name
            );
            check_all_connect(&[&introduced, &stored], NOW);
            if start.is_recorded {
                check_all_connect(&[before, &introduced, &stored], NOW);
                check_rotation(
                    &stored,
                    RotationStep::Introduced {
                        obstacle: start.obstacle.clone(),
                        leaf_not_after: leaf(&stored).not_after(),
                    },
                    &move_word(&introduced),
                    true,
                );
            } else {
                check_refuses(before, &stored, NOW);
                check_accepts(&stored, before, NOW);
            }
        }
    }
}

#[test]
fn a_previous_ca_that_is_given_up_stays_trusted_and_no_rotation_is_open() {
    for start in make_starts().iter().filter(|start| !start.is_recorded) {
        let mut stored = start.introduced();
        let bundle = certificates(&stored, Part::CaCert);
        stored.remove(&Part::Cert);
        effect(&make_update(&template()), &mut stored, NOW);
        assert_eq!(
            certificates(&stored, Part::CaCert),
            bundle,
            "{}",
            start.name
        );
        assert_eq!(assess(&stored).previous_ca(), None, "{}", start.name);
        assert_eq!(rotation(&stored), None, "{}", start.name);
    }
}

#[test]
fn without_the_state_introduced_is_told_from_the_pair_and_moves_and_closes_as_ever() {
    for start in make_starts() {
        let before = &start.stored;
        let mut stored = start.introduced();
        let introduced = stored.clone();
        stored.remove(&Part::State);
        check_kept(&make_update(&plain_template()), &stored, NOW);
        let step = RotationStep::Introduced {
            obstacle: start.obstacle_of_previous(),
            leaf_not_after: leaf(&stored).not_after(),
        };
        check_rotation(&stored, step, &move_word(&stored), false);
        for action in [Action::Move, Action::Close] {
            let spec = make_word_in(&plain_template(), &stored);
            check_calm(&spec, &mut stored, NOW, action);
            check_all_connect(&[&stored], NOW);
            if action == Action::Move {
                check_all_connect(&[&introduced, &stored], NOW);
                check_accepts(&stored, before, NOW);
            }
        }
        assert_eq!(rotation(&stored), None, "{}", start.name);
    }
}

#[test]
fn without_the_state_moved_is_a_set_that_trusts_another_ca_and_stays_as_it_is() {
    for start in make_starts() {
        let moved = start.moved();
        let mut stored = moved.clone();
        stored.remove(&Part::State);
        let [word, last] = [move_word(&moved), close_word(&moved)]
            .map(|word| merged(&plain_template(), json!({ "RetiredCA": word })));
        check_kept(&make_update(&word), &stored, NOW);
        assert_eq!(rotation(&stored), None, "{}", start.name);
        assert_eq!(assess(&stored).previous_ca(), None, "{}", start.name);
        // The word that closes has no rotation to close, and does no harm.
        check_kept(&make_change(&word, &last), &stored, NOW);
        check_all_connect(&[&moved, &stored], NOW);
    }
}

#[test]
fn whatever_is_lost_in_a_step_what_connects_goes_on_or_the_plan_says_whom_it_cuts_off() {
    for start in make_starts() {
        let before = &start.stored;
        let introduced = start.introduced();
        let mut moved = introduced.clone();
        check_calm(&make_word(&introduced), &mut moved, NOW, Action::Move);
        let word = with_word(&move_word(&introduced));
        for (step, template, connects_with) in [
            (&introduced, template(), vec![before, &introduced]),
            (&moved, word, vec![&introduced, &moved]),
        ] {
            for lost in Part::ALL {
                let mut stored = step.clone();
                stored.remove(&lost);
                let spec = make_update(&template);
                let plan = carry_out(&spec, &mut stored, NOW, &mut FreshMint).plan;
                check_all_connect(&[step, &stored], NOW);
                for other in connects_with.iter().filter(|_| !plan.cuts_off()) {
                    check_accepts(other, &stored, NOW);
                    check_accepts(&stored, other, NOW);
                }
            }
        }
    }
}

/// Gives the words for each next step until there is none.
#[track_caller]
fn close(stored: &mut StoredSet) {
    while rotation(stored).is_some() {
        let before = stored.clone();
        check_step(&make_word(&before), stored);
        check_all_connect(&[&before, stored], NOW);
    }
}

#[track_caller]
fn check_step(spec: &Spec, stored: &mut StoredSet) {
    let plan = carry_out(spec, stored, NOW, &mut FreshMint).plan;
    assert!(
        matches!(plan.action, Action::Move | Action::Close),
        "{plan}"
    );
    assert!(!plan.cuts_off(), "{plan}");
}

/// Checks that one CA is left of a set whose CA key is lost in this step, once that rotation is closed as well.
#[track_caller]
fn check_one_ca_is_left(step: fn(&Start) -> StoredSet) {
    for start in make_starts() {
        let mut stored = step(&start);
        stored.remove(&Part::CaKey);
        effect(&make_update(&template()), &mut stored, NOW);
        close(&mut stored);
        let left = certificates(&stored, Part::CaCert).len();
        assert_eq!(left, 1, "{}", start.name);
    }
}

#[test]
fn a_new_ca_whose_key_is_lost_before_it_has_issued_anything_is_gone_after_the_close() {
    check_one_ca_is_left(Start::introduced);
}

#[test]
fn both_cas_that_the_certificate_was_moved_away_from_are_gone_after_the_close() {
    check_one_ca_is_left(Start::moved);
}

#[test]
fn a_step_that_is_broken_off_connects_and_the_same_word_takes_it_to_its_end() {
    for start in make_starts() {
        let introduced = start.introduced();
        let mut stored = introduced.clone();
        for action in [Action::Move, Action::Close] {
            let before = stored.clone();
            let spec = make_word(&before);
            let writes = carry_out(&spec, &mut stored, NOW, &mut FreshMint).writes;
            for done in 1..writes.len() {
                let mut broken_off = before.clone();
                for write in &writes[..done] {
                    write.apply(&mut broken_off);
                }
                check_all_connect(&[&before, &broken_off, &stored], NOW);
                // CloudFormation takes the word back, and the operator gives it again.
                let rollback = Spec {
                    properties: make_update(&template()).properties,
                    ..spec.next()
                };
                let mut rolled_back = broken_off.clone();
                effect(&rollback, &mut rolled_back, NOW);
                check_all_connect(&[&before, &rolled_back, &stored], NOW);
                for mut again in [broken_off, rolled_back] {
                    effect(&spec, &mut again, NOW);
                    for part in [Part::CaCert, Part::CaKey] {
                        assert_eq!(
                            value(&again, part),
                            value(&stored, part),
                            "{}: {part}",
                            start.name
                        );
                    }
                    let [again, stored] = [&again, &stored].map(rotation);
                    assert_eq!(again, stored, "{}: {action:?} {done}", start.name);
                }
            }
        }
    }
}

#[test]
fn a_path_length_of_one_and_a_plain_key_usage_are_no_obstacle() {
    let mut params = make_ca_params("company root");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
    let before = make_authority(&params, &pool_key(0)).make_set(&pool_key(1));
    let mut stored = before.clone();
    check_calm(&make_token("a"), &mut stored, NOW, Action::Rotate);
    check_all_connect(&[&before, &stored], NOW);
}
