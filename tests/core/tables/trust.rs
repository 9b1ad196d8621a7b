//! What else the operator trusts: it is kept in order behind ours, said aloud where there is no room for it, and never
//! taken for the anchor.

use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::Certificate;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::open_rotation::OpenRotation;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::made_elsewhere::{make_authority, make_ca_params, make_case, trust};
use super::{
    check_accepts, check_all_connect, check_calm, check_refuses, current_ca, effect, fingerprint,
    make_plain, make_rotated, make_token,
};
use crate::damage::join_blocks;
use crate::event::{assess, carry_out, check_kept, make_change, make_update, plan};
use crate::fixtures::merged;
use crate::mint::{FreshMint, pool_key};
use crate::store::{NOW, certificates, make_deployed, make_own, set_value, value};

/// What is trusted besides, and the sets of whoever presents what it stands for.
struct Foreign {
    trusted: Vec<Certificate>,
    clients: Vec<StoredSet>,
}

/// A partner's CA.
#[track_caller]
fn make_partner(not_after: OffsetDateTime) -> Foreign {
    let mut params = make_ca_params("partner CA");
    params.not_after = not_after;
    let partner = make_authority(&params, &pool_key(10));
    let client = partner.issue(&pool_key(11), |params| params.not_after = not_after);
    Foreign {
        trusted: vec![Certificate::clone(&partner.certificate)],
        clients: vec![partner.make_set_of(client, &pool_key(11))],
    }
}

/// A partner's CA, and behind it a certificate that is trusted by itself.
#[track_caller]
fn make_foreign(not_after: OffsetDateTime) -> Foreign {
    let mut foreign = make_partner(not_after);
    let stranger = make_authority(&make_ca_params("a stranger's CA"), &pool_key(12));
    let pinned = stranger.issue(&pool_key(13), |params| params.not_after = not_after);
    let client = stranger.make_set_of(pinned.clone(), &pool_key(13));
    foreign.trusted.push(pinned);
    foreign.clients.push(client);
    foreign
}

impl Foreign {
    /// The set, with this trust in its bundle.
    #[track_caller]
    fn trusted_by(&self, stored: &StoredSet) -> StoredSet {
        let mut stored = stored.clone();
        let trusted: Vec<&Certificate> = self.trusted.iter().collect();
        trust(&mut stored, &trusted);
        stored
    }

    /// Checks that a bundle holds as many of ours as that, and then the others as they were.
    #[track_caller]
    fn check_behind(&self, ours: usize, stored: &StoredSet) {
        let bundle = certificates(stored, Part::CaCert);
        assert_eq!(bundle[ours..], self.trusted);
        for client in &self.clients {
            check_accepts(stored, client, NOW);
        }
    }
}

/// Sets, each with as much foreign trust as has room beside two CAs of ours. It ends then.
fn make_starts_until(not_after: OffsetDateTime) -> [(StoredSet, Foreign); 2] {
    [
        (make_own(KeyAlgorithm::EcdsaP256), make_foreign(not_after)),
        (make_deployed(), make_partner(not_after)),
    ]
}

fn make_starts() -> [(StoredSet, Foreign); 2] {
    make_starts_until(NOW + Duration::days(3000))
}

#[track_caller]
fn check_no_rotation(stored: &StoredSet) {
    let assessment = assess(stored);
    assert_eq!(assessment.previous_ca(), None);
    assert_eq!(OpenRotation::of(&assessment), None);
}

#[test]
fn what_else_is_trusted_is_no_reason_to_write_and_no_rotation() {
    for (start, foreign) in make_starts() {
        let stored = foreign.trusted_by(&start);
        check_kept(&make_plain(), &stored, NOW);
        check_no_rotation(&stored);
        foreign.check_behind(1, &stored);
    }
    for name in [
        "partner-ca",
        "pinned-client-certificate",
        "expired-ca-beside",
    ] {
        let stored = make_case(name);
        check_kept(&make_plain(), &stored, NOW);
        check_no_rotation(&stored);
    }
}

#[test]
fn what_else_is_trusted_stands_in_any_order_and_ours_is_found() {
    for (start, foreign) in make_starts() {
        let mut stored = start.clone();
        let mut bundle = foreign.trusted.clone();
        bundle.reverse();
        bundle.push(current_ca(&start));
        set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&bundle));
        check_kept(&make_plain(), &stored, NOW);
        check_no_rotation(&stored);
        check_calm(&make_token("a"), &mut stored, NOW, Action::Rotate);
        let written = certificates(&stored, Part::CaCert);
        assert_eq!(written[1], current_ca(&start));
        assert_eq!(written[2..], bundle[..foreign.trusted.len()]);
    }
}

