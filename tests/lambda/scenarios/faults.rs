//! An SSM that stumbles: what passes is tried again, what does not fails at once.

use std::time::Duration;

use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::table::Table;
use serde_json::json;

use crate::certificates::check_coherent;
use crate::clock;
use crate::cloudformation::Resource;
use crate::rack::{self, Set};
use crate::rig::{Invoke as _, Rig};
use crate::ssm::{Calls, Fault};

#[test]
fn a_fault_that_passes_is_tried_again_whichever_call_it_strikes() {
    /// How to make the fault, and the calls that it can strike.
    type Case = (fn() -> Fault, &'static [Calls]);
    const ANY: &[Calls] = &[Calls::Reads, Calls::Writes];
    let faults: [(&str, Case); 6] = [
        ("ThrottlingException", (|| Fault::THROTTLED, ANY)),
        (
            "TooManyUpdates",
            (|| Fault::TOO_MANY_UPDATES, &[Calls::Writes]),
        ),
        ("InternalServerError", (|| Fault::INTERNAL, ANY)),
        ("503", (|| Fault::Refuse(503, "ServiceUnavailable"), ANY)),
        ("connection reset", (|| Fault::Reset, ANY)),
        ("answer lost", (|| Fault::LoseAnswer, ANY)),
    ];
    let columns = ["struck", "events", "answered", "wrong"].map(str::to_owned);
    let mut table = Table::new("faults that pass", "fault", &columns);
    let rig = Rig::start();
    let undisturbed = Resource::generator(&rig, "undisturbed")
        .create(json!({}))
        .succeeded();
    let writes = undisturbed.puts().len();
    let reads = undisturbed.calls.len() - writes;
    for (number, (name, (fault, struck))) in faults.into_iter().enumerate() {
        for calls in struck {
            let count = if *calls == Calls::Reads {
                reads
            } else {
                writes
            };
            for skip in 0..count {
                let rack = format!("rack-{number}-{calls:?}-{skip}");
                let mut generator = Resource::generator(&rig, &rack);
                rig.ssm.fail(*calls, skip, 1, fault());
                generator.create(json!({})).succeeded();
                rig.ssm.recover();
                check_coherent(&Set::read(&rig.ssm, &rack));
                generator.check_kept();
            }
            let events = (2 * count).to_string();
            let cells = vec![format!("{calls:?}"), events.clone(), events, "0".to_owned()];
            table.add(name, cells);
        }
    }
    table.print();
    // Nor is anything told at night of what has passed.
    let log = rig.function.log();
    assert!(!log.contains("ERROR"), "{log}");
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
