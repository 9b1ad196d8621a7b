//! `SubjectAlternativeNames`: given and not covered, they are a reason to reissue; not given, they never are.

use std::net::Ipv4Addr;

use docker_tls_certgen::pki::alternative_name::SubjectAlternativeName;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::obstacle::Obstacle;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::Duration;

use super::made_elsewhere::make_case;
use super::{
    Effect, check_accepts, check_all_connect, check_calm, effect, fingerprint, leaf, make_plain,
    make_token,
};
use crate::event::{check_kept, make_change, make_update};
use crate::fixtures::merged;
use crate::store::{NOW, make_deployed, make_own, make_own_with};

fn names(given: &[&str]) -> Vec<SubjectAlternativeName> {
    let parse = |name: &&str| SubjectAlternativeName::parse(name).expect("a name");
    given.iter().map(parse).collect()
}

#[test]
fn a_certificate_that_covers_the_names_is_kept() {
    let stored =
        make_own_with(&json!({ "SubjectAlternativeNames": "a.example,B.example,10.0.0.1,::1" }));
    for given in [
        Value::Null,
        json!(""),
        json!([]),
        json!([""]),
        json!(["", " "]),
        json!(","),
        json!(" , "),
        json!("a.example"),
        json!("a.example,"),
        json!(["", "a.example", ""]),
        json!("b.EXAMPLE, 10.0.0.1"),
        json!(["::1", "a.example", "b.example", "10.0.0.1"]),
    ] {
        let spec = make_update(&json!({ "SubjectAlternativeNames": given }));
        check_kept(&spec, &stored, NOW);
    }
}

#[test]
fn a_name_that_is_not_covered_is_a_reason_to_reissue_from_the_same_ca() {
    for (healthy, given) in [
        (
            make_own(KeyAlgorithm::EcdsaP256),
            ["localhost", "new.example"],
        ),
        (make_own(KeyAlgorithm::EcdsaP256), ["127.0.0.1", "10.0.0.1"]),
        // The deployed handler's certificates have no names at all.
        (make_deployed(), ["localhost", "127.0.0.1"]),
    ] {
        let mut stored = healthy.clone();
        let spec = make_update(&json!({ "SubjectAlternativeNames": given }));
        let missing = names(&given).into_iter();
        let covered = leaf(&healthy);
        let name = missing
            .clone()
            .find(|name| !covered.alternative_names().contains(name));
        let found = effect(&spec, &mut stored, NOW);
        let mut kept = vec![Part::CaCert, Part::CaKey, Part::Key];
        kept.extend(healthy.contains_key(&Part::State).then_some(Part::State));
        let expected = Effect {
            action: Action::Reissue,
            causes: vec![Cause::NameNotCovered {
                pair: Pair::Server,
                name: name.expect("one is missing"),
            }],
            cut_off: CutOff::Nobody,
            kept,
        };
        assert_eq!(found, expected);
        assert_eq!(
            leaf(&stored).alternative_names(),
            missing.collect::<Vec<_>>()
        );
        check_all_connect(&[&healthy, &stored], NOW);
    }
}

#[test]
fn where_no_names_are_given_a_new_certificate_is_good_for_this_machine() {
    let mut stored = make_deployed();
    check_kept(&make_plain(), &stored, NOW);
    stored.remove(&Part::Cert);
    effect(&make_plain(), &mut stored, NOW);
    assert_eq!(
        leaf(&stored).alternative_names(),
        names(&["localhost", "127.0.0.1"])
    );
}

#[test]
fn an_ipv4_address_in_ipv6s_form_is_issued_as_ipv4_and_not_covered_by_the_other_form() {
    let given = json!({ "SubjectAlternativeNames": "::ffff:10.0.0.1, 10.0.0.1" });
    let stored = make_own_with(&given);
    let ipv4 = SubjectAlternativeName::Ip([10, 0, 0, 1].into());
    let only = [ipv4.clone()];
    assert_eq!(leaf(&stored).alternative_names(), only);
    check_kept(&make_update(&given), &stored, NOW);

    // A certificate that somebody made with the other form: Go refuses 10.0.0.1 with it.
    let mapped = SubjectAlternativeName::Ip(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into());
    let mut spec = make_update(&given);
    spec.properties.alternative_names = Some(vec![mapped.clone()]);
    let mut stored = make_own(KeyAlgorithm::EcdsaP256);
    effect(&spec, &mut stored, NOW);
    assert_eq!(leaf(&stored).alternative_names(), [mapped]);
    let found = effect(&make_update(&given), &mut stored, NOW);
    assert_eq!(
        found.causes,
        [Cause::NameNotCovered {
            pair: Pair::Server,
            name: ipv4.clone()
        }]
    );
    assert_eq!(leaf(&stored).alternative_names(), [ipv4]);
}

/// What makes a new certificate of a set, without asking for names: the set, and the event and the time for it.
#[track_caller]
fn reissued(healthy: &StoredSet) -> Vec<StoredSet> {
    let mut key_lost = healthy.clone();
    key_lost.remove(&Part::Key);
    let mut in_window = healthy.clone();
    let mut rotated = healthy.clone();
    check_calm(&make_plain(), &mut key_lost, NOW, Action::Reissue);
    let moment = leaf(healthy).not_after() - Duration::days(59);
    check_calm(&make_plain(), &mut in_window, moment, Action::Reissue);
    check_calm(&make_token("a"), &mut rotated, NOW, Action::Rotate);
    let mut moved = healthy.clone();
    moved.remove(&Part::CaKey);
    check_calm(&make_plain(), &mut moved, NOW, Action::Introduce);
    let word = json!({ "RetiredCA": fingerprint(&moved, 1).to_string() });
    let word = make_change(&json!({}), &word);
    check_calm(&word, &mut moved, NOW, Action::Move);
    vec![key_lost, in_window, rotated, moved]
}