#[test]
fn a_certificate_that_is_reissued_leaves_the_bundle_alone() {
    for (start, foreign) in make_starts() {
        for lost in [Part::Cert, Part::Key] {
            let mut stored = foreign.trusted_by(&start);
            stored.remove(&lost);
            let found = check_calm(&make_plain(), &mut stored, NOW, Action::Reissue);
            assert!(found.kept.contains(&Part::CaCert));
            check_no_rotation(&stored);
        }
    }
}

#[test]
fn rotations_and_their_close_keep_what_else_is_trusted() {
    for (start, foreign) in make_starts() {
        let stored = foreign.trusted_by(&start);
        let rotated = make_rotated(stored.clone(), &["a"]);
        foreign.check_behind(2, &rotated);
        let again = make_rotated(stored.clone(), &["a", "b"]);
        foreign.check_behind(2, &again);
        check_all_connect(&[&stored, &rotated, &again], NOW);

        let mut closed = rotated.clone();
        let word = format!("{}/{}", fingerprint(&rotated, 1), fingerprint(&rotated, 0));
        let old = json!({ "RotationToken": "a" });
        let new = merged(&old, json!({ "RetiredCA": word }));
        check_calm(&make_change(&old, &new), &mut closed, NOW, Action::Close);
        foreign.check_behind(1, &closed);
        check_no_rotation(&closed);
        check_all_connect(&[&rotated, &closed], NOW);
    }
}

#[test]
fn introduced_moved_and_closed_keep_what_else_is_trusted() {
    for (start, foreign) in make_starts() {
        let mut stored = foreign.trusted_by(&start);
        stored.remove(&Part::CaKey);
        check_calm(&make_plain(), &mut stored, NOW, Action::Introduce);
        foreign.check_behind(2, &stored);
        let word = format!("{}/{}", fingerprint(&stored, 1), fingerprint(&stored, 0));
        let [first, last] =
            [word.clone(), word + "/moved"].map(|word| json!({ "RetiredCA": word }));
        check_calm(
            &make_change(&json!({}), &first),
            &mut stored,
            NOW,
            Action::Move,
        );
        foreign.check_behind(2, &stored);
        check_calm(&make_change(&first, &last), &mut stored, NOW, Action::Close);
        foreign.check_behind(1, &stored);
        check_no_rotation(&stored);
    }
}

#[test]
fn a_set_that_is_replaced_keeps_the_old_ca_and_what_else_is_trusted() {
    for (start, foreign) in make_starts() {
        let mut stored = foreign.trusted_by(&start);
        stored.remove(&Part::CaKey);
        stored.remove(&Part::Cert);
        let found = effect(&make_plain(), &mut stored, NOW);
        assert_eq!(found.action, Action::Replace);
        assert_ne!(found.cut_off, CutOff::Nobody);
        assert_eq!(certificates(&stored, Part::CaCert)[1], current_ca(&start));
        foreign.check_behind(2, &stored);
        check_refuses(&start, &stored, NOW);
    }
}

#[test]
fn a_bundle_that_a_daemon_does_not_read_is_written_again_with_all_that_is_there() {
    for (start, foreign) in make_starts() {
        let mut stored = foreign.trusted_by(&start);
        let before = certificates(&stored, Part::CaCert);
        join_blocks(&mut stored, Part::CaCert);
        let found = check_calm(&make_plain(), &mut stored, NOW, Action::Repair);
        assert!(!found.kept.contains(&Part::CaCert));
        assert_eq!(certificates(&stored, Part::CaCert), before);
    }
}

#[test]
fn what_has_expired_is_no_reason_to_write_and_goes_when_the_bundle_is_written() {
    let starts = make_starts_until(NOW + Duration::days(90));
    let later = NOW + Duration::days(91);
    for (start, foreign) in starts {
        let mut stored = foreign.trusted_by(&start);
        for moment in [NOW + Duration::days(89), later] {
            check_kept(&make_plain(), &stored, moment);
        }
        check_calm(&make_token("a"), &mut stored, later, Action::Rotate);
        let bundle = certificates(&stored, Part::CaCert);
        assert_eq!(bundle[1..], [current_ca(&start)]);
    }
}

#[test]
fn a_retired_ca_that_is_pasted_back_among_what_else_is_trusted_goes_and_the_others_stay() {
    for (start, foreign) in make_starts() {
        let mut stored = make_rotated(start.clone(), &["a"]);
        let old = json!({ "RotationToken": "a" });
        let word = json!({ "RetiredCA": fingerprint(&stored, 1).to_string() });
        let new = merged(&old, word);
        check_calm(&make_change(&old, &new), &mut stored, NOW, Action::Close);
        trust(&mut stored, &[&current_ca(&start)]);
        let mut stored = foreign.trusted_by(&stored);
        check_calm(&make_update(&new), &mut stored, NOW, Action::Repair);
        foreign.check_behind(1, &stored);
    }
}

