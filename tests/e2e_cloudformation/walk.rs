//! Random walks over two stacks and two racks: what people do to stacks, with all of AWS there and without. After every
//! step openssl judges everything that was published since the last close, each against each.
//!
//! The same walks in every run; WALK_SEED and WALK_STEPS in the environment make others, and longer ones. Their steps
//! are told only where something goes wrong: they are hundreds.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use docker_tls_certgen::set::rack::Part;

use crate::certificates::{certificates, check_coherent, fingerprint};
use crate::dice::Dice;
use crate::rack::{self, Set};
use crate::readers::Readers;
use crate::stack::{Stack, Step};
use crate::story::{Outage, Story};
use crate::table::Table;
use crate::template::{GENERATOR, Order, Template};

/// How many deeds a walk has, unless the environment says otherwise.
const STEPS: u64 = 150;
const STEPS_VARIABLE: &str = "WALK_STEPS";
/// What it is made from, unless the environment says otherwise.
const SEED: u64 = 1;
const SEED_VARIABLE: &str = "WALK_SEED";

const RENAMED: &str = "Renamed";
/// A rack's state keeps more tokens than these; a token that it has forgotten is new.
const REMEMBERED_TOKENS: usize = 8;

/// What is done to a stack.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Deed {
    Create,
    BadCreate,
    Plain,
    NewToken,
    SeenToken,
    Word,
    BadProperty,
    Failure(Order, Change),
    AnotherRack,
    NoRack,
    AnotherName,
    Delete,
}

/// What is changed in an update in which another resource fails.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Change {
    Version,
    Token,
    Rack,
}

impl Deed {
    /// To a stack that does not exist.
    const WITHOUT_STACK: [Self; 3] = [Self::Create, Self::Create, Self::BadCreate];
    /// To one without a rack.
    const WITHOUT_RACK: [Self; 3] = [Self::Plain, Self::AnotherRack, Self::Delete];
    /// To one with a rack.
    const WITH_RACK: [Self; 14] = [
        Self::Plain,
        Self::NewToken,
        Self::NewToken,
        Self::SeenToken,
        Self::Word,
        Self::BadProperty,
        Self::Failure(Order::Before, Change::Rack),
        Self::Failure(Order::After, Change::Version),
        Self::Failure(Order::After, Change::Token),
        Self::Failure(Order::After, Change::Rack),
        Self::AnotherRack,
        Self::NoRack,
        Self::AnotherName,
        Self::Delete,
    ];

    /// What a stack comes to, where all of AWS is there.
    fn end(self) -> &'static str {
        match self {
            Self::Create => "CREATE_COMPLETE",
            Self::BadCreate => "ROLLBACK_COMPLETE",
            Self::BadProperty | Self::Failure(..) => "UPDATE_ROLLBACK_COMPLETE",
            Self::Delete => "DELETE_COMPLETE",
            _ => "UPDATE_COMPLETE",
        }
    }
}

/// A stack of the walk.
struct Walker<'story> {
    stack: Stack<'story>,
    exists: bool,
    /// How often it was created: a stack of the same name is another one.
    incarnation: usize,
    /// Which rack it has.
    rack: Option<usize>,
    is_renamed: bool,
}

/// A rack of the walk.
struct Place {
    name: String,
    readers: Readers,
    /// The tokens that it has seen, oldest first.
    tokens: Vec<String>,
    /// Owners whose Delete failed, and is not sent again: which stack, which of its lives, which resource.
    abandoned: BTreeSet<(usize, usize, String)>,
}

/// A walk, and what is known on the way.
struct Walk<'story> {
    story: &'story Story,
    dice: Dice,
    /// Others, so that outages do not change what is done.
    outages: Option<Dice>,
    function: String,
    places: [Place; 2],
    walkers: [Walker<'story>; 2],
    tokens: usize,
    versions: usize,
    counts: BTreeMap<(Deed, String), usize>,
}

