//! How fast sets are read, and what becomes of those that cannot be.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;

use docker_tls_certgen::function::watch::Watched;
use docker_tls_certgen::machine::Machine;
use docker_tls_certgen::pki::authority::Mint;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::inspection::Inspection;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::plan::standing::Standing;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::store::{Deletion, ParameterStore, Put, Selector, StoreAction, StoreError};
use docker_tls_testing::event::make_update;
use docker_tls_testing::mint::FreshMint;
use docker_tls_testing::sets::{NOW, make_own, set_value};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::parse;

/// How many reads SSM allows an account in a second by default.
const READS_PER_SECOND: usize = 40;
/// How long an invocation has, as template.yaml says, but for what is kept back.
const TIME_LIMIT: Duration = Duration::seconds(890);

/// An account of which every rack has the same set, on a machine whose clock moves where somebody waits.
struct World {
    stored: StoredSet,
    /// What the reads of some racks are answered.
    refusals: BTreeMap<&'static str, StoreError>,
    /// How long a read takes; nothing, so that nothing but the function itself keeps it from reading too fast.
    read_takes: Duration,
    /// Until when every read is refused.
    busy_until: OffsetDateTime,
    /// Whether no read ends.
    hangs: bool,
    now: Cell<OffsetDateTime>,
    reads: RefCell<Vec<(OffsetDateTime, String, usize)>>,
}

impl World {
    fn new() -> Self {
        Self {
            stored: make_own(KeyAlgorithm::EcdsaP256),
            refusals: BTreeMap::new(),
            read_takes: Duration::ZERO,
            busy_until: NOW,
            hangs: false,
            now: Cell::new(NOW),
            reads: RefCell::default(),
        }
    }

    /// Has another invocation hold the claim.
    fn claim_until(&mut self, until: OffsetDateTime) {
        let milliseconds = until.unix_timestamp() * 1_000;
        let claim = json!({ "nonce": "another's", "until": milliseconds });
        set_value(&mut self.stored, Part::Claim, &claim.to_string());
    }

    /// Watches, and gives what is answered or why not, and the racks whose inspections were logged.
    async fn watch(&self, watch: &Value) -> (Result<Watched, String>, Vec<String>) {
        let watch = parse(&json!({ "Watch": watch })).expect("a watch");
        let mut logged = Vec::new();
        let log = |standing: &Standing| logged.push(standing.rack.clone());
        let watched = watch.run(self, self, log).await;
        (watched.map_err(|error| error.to_string()), logged)
    }
}

fn make_throttled() -> StoreError {
    StoreError::Throttled {
        action: StoreAction::Get,
        parameter: "its parameters".to_owned(),
        code: "ThrottlingException".to_owned(),
        message: "Rate exceeded".to_owned(),
    }
}

impl ParameterStore for World {
    async fn read(&self, rack: &Rack, selectors: &[Selector]) -> Result<StoredSet, StoreError> {
        let read = (self.now.get(), rack.name().to_owned(), selectors.len());
        self.reads.borrow_mut().push(read);
        if self.hangs {
            pending::<()>().await;
        }
        let now = self.now.get();
        let busy = (now < self.busy_until).then(make_throttled);
        let Some(refusal) = self.refusals.get(rack.name()).cloned().or(busy) else {
            self.now.set(now + self.read_takes);
            return Ok(self.stored.clone());
        };
        self.now.set(now + Duration::MILLISECOND);
        Err(refusal)
    }

    async fn put(&self, _: &Rack, _: &Put<'_>) -> Result<i64, StoreError> {
        panic!("a watch writes nothing")
    }

    async fn delete(&self, _: &Rack, _: Deletion) -> Result<(), StoreError> {
        panic!("a watch deletes nothing")
    }
}

impl Machine for World {
    fn now(&self) -> OffsetDateTime {
        self.now.get()
    }

    fn time_left(&self) -> Duration {
        NOW + TIME_LIMIT - self.now.get()
    }

    async fn pause(&self, duration: Duration) {
        self.now.set(self.now.get() + duration);
    }

    fn jitter(&self) -> f64 {
        1.0
    }

    fn nonce(&self) -> String {
        panic!("a watch claims nothing")
    }

    fn mint(&self) -> impl Mint {
        FreshMint
    }
}

#[tokio::test]
async fn a_thousand_racks_leave_half_of_an_accounts_reads_to_others() {
    let world = World::new();
    let racks: Vec<_> = (0..1_000)
        .map(|n| json!({ "Rack": format!("rack-{n}") }))
        .collect();
    let (watched, logged) = world.watch(&json!({ "Racks": racks })).await;
    assert_eq!(watched.expect("all are read").racks.len(), 1_000);
    assert_eq!(logged.len(), 1_000);
    let reads = world.reads.borrow();
    assert_eq!(reads.len(), 1_000);
    for (first, (began, _, parts)) in reads.iter().enumerate() {
        // One call for each, for ten names are as many as it may have.
        assert_eq!(*parts, Part::ALL.len());
        let within = reads[first..]
            .iter()
            .take_while(|(at, ..)| *at - *began < Duration::SECOND);
        assert!(within.count() <= READS_PER_SECOND / 2, "{began}");
    }
    assert!(world.time_left() > TIME_LIMIT - Duration::minutes(1));
}

