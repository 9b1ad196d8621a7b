//! An SSM that is too busy, that does not answer, or that is held up by an invocation that has died: who waits, for how
//! long, and who is told.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::table::Table;
use serde_json::{Value, json};

use crate::certificates::check_coherent;
use crate::cloudformation::{Resource, signed_at};
use crate::published::Published;
use crate::rack::{self, Set};
use crate::rig::{FUNCTION_TIMEOUT, Invoke as _, Rig, SHORT_TIMEOUT, side_by_side};
use crate::runtime_api::Settings;
use crate::ssm::{Call, Calls, Fault, THROTTLING, TOO_MANY_UPDATES};
use crate::{clock, fixtures};

const RACK: &str = "rack-1";

/// What [`SHORT_TIMEOUT`] leaves for the handling: a third is kept back for the delivery.
const SHORT_HANDLING: Duration = Duration::from_secs(8);
/// How long a read may go without an answer, all its tries included.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// How long a put may go without an answer.
const PUT_LIMIT: Duration = Duration::from_secs(4);
/// What the limits leave out: what else an event does, on a machine that has other things to do.
const SLACK: Duration = Duration::from_secs(10);

#[test]
fn no_op_updates_of_many_racks_at_once_all_succeed_however_few_reads_a_second_ssm_allows() {
    const RACKS: usize = 50;
    const READS_PER_SECOND: u32 = 8;
    let rig = Rig::start();
    let [_, deployed] = fixtures::deployed();
    let set = deployed.install(&rig.ssm);
    let events: Vec<_> = (0..RACKS)
        .map(|number| {
            let rack = format!("rack-{number}");
            set.write(&rig.ssm, &rack);
            let generator = Resource::generator(&rig, &rack).existing(&rack::hex(&rack));
            generator.change_event(json!({ "Version": "2" }))
        })
        .collect();
    rig.ssm.limit(READS_PER_SECOND, READS_PER_SECOND);
    let calls = check_all_succeed(&rig, &events, "no-op updates at once, 8 reads a second");
    assert!(calls.iter().all(|call| !call.is_write()), "a no-op wrote");
}

#[test]
fn creates_of_many_racks_at_once_all_succeed_however_few_writes_a_second_ssm_allows() {
    const RACKS: usize = 10;
    const WRITES_PER_SECOND: u32 = 10;
    let rig = Rig::start();
    let racks: Vec<_> = (0..RACKS).map(|number| format!("rack-{number}")).collect();
    let create = |rack: &String| Resource::generator(&rig, rack).create_event();
    let events: Vec<_> = racks.iter().map(create).collect();
    rig.ssm.limit(4 * WRITES_PER_SECOND, WRITES_PER_SECOND);
    check_all_succeed(&rig, &events, "Creates at once, 10 writes a second");
    for rack in &racks {
        check_coherent(&Set::read(&rig.ssm, rack));
    }
}

/// Delivers all events at the same time, each to a process of its own that starts for it, to an SSM that refuses many of
/// their calls; gives the calls.
#[track_caller]
fn check_all_succeed(rig: &Rig, events: &[Value], title: &str) -> Vec<Call> {
    rig.ssm.take_calls();
    let functions = rig.start_more(events.len());
    let (responses, last) = rig.deliver_at_once(&functions, events);
    for response in &responses {
        assert_eq!(response.status(), "SUCCESS", "{}", response.text);
    }
    let calls = rig.ssm.take_calls();
    let refused = calls.iter().filter(|call| !call.landed).count();
    assert!(refused > 0, "SSM was not busy");
    let columns = ["SUCCESS", "last after", "calls", "refused"].map(str::to_owned);
    let mut table = Table::new(title, "events", &columns);
    let row = [
        responses.len().to_string(),
        seconds(last),
        calls.len().to_string(),
        refused.to_string(),
    ];
    table.add(&events.len().to_string(), row.to_vec());
    table.print();
    calls
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What CloudFormation wants while SSM is busy.
type Make = fn(&Rig) -> Value;

fn a_create(rig: &Rig) -> Value {
    Resource::generator(rig, RACK).create_event()
}

fn a_rotation(rig: &Rig) -> Value {
    created_long_ago(rig).change_event(json!({ "RotationToken": "1" }))
}

fn a_delete(rig: &Rig) -> Value {
    let generator = created_long_ago(rig);
    generator.delete_event(generator.physical_id())
}

fn a_getter(rig: &Rig) -> Value {
    created_long_ago(rig);
    Resource::getter(rig, RACK, &rack::name(Part::Cert, RACK)).create_event()
}

/// A generator that was created before the first attempt at anything else was made.
fn created_long_ago(rig: &Rig) -> Resource<'_> {
    let mut generator = Resource::generator(rig, RACK);
    generator.set_date(clock::now() - Duration::from_mins(30));
    generator.create(json!({})).succeeded();
    generator.set_date(clock::now());
    generator
}

