//! A set with two pairs: the daemons', which is a server's alone, and the API's own, which is a client's alone.

use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::pki::usages::{Usage, Usages};
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::inspection::Inspection;
use docker_tls_certgen::plan::obstacle::Obstacle;
use docker_tls_certgen::plan::outlook::Condition;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::repairs;
use serde_json::{Value, json};
use time::Duration;

use super::made_elsewhere::make_case;
use super::{check_calm, current_ca, effect, fingerprint, ids};
use crate::acceptance::{Registry, Verdict};
use crate::damage::Damage;
use crate::event::{carry_out, make_adoption, make_change, make_update, plan, written};
use crate::fixtures::merged;
use crate::mint::FreshMint;
use crate::store::{
    NOW, certificate, make_deployed, make_own, make_own_with, public_key, set_value, value,
};

fn separate() -> Value {
    json!({ "ClientCertificate": "Separate" })
}

/// A set that was made with two pairs.
fn make_separate() -> StoredSet {
    make_own_with(&separate())
}

/// An Update that gives the API a pair of its own.
fn make_separation() -> Spec {
    make_change(&json!({}), &separate())
}

/// An Update that takes it away.
fn make_sharing() -> Spec {
    make_change(&separate(), &json!({}))
}

/// The same set with two pairs.
#[track_caller]
fn separated(before: &StoredSet) -> StoredSet {
    let mut stored = before.clone();
    check_calm(&make_separation(), &mut stored, NOW, Action::Reissue);
    stored
}

/// What the pairs of a set are good for; `None` where there is no such pair.
#[track_caller]
fn usages(stored: &StoredSet) -> [Option<Usages>; 2] {
    let found = Found::decode(stored);
    Pair::ALL.map(|pair| Some(found.pair(pair).leaf()?.usages()))
}

const APART: [Option<Usages>; 2] = [Some(Usages::SERVER), Some(Usages::CLIENT)];
const AS_ONE: [Option<Usages>; 2] = [Some(Usages::BOTH), None];

/// Whether whoever trusts the bundle of the one set takes what the other's daemons, or its API, presents as a client's.
#[track_caller]
fn takes(verifier: &StoredSet, presenter: &StoredSet, part: Part) -> bool {
    let mut registry = Registry::default();
    let bundle = ids(&mut registry, verifier, Part::CaCert);
    let chain = ids(&mut registry, presenter, part);
    let verdict = registry.judge_client(&bundle, &chain, NOW.unix_timestamp());
    verdict == Verdict::Accepted
}

/// Checks that daemons and APIs that run with any of these sets take each other.
#[track_caller]
fn check_all_connect(sets: &[&StoredSet]) {
    let mut registry = Registry::default();
    let mut judged = 0;
    for verifier in sets {
        let bundle = ids(&mut registry, verifier, Part::CaCert);
        for presenter in sets {
            let presented = Pair::ALL.map(Pair::cert).into_iter();
            for part in presented.filter(|part| presenter.contains_key(part)) {
                let chain = ids(&mut registry, presenter, part);
                let verdict = registry.judge(&bundle, &chain, NOW.unix_timestamp());
                assert_eq!(verdict, Verdict::Accepted, "the {part}");
                judged += 1;
            }
        }
    }
    assert!(judged >= sets.len() * sets.len());
}

#[test]
fn a_first_set_has_two_pairs_with_keys_of_their_own() {
    let mut stored = StoredSet::new();
    let adoption = make_adoption(&separate());
    let done = carry_out(&adoption, &mut stored, NOW, &mut FreshMint);
    assert_eq!(done.plan.action, Action::Create);
    let parts = [
        Part::State,
        Part::CaKey,
        Part::CaCert,
        Part::ClientKey,
        Part::ClientCert,
        Part::Key,
        Part::Cert,
    ];
    assert_eq!(written(&done.writes), parts);
    assert_eq!(usages(&stored), APART);
    let keys = [Part::CaKey, Part::Key, Part::ClientKey].map(|part| public_key(&stored, part));
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    check_all_connect(&[&stored]);
}

