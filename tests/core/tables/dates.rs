//! The renewal window, to the second, and what is left of a certificate's time.

use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    Effect, check_all_connect, check_calm, current_ca, effect, leaf, make_plain, make_rotated,
};
use crate::damage::join_blocks;
use crate::event::{check_kept, make_update};
use crate::store::{NOW, certificates, make_deployed, make_own_with, public_key};

const RENEW_BEFORE: Duration = Duration::days(60);
const SECOND: Duration = Duration::SECOND;

/// A set whose end-entity certificate ends long before its CA.
fn make_short_leaf() -> StoredSet {
    make_own_with(&json!({ "CAValidityDays": 4000, "ValidityDays": 1000 }))
}

/// A set whose CA and end-entity certificate end in the same second.
fn make_short_ca() -> StoredSet {
    make_own_with(&json!({ "CAValidityDays": 1000, "ValidityDays": 1000 }))
}

#[test]
fn a_certificate_is_kept_until_the_second_in_which_its_renewal_window_begins() {
    for stored in [make_deployed(), make_short_leaf(), make_short_ca()] {
        let end = leaf(&stored).not_after();
        check_kept(&make_plain(), &stored, end - Duration::days(61));
        check_kept(&make_plain(), &stored, end - RENEW_BEFORE);
    }
}

/// The first second of the renewal window, and a day later.
fn moments_in_window(not_after: OffsetDateTime) -> [OffsetDateTime; 2] {
    [
        not_after - RENEW_BEFORE + SECOND,
        not_after - Duration::days(59),
    ]
}

#[test]
fn one_second_later_the_end_entity_certificate_is_reissued_from_the_same_ca() {
    let healthy = make_short_leaf();
    let not_after = leaf(&healthy).not_after();
    for moment in moments_in_window(not_after) {
        let mut stored = healthy.clone();
        let found = effect(&make_plain(), &mut stored, moment);
        let expected = Effect {
            action: Action::Reissue,
            causes: vec![Cause::Expiring {
                part: Part::Cert,
                not_after,
                renew_before: RENEW_BEFORE,
            }],
            cut_off: CutOff::Nobody,
            kept: vec![Part::CaCert, Part::CaKey, Part::Key, Part::State],
        };
        assert_eq!(found, expected);
        check_all_connect(&[&healthy, &stored], moment);
    }
}

#[test]
fn one_second_later_the_ca_is_rotated() {
    for healthy in [make_deployed(), make_short_ca()] {
        let not_after = current_ca(&healthy).not_after();
        for moment in moments_in_window(not_after) {
            let mut stored = healthy.clone();
            let found = effect(&make_plain(), &mut stored, moment);
            let expected = Effect {
                action: Action::Rotate,
                causes: vec![Cause::Expiring {
                    part: Part::CaCert,
                    not_after,
                    renew_before: RENEW_BEFORE,
                }],
                cut_off: CutOff::Nobody,
                kept: vec![Part::Key],
            };
            assert_eq!(found, expected);
            assert_eq!(certificates(&stored, Part::CaCert)[1], current_ca(&healthy));
            check_all_connect(&[&healthy, &stored], moment);
        }
    }
}

#[test]
fn on_its_last_second_a_certificate_is_expiring_and_one_second_later_expired() {
    let healthy = make_short_leaf();
    let not_after = leaf(&healthy).not_after();
    let part = Part::Cert;
    let renew_before = RENEW_BEFORE;
    let expiring = Cause::Expiring {
        part,
        not_after,
        renew_before,
    };
    for (now, cause) in [
        (not_after, expiring),
        (not_after + SECOND, Cause::Expired { part, not_after }),
    ] {
        let found = effect(&make_plain(), &mut healthy.clone(), now);
        assert_eq!((found.action, found.causes), (Action::Reissue, vec![cause]));
    }
}

#[test]
fn an_expired_ca_is_replaced_and_nobody_is_cut_off_who_was_not_refused_before() {
    for healthy in [make_deployed(), make_short_ca()] {
        let not_after = current_ca(&healthy).not_after();
        let mut stored = healthy.clone();
        let found = effect(&make_plain(), &mut stored, not_after + SECOND);
        let cause = Cause::Expired {
            part: Part::CaCert,
            not_after,
        };
        assert_eq!((found.action, found.causes), (Action::Replace, vec![cause]));
        assert_eq!(found.cut_off, CutOff::Nobody);
        assert_eq!(
            certificates(&stored, Part::CaCert).len(),
            1,
            "the expired CA is left out"
        );
        assert_ne!(
            public_key(&stored, Part::CaKey),
            current_ca(&healthy).public_key()
        );
    }
}

#[test]
fn a_set_that_is_not_yet_valid_is_healthy() {
    for stored in [make_deployed(), make_short_leaf()] {
        let not_before = leaf(&stored).not_before();
        check_kept(&make_plain(), &stored, not_before - Duration::days(1));
    }
}