impl<'story> Walk<'story> {
    fn new(story: &'story Story, name: &str, has_outages: bool) -> Self {
        let seed = number(SEED_VARIABLE, SEED);
        let function = format!("{name}-certgen");
        let walker = |stack: &str| Walker {
            stack: Stack::of(story, &format!("{name}-{stack}"), Template::ours()),
            exists: false,
            incarnation: 0,
            rack: None,
            is_renamed: false,
        };
        let place = |number| Place {
            name: format!("{name}-{number}"),
            readers: Readers::default(),
            tokens: Vec::new(),
            abandoned: BTreeSet::new(),
        };
        Self {
            story,
            dice: Dice::new(seed),
            outages: has_outages.then(|| Dice::new(!seed)),
            function,
            places: [1, 2].map(place),
            walkers: ["a", "b"].map(walker),
            tokens: 0,
            versions: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Does something to one of the stacks, and judges what has become of both racks.
    #[track_caller]
    fn go(&mut self) {
        let which = self.dice.roll() % self.walkers.len();
        let walker = &self.walkers[which];
        let deed = match (walker.exists, walker.rack) {
            (false, _) => self.dice.one_of(&Deed::WITHOUT_STACK),
            (true, None) => self.dice.one_of(&Deed::WITHOUT_RACK),
            (true, Some(_)) => self.dice.one_of(&Deed::WITH_RACK),
        };
        self.act(which, deed);
    }

    /// Deletes what there is.
    #[track_caller]
    fn end(&mut self) {
        for which in 0..self.walkers.len() {
            if self.walkers[which].exists {
                self.act(which, Deed::Delete);
            }
        }
    }

    #[track_caller]
    fn act(&mut self, which: usize, deed: Deed) {
        let before = self.set(which);
        let outage = self.begin_outage(which);
        let step = self.perform(which, deed);
        self.story.end_outage();
        *self.counts.entry((deed, step.status.clone())).or_default() += 1;
        if outage.is_none() {
            assert_eq!(step.status, deed.end(), "{deed:?}: {step:#?}");
            self.check_effect(which, deed, before.as_ref(), &step);
        }
        self.come_to_rest(which, &step);
        if deed == Deed::Word && self.walkers[which].exists {
            let cleared = self.update(which, "no word", &[("RetiredCA", "")]);
            self.come_to_rest(which, &cleared.ends("UPDATE_COMPLETE"));
        }
        if let Some(rack) = outage {
            self.see();
            self.heal(rack);
        }
        self.see();
        self.check_whole();
    }

    /// The set of the rack that a stack has.
    fn set(&self, which: usize) -> Option<Set> {
        let place = &self.places[self.walkers[which].rack?];
        Some(self.story.set(&place.name))
    }

    /// Takes some calls away, more often than not, and mostly for the rack that the stack has; for which rack.
    fn begin_outage(&mut self, which: usize) -> Option<usize> {
        let dice = self.outages.as_mut()?;
        let any = dice.roll() % self.places.len();
        let own = self.walkers[which].rack.unwrap_or(any);
        let rack = dice.one_of(&[Some(own), Some(own), Some(any), None, None])?;
        let parts = ["ca-cert", "ca-key", "cert", "key", "state", "claim", ""];
        let id = rack::hex(&self.places[rack].name);
        let actions = ["PutParameter", "GetParameters", "DeleteParameters"].map(Some);
        self.story.begin_outage(&Outage {
            name: &format!("{id}-docker-tls-{}", dice.one_of(&parts)),
            action: dice.one_of(&[&actions[..], &[None]].concat()),
            times: dice.one_of(&[Some(1), Some(2), None]),
            is_refusal: dice.one_of(&[true, true, true, false]),
        });
        Some(rack)
    }

    /// Has it happen.
    #[track_caller]
    fn perform(&mut self, which: usize, deed: Deed) -> Step {
        let name = format!("{deed:?}");
        let other = self.walkers[which].rack.map_or(0, |rack| 1 - rack);
        let other = self.places[other].name.clone();
        match deed {
            Deed::Create => {
                let rack = self
                    .dice
                    .one_of(&[Some(0), Some(1), Some(0), Some(1), None]);
                self.create(which, &name, rack, "")
            }
            Deed::BadCreate => {
                let rack = self.dice.one_of(&[Some(0), Some(1)]);
                self.create(which, &name, rack, "5")
            }
            Deed::Plain => self.update(which, &name, &[]),
            Deed::NewToken => {
                let token = self.new_token();
                self.update(which, &name, &[("RotationToken", &token)])
            }
            Deed::SeenToken => {
                let rack = self.walkers[which].rack.expect("the stack has a rack");
                let seen = self.places[rack].tokens.iter().rev();
                let seen: Vec<_> = seen.take(REMEMBERED_TOKENS).cloned().collect();
                let seen: Vec<_> = seen.iter().map(String::as_str).chain([""]).collect();
                let token = self.dice.one_of(&seen);
                self.update(which, &name, &[("RotationToken", token)])
            }
            Deed::Word => {
                let word = self.word(which);
                self.update(which, &name, &[("RetiredCA", &word)])
            }
            Deed::BadProperty => {
                let token = self.new_token();
                let changes = [("ValidityDays", "5"), ("RotationToken", &token)];
                self.update(which, &name, &changes)
            }
            Deed::Failure(order, change) => {
                let token = self.new_token();
                let change = match change {
                    Change::Version => None,
                    Change::Token => Some(("RotationToken", token.as_str())),
                    Change::Rack => Some(("Rack", other.as_str())),
                };
                let is_renamed = self.walkers[which].is_renamed;
                let template = template(&self.function, Some(order), is_renamed);
                self.update_to(which, &name, template, change.as_slice())
            }
            Deed::AnotherRack => self.update(which, &name, &[("Rack", &other)]),
            Deed::NoRack => self.update(which, &name, &[("Rack", "")]),
            Deed::AnotherName => {
                let is_renamed = !self.walkers[which].is_renamed;
                self.update_to(
                    which,
                    &name,
                    template(&self.function, None, is_renamed),
                    &[],
                )
            }
            Deed::Delete => self.walkers[which].stack.delete(&name),
        }
    }

    #[track_caller]
    fn create(&mut self, which: usize, name: &str, rack: Option<usize>, days: &str) -> Step {
        let version = self.new_version();
        let walker = &mut self.walkers[which];
        walker.incarnation += 1;
        let rack = rack.map_or("", |rack| self.places[rack].name.as_str());
        let parameters = [
            ("Rack", rack),
            ("Version", &version),
            ("ValidityDays", days),
        ];
        walker
            .stack
            .set_template(template(&self.function, None, false));
        walker.stack.create(name, &parameters)
    }

    /// An update in which nothing else fails.
    #[track_caller]
    fn update(&mut self, which: usize, name: &str, changes: &[(&str, &str)]) -> Step {
        let template = template(&self.function, None, self.walkers[which].is_renamed);
        self.update_to(which, name, template, changes)
    }

    #[track_caller]
    fn update_to(
        &mut self,
        which: usize,
        name: &str,
        template: Template,
        changes: &[(&str, &str)],
    ) -> Step {
        let version = self.new_version();
        let walker = &mut self.walkers[which];
        walker.stack.set_template(template);
        let changes = [changes, &[("Version", &version)]].concat();
        walker.stack.update(name, &changes)
    }

    fn new_version(&mut self) -> String {
        self.versions += 1;
        self.versions.to_string()
    }

    fn new_token(&mut self) -> String {
        self.tokens += 1;
        self.tokens.to_string()
    }

    /// The word that closes the rotation, where one is open: everything that runs has been replaced before.
    #[track_caller]
    fn word(&mut self, which: usize) -> String {
        let set = self.set(which).expect("the stack has a rack");
        match &certificates(set.value(Part::CaCert))[..] {
            [_] => String::new(),
            [current, previous] => {
                let rack = self.walkers[which].rack.expect("the stack has a rack");
                self.places[rack].readers = Readers::default();
                self.places[rack].readers.add(&set);
                format!("{}/{}", fingerprint(previous), fingerprint(current))
            }
            others => panic!("{} CAs", others.len()),
        }
    }

    /// Checks what a deed did to the set of the rack that the stack had, where all of AWS was there.
    #[track_caller]
    fn check_effect(&self, which: usize, deed: Deed, before: Option<&Set>, step: &Step) {
        let (Some(before), Some(after)) = (before, self.set(which)) else {
            return;
        };
        let written = after.written_since(before);
        let cas = |set: &Set| certificates(set.value(Part::CaCert)).len();
        match deed {
            Deed::NewToken | Deed::Failure(Order::After, Change::Token) => {
                assert_eq!(written, rack::AS_WRITTEN, "{step:#?}");
                assert_eq!(cas(&after), 2, "{step:#?}");
            }
            Deed::Word => {
                let is_open = cas(before) == 2;
                let closing = [Part::CaCert, Part::Cert];
                assert_eq!(
                    written,
                    if is_open { &closing[..] } else { &[] },
                    "{step:#?}"
                );
                assert_eq!(cas(&after), 1, "{step:#?}");
            }
            Deed::Plain | Deed::SeenToken => assert_eq!(step.written, [""; 0], "{step:#?}"),
            Deed::AnotherRack | Deed::NoRack | Deed::Delete => {}
            _ => assert_eq!(written, [], "{step:#?}"),
        }
    }

    /// Learns what a step came to, and does what an operator does about a stack that is not at rest, now that all of
    /// AWS is there.
    #[track_caller]
    fn come_to_rest(&mut self, which: usize, step: &Step) {
        self.learn(which, step);
        let walker = &mut self.walkers[which];
        let again = match step.status.as_str() {
            "UPDATE_ROLLBACK_FAILED" => {
                let again = walker.stack.continue_rollback("go on with the rollback");
                again.ends("UPDATE_ROLLBACK_COMPLETE")
            }
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
                let again = walker.stack.delete("delete what is left");
                again.ends("DELETE_COMPLETE")
            }
            _ => return,
        };
        self.learn(which, &again);
    }

    #[track_caller]
    fn learn(&mut self, which: usize, step: &Step) {
        let walker = &mut self.walkers[which];
        for exchange in &step.exchanges {
            let answer = exchange.answer.as_ref();
            let answer = answer.unwrap_or_else(|| panic!("{exchange} in {step:#?}"));
            let [request, resource] = ["request", "resource"].map(|field| {
                let text = exchange.event[field].as_str();
                text.expect("events have it").to_owned()
            });
            if ![GENERATOR, RENAMED].contains(&resource.as_str()) {
                continue;
            }
            let properties = &exchange.event["properties"];
            let mut places = self.places.iter_mut();
            let place = places.find(|place| properties["Rack"] == *place.name);
            let place = place.expect("a rack of the walk");
            let owner = (which, walker.incarnation, resource);
            let is_good = answer["Status"] == "SUCCESS";
            if request != "Delete" {
                let token = properties["RotationToken"].as_str().unwrap_or_default();
                if is_good && !token.is_empty() {
                    place.tokens.retain(|seen| seen != token);
                    place.tokens.push(token.to_owned());
                }
            } else if is_good {
                place.abandoned.remove(&owner);
            } else {
                place.abandoned.insert(owner);
            }
        }
        match step.status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => {
                walker.exists = true;
                let rack = walker.stack.parameter("Rack");
                walker.rack = self.places.iter().position(|place| place.name == rack);
                walker.is_renamed = walker.stack.template().has(RENAMED);
            }
            "DELETE_COMPLETE" => (walker.exists, walker.rack) = (false, None),
            _ => {}
        }
    }

