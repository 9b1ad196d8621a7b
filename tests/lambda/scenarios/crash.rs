//! A store that refuses every write from the k-th on, for every k: the event fails with a reason, the next one heals,
//! and nobody who could connect is refused at any moment.

use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};

use crate::certificates::{certificates, check_coherent, fingerprint};
use crate::cloudformation::Resource;
use crate::fixtures;
use crate::published::Published;
use crate::rack::{self, Set};
use crate::rig::{Exchange, FUNCTION_TIMEOUT, Rig, SHORT_TIMEOUT, side_by_side};
use crate::ssm::Calls;

/// What stands before the event that crashes.
type Prepare = fn(&Rig) -> Resource<'_>;

/// What the event changes, given what stands.
type Changes = fn(&Rig) -> Value;

const RACK: &str = "rack-1";

fn ours(rig: &Rig) -> Resource<'_> {
    Resource::created(rig, RACK)
}

fn ours_rotated(rig: &Rig) -> Resource<'_> {
    let mut generator = ours(rig);
    generator.rotate("0");
    generator
}

fn ours_without_ca_key(rig: &Rig) -> Resource<'_> {
    let generator = ours(rig);
    rig.ssm.remove(&rack::name(Part::CaKey, RACK));
    generator
}

fn ours_without_key(rig: &Rig) -> Resource<'_> {
    let generator = ours(rig);
    rig.ssm.remove(&rack::name(Part::Key, RACK));
    generator
}

fn ours_with_a_short_lived_ca(rig: &Rig) -> Resource<'_> {
    let mut generator = Resource::generator(rig, RACK);
    let short = json!({ "CAValidityDays": "59", "RenewBeforeDays": "29" });
    generator.create(short).succeeded();
    generator
}

fn deployed(rig: &Rig) -> Resource<'_> {
    let [deployed, _] = fixtures::deployed();
    assert_eq!(deployed.rack, RACK);
    deployed.install(&rig.ssm);
    Resource::generator(rig, RACK).existing(&deployed.physical_id)
}

fn token(_: &Rig) -> Value {
    json!({ "RotationToken": "1" })
}

fn version(_: &Rig) -> Value {
    json!({ "Version": "2" })
}

fn default_lifetimes(_: &Rig) -> Value {
    json!({ "CAValidityDays": null, "RenewBeforeDays": null })
}

fn close(rig: &Rig) -> Value {
    let bundle = certificates(Set::read(&rig.ssm, RACK).value(Part::CaCert));
    json!({ "RetiredCA": fingerprint(&bundle[1]) })
}

fn take_back(rig: &Rig) -> Value {
    let bundle = certificates(Set::read(&rig.ssm, RACK).value(Part::CaCert));
    let [current, previous] = [0, 1].map(|index: usize| fingerprint(&bundle[index]));
    json!({ "RetiredCA": format!("{current}/{previous}") })
}

#[test]
fn a_rotation_of_our_own_set_can_stop_before_any_write() {
    check_every_crash(ours, token);
}

#[test]
fn a_second_rotation_can_stop_before_any_write() {
    check_every_crash(ours_rotated, token);
}

#[test]
fn a_rotation_of_a_deployed_set_can_stop_before_any_write() {
    check_every_crash(deployed, token);
}

#[test]
fn a_close_can_stop_before_any_write() {
    check_every_crash(ours_rotated, close);
}

#[test]
fn taking_a_rotation_back_can_stop_before_any_write() {
    check_every_crash(ours_rotated, take_back);
}

#[test]
fn a_renewal_of_the_ca_can_stop_before_any_write() {
    check_every_crash(ours_with_a_short_lived_ca, default_lifetimes);
}

#[test]
fn a_replacement_of_a_lost_ca_key_can_stop_before_any_write() {
    check_every_crash(ours_without_ca_key, version);
}

#[test]
fn a_replacement_of_a_lost_key_can_stop_before_any_write() {
    check_every_crash(ours_without_key, version);
}

