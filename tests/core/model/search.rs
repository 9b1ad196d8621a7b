//! Breadth first over all distinct moments that a number of steps can lead to.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use docker_tls_certgen::pki::certificate::Fingerprint;
use docker_tls_certgen::plan::CutOff;
use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::publication;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::archive::{SetId, StoredValue};
use super::catalog::{Catalog, ListId};
use super::moment::{CutOffs, Moment, Published, Template, Wish};
use super::outcome::{Done, Outcome, check_spoilt_is_as_good_as_lost, summary};
use super::reading::Reading;
use super::step::{Event, Extent, Mishap, Step, Struck, Wait};
use super::task::{Findings, Reach, Start};
use crate::acceptance::{KeyId, Verdict};
use crate::damage::Damage;
use crate::event::make_change;
use crate::mint::PoolMint;
use crate::store::certificates;

/// How many keys one event makes at most: a CA's and those of two pairs.
const FRESH_KEYS: usize = 3;

/// What can happen to a set between two events.
struct Prospects {
    mishaps: Vec<(Mishap, SetId)>,
    waits: Vec<(Wait, i64)>,
}

/// A set, a time, what the template says and said, and the fresh keys at hand.
type Question = (SetId, i64, Wish, Wish, Vec<usize>);

#[derive(Default)]
struct Known {
    catalog: Catalog,
    readings: HashMap<SetId, Arc<Reading>>,
    prospects: HashMap<SetId, Arc<Prospects>>,
    outcomes: HashMap<Question, Arc<Outcome>>,
    findings: Findings,
}

/// A moment, and where it came from.
struct Node {
    moment: Moment,
    origin: Option<(usize, Step)>,
    /// Whether an event came to its end here, so that the next one must change nothing.
    is_settled: bool,
}

/// A step, and the node that it is taken from.
#[derive(Clone, Copy)]
struct Place<'a> {
    nodes: &'a [Node],
    index: usize,
}

impl Place<'_> {
    fn moment(&self) -> &Moment {
        &self.nodes[self.index].moment
    }

    /// The steps that lead here, and one more.
    fn way(&self, step: Step) -> String {
        let mut steps = vec![step.to_string()];
        let mut origin = self.nodes[self.index].origin;
        while let Some((parent, step)) = origin {
            steps.push(step.to_string());
            origin = self.nodes[parent].origin;
        }
        steps.reverse();
        steps.join(" → ")
    }
}

struct Search<'a> {
    start: &'a Start,
    reach: &'a Reach,
    renew_before: Duration,
    first: Arc<Published>,
    /// The chain that a partner presents, and its CA's key.
    partner: Option<(ListId, KeyId)>,
    known: Mutex<Known>,
}

/// Looks at everything that so many steps lead to, and at the event after that.
pub fn search(start: &Start, reach: &Reach) -> Findings {
    let spec = make_change(&Value::Null, &start.properties);
    let mut search = Search {
        start,
        reach,
        renew_before: spec.properties.renew_before,
        first: Arc::default(),
        partner: None,
        known: Mutex::default(),
    };
    search.partner = search.find_partner();
    let first = search.first_moment();
    search.first = Arc::new(first.published());
    let mut seen: HashMap<Moment, usize> = HashMap::from([(first.clone(), 0)]);
    let mut nodes = vec![Node {
        moment: first,
        origin: None,
        is_settled: false,
    }];
    let mut frontier = 0..1;
    for level in 0..=reach.steps {
        let reached = search.expand_all(&nodes, frontier.clone().collect(), level == reach.steps);
        frontier.start = nodes.len();
        for (moment, parent, step) in reached {
            let index = *seen.entry(moment.clone()).or_insert(nodes.len());
            if index == nodes.len() {
                nodes.push(Node {
                    moment,
                    origin: Some((parent, step)),
                    is_settled: false,
                });
            }
            let failed = nodes[index].moment.template.failed;
            nodes[index].is_settled |= matches!(step, Step::Event(_, Extent::Whole)) && !failed;
        }
        frontier.end = nodes.len();
    }
    search.check_settled(&nodes);
    let known = search.known.into_inner().expect("no worker panicked");
    Findings {
        moments: nodes.len(),
        sets: known.catalog.sets_seen(),
        events: known.outcomes.len(),
        distinct_pairs: known.catalog.pairs_judged(),
        signatures: known.catalog.signatures_checked(),
        ..known.findings
    }
}

