//! Several processes at the same rack at once: one coherent set or nothing, SUCCESS for every event, and nobody waits
//! for long.

use std::time::Duration;

use docker_tls_testing::table::Table;
use serde_json::{Value, json};

use crate::certificates::check_coherent;
use crate::clock;
use crate::cloudformation::Resource;
use crate::published::Published;
use crate::rack::{self, Set};
use crate::rig::{Response, Rig};
use crate::runtime_api::Function;

const ROUNDS: usize = 20;
const PROCESSES: usize = 6;

/// The longest that a round may take, but for what its six events take one after the other: a collision costs a wait,
/// never a lease.
const LONGEST_ROUND: Duration = Duration::from_secs(10);

const RACK: &str = "rack-1";

#[test]
fn six_deliveries_of_a_create_of_a_rotation_and_of_a_delete_at_once_make_rotate_and_remove_one_set()
{
    let rig = Rig::start();
    let functions = rig.start_more(PROCESSES);
    let mut times = Times::new(["a Create", "a rotation", "a Delete"]);
    for _ in 0..ROUNDS {
        times.begin_round(&rig);
        let generator = Resource::generator(&rig, RACK);
        let create = generator.create_event();
        let created = times.deliver("a Create", &rig, &functions, &six_of(&create));
        check_alike(&created);
        let first = Set::read(&rig.ssm, RACK);
        check_coherent(&first);

        let generator = generator.existing(&rack::hex(RACK));
        let rotate = rotation(&generator, "1");
        let rotated = times.deliver("a rotation", &rig, &functions, &six_of(&rotate));
        check_alike(&rotated);
        assert_eq!(
            rotated[0].data("PreviousCACertSha256"),
            created[0].data("CACertSha256")
        );
        let second = Set::read(&rig.ssm, RACK);
        check_coherent(&second);
        Published::of(&[&first, &second]).check_all_connect();

        let delete = generator.delete_event(generator.physical_id());
        times.deliver("a Delete", &rig, &functions, &six_of(&delete));
        assert_eq!(rig.ssm.names(), [""; 0]);
    }
    times.print("six deliveries at once");
}

#[test]
fn two_creates_two_rotations_and_two_deletes_of_six_stacks_at_once_leave_one_set_and_then_nothing()
{
    let rig = Rig::start();
    let functions = rig.start_more(PROCESSES);
    let mut times = Times::new(["two of each", "four Deletes"]);
    let stacks = |names: [&str; 2]| {
        let generator = |name| Resource::generator(&rig, RACK).in_stack(name);
        names.map(|name| generator(name).existing(&rack::hex(RACK)))
    };
    let delete = |generator: &Resource| generator.delete_event(generator.physical_id());
    for _ in 0..ROUNDS {
        times.begin_round(&rig);
        let creating = stacks(["one", "two"]);
        let rotating = stacks(["three", "four"]);
        let deleting = stacks(["five", "six"]);
        for generator in rotating.iter().chain(&deleting) {
            rig.deliver(&generator.create_event()).succeeded();
        }
        let first = Set::read(&rig.ssm, RACK);

        let mut events: Vec<_> = creating.iter().map(Resource::create_event).collect();
        events.extend(
            rotating
                .iter()
                .zip(["1", "2"])
                .map(|(one, token)| rotation(one, token)),
        );
        events.extend(deleting.iter().map(delete));
        times.deliver("two of each", &rig, &functions, &events);
        let last = Set::read(&rig.ssm, RACK);
        check_coherent(&last);
        Published::of(&[&first, &last]).check_all_connect();

        let events: Vec<_> = creating.iter().chain(&rotating).map(delete).collect();
        times.deliver("four Deletes", &rig, &functions, &events);
        assert_eq!(rig.ssm.names(), [""; 0]);
    }
    times.print("events of six stacks at once");
}

#[test]
fn three_stacks_that_create_one_rack_share_one_set_until_the_last_one_goes() {
    let rig = Rig::start();
    let functions = rig.start_more(3);
    let stacks = ["one", "two", "three"];
    let resources = stacks.map(|stack| Resource::generator(&rig, RACK).in_stack(stack));
    let events: Vec<_> = resources.iter().map(Resource::create_event).collect();
    check_alike(&deliver(&rig, &functions, &events).0);
    let set = Set::read(&rig.ssm, RACK);
    check_coherent(&set);
    let [one, two, three] = resources.map(|resource| resource.existing("7261636b2d31"));
    one.delete().succeeded();
    two.delete().succeeded();
    assert_eq!(Set::read(&rig.ssm, RACK), set);
    three.check_removed();
}

fn six_of(event: &Value) -> Vec<Value> {
    vec![event.clone(); PROCESSES]
}

/// An Update by which a resource rotates the rack's CA.
#[track_caller]
fn rotation(generator: &Resource, token: &str) -> Value {
    generator.change_event(json!({ "RotationToken": token }))
}

/// Has each function handle an event at the same time, and checks that all succeed.
#[track_caller]
fn deliver(rig: &Rig, functions: &[Function], events: &[Value]) -> (Vec<Response>, Duration) {
    let (responses, took) = rig.deliver_at_once(functions, events);
    for response in &responses {
        assert_eq!(response.status(), "SUCCESS", "{}", response.text);
    }
    (responses, took)
}

/// Checks that all events were told of the same set.
#[track_caller]
fn check_alike(responses: &[Response]) {
    for response in responses {
        let data = |response: &Response| {
            let keys = response.data_keys().into_iter();
            let data = keys.map(|key| (key.to_owned(), response.data(key).to_owned()));
            data.collect::<Vec<_>>()
        };
        assert_eq!(data(response), data(&responses[0]));
    }
}

/// How long rounds took, by what was delivered in them.
struct Times<const KINDS: usize> {
    kinds: [(&'static str, Vec<Duration>); KINDS],
    /// What one event takes that nobody is in the way of: a machine that has other things to do is no reason to fail.
    alone: Duration,
}

impl<const KINDS: usize> Times<KINDS> {
    fn new(kinds: [&'static str; KINDS]) -> Self {
        Self {
            kinds: kinds.map(|kind| (kind, Vec::new())),
            alone: Duration::ZERO,
        }
    }

    /// Measures how busy the machine is.
    #[track_caller]
    fn begin_round(&mut self, rig: &Rig) {
        let began = clock::instant();
        let alone = Resource::created(rig, "alone");
        self.alone = began.elapsed();
        alone.check_removed();
    }

    /// [`deliver`] with the time that it takes noted down: it must not be too long.
    #[track_caller]
    fn deliver(
        &mut self,
        kind: &str,
        rig: &Rig,
        functions: &[Function],
        events: &[Value],
    ) -> Vec<Response> {
        let (responses, took) = deliver(rig, functions, events);
        let alone = self.alone;
        assert!(
            took < LONGEST_ROUND + 6 * alone,
            "{kind}: {took:?}, and one alone {alone:?}"
        );
        let times = self.kinds.iter_mut().find(|(name, _)| *name == kind);
        times.expect("the kind is one of these").1.push(took);
        responses
    }

    /// Shows all of them.
    fn print(mut self, title: &str) {
        let columns = ["rounds", "median", "worst"].map(str::to_owned);
        let mut table = Table::new(title, "of", &columns);
        for (kind, times) in &mut self.kinds {
            times.sort_unstable();
            let seconds = |rank: usize| format!("{:.2} s", times[rank].as_secs_f64());
            let [median, worst] = [times.len() / 2, times.len() - 1].map(seconds);
            table.add(kind, vec![times.len().to_string(), median, worst]);
        }
        table.print();
    }
}
