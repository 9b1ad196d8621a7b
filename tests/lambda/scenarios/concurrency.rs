//! Several processes at the same rack at once: one coherent set, and SUCCESS for every event.

use std::thread;

use serde_json::{Value, json};

use crate::certificates::check_coherent;
use crate::cloudformation::Resource;
use crate::rack::Set;
use crate::rig::FUNCTION_TIMEOUT;
use crate::rig::{Invoke as _, Rig};
use crate::runtime_api::{Function, Settings};

const ROUNDS: usize = 20;

/// Has each function handle an event at the same time; returns the bodies that arrived.
#[track_caller]
fn deliver_at_once(rig: &Rig, functions: &[Function], events: &[Value]) -> Vec<Value> {
    thread::scope(|scope| {
        for (function, event) in functions.iter().zip(events) {
            scope.spawn(move || {
                let outcome = function.invoke(FUNCTION_TIMEOUT, event);
                assert!(outcome.is_ok(), "{outcome:?}\n{}", function.log());
            });
        }
    });
    let mut targets = rig.sink.targets();
    targets.sort();
    targets.dedup();
    let uploads = targets.iter().flat_map(|target| rig.sink.take(target));
    let bodies = uploads.map(|upload| serde_json::from_slice(&upload.body).expect("it is JSON"));
    bodies.collect()
}

#[track_caller]
fn check_all_succeed_alike(bodies: &[Value]) {
    for body in bodies {
        assert_eq!(body["Status"], "SUCCESS", "{body}");
        assert_eq!(body["Data"], bodies[0]["Data"]);
    }
}

fn three(rig: &Rig) -> [Function; 3] {
    [(); 3].map(|()| Function::start(&rig.ssm, &rig.sink, &Settings::default()))
}

#[test]
fn three_deliveries_of_one_create_make_one_set() {
    let rig = Rig::start();
    let functions = three(&rig);
    for round in 0..ROUNDS {
        let rack = format!("rack-{round}");
        let event = Resource::generator(&rig, &rack).create_event();
        let bodies = deliver_at_once(&rig, &functions, &[event.clone(), event.clone(), event]);
        assert_eq!(bodies.len(), 3);
        check_all_succeed_alike(&bodies);
        check_coherent(&Set::read(&rig.ssm, &rack));
    }
}

#[test]
fn three_stacks_that_create_one_rack_share_one_set_until_the_last_one_goes() {
    let rig = Rig::start();
    let functions = three(&rig);
    let stacks = ["one", "two", "three"];
    let resources = stacks.map(|stack| Resource::generator(&rig, "rack-1").in_stack(stack));
    let events: Vec<_> = resources.iter().map(Resource::create_event).collect();
    check_all_succeed_alike(&deliver_at_once(&rig, &functions, &events));
    let set = Set::read(&rig.ssm, "rack-1");
    check_coherent(&set);
    let [one, two, three] = resources.map(|resource| resource.existing("7261636b2d31"));
    one.delete().succeeded();
    two.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), set);
    three.check_removed();
}

#[test]
fn three_deliveries_of_one_rotation_rotate_once() {
    let rig = Rig::start();
    let functions = three(&rig);
    let mut generator = Resource::generator(&rig, "rack-1");
    let created = generator.create(json!({})).succeeded();
    let old = generator.create_event()["ResourceProperties"].clone();
    let mut new = old.clone();
    new["RotationToken"] = json!("1");
    let event = generator.update_event(&new, &old);
    let bodies = deliver_at_once(&rig, &functions, &[event.clone(), event.clone(), event]);
    check_all_succeed_alike(&bodies);
    let previous = created.current_ca();
    assert_eq!(bodies[0]["Data"]["PreviousCACertSha256"], previous);
    check_coherent(&Set::read(&rig.ssm, "rack-1"));
}
