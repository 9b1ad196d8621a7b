//! A rack, everything that runs of it, and an operator who gives the function's word honestly.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{fmt, fs, mem, slice};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_testing::acceptance::{Id, Verdict};
use docker_tls_testing::fixtures::make_event;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::fleet::{Judge, Published, Runner};
use crate::foreign::Client;
use crate::reading;
use crate::start::Start;
use crate::step::{Copied, Damage, Parameter, Step, Wait, Word};
use crate::store::{Store, Values};
use crate::tool::{self, Answer};

/// 2027-01-15T12:00:00Z: some weeks after the sets of the fixtures and of the cases were made.
const BEGINNING: i64 = 1_800_014_400;
/// The tool's clock goes to the year 8999, and so do certificates: 8000-01-01, for some are still to be made.
const LAST_MOMENT: i64 = 190_288_396_800;
/// How many generations still run at most.
const RUNNERS: usize = 10;
/// How many copies and former properties are kept.
const KEPT: usize = 8;

/// What must not happen.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is, without what differs from walk to walk.
    pub kind: &'static str,
    /// More of it.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

type Properties = Map<String, Value>;

/// Whether an event may be answered with FAILED.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MayFail {
    Yes,
    /// It asks for nothing new, or is the rollback of another one.
    No,
    /// Two generations would refuse each other when it ends.
    OverAnAnchorThatEndsSoon,
}

/// How a token's refusal begins.
const ENDS_SOON: &str = "property RotationToken has a new value, but";

/// What was published at some time, and the state of then.
#[derive(Clone)]
struct Copy {
    values: Values,
    event: usize,
    /// Which event was the latest that a word told to drop what some had, or that had nothing of it left.
    dropped_by: usize,
}

/// A rack at some moment of a walk.
pub struct World<'a> {
    folder: TempDir,
    store: Store,
    judge: Judge,
    foreign: &'a [Client],
    now: i64,
    events: usize,
    tokens: usize,
    properties: Properties,
    former: Vec<Properties>,
    runners: Vec<Runner>,
    /// What was published when it was last known to be good.
    last: Option<Published>,
    /// Whether that is still what is published.
    is_intact: bool,
    copies: Vec<Copy>,
    /// Which event was the latest that a word told to drop what some had, or that had nothing of it left.
    dropped_by: usize,
    /// Whether the state was put back.
    is_state_older: bool,
    /// The last success.
    answer: Answer,
    seen: BTreeMap<String, Id>,
    /// What was done, for people.
    pub story: Vec<String>,
}

impl<'a> World<'a> {
    pub fn new(start: &Start, foreign: &'a [Client]) -> Self {
        let folder = tempfile::tempdir().expect("room for a folder");
        let store = Store::new(folder.path().join("store"));
        for (parameter, value) in &start.values {
            store.set(*parameter, Some(value));
        }
        let event = make_event("create");
        let mut properties = event["ResourceProperties"].as_object().cloned();
        let properties_of_start = start.properties.as_object().cloned();
        let mut properties = properties.take().expect("an event has properties");
        properties.extend(properties_of_start.unwrap_or_default());
        let mut world = Self {
            folder,
            store,
            judge: Judge::default(),
            foreign,
            now: BEGINNING,
            events: 0,
            tokens: 0,
            properties,
            former: Vec::new(),
            runners: Vec::new(),
            last: None,
            is_intact: true,
            copies: Vec::new(),
            dropped_by: 0,
            is_state_older: false,
            answer: Answer::default(),
            seen: BTreeMap::new(),
            story: Vec::new(),
        };
        if let Ok(published) = world.judge.read(&world.store.values()) {
            world.see(&published);
            world.boot("of the set at the beginning", &published);
            world.settle(published);
        }
        world
    }

    /// Does a step, and says what came of it that must not.
    pub fn go(&mut self, step: Step) -> Result<(), Finding> {
        self.story.push(format!("{step:?}"));
        match step {
            Step::Create => self.event("Create", self.properties.clone(), MayFail::No),
            Step::Update => self.event("Update", self.properties.clone(), MayFail::No),
            Step::Token => {
                self.tokens += 1;
                let token = json!(format!("token {}", self.tokens));
                self.change(
                    "RotationToken",
                    Some(token),
                    MayFail::OverAnAnchorThatEndsSoon,
                )
            }
            Step::Word(word) => {
                let Some(word) = self.word(word) else {
                    self.tell("there is no word to give");
                    return Ok(());
                };
                self.replace_for(&word);
                self.change("RetiredCA", Some(json!(word)), MayFail::Yes)
            }
            Step::WordCleared => self.change("RetiredCA", None, MayFail::No),
            Step::Rollback { which } => self.roll_back(which),
            Step::NameAdded => {
                let name = format!("n{}", self.events);
                let names = json!(["localhost", "127.0.0.1", name]);
                self.change("SubjectAlternativeNames", Some(names), MayFail::Yes)
            }
            Step::Damage(damage) => {
                self.damage(damage);
                Ok(())
            }
            Step::Restore { what, which } => {
                self.restore(what, which);
                Ok(())
            }
            Step::Wait(wait) => self.wait(wait),
        }
    }