/// What an event has to wait for, and waits for in vain.
#[derive(Clone, Copy)]
enum Obstacle {
    /// SSM refuses these calls for its being busy, with this code, but for the first so many.
    Busy(Calls, usize, &'static str),
    /// Another invocation is writing.
    Claimed,
}

impl Obstacle {
    fn put_in_the_way(self, rig: &Rig) {
        match self {
            Self::Busy(calls, skip, code) => {
                let fault = Fault::Refuse(400, code);
                rig.ssm.fail(calls, skip, usize::MAX, fault);
            }
            Self::Claimed => {
                let until = clock::now() + Duration::from_mins(2);
                let until = until.unix_timestamp() * 1000;
                let claim = json!({ "nonce": "another", "until": until, "ended": false });
                let name = rack::claim(RACK);
                rig.ssm.write(&name, "String", &claim.to_string());
            }
        }
    }

    /// Whether a call was in vain.
    fn is_met_by(self, call: &Call) -> bool {
        match self {
            Self::Busy(..) => !call.landed,
            Self::Claimed => !call.is_write(),
        }
    }
}

/// How old an event is when an attempt at it begins, and whether CloudFormation is told then that time ran out.
type Attempt = (Option<Duration>, bool);

/// Lambda's three attempts, as early as they can be: each uses all of its time, and there are one minute and two between
/// them.
const THREE: &[Attempt] = &[
    (Some(Duration::ZERO), false),
    (Some(Duration::from_secs(8 + 60)), false),
    (Some(Duration::from_secs(8 + 60 + 8 + 120)), true),
];

/// Attempts that cannot be known to be the last: one that began late although there are others to come, and one at an
/// event that does not tell when it was sent.
const NEVER_LAST: &[Attempt] = &[
    (Some(Duration::from_secs(8 + 8 + 90)), false),
    (None, false),
];

#[test]
fn an_event_that_waits_in_vain_is_an_invocation_error_until_the_last_attempt_which_fails() {
    let (reads, writes) = (Calls::Reads, Calls::Writes);
    let busy = |calls, skip| Obstacle::Busy(calls, skip, THROTTLING);
    let many_updates = |skip| Obstacle::Busy(writes, skip, TOO_MANY_UPDATES);
    let cases: [(&str, Make, Obstacle, &[Attempt]); 13] = [
        ("reads of a Create", a_create, busy(reads, 0), THREE),
        ("reads of a Create", a_create, busy(reads, 0), NEVER_LAST),
        ("reads of a Delete", a_delete, busy(reads, 0), THREE),
        ("reads of a getter", a_getter, busy(reads, 0), THREE),
        ("reads under a claim", a_create, busy(reads, 1), THREE),
        ("claims", a_create, busy(writes, 0), THREE),
        ("claims", a_rotation, busy(writes, 0), NEVER_LAST),
        ("claims, updated", a_create, many_updates(0), THREE),
        ("puts", a_create, busy(writes, 1), THREE),
        ("puts, updated", a_rotation, many_updates(2), THREE),
        ("the delete", a_delete, busy(writes, 1), THREE),
        ("claimed", a_rotation, Obstacle::Claimed, THREE),
        ("claimed", a_delete, Obstacle::Claimed, THREE),
    ];
    let cases = cases.map(|(name, make, obstacle, attempts)| {
        let name = format!("{name}, {} attempts", attempts.len());
        (name, (make, obstacle, attempts))
    });
    side_by_side(cases.into(), |(make, obstacle, attempts)| {
        check_attempts(make, obstacle, attempts);
    });
}

fn check_attempts(make: Make, obstacle: Obstacle, attempts: &[Attempt]) {
    let rig = Rig::start();
    let event = make(&rig);
    for (age, is_told) in attempts {
        let event = signed_at(&event, age.map(|age| clock::now() - age));
        obstacle.put_in_the_way(&rig);
        rig.ssm.take_calls();
        let began = clock::instant();
        let calls = if *is_told {
            let told = rig.deliver_within(SHORT_TIMEOUT, &event);
            told.failed(&["last attempt"]).calls
        } else {
            check_not_answered(&rig, &event);
            rig.ssm.take_calls()
        };
        let took = began.elapsed();
        assert!(took < SHORT_TIMEOUT, "{took:?}");
        let in_vain = calls.iter().filter(|call| obstacle.is_met_by(call));
        assert!(in_vain.count() > 1, "tried but once: {calls:?}");
        rig.ssm.recover();
        // In a minute or two, when Lambda tries again, the lease has run out.
        rig.ssm.remove(&rack::claim(RACK));
    }
    rig.deliver(&event).succeeded();
}

/// Delivers an event that must end as an error of the invocation, and with nobody told.
#[track_caller]
fn check_not_answered(rig: &Rig, event: &Value) {
    let outcome = rig.function.invoke(SHORT_TIMEOUT, event);
    let error = outcome.expect_err("the event is not answered");
    let error: Value = serde_json::from_str(&error).expect("errors are JSON");
    assert_eq!(error["errorType"], "NotAnswered", "{error}");
    assert_eq!(rig.sink.targets(), [""; 0], "{error}");
}

/// Why nothing is heard from SSM.
#[derive(Clone, Copy)]
enum Silence {
    /// It takes these calls, but for the first so many, and does not answer.
    Hangs(Calls, usize),
    /// Nothing is at its address.
    Refused,
    /// At its address is something that does not take connections.
    NotTaken,
}

#[test]
fn an_ssm_that_does_not_answer_is_told_of_within_seconds() {
    let (reads, writes) = (Calls::Reads, Calls::Writes);
    let hangs = Silence::Hangs;
    let cases: [(&str, Make, Silence, Duration); 7] = [
        ("reads hang", a_create, hangs(reads, 0), READ_LIMIT),
        (
            "a getter's reads hang",
            a_getter,
            hangs(reads, 0),
            READ_LIMIT,
        ),
        ("the claim hangs", a_create, hangs(writes, 0), PUT_LIMIT),
        // One, and what ends the claim or gives it up.
        ("puts hang", a_create, hangs(writes, 1), 2 * PUT_LIMIT),
        // Twice, and the time between in which it may still take effect.
        ("deletes hang", a_delete, hangs(writes, 1), 3 * PUT_LIMIT),
        ("refuses to connect", a_create, Silence::Refused, READ_LIMIT),
        ("lets nobody in", a_create, Silence::NotTaken, READ_LIMIT),
    ];
    let named = cases.map(|case| (case.0.to_owned(), case));
    let all_took = side_by_side(named.into(), |(_, make, silence, limit)| {
        let took = told_after(make, silence);
        assert!(took < limit + SLACK, "{took:?}");
        took
    });
    let columns = ["told after", "limit"].map(str::to_owned);
    let mut table = Table::new("an SSM that does not answer", "how", &columns);
    for ((name, _, _, limit), took) in cases.into_iter().zip(all_took) {
        table.add(name, [took, limit].map(seconds).to_vec());
    }
    table.print();
}

/// How long it takes until CloudFormation is told that SSM does not answer.
fn told_after(make: Make, silence: Silence) -> Duration {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let silent = listener.local_addr().expect("it is bound");
    // Its port is nobody else's while it is open, and nobody listens there.
    let client = TcpStream::connect(silent).expect("the kernel takes connections for the listener");
    let refused = client.local_addr().expect("it is connected");
    let rig = match silence {
        Silence::Hangs(..) => Rig::start(),
        Silence::Refused => rig_with_ssm_at(refused),
        Silence::NotTaken => rig_with_ssm_at(silent),
    };
    let event = make(&rig);
    if let Silence::Hangs(calls, skip) = silence {
        rig.ssm.fail(calls, skip, usize::MAX, Fault::Hang);
    }
    let began = clock::instant();
    rig.deliver(&event).failed(&["got no answer"]);
    began.elapsed()
}

fn rig_with_ssm_at(address: SocketAddr) -> Rig {
    let endpoint = (
        "AWS_ENDPOINT_URL_SSM".to_owned(),
        format!("http://{address}"),
    );
    Rig::with(&Settings {
        environment: vec![endpoint],
        ..Settings::default()
    })
}

#[test]
fn a_rotation_and_a_delete_of_which_any_write_is_refused_for_a_while_succeed_and_cut_nobody_off() {
    let cases = [THROTTLING, TOO_MANY_UPDATES].map(|code| (code.to_owned(), code));
    side_by_side(cases.into(), |code| {
        let rig = Rig::start();
        let writes = Resource::created(&rig, "undisturbed")
            .rotate("1")
            .puts()
            .len();
        let strike = |skip| {
            let fault = Fault::Refuse(400, code);
            rig.ssm.fail(Calls::Writes, skip, 3, fault);
        };
        for struck in 0..writes {
            let rack = format!("rack-{struck}");
            let mut generator = Resource::created(&rig, &rack);
            let before = Set::read(&rig.ssm, &rack);
            strike(struck);
            generator.rotate("1");
            rig.ssm.recover();
            let after = Set::read(&rig.ssm, &rack);
            check_coherent(&after);
            Published::of(&[&before, &after]).check_all_connect();
            generator.check_kept();

            // It has two writes: the claim, and the delete itself.
            strike(struck % 2);
            generator.delete().succeeded();
            rig.ssm.recover();
            assert_eq!(Set::read(&rig.ssm, &rack).parts(), []);
        }
    });
}

#[test]
fn the_event_after_a_holder_that_was_killed_waits_for_the_rest_of_its_lease_and_completes() {
    // A lease lasts as long as its holder's handling may, and a put on top.
    let lease = SHORT_HANDLING + PUT_LIMIT;
    let rig = Rig::start();
    let mut generator = Resource::created(&rig, RACK);
    let before = Set::read(&rig.ssm, RACK);
    let holder = rig.start_more(1).remove(0);
    // The claim and the state are written; the CA key arrives when its sender is dead.
    let (put, was_put) = mpsc::channel();
    let (killed, was_killed) = mpsc::channel::<()>();
    let was_killed = Mutex::new(was_killed);
    let wait_for_death = Fault::After(Box::new(move |_| {
        // Both fail where the test has failed.
        let _ = put.send(());
        let _ = was_killed.lock().expect("no holder panics").recv();
    }));
    rig.ssm.fail(Calls::Writes, 2, 1, wait_for_death);
    let began = clock::instant();
    let rotation = generator.change_event(json!({ "RotationToken": "1" }));
    holder.send(SHORT_TIMEOUT, &rotation);
    was_put
        .recv_timeout(FUNCTION_TIMEOUT)
        .expect("the holder comes to its third write");
    holder.stop();
    drop(killed);

    generator.rotate("1");
    let took = began.elapsed();
    let after = Set::read(&rig.ssm, RACK);
    check_coherent(&after);
    Published::of(&[&before, &after]).check_all_connect();
    generator.check_kept();
    // The clock that leases are measured by counts whole milliseconds.
    assert!(took + Duration::from_millis(100) > lease, "{took:?}");
    assert!(took < lease + SLACK, "{took:?}");
}