#[test]
fn a_foreign_ca_that_ends_soon_neither_swallows_nor_refuses_a_token() {
    let starts = make_starts_until(NOW + Duration::days(30));
    for (start, foreign) in starts {
        let mut stored = foreign.trusted_by(&start);
        check_calm(&make_token("a"), &mut stored, NOW, Action::Rotate);
        foreign.check_behind(2, &stored);
    }
}

/// An Update by a token, with this key algorithm.
fn make_token_with(algorithm: KeyAlgorithm) -> Spec {
    let old = json!({ "KeyAlgorithm": algorithm.name() });
    make_change(&old, &merged(&old, json!({ "RotationToken": "a" })))
}

/// So many CAs of partners.
#[track_caller]
fn make_partners(count: usize) -> Vec<Certificate> {
    let make = |number: usize| {
        let params = make_ca_params(&format!("partner {number}"));
        Certificate::clone(&make_authority(&params, &pool_key(20 + number)).certificate)
    };
    (0..count).map(make).collect()
}

#[test]
fn a_bundle_without_room_names_what_it_leaves_out_and_keeps_the_rest_in_order() {
    for (start, algorithm) in [
        (make_own(KeyAlgorithm::EcdsaP256), KeyAlgorithm::EcdsaP256),
        (make_own(KeyAlgorithm::EcdsaP256), KeyAlgorithm::Rsa2048),
        (make_deployed(), KeyAlgorithm::EcdsaP256),
    ] {
        let partners = make_partners(4);
        let all: Vec<&Certificate> = partners.iter().collect();
        let mut stored = start.clone();
        trust(&mut stored, &all);
        let before = stored.clone();
        check_kept(&make_plain(), &stored, NOW);
        let plan = carry_out(
            &make_token_with(algorithm),
            &mut stored,
            NOW,
            &mut FreshMint,
        )
        .plan;
        assert_eq!(
            (plan.action, &plan.cut_off),
            (Action::Rotate, &CutOff::Nobody)
        );
        let bundle = certificates(&stored, Part::CaCert);
        assert_eq!(bundle[1], current_ca(&start));
        let kept = bundle.len() - 2;
        assert!(kept < partners.len(), "the room is not short");
        assert_eq!(bundle[2..], partners[..kept]);
        assert_eq!(plan.left_out(), &partners[kept..]);
        assert!(plan.cuts_off());
        let text = plan.to_string();
        for left_out in &partners[kept..] {
            let word = format!(
                "CUTS OFF whatever presents the certificate {:?} ({})",
                left_out.common_name(),
                left_out.fingerprint()
            );
            assert!(text.contains(&word), "{text}");
        }
        assert!(
            !text.contains("no running daemon or client is cut off"),
            "{text}"
        );
        check_all_connect(&[&before, &stored], NOW);
    }
}

#[test]
fn a_large_one_that_has_no_room_leaves_it_to_the_small_ones_behind_it() {
    let start = make_own(KeyAlgorithm::EcdsaP256);
    let large = current_ca(&make_case("rsa-3072-ca"));
    let [one, two] = &make_partners(2)[..] else {
        panic!("two were made");
    };
    let mut stored = start.clone();
    trust(&mut stored, &[one, &large, two]);
    let plan = carry_out(&make_token("a"), &mut stored, NOW, &mut FreshMint).plan;
    assert_eq!(plan.left_out(), [large]);
    let bundle = certificates(&stored, Part::CaCert);
    assert_eq!(bundle[2..], [one.clone(), two.clone()]);
}

#[test]
fn what_has_room_is_kept_and_what_has_none_is_left_out_before_anything_is_too_long() {
    // What is not signed yet is reckoned a few bytes longer than it becomes, and never shorter.
    const SLACK_CHARS: usize = 48;
    for algorithm in KeyAlgorithm::ALL {
        let mut stored = make_own(KeyAlgorithm::EcdsaP256);
        let partner = &make_partners(1)[0];
        trust(&mut stored, &[partner]);
        let mut spec = make_token_with(algorithm);
        let mut written = stored.clone();
        carry_out(&spec, &mut written, NOW, &mut FreshMint);
        let chars = value(&written, Part::CaCert).len();
        let room = spec.properties.getter_room_bytes;
        for (given, is_kept) in [(chars + SLACK_CHARS, true), (chars - SLACK_CHARS, false)] {
            spec.properties.getter_room_bytes = given;
            let plan = plan(&spec, &stored, NOW).expect("it is not refused");
            assert_eq!(plan.left_out().is_empty(), is_kept, "{algorithm:?}");
        }
        // Signatures differ in length from one time to the next.
        for given in chars - SLACK_CHARS..chars + SLACK_CHARS {
            spec.properties.getter_room_bytes = given.min(room);
            let mut written = stored.clone();
            if algorithm != KeyAlgorithm::Rsa2048 || given % 16 == 0 {
                carry_out(&spec, &mut written, NOW, &mut FreshMint);
                assert!(value(&written, Part::CaCert).len() <= given);
            }
        }
    }
}
