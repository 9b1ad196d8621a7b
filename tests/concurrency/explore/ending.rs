//! What must be true once a handler has answered, and once all have.

use docker_tls_certgen::cloudformation::response::Response;
use docker_tls_certgen::function::handler::Outcome;
use docker_tls_certgen::set::rack::Part;
use serde_json::Value;

use super::{End, Explorer, State};
use crate::cloudformation::{make_request, rack, unchanged};
use crate::running;
use crate::store::MemoryStore;
use crate::witness::{Published, Witness};

impl Explorer<'_> {
    /// An answer is SUCCESS, and tells what is stored. Somebody may have stopped between two writes for longer than a
    /// lease.
    pub(super) fn check_outcome(&self, outcome: &Outcome, store: &MemoryStore, has_stopped: bool) {
        match outcome {
            Outcome::Answer(response, report) if response.is_success() => {
                let is_true = response
                    .data()
                    .is_none_or(|data| Witness::confirms(data, store, &rack()));
                if !is_true {
                    self.fail("an answer is not about the set that is stored");
                }
                // Before there was a whole set, and once it was deleted, there is nobody whom a warning is about.
                let is_first = self.scenario.start.names().is_empty();
                let is_last = self
                    .scenario
                    .events
                    .iter()
                    .any(|event| event["RequestType"] == "Delete");
                if report.cuts_off && !is_first && !is_last {
                    self.fail("somebody is cut off");
                }
            }
            Outcome::Answer(response, _) if has_stopped && is_excused(response) => {}
            Outcome::Answer(response, _) if self.is_overtaken(response) => {}
            outcome if self.is_incomplete(outcome) => {}
            outcome => self.fail(&format!("not answered with SUCCESS: {outcome:?}")),
        }
    }

    /// Whether a word that names both CAs of the rotation comes after another event, which has opened the next one.
    fn is_overtaken(&self, response: &Response) -> bool {
        let mut events = self.scenario.events.iter();
        let rotates = events.any(|event| event["ResourceProperties"]["RetiredCA"].is_null());
        let reason = response.reason().unwrap_or_default();
        rotates && reason.contains("but the previous CA and the current one are")
    }

    /// Whether an event was not handled to its end for lack of time or of answers, which the limits allow for.
    pub(super) fn is_incomplete(&self, outcome: &Outcome) -> bool {
        let limits = &self.scenario.limits;
        match outcome {
            Outcome::OutOfTime(_) => limits.hurried,
            // One that is lost is made good.
            Outcome::Answer(response, _) => {
                limits.losses > 1
                    && response
                        .reason()
                        .is_some_and(|reason| reason.contains("got no answer"))
            }
        }
    }

    /// All is done: whose handling broke off tries again, and then an Update changes nothing.
    pub(super) fn check_end(&mut self, state: &State) {
        let crashed = state
            .actors
            .iter()
            .map(|actor| !actor.is_alive)
            .collect::<Vec<_>>();
        if !self
            .ends
            .insert((state.store, state.published, crashed.clone()))
        {
            return;
        }
        let mut store = (**self.stores.thing(state.store)).clone();
        let mut published = (**self.published.thing(state.published)).clone();
        let mut now = state.now;
        for (index, event) in self
            .scenario
            .events
            .iter()
            .enumerate()
            .filter(|(i, _)| crashed[*i])
        {
            let name = format!("again-{index}");
            self.run_alone(event, &name, &mut store, &mut published, &mut now);
        }
        // The end of a claim that is sent again once another's Delete was done: nothing is wrong but that it is there.
        let is_litter = state.left.losses < self.scenario.limits.losses
            && store.set(&rack()).keys().eq([&Part::Claim]);
        let is_empty = store.names().is_empty() || is_litter;
        match self.scenario.end {
            End::Set if is_empty => self.fail("the set is gone"),
            End::Nothing if !is_empty => {
                self.fail(&format!("left behind: {:?}", store.names()));
            }
            _ => {}
        }
        if is_empty {
            return;
        }
        let events = &self.scenario.events;
        for event in events.iter().filter(|event| is_kept(event, events)) {
            let update = unchanged(event);
            let writes = self.run_alone(&update, "next", &mut store, &mut published, &mut now);
            if writes > 0 {
                self.fail("an Update that changes nothing writes");
            }
        }
        let parts = store.set(&rack()).len();
        if parts < Part::SHARED.len() {
            self.fail(&format!("a torn set: {:?}", store.names()));
        }
    }

    /// Runs one event while nothing else happens, and returns how often it wrote.
    fn run_alone(
        &mut self,
        event: &Value,
        name: &str,
        store: &mut MemoryStore,
        published: &mut Published,
        now: &mut i64,
    ) -> usize {
        let request = make_request(event, None);
        let mut writes = 0;
        let outcome = running::run(&request, name, now, |call| {
            writes += usize::from(call.is_write());
            let answer = store.apply(call);
            let closes = self.scenario.closes();
            if let Err(what) = self.witness.look(published, store, &rack(), closes) {
                self.fail(&format!("{name} afterwards: {what}"));
            }
            answer
        });
        self.check_outcome(&outcome, store, false);
        writes
    }
}

/// Who stopped in the middle of a rotation left a pair that does not match its key, or its CA, until the next event.
fn is_excused(response: &Response) -> bool {
    let reason = response.reason().unwrap_or_default();
    reason.contains("have not matched") || reason.contains("was not issued by the current CA")
}

/// Whether an event is about a set that its resource goes on using.
fn is_kept(event: &Value, events: &[Value]) -> bool {
    let resource_type = event["ResourceType"].as_str().unwrap_or_default();
    let is_deleted = events.iter().any(|other| {
        other["RequestType"] == "Delete"
            && other["StackId"] == event["StackId"]
            && other["LogicalResourceId"] == event["LogicalResourceId"]
    });
    !is_deleted && !resource_type.ends_with("Getter")
}