#[test]
fn a_switch_reissues_the_daemons_certificate_with_its_key_and_refuses_nobody() {
    for (name, before) in [
        ("deployed", make_deployed()),
        ("own", make_own(KeyAlgorithm::EcdsaP256)),
    ] {
        let mut stored = before.clone();
        let found = check_calm(&make_separation(), &mut stored, NOW, Action::Reissue);
        let flaw = Flaw::Missing;
        let expected = [
            Cause::HasUsage {
                pair: Pair::Server,
                usage: Usage::Client,
            },
            Cause::Flawed {
                part: Part::ClientCert,
                flaw,
            },
            Cause::Flawed {
                part: Part::ClientKey,
                flaw,
            },
        ];
        assert_eq!(found.causes, expected, "{name}");
        let published = |part: &Part| Part::SHARED.contains(part);
        let kept: Vec<Part> = found.kept.into_iter().filter(published).collect();
        assert_eq!(kept, [Part::CaCert, Part::CaKey, Part::Key], "{name}");
        assert_eq!(usages(&stored), APART, "{name}");
        check_all_connect(&[&before, &stored]);

        let mut again = stored.clone();
        let found = check_calm(&make_sharing(), &mut again, NOW, Action::Reissue);
        let expected = [
            Cause::LacksUsage {
                pair: Pair::Server,
                usage: Usage::Client,
            },
            Cause::NotAskedFor,
        ];
        assert_eq!(found.causes, expected, "{name}");
        assert_eq!(usages(&again), AS_ONE, "{name}");
        assert!(!again.contains_key(&Part::ClientKey), "{name}");
        assert_eq!(
            value(&again, Part::Key),
            value(&before, Part::Key),
            "{name}"
        );
        check_all_connect(&[&before, &stored, &again]);
    }
}

#[test]
fn the_api_has_its_pair_before_the_daemons_is_a_servers_alone() {
    let mut stored = make_own(KeyAlgorithm::EcdsaP256);
    let done = carry_out(&make_separation(), &mut stored, NOW, &mut FreshMint);
    let parts = [Part::ClientKey, Part::ClientCert, Part::Cert];
    assert_eq!(written(&done.writes), parts);
    // And it keeps it until the daemons' is a client's as well.
    let done = carry_out(&make_sharing(), &mut stored, NOW, &mut FreshMint);
    assert_eq!(written(&done.writes), [Part::Cert]);
    assert_eq!(usages(&stored), AS_ONE);
}

#[test]
fn after_separating_rotating_and_retiring_what_an_instance_has_is_no_clients_any_more() {
    for before in [make_deployed(), make_own(KeyAlgorithm::EcdsaP256)] {
        let apart = separated(&before);
        let with_token = merged(&separate(), json!({ "RotationToken": "a" }));
        let mut rotated = apart.clone();
        let rotation = make_change(&separate(), &with_token);
        check_calm(&rotation, &mut rotated, NOW, Action::Rotate);
        assert_eq!(usages(&rotated), APART);
        // What runs since before, and what is made on the way.
        check_all_connect(&[&before, &apart, &rotated]);
        assert!(takes(&rotated, &before, Part::Cert));

        let word = format!("{}/{}", fingerprint(&rotated, 1), fingerprint(&rotated, 0));
        let mut closed = rotated.clone();
        let close = make_change(
            &with_token,
            &merged(&with_token, json!({ "RetiredCA": word })),
        );
        check_calm(&close, &mut closed, NOW, Action::Close);
        check_all_connect(&[&rotated, &closed]);
        // Whoever is root on an instance has what that was made with, and what is published to instances.
        for (name, stolen) in [
            ("before", &before),
            ("separated", &apart),
            ("rotated", &rotated),
            ("closed", &closed),
        ] {
            assert!(!takes(&closed, stolen, Part::Cert), "{name}");
        }
        for own in [&rotated, &closed] {
            assert!(takes(&closed, own, Part::ClientCert));
        }
    }
}