impl Search<'_> {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no worker panicked")
    }

    /// The partner is found by its CA, which the bundle holds in the beginning.
    fn find_partner(&self) -> Option<(ListId, KeyId)> {
        let chain = self.start.partner.as_deref()?;
        let catalog = &mut self.known().catalog;
        let bundle = catalog.set_id(&self.start.stored);
        let bundle = catalog.set(bundle).value(Part::CaCert)?.clone();
        catalog.list_id(&bundle);
        let set = catalog.set_with(0, Part::Cert, Some(chain));
        let chain = catalog.set(set).value(Part::Cert)?.clone();
        let chain = catalog.list_id(&chain);
        let issuer = catalog.keys_of_issuers_of(chain).into_iter().next()?;
        Some((chain, issuer))
    }

    /// Whether a bundle that can be read trusts the partner's CA.
    fn trusts_partner(&self, reading: &Reading, catalog: &Catalog) -> bool {
        let partner = self.partner.zip(reading.bundle);
        partner.is_some_and(|((_, key), bundle)| catalog.has_key(bundle, key))
    }

    fn first_moment(&self) -> Moment {
        let set = self.known().catalog.set_id(&self.start.stored);
        let mut moment = Moment {
            set,
            tainted: BTreeSet::new(),
            now: self.start.now.unix_timestamp(),
            swapped: false,
            template: Template::of(Wish {
                separate: self.start.separate,
                ..Wish::default()
            }),
            bundles: BTreeSet::new(),
            chains: BTreeSet::new(),
            has_partner: self.partner.is_some(),
            copies: Vec::new(),
        };
        moment.read(&self.reading(set), &mut self.known().catalog);
        moment
    }

    /// Everything that one step from these nodes leads to.
    fn expand_all(
        &self,
        nodes: &[Node],
        frontier: Vec<usize>,
        is_last: bool,
    ) -> Vec<(Moment, usize, Step)> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let next = Mutex::new(frontier.into_iter());
        let work = || {
            let mut reached = Vec::new();
            loop {
                let index = next.lock().expect("no worker panicked").next();
                let Some(index) = index else {
                    return reached;
                };
                for (moment, step) in self.expand(Place { nodes, index }, is_last) {
                    reached.push((moment, index, step));
                }
            }
        };
        let mut reached: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let results = workers.into_iter().map(thread::ScopedJoinHandle::join);
            results
                .flat_map(|result| result.expect("a worker ends"))
                .collect()
        });
        reached.sort_by_key(|(_, index, _)| *index);
        reached
    }

    /// Everything that one step leads to. After the last step, only the event that comes next is looked at.
    fn expand(&self, from: Place<'_>, is_last: bool) -> Vec<(Moment, Step)> {
        let moment = from.moment();
        let reading = self.reading(moment.set);
        let mut reached = Vec::new();
        if !is_last {
            self.suffer(from, &reading, &mut reached);
        }
        for event in self.reach.events.iter().copied() {
            let is_next = match event {
                Event::NoOp => true,
                Event::Again | Event::SetBack => moment.template.failed,
                _ => false,
            };
            if (!is_last || is_next)
                && let Some(template) = moment.template.after(event, &reading)
            {
                reached.extend(self.send(from, event, &template));
            }
        }
        reached
    }

    /// What damage, time and a copy that is put back lead to.
    fn suffer(&self, from: Place<'_>, reading: &Reading, reached: &mut Vec<(Moment, Step)>) {
        let moment = from.moment();
        let prospects = self.prospects(moment.set);
        for (mishap, set) in &prospects.mishaps {
            let swaps = matches!(mishap, Mishap::Damaged(_, Damage::OfAnotherSet));
            if swaps && moment.swapped {
                continue;
            }
            let mut next = moment.clone();
            next.set = *set;
            next.swapped |= swaps;
            if !mishap.is_harmless() {
                next.tainted.insert(mishap.part());
            }
            let seen = self.reading(*set);
            let catalog = &mut self.known().catalog;
            next.forget_untraceable(reading, moment.now, &seen, catalog);
            next.has_partner &= self.trusts_partner(&seen, catalog);
            next.read(&seen, catalog);
            reached.push((next, Step::Mishap(*mishap)));
        }
        for (wait, end) in &prospects.waits {
            if *end > moment.now {
                let mut next = moment.clone();
                next.now = *end;
                let catalog = &mut self.known().catalog;
                next.forget_untraceable(reading, moment.now, reading, catalog);
                next.forget_expired(reading, catalog);
                next.has_partner &= self
                    .partner
                    .is_some_and(|(chain, _)| !catalog.is_leaf_expired(chain, *end));
                reached.push((next, Step::Wait(*wait)));
            }
        }
        for (generation, copy) in moment.copies.iter().enumerate() {
            let mut next = moment.put_back(copy, &mut self.known().catalog);
            let (then, seen) = (self.reading(copy.set), self.reading(next.set));
            let catalog = &mut self.known().catalog;
            next.forget_untraceable(&then, moment.now, &seen, catalog);
            next.forget_expired(&seen, catalog);
            reached.push((next, Step::PutBack { generation }));
        }
        for (next, step) in reached {
            self.check(next, from, *step, "what happened");
        }
    }

    /// Everything that this event leads to, crashes included.
    fn send(&self, from: Place<'_>, event: Event, template: &Template) -> Vec<(Moment, Step)> {
        let old = match event {
            Event::NoOp => &template.wish,
            _ => &template.former,
        };
        let whole = Step::Event(event, Extent::Whole);
        let mut next = from.moment().clone();
        next.template = template.clone();
        let outcome = self.outcome(from.moment(), &template.wish, old);
        let done = match &*outcome {
            Outcome::Done(done) => done,
            Outcome::Failed(error) => {
                self.report(from, whole, error);
                return Vec::new();
            }
            Outcome::Refused(refusal) => {
                let is_forward = event != Event::NoOp && template.is_forward();
                // Where the CA key was lost since, the way back would cut off what the way forward did not.
                let switches = template.wish.separate != template.former.separate;
                let may_refuse = is_forward
                    || switches && matches!(refusal, Refusal::ClientCertificateCutsOff { .. });
                if !may_refuse || matches!(refusal, Refusal::LaterState | Refusal::LateDuplicate) {
                    self.report(from, whole, &format!("stumbles: {refusal}"));
                }
                // CloudFormation sends the old properties.
                next.template.failed = true;
                return vec![(next, whole)];
            }
        };
        let copy = done.closes.then(|| Arc::new(next.published()));
        self.take_word(&mut next, done, from, whole);
        let mut reached = Vec::new();
        for writes in 0..=done.sets.len() {
            if writes > 0 {
                next.set = done.sets[writes - 1];
                for part in &done.parts[writes - 1] {
                    next.tainted.remove(part);
                }
                let reading = self.reading(next.set);
                next.read(&reading, &mut self.known().catalog);
            }
            let is_whole = writes == done.sets.len();
            let extent = if is_whole {
                Extent::Whole
            } else {
                Extent::CrashAfter(writes)
            };
            let step = Step::Event(event, extent);
            if !self.check(&next, from, step, &done.summary) {
                return reached;
            }
            if is_whole || writes >= self.reach.first_crash {
                let mut moment = next.clone();
                if let Some(copy) = copy.as_ref().filter(|_| is_whole) {
                    moment.copies = vec![Arc::clone(&self.first), Arc::clone(copy)];
                }
                moment.template.failed = !is_whole && event != Event::NoOp;
                reached.push((moment, step));
            }
        }
        reached
    }

    /// Lets go of readers that the plan says are cut off, and of those that the operator says are gone.
    fn take_word(&self, moment: &mut Moment, done: &Done, from: Place<'_>, step: Step) {
        let reading = self.reading(moment.set);
        let then = self.reading(done.sets.last().copied().unwrap_or(moment.set));
        let whom = match &done.cut_off {
            CutOff::Nobody => None,
            // A CA of another set stands for the CA whose place it took.
            CutOff::KnowingOnly { authority, .. } if !self.is_of_other_set(authority) => {
                Some(CutOffs::Knowing(authority, &then))
            }
            CutOff::KnowingOnly { .. } | CutOff::Everyone => Some(CutOffs::All),
        };
        let known = &mut *self.known();
        if let Some(whom) = whom {
            let cut_offs = &mut known.findings.cut_offs;
            cut_offs
                .entry(done.summary.clone())
                .or_insert_with(|| from.way(step));
            moment.forget_cut_off(whom, &reading, &mut known.catalog);
        }
        if done.moves {
            moment.forget_untrusting(&reading, &known.catalog);
        }
        if done.closes {
            moment.forget_retired(&reading, &mut known.catalog);
        }
        if done.leaves_out {
            moment.has_partner = false;
            moment.forget_left_out(&then, &mut known.catalog);
        }
    }

    fn is_of_other_set(&self, authority: &Fingerprint) -> bool {
        let other = certificates(&self.start.other, Part::CaCert);
        other.iter().any(|other| other.fingerprint() == *authority)
    }

    /// Checks that everybody who counts accepts everybody who counts.
    fn check(&self, moment: &Moment, from: Place<'_>, step: Step, after: &str) -> bool {
        let known = &mut *self.known();
        let mut refused = None;
        let partner = self.partner.filter(|_| moment.has_partner);
        let partner = partner.map(|(chain, _)| chain);
        for bundle in &moment.bundles {
            for chain in moment.chains.iter().chain(&partner) {
                known.findings.pairs += 1;
                if known.catalog.judge(*bundle, *chain, moment.now) == Verdict::Refused {
                    refused = Some((*bundle, *chain));
                }
            }
        }
        let Some((bundle, chain)) = refused else {
            return true;
        };
        let (bundle, chain) = (
            known.catalog.describe(bundle),
            known.catalog.describe(chain),
        );
        let what = format!("{}: {bundle} refuses {chain}", from.way(step));
        let counterexamples = &mut known.findings.counterexamples;
        counterexamples.entry(after.to_owned()).or_insert(what);
        false
    }

    /// Checks that where an event came to its end, the next one writes nothing, and daemons and the API have what the
    /// template says that they present.
    fn check_settled(&self, nodes: &[Node]) {
        for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.is_settled) {
            let wish = &node.moment.template.wish;
            let reading = self.reading(node.moment.set);
            if !reading.is_as_asked(wish.separate, &self.known().catalog) {
                let step = Step::Event(Event::NoOp, Extent::Whole);
                self.report(
                    Place { nodes, index },
                    step,
                    "something is not presented as asked",
                );
            }
            if let Outcome::Done(done) = &*self.outcome(&node.moment, wish, wish)
                && !done.sets.is_empty()
            {
                let what = format!("not kept: {}", done.summary);
                let step = Step::Event(Event::NoOp, Extent::Whole);
                self.report(Place { nodes, index }, step, &what);
            }
        }
    }

    fn report(&self, from: Place<'_>, step: Step, what: &str) {
        let counterexamples = &mut self.known().findings.counterexamples;
        counterexamples
            .entry(what.to_owned())
            .or_insert_with(|| from.way(step));
    }

    fn outcome(&self, moment: &Moment, wish: &Wish, old: &Wish) -> Arc<Outcome> {
        let reading = self.reading(moment.set);
        let lists = &moment.bundles | &moment.chains;
        let used = &reading.pool_numbers | &self.known().catalog.pool_numbers(&lists);
        let fresh: Vec<usize> = (0..)
            .filter(|number| !used.contains(number))
            .take(FRESH_KEYS)
            .collect();
        let question = (moment.set, moment.now, wish.clone(), old.clone(), fresh);
        if let Some(outcome) = self.known().outcomes.get(&question) {
            return Arc::clone(outcome);
        }
        let outcome = Arc::new(self.carry_out(&question));
        self.known().outcomes.insert(question, Arc::clone(&outcome));
        outcome
    }

    fn carry_out(&self, (set, now, wish, old, fresh): &Question) -> Outcome {
        let now = OffsetDateTime::from_unix_timestamp(*now).expect("a time that X.509 can hold");
        let before = self.known().catalog.set(*set);
        let spec = make_change(&self.properties(old), &self.properties(wish));
        let assessment = Assessment::of(before.found());
        let plan = planner::plan(&spec, &assessment, now);
        check_spoilt_is_as_good_as_lost(&plan, &spec, &assessment.found, now);
        let plan = match plan {
            Ok(plan) => plan,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        // The key tells CAs apart, and the time what they issue; only what is made for a token again has to differ.
        let state = before.value(Part::State).map_or("", StoredValue::text);
        let pending = Some(state).filter(|state| state.contains("pending"));
        let salt = format!("{now} {fresh:?} {pending:?}");
        let mut mint = PoolMint::with_keys(fresh.clone(), &salt);
        let stored = before.stored();
        let published = publication(&plan, &spec, &stored, &assessment, now, &mut mint);
        let (mut writes, removed) = match published {
            Ok(publication) => (publication.writes, publication.removed),
            Err(error) => return Outcome::Failed(format!("{}: {error}", summary(&plan))),
        };
        let catalog = &mut self.known().catalog;
        catalog.settle_signatures(&mut writes);
        let mut set = *set;
        let (mut sets, mut parts) = (Vec::new(), Vec::new());
        for write in &writes {
            set = catalog.set_with(set, write.part, Some(write.value.expose()));
            sets.push(set);
            parts.push(vec![write.part]);
        }
        for pair in removed {
            let gone = vec![pair.cert(), pair.key()];
            for part in &gone {
                set = catalog.set_with(set, *part, None);
            }
            sets.push(set);
            parts.push(gone);
        }
        Outcome::Done(Done {
            sets,
            parts,
            summary: summary(&plan),
            closes: plan
                .causes
                .iter()
                .any(|cause| matches!(cause, Cause::Retired { .. })),
            moves: plan
                .causes
                .iter()
                .any(|cause| matches!(cause, Cause::Trusted { .. })),
            leaves_out: !plan.left_out().is_empty(),
            cut_off: plan.cut_off,
        })
    }

    fn properties(&self, wish: &Wish) -> Value {
        let mut properties = self.start.properties.clone();
        if wish.token > 0 {
            properties["RotationToken"] = wish.token.into();
        }
        properties["RetiredCA"] = json!(wish.retired);
        if wish.separate {
            properties["ClientCertificate"] = json!("Separate");
        }
        properties
    }

    fn reading(&self, id: SetId) -> Arc<Reading> {
        let set = {
            let known = self.known();
            if let Some(reading) = known.readings.get(&id) {
                return Arc::clone(reading);
            }
            known.catalog.set(id)
        };
        let found = set.found();
        let known = &mut *self.known();
        let reading = Arc::new(Reading::new(&set, &found, &mut known.catalog));
        known.readings.insert(id, Arc::clone(&reading));
        reading
    }

    fn prospects(&self, id: SetId) -> Arc<Prospects> {
        let set = {
            let known = self.known();
            if let Some(prospects) = known.prospects.get(&id) {
                return Arc::clone(prospects);
            }
            known.catalog.set(id)
        };
        let found = set.found();
        let strike = |mishap: &Mishap| {
            let part = mishap.part();
            let struck = mishap.strike(set.value(part)?.text(), &found, &self.start.other)?;
            let value = match &struck {
                Struck::Gone => None,
                Struck::Changed(value) => Some(&value[..]),
            };
            Some((*mishap, self.known().catalog.set_with(id, part, value)))
        };
        let end = |wait: &Wait| Some((*wait, wait.end(&found, self.renew_before)?));
        let prospects = Arc::new(Prospects {
            mishaps: self.reach.mishaps.iter().filter_map(strike).collect(),
            waits: self.reach.waits.iter().filter_map(end).collect(),
        });
        self.known().prospects.insert(id, Arc::clone(&prospects));
        prospects
    }
}
