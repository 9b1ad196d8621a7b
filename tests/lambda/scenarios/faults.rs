//! An SSM that stumbles: what passes is tried again, what does not fails at once.

use std::time::Duration;

use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::table::Table;
use serde_json::json;

use crate::certificates::check_coherent;
use crate::clock;
use crate::cloudformation::Resource;
use crate::rack::{self, Set};
use crate::rig::{Invoke as _, Rig, side_by_side};
use crate::ssm::{Calls, Fault};

/// How long a put may go without an answer, and a claim whose end got none may last.
const PUT_LIMIT: Duration = Duration::from_secs(4);
/// What else an event does, on a machine that has other things to do.
const SLACK: Duration = Duration::from_secs(6);

#[test]
fn a_fault_that_passes_is_tried_again_whichever_call_it_strikes() {
    /// How to make the fault, and the calls that it can strike.
    type Case = (fn() -> Fault, &'static [Calls]);
    const ANY: &[Calls] = &[Calls::Reads, Calls::Writes];
    let faults: [(&str, Case); 7] = [
        ("ThrottlingException", (|| Fault::THROTTLED, ANY)),
        (
            "TooManyUpdates",
            (|| Fault::TOO_MANY_UPDATES, &[Calls::Writes]),
        ),
        ("InternalServerError", (|| Fault::INTERNAL, ANY)),
        ("503", (|| Fault::Refuse(503, "ServiceUnavailable"), ANY)),
        ("connection reset", (|| Fault::Reset, ANY)),
        ("answer lost", (|| Fault::LoseAnswer, ANY)),
        ("no answer", (|| Fault::Hang, ANY)),
    ];
    let mut cases = Vec::new();
    for (name, (fault, struck)) in faults {
        let case = |calls: &Calls| (format!("{name}, {calls:?}"), (name, fault, *calls));
        cases.extend(struck.iter().map(case));
    }
    let rows = side_by_side(cases, |(name, fault, calls)| {
        (name, check_passing(fault, calls))
    });
    let columns = [
        "struck",
        "events",
        "answered",
        "wrong",
        "slowest next write",
    ]
    .map(str::to_owned);
    let mut table = Table::new("faults that pass", "fault", &columns);
    for (name, row) in rows {
        table.add(name, row);
    }
    table.print();
}

/// Strikes each of these calls of a Create once; gives a row of the table.
fn check_passing(fault: fn() -> Fault, calls: Calls) -> Vec<String> {
    let rig = Rig::start();
    let undisturbed = Resource::generator(&rig, "undisturbed")
        .create(json!({}))
        .succeeded();
    let made = undisturbed.calls.iter();
    let count = made.filter(|call| calls.include(&call.action)).count();
    let mut slowest = Duration::ZERO;
    for skip in 0..count {
        let rack = format!("rack-{skip}");
        let mut generator = Resource::generator(&rig, &rack);
        rig.ssm.fail(calls, skip, 1, fault());
        generator.create(json!({})).succeeded();
        rig.ssm.recover();
        check_coherent(&Set::read(&rig.ssm, &rack));
        generator.check_kept();
        // Nobody may still hold the claim, but for what a lost answer leaves open: whether it was ended.
        let began = clock::instant();
        generator.rotate("1");
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < PUT_LIMIT + SLACK, "{slowest:?}");
    // Nor is anything told at night of what has passed.
    let log = rig.function.log();
    assert!(!log.contains("ERROR"), "{log}");
    let events = (3 * count).to_string();
    vec![
        format!("{calls:?}"),
        events.clone(),
        events,
        "0".to_owned(),
        format!("{:.1} s", slowest.as_secs_f64()),
    ]
}

#[test]
fn refused_and_invalid_writes_fail_at_once_naming_action_and_parameter() {
    for code in ["AccessDeniedException", "ValidationException"] {
        let rig = Rig::start();
        let mut generator = Resource::created(&rig, "rack-1");
        rig.ssm.remove(&rack::name(Part::Cert, "rack-1"));
        // The claim, the state where one is written, then the certificate: whichever comes is refused once.
        rig.ssm.fail(Calls::Writes, 1, 1, Fault::Refuse(400, code));
        let failed = generator.update(json!({ "Version": "2" }));
        let refused = failed
            .calls
            .iter()
            .find(|call| call.is_write() && !call.landed);
        let name = refused.expect("one was refused").names().remove(0);
        failed.failed(&["PutParameter", &name, code]);
        rig.ssm.recover();
        generator.update(json!({ "Version": "2" })).succeeded();
        check_coherent(&Set::read(&rig.ssm, "rack-1"));
    }
}

#[test]
fn an_ssm_that_hangs_is_reported_before_the_deadline() {
    let deadline = Duration::from_secs(6);
    let rig = Rig::start();
    rig.ssm.fail(Calls::Reads, 0, usize::MAX, Fault::Hang);
    let event = Resource::generator(&rig, "rack-1").create_event();
    let started = clock::now();
    rig.deliver_within(deadline, &event)
        .failed(&[])
        .wrote_nothing();
    assert!(clock::now() - started < deadline);
}