#[test]
fn a_rotation_makes_both_pairs_anew_and_both_lead_to_the_anchor() {
    let before = make_separate();
    let mut stored = before.clone();
    let with_token = merged(&separate(), json!({ "RotationToken": "a" }));
    let spec = make_change(&separate(), &with_token);
    let done = carry_out(&spec, &mut stored, NOW, &mut FreshMint);
    assert_eq!(done.plan.action, Action::Rotate);
    let parts = [
        Part::State,
        Part::CaKey,
        Part::CaCert,
        Part::ClientKey,
        Part::ClientCert,
        Part::Key,
        Part::Cert,
        Part::State,
    ];
    assert_eq!(written(&done.writes), parts);
    for part in [Part::Key, Part::ClientKey] {
        assert_ne!(public_key(&before, part), public_key(&stored, part));
    }
    check_all_connect(&[&before, &stored]);

    // Taken back, both are the anchor's again.
    let word = format!("{}/{}", fingerprint(&stored, 0), fingerprint(&stored, 1));
    let mut back = stored.clone();
    let with_word = merged(&with_token, json!({ "RetiredCA": word }));
    let spec = make_change(&with_token, &with_word);
    check_calm(&spec, &mut back, NOW, Action::TakeBack);
    assert_eq!(current_ca(&back), current_ca(&before));
    check_all_connect(&[&before, &stored, &back]);
}

#[test]
fn every_damage_to_the_apis_pair_gets_the_repair_that_the_daemons_gets() {
    let (healthy, other) = (make_separate(), make_separate());
    for part in [Part::ClientCert, Part::ClientKey] {
        for damage in Damage::ALL {
            let mut stored = healthy.clone();
            damage.strike(&mut stored, part, &other);
            let found = check_calm(&make_update(&separate()), &mut stored, NOW, Action::Reissue);
            let pair = Pair::Client;
            let flawed = damage.flaw(part).map(|flaw| Cause::Flawed { part, flaw });
            let cause = flawed.unwrap_or(Cause::KeyMismatch { pair });
            assert_eq!(found.causes, [cause], "{part} {damage:?}");
            let written = repairs::written(part, damage);
            let kept = Part::ALL.into_iter().filter(|part| *part != Part::Claim);
            let kept: Vec<Part> = kept.filter(|part| !written.contains(part)).collect();
            assert_eq!(found.kept, kept, "{part} {damage:?}");
            check_all_connect(&[&healthy, &stored]);
        }
    }
}

#[test]
fn a_pair_of_the_apis_that_is_lost_is_no_set_that_can_be_read() {
    let spec = make_update(&separate());
    let condition = |stored: &StoredSet| {
        let inspected = Inspection::of(&spec, stored, NOW);
        inspected.standing.outlook.condition
    };
    assert_eq!(condition(&make_separate()), Condition::Sound);
    for part in [Part::ClientCert, Part::ClientKey] {
        let mut stored = make_separate();
        stored.remove(&part);
        assert_eq!(condition(&stored), Condition::Unreadable, "{part}");
    }
    // To a watch that asks for one pair, the other is what an update takes away.
    let shared = Inspection::of(&make_update(&json!({})), &make_separate(), NOW);
    assert_eq!(shared.standing.outlook.condition, Condition::Damaged);
}

#[test]
fn a_pair_is_renewed_by_its_own_date() {
    let short = merged(&separate(), json!({ "ValidityDays": 400 }));
    let mut stored = make_own(KeyAlgorithm::EcdsaP256);
    carry_out(
        &make_change(&json!({}), &separate()),
        &mut stored,
        NOW,
        &mut FreshMint,
    );
    stored.remove(&Part::ClientCert);
    carry_out(&make_update(&short), &mut stored, NOW, &mut FreshMint);
    let before = stored.clone();
    let end = certificate(&stored, Part::ClientCert, 0).not_after();
    let late = end - Duration::days(30);
    let inspected = Inspection::of(&make_update(&short), &stored, late);
    assert_eq!(inspected.standing.outlook.cert_days_left, Some(30));
    assert!(inspected.standing.outlook.is_renewal_due);
    let found = check_calm(&make_update(&short), &mut stored, late, Action::Reissue);
    assert!(
        matches!(
            found.causes[..],
            [Cause::Expiring {
                part: Part::ClientCert,
                ..
            }]
        ),
        "{:?}",
        found.causes
    );
    assert_eq!(value(&stored, Part::Cert), value(&before, Part::Cert));
}

