//! Random walks over two stacks and two racks: what people do to stacks, with all of AWS there and without. After every
//! step openssl judges everything that was published since the last close, each against each.
//!
//! The same walks in every run; WALK_SEED and WALK_STEPS in the environment make others, and longer ones.

use std::collections::BTreeMap;
use std::env;

use docker_tls_certgen::set::rack::Part;

use crate::certificates::{certificates, check_coherent, fingerprint};
use crate::dice::Dice;
use crate::rack::{self, Set};
use crate::readers::Readers;
use crate::stack::{Stack, Step};
use crate::story::{Outage, Story};
use crate::table::Table;
use crate::template::{Order, Template};

/// How many deeds a walk has, unless the environment says otherwise.
const STEPS: u64 = 150;
const STEPS_VARIABLE: &str = "WALK_STEPS";
/// What it is made from, unless the environment says otherwise.
const SEED: u64 = 1;
const SEED_VARIABLE: &str = "WALK_SEED";

/// What may happen to a stack that exists.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Deed {
    Create,
    Plain,
    NewToken,
    OldToken,
    Word,
    BadProperty,
    Failure(Order),
    AnotherRack,
    NoRack,
    AnotherName,
    Delete,
}

impl Deed {
    /// Those that may happen to a stack without a rack, and those that may happen to any.
    const WITHOUT_RACK: [Self; 4] = [
        Self::Plain,
        Self::AnotherRack,
        Self::Failure(Order::After),
        Self::Delete,
    ];
    const ALL: [Self; 11] = [
        Self::Plain,
        Self::NewToken,
        Self::OldToken,
        Self::Word,
        Self::BadProperty,
        Self::Failure(Order::Before),
        Self::Failure(Order::After),
        Self::AnotherRack,
        Self::NoRack,
        Self::AnotherName,
        Self::Delete,
    ];

    fn fails(self) -> bool {
        matches!(self, Self::BadProperty | Self::Failure(_))
    }
}

/// A stack of the walk.
struct Walker<'story> {
    stack: Stack<'story>,
    exists: bool,
    /// Which rack it has.
    rack: Option<usize>,
    is_renamed: bool,
}

/// A walk, and what is known on the way.
struct Walk<'story> {
    story: &'story Story,
    dice: Dice,
    function: String,
    racks: [String; 2],
    walkers: [Walker<'story>; 2],
    readers: [Readers; 2],
    /// Racks of which a Delete failed that CloudFormation does not send again.
    left_behind: [bool; 2],
    has_outages: bool,
    tokens: usize,
    versions: usize,
    counts: BTreeMap<(Deed, String), usize>,
}