#[tokio::test]
async fn the_sets_that_can_be_read_are_told_of_though_others_cannot() {
    let mut world = World::new();
    let (action, parameter) = (StoreAction::Get, "its parameters".to_owned());
    let refused = StoreError::Refused {
        action,
        parameter,
        code: "AccessDeniedException".to_owned(),
        message: "no".to_owned(),
    };
    world.refusals.insert("refused", refused);
    world.refusals.insert("throttled", make_throttled());
    let racks = json!([
        { "Rack": "refused" },
        { "Rack": "rack-1" },
        { "Rack": "rack-2", "RenewBeforeDay": "60" },
        { "Rack": "rack-3", "ValidityDays": "forever" },
        { "RenewBeforeDays": "60" },
        { "Rack": "rack-4" },
        { "Rack": "throttled" },
    ]);
    let (watched, logged) = world.watch(&json!({ "Racks": racks })).await;
    assert_eq!(logged, ["rack-1", "rack-4"]);
    let error = watched.expect_err("not all were read");
    assert!(
        error.starts_with("5 of 7 sets could not be watched: "),
        "{error}"
    );
    for told in [
        "refused: GetParameters of its parameters was refused: AccessDeniedException",
        "rack-2: property \"RenewBeforeDay\" is unknown; did you mean RenewBeforeDays?",
        "rack-3: property ValidityDays is \"forever\"",
        "rack 5: property Rack is missing",
        "throttled: GetParameters of its parameters was refused, for SSM has too many calls",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
    // It was asked for until time was up, and no number was made up.
    let times = world
        .reads
        .borrow()
        .iter()
        .filter(|(_, rack, _)| rack == "throttled")
        .count();
    assert!(times > 10, "{times}");
}

#[tokio::test]
async fn a_rack_that_is_refused_uses_up_no_others_time_and_the_first_refusal_may_pass() {
    let mut world = World::new();
    for rack in ["refused-1", "refused-2"] {
        world.refusals.insert(rack, make_throttled());
    }
    let names = ["refused-1", "rack-1", "refused-2", "rack-2"];
    let racks = names.map(|rack| json!({ "Rack": rack }));
    let (watched, logged) = world.watch(&json!({ "Racks": racks })).await;
    assert_eq!(logged, ["rack-1", "rack-2"]);
    assert!(
        world.reads.borrow()[..4]
            .iter()
            .map(|(_, rack, _)| rack)
            .eq(&names)
    );
    let error = watched.expect_err("two were not read");
    assert!(
        error.starts_with("2 of 4 sets could not be watched: refused-1: "),
        "{error}"
    );
    assert!(
        error.contains("refused-2: GetParameters of its parameters was refused"),
        "{error}"
    );
    // Whoever is refused stands behind the others again.
    world.refusals.clear();
    world.now.set(NOW);
    world.busy_until = NOW + Duration::seconds(10);
    let (watched, logged) = world.watch(&json!({ "Racks": racks })).await;
    let watched = watched.expect("all are read once the store has room");
    assert_eq!(logged.len(), names.len());
    assert!(
        watched.racks.iter().map(|set| &set.rack).eq(&names),
        "in the order of the event"
    );
}

#[tokio::test]
async fn what_there_is_no_time_for_is_said_at_once_and_not_read() {
    let mut world = World::new();
    world.read_takes = TIME_LIMIT / 2;
    let racks: Vec<_> = (1..=1_000)
        .map(|n| json!({ "Rack": format!("rack-{n}") }))
        .collect();
    let (watched, logged) = world.watch(&json!({ "Racks": racks })).await;
    assert_eq!(logged, ["rack-1", "rack-2"]);
    assert_eq!(world.reads.borrow().len(), 2);
    assert!(world.time_left() > -Duration::SECOND);
    let error = watched.expect_err("most were not read");
    let told = "998 of 1000 sets could not be watched: rack-3: time ran out before it was read; watch fewer racks";
    assert!(error.starts_with(told), "{error}");
}

#[tokio::test]
async fn a_read_that_does_not_end_ends_with_the_time() {
    let mut world = World::new();
    world.hangs = true;
    let (watched, logged) = world.watch(&json!({ "Rack": "rack-1" })).await;
    assert_eq!(logged, [""; 0]);
    let error = watched.expect_err("it was not read");
    assert!(error.contains("rack-1: time ran out"), "{error}");
}

#[tokio::test]
async fn a_set_that_is_being_written_is_looked_at_once_it_is_whole() {
    let mut world = World::new();
    let until = NOW + Duration::seconds(20);
    world.claim_until(until);
    let (watched, logged) = world.watch(&json!({ "Rack": "rack-1" })).await;
    assert_eq!(logged, ["rack-1"]);
    let now = watched.expect("its writer's time is up").racks[0].now;
    assert!(now >= until && now < until + Duration::seconds(10), "{now}");

    world.now.set(NOW);
    world.claim_until(NOW + 2 * TIME_LIMIT);
    let (watched, logged) = world.watch(&json!({ "Rack": "rack-1" })).await;
    assert_eq!(logged, [""; 0]);
    let error = watched.expect_err("it was never whole");
    assert!(
        error.contains("rack-1: another invocation was writing it"),
        "{error}"
    );
}

#[tokio::test]
async fn one_rack_is_answered_with_what_inspect_says_of_it() {
    let world = World::new();
    let (watched, _) = world.watch(&json!({ "Rack": "rack-1" })).await;
    let watched = serde_json::to_value(watched.expect("it is read")).expect("JSON");
    let spec = Spec::hypothetical(make_update(&json!({})).properties);
    let inspection = Inspection::of(&spec, &world.stored, NOW);
    let inspection = serde_json::to_value(inspection).expect("JSON");
    let fields = ["rack", "id", "now", "outlook", "warnings", "next"];
    let expected = fields.map(|field| (field, &inspection[field]));
    assert_eq!(watched, json!({ "racks": [BTreeMap::from(expected)] }));
}