    /// Updates a stack that has a rack, which completes what an outage has left undone.
    #[track_caller]
    fn heal(&mut self, rack: usize) {
        let mut walkers = self.walkers.iter();
        if let Some(which) = walkers.position(|walker| walker.rack == Some(rack)) {
            let healed = self.update(which, "all of AWS again", &[]);
            self.come_to_rest(which, &healed.ends("UPDATE_COMPLETE"));
        }
    }

    /// Everybody reads what is there now.
    #[track_caller]
    fn see(&mut self) {
        for (index, place) in self.places.iter_mut().enumerate() {
            let set = self.story.set(&place.name);
            let has_owner = self.walkers.iter().any(|walker| walker.rack == Some(index));
            if set.parts().is_empty() && !has_owner {
                place.readers = Readers::default();
                place.tokens.clear();
            } else {
                place.readers.add(&set);
            }
        }
    }

    /// A set is whole where it has an owner, and gone where it has none.
    #[track_caller]
    fn check_whole(&self) {
        for (index, place) in self.places.iter().enumerate() {
            if self.walkers.iter().any(|walker| walker.rack == Some(index)) {
                check_coherent(&self.story.set(&place.name));
            } else if place.abandoned.is_empty() {
                self.story.check_removed(&place.name);
            }
        }
    }