impl<'story> Walk<'story> {
    fn new(story: &'story Story, name: &str, has_outages: bool) -> Self {
        let function = format!("{name}-certgen");
        let walker = |stack: &str| Walker {
            stack: Stack::of(story, &format!("{name}-{stack}"), Template::ours()),
            exists: false,
            rack: None,
            is_renamed: false,
        };
        Self {
            story,
            dice: Dice::new(number(SEED_VARIABLE, SEED)),
            function,
            racks: [1, 2].map(|number| format!("{name}-{number}")),
            walkers: ["a", "b"].map(walker),
            readers: Default::default(),
            left_behind: [false; 2],
            has_outages,
            tokens: 0,
            versions: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Does something to one of the stacks, and judges what has become of both racks.
    #[track_caller]
    fn go(&mut self) {
        let which = self.dice.roll() % 2;
        let walker = &self.walkers[which];
        let deed = match (walker.exists, walker.rack) {
            (false, _) => Deed::Create,
            (true, None) => self.dice.one_of(&Deed::WITHOUT_RACK),
            (true, Some(_)) => self.dice.one_of(&Deed::ALL),
        };
        let has_outage = self.has_outages && self.begin_outage(which);
        let step = self.perform(which, deed);
        self.story.end_outage();
        *self.counts.entry((deed, step.status.clone())).or_default() += 1;
        if !has_outage {
            check_as_expected(deed, &step);
        }
        self.come_to_rest(which, &step);
        if has_outage && self.walkers[which].rack.is_some() {
            self.see(false);
            let healed = self.update(which, "all of AWS again", &[]);
            assert_eq!(healed.status, "UPDATE_COMPLETE", "{healed:#?}");
        }
        self.see(true);
    }

    /// Takes some calls away, more often than not, and mostly for the rack that the stack has.
    fn begin_outage(&mut self, which: usize) -> bool {
        let any = self.dice.roll() % self.racks.len();
        let own = self.walkers[which].rack.unwrap_or(any);
        let rack = rack::hex(&self.racks[self.dice.one_of(&[own, own, any])]);
        let parts = ["ca-cert", "ca-key", "cert", "key", "state", "claim", ""];
        let part = self.dice.one_of(&parts);
        let actions = ["PutParameter", "GetParameters", "DeleteParameters"].map(Some);
        let outage = Outage {
            name: &format!("{rack}-docker-tls-{part}"),
            action: self.dice.one_of(&[&actions[..], &[None]].concat()),
            times: self.dice.one_of(&[Some(1), Some(2), None]),
            is_refusal: self.dice.one_of(&[true, true, true, false]),
        };
        let happens = self.dice.one_of(&[true, true, false]);
        if happens {
            self.story.begin_outage(&outage);
        }
        happens
    }

    /// Has it happen.
    #[track_caller]
    fn perform(&mut self, which: usize, deed: Deed) -> Step {
        let name = format!("{deed:?}");
        self.versions += 1;
        let rack = self
            .dice
            .one_of(&[Some(0), Some(1), Some(0), Some(1), None]);
        let other = self.walkers[which].rack.map_or(0, |rack| 1 - rack);
        match deed {
            Deed::Create => {
                let walker = &mut self.walkers[which];
                (walker.rack, walker.is_renamed) = (rack, false);
                let version = self.versions.to_string();
                let bad = self.dice.one_of(&["", "", "", "5"]);
                let bad = if rack.is_some() { bad } else { "" };
                let rack = rack.map_or("", |rack| self.racks[rack].as_str());
                let parameters = [("Rack", rack), ("Version", &version), ("ValidityDays", bad)];
                walker
                    .stack
                    .set_template(template(&self.function, None, false));
                walker.stack.create(&name, &parameters)
            }
            Deed::Plain => {
                let step = self.update(which, &name, &[]);
                if self.has_outages {
                    // It may complete what an outage has left undone.
                    step
                } else {
                    step.writes_nothing()
                }
            }
            Deed::NewToken => {
                self.tokens += 1;
                let token = self.tokens.to_string();
                self.update(which, &name, &[("RotationToken", &token)])
            }
            Deed::OldToken => {
                let token = (self.dice.roll() % (self.tokens + 1)).to_string();
                self.update(which, &name, &[("RotationToken", &token)])
            }
            Deed::Word => {
                let word = self.word(which);
                let step = self.update(which, &name, &[("RetiredCA", &word)]);
                self.update(which, "no word", &[("RetiredCA", "")]);
                step
            }
            Deed::BadProperty => {
                self.tokens += 1;
                let token = self.tokens.to_string();
                let changes = [("ValidityDays", "5"), ("RotationToken", &token)];
                self.update(which, &name, &changes)
            }
            Deed::Failure(order) => {
                let version = self.versions.to_string();
                self.tokens += 1;
                let token = self.tokens.to_string();
                let other = self.racks[other].clone();
                let changes = self.dice.one_of(&[
                    ("Version", version.as_str()),
                    ("RotationToken", &token),
                    ("Rack", &other),
                ]);
                let walker = &mut self.walkers[which];
                walker
                    .stack
                    .set_template(template(&self.function, Some(order), walker.is_renamed));
                walker
                    .stack
                    .update(&format!("{name}: {}", changes.0), &[changes])
            }
            Deed::AnotherRack => {
                let rack = self.racks[other].clone();
                let step = self.update(which, &name, &[("Rack", &rack)]);
                if step.status == "UPDATE_COMPLETE" {
                    self.walkers[which].rack = Some(other);
                }
                step
            }
            Deed::NoRack => {
                let step = self.update(which, &name, &[("Rack", "")]);
                if step.status == "UPDATE_COMPLETE" {
                    self.walkers[which].rack = None;
                }
                step
            }
            Deed::AnotherName => {
                self.walkers[which].is_renamed ^= true;
                let step = self.update(which, &name, &[]);
                if step.status != "UPDATE_COMPLETE" {
                    self.walkers[which].is_renamed ^= true;
                }
                step
            }
            Deed::Delete => self.walkers[which].stack.delete(&name),
        }
    }

    /// An update in which nothing else fails.
    #[track_caller]
    fn update(&mut self, which: usize, name: &str, changes: &[(&str, &str)]) -> Step {
        self.versions += 1;
        let version = self.versions.to_string();
        let walker = &mut self.walkers[which];
        walker
            .stack
            .set_template(template(&self.function, None, walker.is_renamed));
        let changes = [changes, &[("Version", &version)]].concat();
        walker.stack.update(name, &changes)
    }

    /// The word that closes the rotation, where one is open. Everything that runs has been replaced before.
    fn word(&mut self, which: usize) -> String {
        let rack = self.walkers[which].rack.expect("the stack has a rack");
        let set = Set::read(&self.story.ssm, &self.racks[rack]);
        self.readers[rack] = Readers::default();
        match &certificates(set.value(Part::CaCert))[..] {
            [current, previous] => format!("{}/{}", fingerprint(previous), fingerprint(current)),
            _ => String::new(),
        }
    }

    /// Does what an operator does about a stack that is not at rest, now that all of AWS is there.
    #[track_caller]
    fn come_to_rest(&mut self, which: usize, step: &Step) {
        for exchange in &step.exchanges {
            assert!(exchange.answer.is_some(), "{exchange} in {step:#?}");
        }
        let walker = &mut self.walkers[which];
        match step.status.as_str() {
            "CREATE_COMPLETE" => walker.exists = true,
            "UPDATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE" => {
                for rack in step.failed_deletes() {
                    let index = self.racks.iter().position(|name| *name == rack);
                    self.left_behind[index.expect("a rack of the walk")] = true;
                }
            }
            "UPDATE_ROLLBACK_FAILED" => {
                let again = walker.stack.continue_rollback("go on with the rollback");
                again.ends("UPDATE_ROLLBACK_COMPLETE");
            }
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
                walker.stack.delete("delete again").ends("DELETE_COMPLETE");
                (walker.exists, walker.rack) = (false, None);
            }
            "DELETE_COMPLETE" => (walker.exists, walker.rack) = (false, None),
            status => panic!("{status}: {step:#?}"),
        }
    }

    /// Looks at both racks. Where nothing fails any more, a set is whole where it has an owner, and gone where not.
    #[track_caller]
    fn see(&mut self, is_whole: bool) {
        for (index, rack) in self.racks.iter().enumerate() {
            let set = Set::read(&self.story.ssm, rack);
            let mut owners = self
                .walkers
                .iter()
                .filter(|walker| walker.rack == Some(index));
            let owner = owners.next();
            if owner.is_none() && !self.left_behind[index] {
                self.story.check_removed(rack);
            }
            if set.parts().is_empty() {
                self.readers[index] = Readers::default();
            }
            if owner.is_some() && is_whole {
                check_coherent(&set);
            }
            self.readers[index].add(&set);
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

/// Checks what becomes of a deed where all of AWS is there.
#[track_caller]
fn check_as_expected(deed: Deed, step: &Step) {
    let is_expected = match step.status.as_str() {
        "UPDATE_COMPLETE" | "DELETE_COMPLETE" => !deed.fails(),
        "UPDATE_ROLLBACK_COMPLETE" => deed.fails(),
        "CREATE_COMPLETE" | "ROLLBACK_COMPLETE" => deed == Deed::Create,
        _ => false,
    };
    assert!(is_expected, "{deed:?}: {step:#?}");
}

/// Our template for a function of another stack.
#[track_caller]
fn template(function: &str, failure: Option<Order>, is_renamed: bool) -> Template {
    let ours = Template::ours();
    let template = failure.map_or(ours.clone(), |order| ours.with_failure(order));
    let template = template.importing(function);
    if is_renamed {
        template.with_generator_named("Renamed")
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
