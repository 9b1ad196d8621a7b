//! What is said before anything ends: a day before each threshold, on the day, and a day after.

use docker_tls_certgen::plan::inspection::Inspection;
use docker_tls_certgen::plan::outlook::{Condition, Outlook};
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::plan::standing::Standing;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{current_ca, effect, leaf, make_rotated};
use crate::event::make_update;
use crate::store::{NOW, certificate, make_own_with, set_value};

const RENEW_BEFORE_DAYS: i64 = 60;
const DAY: Duration = Duration::DAY;
const SECOND: Duration = Duration::SECOND;

/// What a watch says, whose properties are the template's.
fn look(template: &Value, stored: &StoredSet, now: OffsetDateTime) -> Standing {
    let properties = make_update(template).properties;
    Inspection::of(&Spec::hypothetical(properties).next(), stored, now).standing
}

fn make_template(ca_days: i64, days: i64) -> Value {
    json!({ "CAValidityDays": ca_days, "ValidityDays": days, "RenewBeforeDays": RENEW_BEFORE_DAYS })
}

/// Checks what is said around the beginning of a window that begins so many days before an end.
#[track_caller]
fn check_window(
    (template, stored): (&Value, &StoredSet),
    end: OffsetDateTime,
    window_days: i64,
    fact: impl Fn(&Outlook) -> (Option<i64>, bool),
) {
    let begin = end - Duration::days(window_days);
    for (name, now, days_left, is_within) in [
        ("a day before", begin - DAY, window_days + 1, false),
        ("a second before", begin - SECOND, window_days, false),
        ("on the day", begin, window_days, false),
        ("a second later", begin + SECOND, window_days - 1, true),
        ("a day later", begin + DAY, window_days - 1, true),
        ("in the end", end, 0, true),
        ("a second after it", end + SECOND, -1, true),
    ] {
        let standing = look(template, stored, now);
        assert_eq!(
            fact(&standing.outlook),
            (Some(days_left), is_within),
            "{name}"
        );
    }
}

#[test]
fn a_renewal_is_due_from_the_second_in_which_an_update_would_renew() {
    let short_leaf = make_template(4000, 1000);
    let short_ca = make_template(1000, 1000);
    for template in [&short_leaf, &short_ca] {
        let stored = make_own_with(template);
        let end = leaf(&stored).not_after();
        check_window((template, &stored), end, RENEW_BEFORE_DAYS, |outlook| {
            (outlook.cert_days_left, outlook.is_renewal_due)
        });
        // The planner and the alarm speak of the same second.
        for moment in [
            end - Duration::days(RENEW_BEFORE_DAYS),
            end - Duration::days(RENEW_BEFORE_DAYS) + SECOND,
        ] {
            let standing = look(template, &stored, moment);
            assert_eq!(standing.outlook.is_renewal_due, standing.next.is_due);
        }
        // An update takes the condition back.
        let mut renewed = stored.clone();
        let now = end - DAY;
        effect(&make_update(template), &mut renewed, now);
        assert!(look(template, &stored, now).outlook.is_renewal_due);
        assert!(!look(template, &renewed, now).outlook.is_renewal_due);
    }
    let stored = make_own_with(&short_ca);
    let end = current_ca(&stored).not_after();
    check_window((&short_ca, &stored), end, RENEW_BEFORE_DAYS, |outlook| {
        (outlook.ca_days_left, outlook.is_renewal_due)
    });
}

#[test]
fn an_open_rotation_ends_soon_from_twice_the_renewal_window_before_the_previous_ca_does() {
    let template = make_template(1000, 1000);
    let rotated = make_rotated(make_own_with(&template), &["a"]);
    let end = certificate(&rotated, Part::CaCert, 1).not_after();
    check_window(
        (&template, &rotated),
        end,
        2 * RENEW_BEFORE_DAYS,
        |outlook| (outlook.previous_ca_days_left, outlook.rotation_ends_soon),
    );
    // Where none is open, none ends.
    let alone = make_own_with(&template);
    let outlook = look(&template, &alone, end).outlook;
    assert_eq!(
        (outlook.previous_ca_days_left, outlook.rotation_ends_soon),
        (None, false)
    );
}

#[test]
fn a_rotation_from_a_ca_that_cannot_vouch_ends_with_the_certificate_which_no_update_renews() {
    let template = make_template(3000, 1000);
    let mut stored = make_own_with(&template);
    stored.remove(&Part::CaKey);
    effect(&make_update(&template), &mut stored, NOW);
    let end = leaf(&stored).not_after();
    check_window(
        (&template, &stored),
        end,
        2 * RENEW_BEFORE_DAYS,
        |outlook| (outlook.cert_days_left, outlook.rotation_ends_soon),
    );
    let standing = look(&template, &stored, end - DAY);
    assert!(!standing.next.is_due, "{}", standing.next.summary);
    assert!(!standing.outlook.is_renewal_due);
}

#[test]
fn a_healthy_set_gives_no_reason_for_an_alarm_and_neither_token_nor_word_is_news() {
    let mut template = make_template(4000, 1000);
    template["RotationToken"] = "a".into();
    let stored = make_own_with(&template);
    // A word that an update has brought, and that did nothing.
    template["RetiredCA"] = current_ca(&stored).fingerprint().to_string().into();
    let standing = look(&template, &stored, NOW);
    let outlook = standing.outlook;
    assert_eq!(
        (outlook.ca_days_left, outlook.cert_days_left),
        (Some(3990), Some(990))
    );
    assert!(
        !outlook.is_renewal_due
            && !outlook.rotation_ends_soon
            && outlook.condition == Condition::Sound
    );
    assert!(
        !standing.next.is_due && !standing.next.cuts_off,
        "{}",
        standing.next.summary
    );
    assert_eq!(standing.warnings, []);
}

#[test]
fn what_cannot_be_read_is_said_and_no_number_is_made_up() {
    let template = make_template(4000, 1000);
    let healthy = make_own_with(&template);
    for part in Part::SHARED.into_iter().chain([Part::State]) {
        let mut damaged = healthy.clone();
        set_value(&mut damaged, part, "no base64 at all!");
        let standing = look(&template, &damaged, NOW);
        assert_eq!(standing.outlook.condition, Condition::Unreadable, "{part}");
        let mut missing = healthy.clone();
        missing.remove(&part);
        let standing = look(&template, &missing, NOW);
        // A set without a state is one that others made.
        assert_eq!(
            standing.outlook.condition == Condition::Unreadable,
            part != Part::State,
            "{part}"
        );
    }
    let mut without = healthy.clone();
    without.remove(&Part::CaCert);
    assert_eq!(look(&template, &without, NOW).outlook.ca_days_left, None);
    let nothing = look(&template, &StoredSet::new(), NOW);
    assert!(nothing.outlook.condition == Condition::Unreadable && nothing.next.is_due);
    assert_eq!(nothing.outlook.cert_days_left, None);
}

#[test]
fn whom_the_next_update_would_cut_off_is_said_before_it_comes() {
    let template = make_template(4000, 1000);
    let mut stored = make_own_with(&template);
    stored.remove(&Part::CaKey);
    // A CA whose key is lost vouches for no other, and ends.
    let now = current_ca(&stored).not_after() - DAY;
    assert!(look(&template, &stored, now).next.cuts_off);
    assert!(
        !look(&template, &make_own_with(&template), now)
            .next
            .cuts_off
    );
}