#[test]
fn a_certificate_that_is_good_for_both_sides_is_reissued_with_its_key() {
    let shared = make_own(KeyAlgorithm::EcdsaP256);
    for pair in Pair::ALL {
        let mut stored = separated(&shared);
        set_value(&mut stored, pair.cert(), value(&shared, Part::Cert));
        set_value(&mut stored, pair.key(), value(&shared, Part::Key));
        let found = effect(&make_update(&separate()), &mut stored, NOW);
        let (mut expected, other) = match pair {
            Pair::Server => (Vec::new(), Usage::Client),
            // The daemons' key is none for the API.
            Pair::Client => (vec![Cause::SharedKey], Usage::Server),
        };
        expected.insert(0, Cause::HasUsage { pair, usage: other });
        assert_eq!(found.causes, expected);
        assert_eq!(found.cut_off, CutOff::Nobody);
        assert_eq!(usages(&stored), APART);
        let keys = [Part::Key, Part::ClientKey].map(|part| public_key(&stored, part));
        assert_ne!(keys[0], keys[1]);
        check_all_connect(&[&shared, &stored]);
    }
}

#[test]
fn what_is_left_of_a_pair_that_nobody_asks_for_goes() {
    for left in [Part::ClientCert, Part::ClientKey] {
        let mut stored = make_own(KeyAlgorithm::EcdsaP256);
        let apart = make_separate();
        set_value(&mut stored, left, value(&apart, left));
        let found = check_calm(&make_update(&json!({})), &mut stored, NOW, Action::Remove);
        assert_eq!(found.causes, [Cause::NotAskedFor]);
        assert!(!stored.contains_key(&left));
    }
}

/// A set whose CA key is lost, with the new CA that an update has introduced beside it.
fn make_introduced(mut stored: StoredSet, properties: &Value) -> StoredSet {
    stored.remove(&Part::CaKey);
    check_calm(
        &make_update(properties),
        &mut stored,
        NOW,
        Action::Introduce,
    );
    stored
}

#[test]
fn a_switch_that_the_ca_that_everything_knows_cannot_issue_is_refused() {
    let shared = make_introduced(make_deployed(), &json!({}));
    let apart = make_introduced(make_separate(), &separate());
    let of_another_kind = make_case("p521-ca");
    let lost = {
        let mut stored = make_deployed();
        stored.remove(&Part::CaKey);
        stored
    };
    let key_lost = Obstacle::KeyLost;
    for (name, before, spec, expected) in [
        (
            "separated while introduced",
            &shared,
            make_separation(),
            &key_lost,
        ),
        ("shared while introduced", &apart, make_sharing(), &key_lost),
        (
            "separated with a lost key",
            &lost,
            make_separation(),
            &key_lost,
        ),
        (
            "separated with P-521",
            &of_another_kind,
            make_separation(),
            &Obstacle::UnusableKey,
        ),
    ] {
        let refusal = plan(&spec, before, NOW).expect_err("it would cut off");
        let text = refusal.to_string();
        assert!(text.contains("ClientCertificate"), "{name}: {text}");
        let Refusal::ClientCertificateCutsOff { obstacle, .. } = refusal else {
            panic!("{name}: {text}");
        };
        assert_eq!(obstacle, *expected, "{name}");
    }
}

#[test]
fn a_lost_pair_of_the_api_cuts_it_off_from_what_knows_an_old_ca_alone_and_says_so() {
    let before = make_separate();
    let mut stored = make_introduced(before.clone(), &separate());
    stored.remove(&Part::ClientKey);
    let found = effect(&make_update(&separate()), &mut stored, NOW);
    assert_eq!(found.action, Action::Reissue);
    let CutOff::KnowingOnly {
        authority,
        obstacle,
        ..
    } = found.cut_off
    else {
        panic!("{:?}", found.cut_off);
    };
    assert_eq!(authority, fingerprint(&before, 0));
    assert_eq!(obstacle, Obstacle::KeyLost);
    // The daemons' pair still leads to the old CA, which is trusted until the word says otherwise.
    assert_eq!(value(&stored, Part::Cert), value(&before, Part::Cert));
    assert_eq!(certificate(&stored, Part::CaCert, 1), current_ca(&before));

    let word = format!("{}/{}", fingerprint(&stored, 1), fingerprint(&stored, 0));
    let with_word = merged(&separate(), json!({ "RetiredCA": word }));
    let spec = make_change(&separate(), &with_word);
    check_calm(&spec, &mut stored, NOW, Action::Move);
    assert_eq!(usages(&stored), APART);
    check_all_connect(&[&stored]);
}

