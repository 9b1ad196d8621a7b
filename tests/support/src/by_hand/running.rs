//! A handler that is run by hand, from one question to the next.
//!
//! The executor is a `poll` with a waker that does nothing: a handler that asks the store or lets time pass is pending
//! until somebody resumes it with an answer.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use docker_tls_certgen::cloudformation::event::Event;
use docker_tls_certgen::cloudformation::response::Response;
use docker_tls_certgen::function::handler::{self, Outcome, Progress};
use docker_tls_certgen::machine::Machine;
use docker_tls_certgen::pki::authority::Mint;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Rack;
use docker_tls_certgen::set::state::EventSeconds;
use docker_tls_certgen::store::{Deletion, ParameterStore, Put, Selector, StoreError};
use time::{Duration, OffsetDateTime};

use crate::by_hand::machine::{Chance, ChanceMint, EPOCH, time_at};
use crate::by_hand::store::{Answer, Call, MemoryStore, stored_set};

/// How long a handler has, unless a test says otherwise: longer than any schedule takes.
const TIME_LIMIT: Duration = Duration::minutes(10);

/// An event, and when CloudFormation sent it.
#[derive(Clone)]
pub struct Request {
    /// The event.
    pub event: Event,
    /// The `X-Amz-Date` of its URL.
    pub sent_at: Option<EventSeconds>,
    /// How long its handler has.
    pub time_limit: Duration,
}

impl Request {
    /// An event for a handler that has plenty of time.
    pub fn new(event: Event, sent_at: Option<EventSeconds>) -> Self {
        Self {
            event,
            sent_at,
            time_limit: TIME_LIMIT,
        }
    }
}

/// What a handler does next.
#[derive(Debug)]
pub enum Step {
    /// It asks the store.
    Asks(Call),
    /// It lets this many milliseconds pass.
    Pauses(i64),
    /// It is done.
    Ends(Box<Outcome>),
}

/// A handler at work.
pub struct Running {
    future: Pin<Box<dyn Future<Output = Outcome>>>,
    port: Rc<Port>,
    event: Rc<Event>,
    progress: Rc<Progress>,
}

impl Running {
    /// Starts a handler; its name decides what it draws by chance.
    pub fn start(request: &Request, name: &str, now: i64) -> (Self, Step) {
        let port = Rc::new(Port::new(name, now, request.time_limit));
        let event = Rc::new(request.event.clone());
        let progress = Rc::new(Progress::default());
        let future = {
            let (port, event, progress) = (port.clone(), event.clone(), progress.clone());
            let sent_at = request.sent_at;
            async move { handler::handle(&event, sent_at, &*port, &*port, &progress).await }
        };
        let mut running = Self {
            future: Box::pin(future),
            port,
            event,
            progress,
        };
        let step = running.poll();
        (running, step)
    }

    /// Goes on with an answer.
    pub fn resume(&mut self, answer: Answer, now: i64) -> Step {
        self.port.now.set(now);
        self.port.answer.replace(Some(answer));
        self.poll()
    }

    /// What is answered when the handling is broken off by a panic or by the deadline.
    pub fn break_off(self) -> Response {
        drop(self.future);
        self.progress.failed(&self.event, "time ran out")
    }

    fn poll(&mut self) -> Step {
        let mut context = Context::from_waker(Waker::noop());
        match self.future.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => Step::Ends(Box::new(outcome)),
            Poll::Pending => {
                let question = self.port.question.take();
                question.expect("a handler waits for nothing but the store and the clock")
            }
        }
    }
}

/// Runs an event alone, from its beginning to its end, while the clock stands still but for pauses.
pub fn run_alone(request: &Request, store: &mut MemoryStore, name: &str) -> Outcome {
    let apply = |call: &Call| store.apply(call);
    let mut now = EPOCH;
    run(request, name, &mut now, apply)
}

/// Runs an event whose calls are answered so, while the clock stands still but for pauses.
pub fn run(
    request: &Request,
    name: &str,
    now: &mut i64,
    mut answer: impl FnMut(&Call) -> Answer,
) -> Outcome {
    let (mut running, mut step) = Running::start(request, name, *now);
    loop {
        let answer = match step {
            Step::Asks(call) => answer(&call),
            Step::Pauses(milliseconds) => {
                *now += milliseconds;
                Answer::Awake
            }
            Step::Ends(outcome) => return *outcome,
        };
        step = running.resume(answer, *now);
    }
}

/// Where a handler's questions leave it, and the answers enter.
struct Port {
    question: RefCell<Option<Step>>,
    answer: RefCell<Option<Answer>>,
    now: Cell<i64>,
    deadline: OffsetDateTime,
    chance: Chance,
}

impl Port {
    fn new(name: &str, now: i64, time_limit: Duration) -> Self {
        Self {
            question: RefCell::default(),
            answer: RefCell::default(),
            now: Cell::new(now),
            deadline: time_at(now) + time_limit,
            chance: Chance::of(name),
        }
    }

    async fn ask(&self, question: Step) -> Answer {
        self.question.replace(Some(question));
        std::future::poll_fn(|_| match self.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    async fn call(&self, call: Call) -> Result<Answer, StoreError> {
        match self.ask(Step::Asks(call.clone())).await {
            Answer::Failed(failure) => Err(failure.error(&call)),
            answer => Ok(answer),
        }
    }
}

impl ParameterStore for Port {
    async fn read(&self, rack: &Rack, selectors: &[Selector]) -> Result<StoredSet, StoreError> {
        let (rack, selectors) = (rack.clone(), selectors.to_vec());
        match self.call(Call::Read { rack, selectors }).await? {
            Answer::Found(found) => Ok(stored_set(&found)),
            answer => panic!("no answer to a read: {answer:?}"),
        }
    }

    async fn put(&self, rack: &Rack, put: &Put<'_>) -> Result<i64, StoreError> {
        let call = Call::Put {
            rack: rack.clone(),
            part: put.part,
            value: put.value.expose().into(),
            parameter_type: put.parameter_type,
            overwrite: put.overwrite,
            once: put.once,
        };
        match self.call(call).await? {
            Answer::Version(version) => Ok(version),
            answer => panic!("no answer to a put: {answer:?}"),
        }
    }

    async fn delete(&self, rack: &Rack, deletion: Deletion) -> Result<(), StoreError> {
        let rack = rack.clone();
        match self.call(Call::Delete { rack, deletion }).await? {
            Answer::Deleted => Ok(()),
            answer => panic!("no answer to a delete: {answer:?}"),
        }
    }
}

impl Machine for Port {
    fn now(&self) -> OffsetDateTime {
        time_at(self.now.get())
    }

    fn time_left(&self) -> Duration {
        self.deadline - self.now()
    }

    async fn pause(&self, duration: Duration) {
        let milliseconds = duration.whole_milliseconds();
        let milliseconds = i64::try_from(milliseconds).expect("nobody pauses for long");
        self.ask(Step::Pauses(milliseconds)).await;
    }

    /// Always the longest wait: handlers that wait for the same thing wake together, so that every order is tried.
    fn jitter(&self) -> f64 {
        1.0
    }

    fn nonce(&self) -> String {
        self.chance.nonce()
    }

    fn mint(&self) -> impl Mint {
        ChanceMint(&self.chance)
    }
}