    fn tell(&mut self, what: impl fmt::Display) {
        if let Some(last) = self.story.last_mut() {
            write!(last, "\n      {what}").expect("a String takes all");
        }
    }

    /// An update that gives a property a value, or takes it away.
    fn change(
        &mut self,
        property: &str,
        value: Option<Value>,
        may_fail: MayFail,
    ) -> Result<(), Finding> {
        let mut properties = self.properties.clone();
        match value {
            Some(value) => drop(properties.insert(property.to_owned(), value)),
            None => drop(properties.remove(property)),
        }
        self.event("Update", properties, may_fail)
    }

    fn roll_back(&mut self, which: usize) -> Result<(), Finding> {
        if self.former.is_empty() {
            self.tell("nothing to go back to");
            return Ok(());
        }
        let former = self.former[which % self.former.len()].clone();
        let is_given = |property: &str| {
            let given = former.get(property);
            given.is_some() && given != self.properties.get(property)
        };
        let mut asking = ["RetiredCA", "RotationToken", "SubjectAlternativeNames"].into_iter();
        let may_fail = if asking.any(is_given) {
            MayFail::Yes
        } else {
            MayFail::No
        };
        self.replace_for_new_word(&former);
        self.event("Update", former, may_fail)
    }

    /// Sends an event. One that asks for nothing new must not fail, nor may the rollback of another one.
    fn event(
        &mut self,
        request: &str,
        mut properties: Properties,
        may_fail: MayFail,
    ) -> Result<(), Finding> {
        self.events += 1;
        properties.insert("Version".to_owned(), json!(self.events.to_string()));
        let before = self.store.values();
        let answer = self.send(request, &properties)?;
        self.tell(if answer.is_success {
            format!("SUCCESS {}", answer.text)
        } else {
            format!("FAILED {}", answer.text)
        });
        if answer.is_success {
            let former = mem::replace(&mut self.properties, properties);
            let word = self.properties.get("RetiredCA");
            let is_told = word.is_some() && word != former.get("RetiredCA");
            self.former.push(former);
            if self.former.len() > KEPT {
                self.former.remove(0);
            }
            return self.judge(&before, answer, is_told);
        }
        let after = self.store.values();
        let changed = Parameter::PUBLISHED
            .into_iter()
            .find(|parameter| before.get(parameter.suffix()) != after.get(parameter.suffix()));
        if let Some(parameter) = changed {
            return Err(Finding {
                kind: "a FAILED event wrote what is published",
                detail: format!("{parameter:?}: {}", answer.text),
            });
        }
        // To a state of before, a token or a word that has been given for long is new.
        let is_old_news = self.is_state_older
            && ["RotationToken", "RetiredCA"]
                .iter()
                .any(|property| answer.text.contains(property));
        let kind = match may_fail {
            MayFail::No if !is_old_news => Some("an event that asks for nothing new FAILED"),
            MayFail::OverAnAnchorThatEndsSoon if !answer.text.contains(ENDS_SOON) => {
                Some("a token FAILED")
            }
            _ => None,
        };
        if let Some(kind) = kind {
            return Err(Finding {
                kind,
                detail: answer.text,
            });
        }
        if is_old_news && may_fail == MayFail::No {
            return Ok(());
        }
        let back = self.properties.clone();
        self.properties = properties;
        self.story.push("the rollback of that".to_owned());
        self.replace_for_new_word(&back);
        self.event("Update", back, MayFail::No)
    }

    fn send(&mut self, request: &str, properties: &Properties) -> Result<Answer, Finding> {
        let mut event = make_event(&request.to_lowercase());
        event["ResourceProperties"] = Value::Object(properties.clone());
        if request == "Update" {
            event["OldResourceProperties"] = Value::Object(self.properties.clone());
        }
        let path = self.folder.path().join("event.json");
        fs::write(&path, event.to_string()).expect("room for a file");
        tool::invoke(&path, self.store.path(), self.now).map_err(|detail| Finding {
            kind: "no answer",
            detail,
        })
    }