#[test]
fn a_key_that_one_pair_has_is_never_the_others() {
    let apart = make_separate();
    let with = |changes: &[(Part, Option<Part>)]| {
        let mut stored = apart.clone();
        for (part, from) in changes {
            match from {
                Some(from) => set_value(&mut stored, *part, value(&apart, *from)),
                None => drop(stored.remove(part)),
            }
        }
        stored
    };
    for (name, before) in [
        (
            "the API's key for the daemons",
            with(&[(Part::Key, Some(Part::ClientKey))]),
        ),
        (
            "the API's pair for the daemons",
            with(&[
                (Part::Key, Some(Part::ClientKey)),
                (Part::Cert, Some(Part::ClientCert)),
            ]),
        ),
        (
            "the daemons' key for the API, and lost",
            with(&[(Part::ClientKey, Some(Part::Key)), (Part::Key, None)]),
        ),
        (
            "the daemons' pair for the API",
            with(&[
                (Part::ClientKey, Some(Part::Key)),
                (Part::ClientCert, Some(Part::Cert)),
            ]),
        ),
    ] {
        let mut stored = before.clone();
        let found = effect(&make_update(&separate()), &mut stored, NOW);
        assert_eq!(found.cut_off, CutOff::Nobody, "{name}");
        assert_eq!(usages(&stored), APART, "{name}");
        let [server, client] = [Part::Key, Part::ClientKey].map(|part| public_key(&stored, part));
        assert_ne!(server, client, "{name}");
        // Whoever is root on an instance has the key, and the certificates are public.
        assert_ne!(server, public_key(&apart, Part::ClientKey), "{name}");
        assert_ne!(client, public_key(&apart, Part::Key), "{name}");
        check_all_connect(&[&apart, &stored]);
    }
}

#[test]
fn one_chain_and_a_bundle_from_before_a_close_leave_the_set_stable() {
    let before = make_separate();
    let token = merged(&separate(), json!({ "RotationToken": "a" }));
    let mut stored = before.clone();
    check_calm(
        &make_change(&separate(), &token),
        &mut stored,
        NOW,
        Action::Rotate,
    );
    let word = format!("{}/{}", fingerprint(&stored, 1), fingerprint(&stored, 0));
    let close = make_change(&token, &merged(&token, json!({ "RetiredCA": word })));
    let rotated = stored.clone();
    check_calm(&close, &mut stored, NOW, Action::Close);
    for pair in Pair::ALL {
        for from in [&before, &rotated] {
            let mut restored = stored.clone();
            set_value(&mut restored, Part::CaCert, value(&rotated, Part::CaCert));
            set_value(&mut restored, pair.cert(), value(from, pair.cert()));
            // It is checked that the next event changes nothing.
            effect(&make_update(&token), &mut restored, NOW);
            assert_eq!(usages(&restored), APART);
        }
    }
}

#[test]
fn a_resource_that_is_brought_to_a_set_takes_no_pair_away() {
    let apart = make_separate();
    let refusal = plan(&make_adoption(&json!({})), &apart, NOW);
    assert!(
        matches!(refusal, Err(Refusal::ClientPairOfOthers)),
        "{refusal:?}"
    );
    let mut stored = apart.clone();
    check_calm(&make_adoption(&separate()), &mut stored, NOW, Action::Keep);
    check_calm(&make_sharing(), &mut stored, NOW, Action::Reissue);
    assert_eq!(usages(&stored), AS_ONE);
}

#[test]
fn what_leads_nowhere_already_cuts_nobody_off_when_it_is_renewed() {
    let mut stored = make_introduced(make_separate(), &separate());
    stored.remove(&Part::ClientKey);
    effect(&make_update(&separate()), &mut stored, NOW);
    let names = merged(
        &separate(),
        json!({ "SubjectAlternativeNames": "a.example" }),
    );
    let found = effect(&make_change(&separate(), &names), &mut stored, NOW);
    assert_eq!(found.cut_off, CutOff::Nobody);
    assert_eq!(found.action, Action::Reissue);
}