#[test]
fn the_renewal_window_is_the_one_that_the_properties_give() {
    let stored = make_short_leaf();
    let end = leaf(&stored).not_after();
    let spec = make_update(&json!({ "RenewBeforeDays": 10 }));
    check_kept(&spec, &stored, end - Duration::days(10));
    let later = end - Duration::days(10) + SECOND;
    assert_eq!(
        effect(&spec, &mut stored.clone(), later).action,
        Action::Reissue
    );
}

#[test]
fn an_anchor_that_expires_is_no_reason_to_write_and_neither_is_its_cross_certificate() {
    let properties = json!({ "CAValidityDays": 4000, "ValidityDays": 1000 });
    let mut stored = make_own_with(&json!({ "CAValidityDays": 200, "ValidityDays": 150 }));
    let anchor = current_ca(&stored);
    effect(
        &make_update(&properties),
        &mut stored,
        anchor.not_after() - Duration::days(59),
    );
    let [_, cross] = &certificates(&stored, Part::Cert)[..] else {
        panic!("no rotation is open");
    };
    assert_eq!(
        cross.not_after(),
        anchor.not_after(),
        "a cross ends with its anchor"
    );
    for moment in [
        anchor.not_after() - Duration::days(1),
        anchor.not_after() + SECOND,
        anchor.not_after() + Duration::days(365),
    ] {
        check_kept(&make_update(&properties), &stored, moment);
    }
}

#[test]
fn an_expired_anchor_is_left_out_when_the_bundle_is_written_anyway() {
    let long = json!({ "CAValidityDays": 4000, "ValidityDays": 4000 });
    let mut stored = make_own_with(&json!({ "CAValidityDays": 200, "ValidityDays": 200 }));
    let anchor = current_ca(&stored);
    effect(
        &make_update(&long),
        &mut stored,
        anchor.not_after() - Duration::days(1),
    );
    let rotated = stored.clone();
    join_blocks(&mut stored, Part::CaCert);
    let later = anchor.not_after() + SECOND;
    check_calm(&make_update(&long), &mut stored, later, Action::Repair);
    assert_eq!(certificates(&stored, Part::CaCert), [current_ca(&rotated)]);
    check_all_connect(&[&rotated, &stored], later);
}

#[test]
fn what_is_issued_ends_with_its_lifetime_or_with_its_ca() {
    let issued = |ca_days: i64, days: i64| {
        let properties = json!({ "CAValidityDays": ca_days, "ValidityDays": days });
        let mut stored = make_rotated(make_deployed(), &["a"]);
        stored.remove(&Part::CaKey);
        effect(&make_update(&properties), &mut stored, NOW);
        let [ca, anchor] = &certificates(&stored, Part::CaCert)[..] else {
            panic!("the bundle has two CAs");
        };
        let [leaf, cross] = &certificates(&stored, Part::Cert)[..] else {
            panic!("the chain has a cross-certificate");
        };
        [ca, anchor, leaf, cross].map(docker_tls_certgen::pki::certificate::Certificate::not_after)
    };
    let days = |days| NOW + Duration::days(days);
    let anchor: OffsetDateTime = current_ca(&make_deployed()).not_after();
    assert_eq!(
        issued(1000, 200),
        [days(1000), anchor, days(200), days(1000)]
    );
    assert_eq!(
        issued(1000, 2000),
        [days(1000), anchor, days(1000), days(1000)]
    );
    assert_eq!(
        issued(40_000, 39_000),
        [days(40_000), anchor, days(39_000), anchor]
    );
}

#[test]
fn a_ca_certificate_that_is_reissued_ends_with_the_pair() {
    for healthy in [make_deployed(), make_short_leaf(), make_short_ca()] {
        let mut stored = healthy.clone();
        stored.remove(&Part::CaCert);
        let not_after = leaf(&healthy).not_after();
        check_calm(&make_plain(), &mut stored, NOW, Action::ReissueCa);
        assert_eq!(current_ca(&stored).not_after(), not_after);
        check_all_connect(&[&healthy, &stored], NOW);

        // So it is followed before the one that runs can end, whenever that is.
        check_kept(&make_plain(), &stored, not_after - RENEW_BEFORE);
        let later = not_after - Duration::days(59);
        let reissued = stored.clone();
        check_calm(&make_plain(), &mut stored, later, Action::Introduce);
        check_all_connect(&[&healthy, &reissued, &stored], later);
    }
}

#[test]
fn a_ca_certificate_that_is_lost_when_the_pair_ends_soon_is_trusted_beside_the_next_ca() {
    for healthy in [make_deployed(), make_short_leaf(), make_short_ca()] {
        let later = leaf(&healthy).not_after() - Duration::days(59);
        let mut stored = healthy.clone();
        stored.remove(&Part::CaCert);
        check_calm(&make_plain(), &mut stored, later, Action::Introduce);
        let anchor = certificates(&stored, Part::CaCert).swap_remove(1);
        assert_eq!(anchor.subject(), current_ca(&healthy).subject());
        assert_eq!(anchor.public_key(), current_ca(&healthy).public_key());
        check_all_connect(&[&healthy, &stored], later);
    }
}