    /// Judges what is published after a success.
    fn judge(&mut self, before: &Values, answer: Answer, is_told: bool) -> Result<(), Finding> {
        let values = self.store.values();
        let published = self.judge.read(&values).map_err(|reason| Finding {
            kind: "what is published is of no use",
            detail: format!("{reason}; {}", answer.text),
        })?;
        let find = |kind, detail: String| {
            Err(Finding {
                kind,
                detail: format!("{detail}; {}", answer.text),
            })
        };
        if !self.judge.connects(&published, &published, self.now) {
            return find("what is published refuses itself", String::new());
        }
        if self.judge.registry.facts(published.chain[0]).usages != (true, true) {
            return find(
                "the certificate is not for both server and client",
                String::new(),
            );
        }
        if self.judge.of_ca_key(&values, &published.bundle).is_empty() {
            return find("the CA key is of no CA of the bundle", String::new());
        }
        let is_written = Parameter::PUBLISHED
            .into_iter()
            .any(|parameter| before.get(parameter.suffix()) != values.get(parameter.suffix()));
        let is_news = self.last.is_some() && self.is_intact;
        if is_news && !is_written && answer.cut_off().is_some() {
            return find(
                "a cut-off is announced where nothing changes",
                String::new(),
            );
        }
        if let Some(last) = self.last.take() {
            let evident = self.evident(before);
            for runner in self.runners.clone() {
                if !runner.is_connected || !self.judge.can_connect(&runner.has, &last, self.now) {
                    continue;
                }
                let ways = self.judge.both_ways(&runner.has, &published, self.now);
                let lost = [
                    (&last.bundle, &runner.has.chain),
                    (&runner.has.bundle, &last.chain),
                ];
                for ((way, (bundle, chain)), evident) in ways.into_iter().zip(lost).zip(&evident) {
                    if way != Verdict::Refused {
                        continue;
                    }
                    let takers = self.judge.takers(bundle, chain, self.now);
                    let is_out_of_sight = takers.iter().all(|taker| !evident.contains(taker));
                    let is_by_damage = is_out_of_sight || !(self.is_intact || is_written);
                    let words = answer.cut_off().unwrap_or_default();
                    if !is_by_damage && !self.is_named(words, &runner.has) {
                        let kind = if words.is_empty() {
                            "refused without a word"
                        } else {
                            "refused, and the words name others"
                        };
                        return find(kind, format!("a runner {} ({ways:?})", runner.name));
                    }
                }
            }
        }
        self.see(&published);
        let name = format!("of event {}", self.events);
        self.boot(&name, &published);
        self.settle(published);
        let is_closed = answer.previous.is_empty() && !self.answer.previous.is_empty();
        if is_closed || (is_told && is_written) {
            self.dropped_by = self.events;
        }
        self.copies.push(Copy {
            values,
            event: self.events,
            dropped_by: self.dropped_by,
        });
        if self.copies.len() > KEPT {
            self.copies.remove(0);
        }
        self.answer = answer;
        Ok(())
    }

    /// The certificates that there were to see in the store, or that what is there was issued by; and of the CAs among them
    /// those to which something said that what is published has to lead. A further CA of the bundle is not one of them:
    /// it may be somebody else's.
    fn evident(&mut self, values: &Values) -> [Vec<Id>; 2] {
        let of = |suffix: &str| values.get(suffix).map_or("", String::as_str);
        let [bundle, chain] = [of("ca-cert"), of("cert")].map(reading::visible);
        let [bundle, chain] = [bundle, chain].map(|found| self.judge.ids(&found));
        let state = of("state");
        let recorded = self.seen.values().filter(|id| {
            let der = &self.judge.registry.facts(**id).der;
            state.contains(&STANDARD.encode(der))
        });
        let mut binding: Vec<Id> = recorded.copied().chain(chain.clone()).collect();
        let mut visible = [bundle.clone(), chain].concat();
        for issued in visible.clone() {
            let mut issuers = self.judge.registry.issuers(issued);
            // What a lost certificate did not allow cannot be told by what it issued.
            let facts = |id: &Id| self.judge.registry.facts(*id);
            issuers.retain(|id| bundle.contains(id) || !facts(id).is_limited());
            if !bundle.contains(&issued) {
                binding.extend(&issuers);
            }
            visible.extend(issuers);
        }
        let current = self.judge.of_ca_key(values, &bundle);
        binding.extend(if current.is_empty() { bundle } else { current });
        visible.extend(&binding);
        [visible, binding]
    }

