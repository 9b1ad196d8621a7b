//! How a node stands, by what it tells and by what SSM says of it.

use std::collections::BTreeSet;

use docker_tls_certgen::fleet::Presence;
use docker_tls_certgen::fleet::observation::{Lasts, Observation, Outcome, Unreadable};
use docker_tls_certgen::fleet::verdict::{Answer, Verdict};

use super::{
    make_answer, make_fingerprint, make_names, make_observation, make_old_answer, make_target,
};

fn make_told(change: impl FnOnce(&mut Observation)) -> Answer {
    let mut observation = make_observation(&make_target());
    change(&mut observation);
    Answer::Told(observation)
}

#[track_caller]
fn check_verdict(answer: &Answer, expected: Verdict) {
    let verdict = Verdict::of(Presence::Online, Some(answer), &make_target());
    assert_eq!(verdict, expected, "{answer:?}");
}

#[test]
fn a_node_has_moved_where_its_daemon_shows_what_is_published_whatever_the_script_says() {
    for outcome in [Outcome::Told, Outcome::Moved] {
        check_verdict(&make_answer(outcome), Verdict::Moved);
    }
    for answer in [make_old_answer(), make_told(|o| o.outcome = Outcome::Moved)] {
        let Answer::Told(observation) = answer else {
            panic!("an observation");
        };
        let lied = Observation {
            outcome: Outcome::Moved,
            presents: Some(make_fingerprint(0x02)),
            ..observation
        };
        check_verdict(&Answer::Told(lied), Verdict::NotYet);
    }
}

#[test]
fn what_its_daemon_shows_decides_how_a_node_stands() {
    let cases: [(&str, Answer, Verdict); 10] = [
        ("started before", make_old_answer(), Verdict::NotYet),
        (
            "the leaf of before",
            make_told(|o| o.presents = Some(make_fingerprint(0x01))),
            Verdict::NotYet,
        ),
        (
            "less than is published",
            make_told(|o| o.trusts = make_names(&["B"])),
            Verdict::NotYet,
        ),
        (
            "another CA in the place of one",
            make_told(|o| o.trusts = make_names(&["B", "X"])),
            Verdict::NotYet,
        ),
        (
            "one CA more",
            make_told(|o| o.trusts = make_names(&["A", "B", "X"])),
            Verdict::TrustsRetired,
        ),
        (
            "two CAs of one name",
            make_told(|o| o.trusts = make_names(&["A", "A", "B"])),
            Verdict::TrustsRetired,
        ),
        (
            "files of another set",
            make_told(|o| o.lasts = Lasts::UntilStart),
            Verdict::StartsOld,
        ),
        (
            "launch data of another set",
            make_told(|o| o.lasts = Lasts::UntilBoot),
            Verdict::BootsOld,
        ),
        (
            "anyone may come in",
            make_told(|o| {
                o.asks = false;
                o.trusts.clear();
            }),
            Verdict::NotMutual,
        ),
        (
            "no TLS",
            make_told(|o| {
                o.presents = None;
                o.trusts.clear();
            }),
            Verdict::NotYet,
        ),
    ];
    for (case, answer, expected) in cases {
        let verdict = Verdict::of(Presence::Online, Some(&answer), &make_target());
        assert_eq!(verdict, expected, "{case}");
    }
}

#[test]
fn what_the_script_could_not_do_counts_for_more_than_what_the_daemon_shows() {
    for (outcome, expected) in [
        (Outcome::Stale, Verdict::Stale),
        (Outcome::Refused, Verdict::Refused),
        (Outcome::Busy, Verdict::Busy),
        (Outcome::Broken, Verdict::Broken),
        (Outcome::RolledBack, Verdict::RolledBack),
        (Outcome::Down, Verdict::Down),
    ] {
        check_verdict(&make_answer(outcome), expected);
    }
}

#[test]
fn a_node_that_cannot_be_asked_now_does_not_stand_as_it_last_told() {
    let moved = make_answer(Outcome::Moved);
    for (presence, answer, expected) in [
        (Presence::Lost, Some(&moved), Verdict::Lost),
        (Presence::Lost, None, Verdict::Lost),
        (Presence::NotInSsm, Some(&moved), Verdict::NotInSsm),
        (Presence::NotInSsm, None, Verdict::NotInSsm),
        (Presence::Online, None, Verdict::NotObserved),
    ] {
        let verdict = Verdict::of(presence, answer, &make_target());
        assert_eq!(verdict, expected, "{presence:?}");
    }
    check_verdict(&Answer::Undelivered, Verdict::Silent);
    check_verdict(&Answer::Unreadable(Unreadable::Cut), Verdict::Silent);
}

#[test]
fn every_verdict_but_moved_blocks_and_each_has_words_of_its_own() {
    let words: BTreeSet<_> = Verdict::ALL.iter().map(|verdict| verdict.words()).collect();
    assert_eq!(words.len(), Verdict::ALL.len());
    for verdict in Verdict::ALL {
        assert_eq!(verdict.blocks(), verdict != Verdict::Moved, "{verdict:?}");
    }
    let movable = Verdict::ALL.into_iter().filter(|v| v.is_movable());
    assert_eq!(
        movable.collect::<Vec<_>>(),
        [
            Verdict::StartsOld,
            Verdict::TrustsRetired,
            Verdict::NotYet,
            Verdict::Down
        ]
    );
}