    fn print(&self, title: &str) {
        let mut table = Table::new(title, "deed", &["ends in", "times"].map(str::to_owned));
        for ((deed, status), times) in &self.counts {
            table.add(
                &format!("{deed:?}"),
                vec![status.clone(), times.to_string()],
            );
        }
        table.print();
    }
}

/// Our template for a function of another stack.
#[track_caller]
fn template(function: &str, failure: Option<Order>, is_renamed: bool) -> Template {
    let ours = Template::ours();
    let template = failure.map_or(ours.clone(), |order| ours.with_failure(order));
    let template = template.importing(function);
    if is_renamed {
        template.with_generator_named(RENAMED)
    } else {
        template
    }
}

/// A number that the environment may give.
#[track_caller]
fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[track_caller]
fn walk(title: &str, name: &str, has_outages: bool) {
    let story = Story::begin_briefly(title);
    let mut walk = Walk::new(&story, name, has_outages);
    let mut function = Stack::ours(&story, &walk.function);
    function
        .create("the function alone", &[])
        .ends("CREATE_COMPLETE");
    for _ in 0..number(STEPS_VARIABLE, STEPS) {
        walk.go();
    }
    walk.end();
    walk.print(title);
}

#[test]
fn a_walk_over_two_stacks_and_two_racks_refuses_nobody() {
    walk("a walk", "walk", false);
}

#[test]
fn a_walk_with_outages_refuses_nobody() {
    walk("a walk with outages", "outages", true);
}