    /// Whether the words are about something that runs: everyone, or what knows or presents one of the CAs that they name.
    fn is_named(&self, words: &str, runner: &Published) -> bool {
        if words.contains("every running daemon and client") {
            return true;
        }
        let mut named = tool::fingerprints(words).filter_map(|print| self.seen.get(print));
        named.any(|named| {
            let mut bundle = runner.bundle.iter();
            bundle.any(|id| self.judge.is_same_ca(*id, *named))
                || runner.chain.iter().any(|id| {
                    let presented = self.judge.registry.facts(*id);
                    id == named || presented.issuer == self.judge.registry.facts(*named).subject
                })
        })
    }

    fn see(&mut self, published: &Published) {
        for id in published.bundle.iter().chain(&published.chain) {
            let der = &self.judge.registry.facts(*id).der;
            let hash = digest::digest(&digest::SHA256, der);
            let mut hex = String::new();
            for byte in hash.as_ref() {
                write!(hex, "{byte:02x}").expect("a String takes all");
            }
            self.seen.insert(hex, *id);
        }
    }

    /// A daemon and a client start with what is published.
    fn boot(&mut self, name: &str, published: &Published) {
        if self.runners.iter().any(|runner| runner.has == *published) {
            return;
        }
        if self.runners.len() == RUNNERS {
            self.runners.remove(self.events % RUNNERS);
        }
        self.runners.push(Runner {
            name: name.to_owned(),
            born: self.events,
            has: published.clone(),
            is_connected: false,
        });
    }

    /// What is published is good: who connects to it is owed that from now on.
    fn settle(&mut self, published: Published) {
        for runner in &mut self.runners {
            runner.is_connected = self.judge.connects(&runner.has, &published, self.now);
        }
        self.last = Some(published);
        self.is_intact = true;
    }

    /// The operator's word, where there is one to give.
    fn word(&self, word: Word) -> Option<String> {
        let Answer {
            current, previous, ..
        } = &self.answer;
        if current.is_empty() || previous.is_empty() {
            return None;
        }
        match word {
            Word::Pair => Some(format!("{previous}/{current}")),
            Word::Moved => Some(format!("{previous}/{current}/moved")),
            Word::TakeBack => Some(format!("{current}/{previous}")),
            // These name too little, so whoever gives them has looked at what is there now.
            Word::Plain => self.is_intact.then(|| previous.clone()),
            Word::AsTold => self.answer.told_word().filter(|_| self.is_intact),
        }
    }

    /// An operator whose template has a word means it, also where it comes back by a rollback.
    fn replace_for_new_word(&mut self, properties: &Properties) {
        let word = properties.get("RetiredCA");
        if word != self.properties.get("RetiredCA") {
            let word = word.and_then(Value::as_str).unwrap_or_default().to_owned();
            self.replace_for(&word);
        }
    }

    /// Replaces what runs such that the word that is about to be given is true: that everything trusts the CA that stays,
    /// and, where the word closes, that nothing presents what only the other one takes.
    fn replace_for(&mut self, word: &str) {
        let mut named = tool::fingerprints(word);
        let leaving = named.next().unwrap_or_default();
        let staying = named.next().unwrap_or(&self.answer.current);
        if leaving == self.answer.current && staying == self.answer.previous {
            // Taken back: everything trusts the previous CA and leads to it, or the function has to refuse.
            return;
        }
        let [staying, leaving] = [staying, leaving].map(|print| self.seen.get(print).copied());
        let (Some(staying), Some(leaving), Some(last)) = (staying, leaving, self.last.clone())
        else {
            return;
        };
        let now = self.now;
        let judge = &mut self.judge;
        let is_moved = judge.registry.judge(&[staying], &last.chain, now) == Verdict::Accepted;
        let closes = is_moved || word.ends_with("/moved");
        let mut left = last.bundle;
        left.retain(|id| !judge.is_same_ca(*id, leaving));
        left.push(staying);
        let all = self.runners.len();
        self.runners.retain(|runner| {
            let mut bundle = runner.has.bundle.iter();
            // Nothing trusts a CA that has ended.
            let trusts = bundle.any(|id| {
                judge.is_same_ca(*id, staying) && !judge.registry.facts(*id).is_expired(now)
            });
            let is_taken = judge.registry.judge(&left, &runner.has.chain, now) != Verdict::Refused;
            trusts && (is_taken || !closes)
        });
        let replaced = all - self.runners.len();
        self.tell(format!("{replaced} of {all} runners are replaced first"));
    }