/// Runs an update once undisturbed to count its writes, and then once for each of them with the store refusing it.
#[track_caller]
fn check_every_crash(prepare: Prepare, changes: Changes) {
    let writes = {
        let rig = Rig::start();
        let mut generator = prepare(&rig);
        generator.update(changes(&rig)).succeeded().puts().len()
    };
    assert!(writes > 2, "{writes}");
    let mut cases = Vec::new();
    for passing in 0..writes {
        for recovery in [Recovery::SameAgain, Recovery::RollbackFirst] {
            cases.push((
                format!("{passing} of {writes} writes, then {recovery:?}"),
                (passing, recovery),
            ));
        }
    }
    side_by_side(cases, |(passing, recovery)| {
        check_crash(prepare, changes, Crash { passing, writes }, recovery);
    });
}

/// Where an event is stopped.
#[derive(Clone, Copy, Debug)]
struct Crash {
    /// How many writes the store takes before it refuses them.
    passing: usize,
    /// How many there are, the claim and its end included.
    writes: usize,
}

impl Crash {
    /// Has an event stopped, and checks what it is answered.
    #[track_caller]
    fn strike<'rig>(
        self,
        rig: &Rig,
        generator: &mut Resource<'rig>,
        deliver: impl FnOnce(&mut Resource<'rig>) -> Exchange,
    ) {
        rig.ssm.refuse(Calls::Writes, self.passing);
        generator.set_timeout(SHORT_TIMEOUT);
        let crashed = deliver(generator);
        generator.set_timeout(FUNCTION_TIMEOUT);
        rig.ssm.recover();
        if self.passing + 1 == self.writes {
            // All is done but for the claim, which runs out.
            crashed.succeeded();
        } else {
            crashed.failed(&["PutParameter", "AccessDenied"]);
        }
    }
}

/// What comes after the update that was stopped.
#[derive(Clone, Copy, Debug)]
enum Recovery {
    /// The same update again.
    SameAgain,
    /// What CloudFormation does by itself: an update back. The operator tries again then.
    RollbackFirst,
}

fn check_crash(prepare: Prepare, changes: Changes, crash: Crash, recovery: Recovery) {
    let rig = Rig::start();
    let mut generator = prepare(&rig);
    let changes = changes(&rig);
    let read = || Set::read(&rig.ssm, RACK);
    let mut all = Published::default();
    all.add(&read());

    crash.strike(&rig, &mut generator, |generator| {
        generator.update(changes.clone())
    });
    all.add(&read());
    all.check_all_connect();

    if let Recovery::RollbackFirst = recovery {
        generator.roll_back(changes.clone()).succeeded();
        all.add(&read());
        all.check_all_connect();
    }
    generator.update(changes).succeeded();
    let healed = read();
    check_coherent(&healed);
    all.add(&healed);
    all.check_all_connect();
    generator.check_kept();
    assert_eq!(read(), healed);
}

#[test]
fn a_create_can_stop_before_any_write_and_leaves_nothing_that_its_delete_does_not_remove() {
    let writes = {
        let rig = Rig::start();
        Resource::generator(&rig, RACK)
            .create(json!({}))
            .succeeded()
            .puts()
            .len()
    };
    let cases = (0..writes).map(|passing| {
        let crash = Crash { passing, writes };
        (format!("{passing} of {writes} writes"), crash)
    });
    side_by_side(cases.collect(), check_create_crash);
}

fn check_create_crash(crash: Crash) {
    let rig = Rig::start();
    let mut generator = Resource::generator(&rig, RACK);
    crash.strike(&rig, &mut generator, |generator| {
        generator.create(json!({}))
    });
    let owned = rig.ssm.read(&rack::state(RACK)).is_some();
    let expected = if owned {
        "7261636b2d31"
    } else {
        "not-created-7261636b2d31"
    };
    assert_eq!(generator.physical_id(), expected);
    generator.check_removed();
    generator.create(json!({})).succeeded();
    check_coherent(&Set::read(&rig.ssm, RACK));
    generator.check_kept();
}