fn make_named(given: &[&str]) -> StoredSet {
    make_own_with(&json!({
        "CAValidityDays": 4000,
        "ValidityDays": 1000,
        "SubjectAlternativeNames": given,
    }))
}

#[test]
fn a_certificate_that_is_reissued_keeps_its_names_where_none_are_given() {
    let given = ["a.example", "*.b.example", "10.0.0.1", "::1"];
    for stored in reissued(&make_named(&given)) {
        assert_eq!(leaf(&stored).alternative_names(), names(&given));
    }
}

#[test]
fn an_ipv4_address_that_was_issued_in_ipv6s_form_is_reissued_as_ipv4() {
    let mapped = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped();
    let mut spec = make_update(&json!({ "CAValidityDays": 4000, "ValidityDays": 1000 }));
    spec.properties.alternative_names = Some(vec![
        SubjectAlternativeName::dns("a.example"),
        SubjectAlternativeName::Ip(mapped.into()),
    ]);
    let mut stored = make_named(&["a.example"]);
    check_calm(&spec, &mut stored, NOW, Action::Reissue);
    check_kept(&make_plain(), &stored, NOW);
    for stored in reissued(&stored) {
        let expected = names(&["a.example", "10.0.0.1"]);
        assert_eq!(leaf(&stored).alternative_names(), expected);
    }
}

#[test]
fn names_that_are_given_win_over_those_of_the_stored_certificate() {
    let given = json!({ "SubjectAlternativeNames": ["new.example"] });
    for lost in [None, Some(Part::Key), Some(Part::Cert)] {
        let mut stored = make_named(&["old.example", "10.0.0.1"]);
        lost.map(|lost| stored.remove(&lost));
        check_calm(&make_update(&given), &mut stored, NOW, Action::Reissue);
        assert_eq!(leaf(&stored).alternative_names(), names(&["new.example"]));
    }
    let mut stored = make_named(&["old.example"]);
    let token = merged(&given, json!({ "RotationToken": "a" }));
    let spec = make_change(&given, &token);
    check_calm(&spec, &mut stored, NOW, Action::Rotate);
    assert_eq!(leaf(&stored).alternative_names(), names(&["new.example"]));
}

#[test]
fn where_names_are_lost_and_the_ca_permits_only_some_those_are_issued() {
    let before = make_case("name-constraints");
    for (lost, expected) in [
        (Part::Key, &["docker.internal.example"][..]),
        (
            Part::Cert,
            &["127.0.0.1", "internal.example", "*.internal.example"],
        ),
    ] {
        let mut stored = before.clone();
        stored.remove(&lost);
        check_calm(&make_plain(), &mut stored, NOW, Action::Reissue);
        assert_eq!(leaf(&stored).alternative_names(), names(expected));
        check_all_connect(&[&before, &stored], NOW);
    }
}

#[test]
fn a_name_that_the_ca_permits_is_issued_by_it() {
    let before = make_case("name-constraints");
    let mut stored = before.clone();
    let given = json!({ "SubjectAlternativeNames": ["a.internal.example", "10.0.0.1"] });
    check_calm(&make_update(&given), &mut stored, NOW, Action::Reissue);
    check_all_connect(&[&before, &stored], NOW);
}

#[test]
fn a_name_that_the_ca_does_not_permit_is_issued_by_a_new_one_once_everything_trusts_it() {
    let before = make_case("name-constraints");
    let mut stored = before.clone();
    let given = json!({ "SubjectAlternativeNames": ["a.internal.example", "other.example"] });
    let [asked, denied] = &names(&["a.internal.example", "other.example"])[..] else {
        panic!("two are given");
    };
    let found = effect(&make_update(&given), &mut stored, NOW);
    let expected = Effect {
        action: Action::Introduce,
        causes: vec![
            Cause::NameNotCovered {
                pair: Pair::Server,
                name: asked.clone(),
            },
            Cause::CannotIssue {
                obstacle: Obstacle::NameNotPermitted {
                    name: denied.clone(),
                },
            },
        ],
        cut_off: CutOff::Nobody,
        kept: vec![Part::Cert, Part::Key],
    };
    assert_eq!(found, expected);
    check_all_connect(&[&before, &stored], NOW);

    let introduced = stored.clone();
    let word = json!({ "RetiredCA": fingerprint(&stored, 1).to_string() });
    let spec = make_change(&given, &merged(&given, word));
    check_calm(&spec, &mut stored, NOW, Action::Move);
    assert_eq!(
        leaf(&stored).alternative_names(),
        [asked.clone(), denied.clone()]
    );
    check_all_connect(&[&introduced, &stored], NOW);
}

#[test]
fn a_lost_certificate_for_a_name_that_the_ca_does_not_permit_is_of_a_new_ca_and_cuts_off() {
    let before = make_case("name-constraints");
    let mut stored = before.clone();
    stored.remove(&Part::Cert);
    let given = json!({ "SubjectAlternativeNames": ["other.example"] });
    let found = effect(&make_update(&given), &mut stored, NOW);
    assert_eq!(found.action, Action::Replace);
    let CutOff::KnowingOnly {
        authority,
        obstacle,
        ..
    } = found.cut_off
    else {
        panic!("{:?}", found.cut_off);
    };
    assert_eq!(authority, fingerprint(&before, 0));
    let name = SubjectAlternativeName::dns("other.example");
    assert_eq!(obstacle, Obstacle::NameNotPermitted { name });
    check_accepts(&stored, &before, NOW);
    check_accepts(&stored, &stored, NOW);
}