    fn damage(&mut self, damage: Damage) {
        let before = self.store.values();
        let client = match damage {
            Damage::ForeignCaAdded(which) => Some(which % 2),
            Damage::ClientPinned(which) => Some(2 + which % 2),
            _ => None,
        };
        let client = client.map(|index| &self.foreign[index]);
        let added = client.map(|client| client.trusted.as_slice());
        self.store.damage(damage, added);
        let after = self.store.values();
        if before == after {
            self.tell("changes nothing");
            return;
        }
        let is_an_edit = matches!(
            damage,
            Damage::ForeignCaAdded(_)
                | Damage::ClientPinned(_)
                | Damage::BundleReversed
                | Damage::BundleDoubled
        );
        let edited = self
            .judge
            .read(&after)
            .ok()
            .filter(|_| is_an_edit && self.is_intact);
        let Some(edited) = edited else {
            self.is_intact = false;
            return;
        };
        self.see(&edited);
        if let Some(client) = client {
            let has = Published {
                bundle: edited.bundle.clone(),
                chain: self.judge.ids(slice::from_ref(&client.presented)),
            };
            let is_connected = self.judge.connects(&has, &edited, self.now);
            self.runners.push(Runner {
                name: format!("of {damage:?}"),
                born: self.events,
                has,
                is_connected,
            });
        }
        self.last = Some(edited);
    }

    /// Nothing tells that there were generations that know nothing of the CA that is trusted again.
    fn replace_younger_than(&mut self, event: usize) {
        self.runners.retain(|runner| runner.born <= event);
        self.tell(
            "what was made since then is replaced: the rotation went on by a word in between",
        );
    }

    fn restore(&mut self, what: Copied, which: usize) {
        if self.copies.is_empty() {
            return self.tell("no copy");
        }
        let copy = self.copies[which % self.copies.len()].clone();
        let before = self.store.values();
        self.store.restore(&copy.values, what);
        self.is_state_older |= matches!(what, Copied::Everything | Copied::One(Parameter::State));
        let after = self.store.values();
        if before == after {
            return self.tell("changes nothing");
        }
        if copy.dropped_by != self.dropped_by && what == Copied::One(Parameter::State) {
            self.replace_younger_than(copy.event);
        }
        let is_whole = !matches!(what, Copied::One(_));
        let restored = self.judge.read(&after).ok().filter(|_| is_whole);
        let Some(restored) = restored else {
            self.is_intact = false;
            return;
        };
        if copy.dropped_by != self.dropped_by {
            self.replace_younger_than(copy.event);
        }
        // Whom the copy refuses, the copy refuses.
        self.boot(
            &format!("of the copy after event {}", self.events),
            &restored,
        );
        self.settle(restored);
        // The answer was about something else.
        self.answer.text.clear();
    }

    /// Lets time go by, after which nobody may be refused but for the end of a CA or an end-entity certificate.
    fn wait(&mut self, wait: Wait) -> Result<(), Finding> {
        const DAY: i64 = 86_400;
        const HOUR: i64 = 3_600;
        let then = match wait {
            // Lifetimes are whole days: never in the last second of one, in which it is a matter of taste.
            Wait::Days(days) => self.now + days * DAY + HOUR,
            Wait::End { which, after } => {
                let last = self.last.iter();
                let published = last.flat_map(|last| last.bundle.iter().chain(&last.chain));
                let ends = published.map(|id| self.judge.registry.facts(*id).validity.1 + after);
                let mut ends: Vec<i64> = ends.filter(|end| *end > self.now).collect();
                ends.sort_unstable();
                ends.dedup();
                if ends.is_empty() {
                    self.tell("nothing ends");
                    return Ok(());
                }
                ends[which % ends.len()]
            }
        };
        if then > LAST_MOMENT {
            self.tell("no time is left");
            return Ok(());
        }
        self.now = then;
        self.tell(format!(
            "{} days since the beginning",
            (then - BEGINNING) / DAY
        ));
        let Some(last) = self.last.clone().filter(|_| self.is_intact) else {
            return Ok(());
        };
        for runner in self
            .runners
            .clone()
            .into_iter()
            .filter(|runner| runner.is_connected)
        {
            let ways = self.judge.both_ways(&runner.has, &last, then);
            if ways.contains(&Verdict::Refused) {
                return Err(Finding {
                    kind: "a cross-certificate ended before what it serves",
                    detail: format!("a runner {} ({ways:?})", runner.name),
                });
            }
        }
        Ok(())
    }
}
