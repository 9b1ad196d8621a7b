//! Systems Manager's Parameter Store as a test sees it: moto behind a proxy that keeps a record, adds what AWS has and
//! moto lacks, and fails or limits calls on request. Every [`Ssm`] is an account of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::lambda::http::{Answer, Headers, Reply, Request, Server, post};
use crate::lambda::limits::Limits;
use crate::lambda::moto;

/// What a standard parameter holds at most.
pub const MAX_VALUE_CHARACTERS: usize = 4096;

/// How many names `GetParameters` and `DeleteParameters` take.
const MAX_NAMES: usize = 10;

/// The error code of what is refused for its rate.
pub const THROTTLING: &str = "ThrottlingException";
/// The error code of what is refused because the same parameter is being written.
pub const TOO_MANY_UPDATES: &str = "TooManyUpdates";

/// The first account that is handed out; every [`Ssm`] gets the next.
const FIRST_ACCOUNT: u64 = 100_000_000_001;

/// A parameter as it stands in the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// `String` or `SecureString`.
    pub kind: String,
    /// The value, decrypted.
    pub value: String,
    /// Counts the writes since it was created.
    pub version: u64,
}

/// A call that reached the proxy.
#[derive(Clone, Debug)]
pub struct Call {
    /// The action: `GetParameters`, `PutParameter`, …
    pub action: String,
    /// The request's body.
    pub request: Value,
    /// Whether the store carried it out; whatever the caller got to know of that.
    pub landed: bool,
}

impl Call {
    /// Whether it would change the store.
    pub fn is_write(&self) -> bool {
        Calls::Writes.include(&self.action)
    }

    /// The parameters that it names, in the request's order.
    pub fn names(&self) -> Vec<String> {
        match &self.request["Name"] {
            Value::String(name) => vec![name.clone()],
            _ => self.request["Names"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
        }
    }
}

/// Which calls a fault is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Calls {
    /// `GetParameter` and `GetParameters`.
    Reads,
    /// `PutParameter`, `DeleteParameter` and `DeleteParameters`.
    Writes,
    /// Those of one action.
    Of(&'static str),
}

impl Calls {
    /// Whether it is for those of this action.
    pub fn include(self, action: &str) -> bool {
        match self {
            Self::Reads => action.starts_with("GetParameter"),
            Self::Writes => action.starts_with("Put") || action.starts_with("Delete"),
            Self::Of(name) => action == name,
        }
    }
}

/// What goes wrong with a call.
pub enum Fault {
    /// The store refuses it with this status and error code.
    Refuse(u16, &'static str),
    /// The connection is reset before the store sees the call.
    Reset,
    /// The store carries the call out, but its answer is lost.
    LoseAnswer,
    /// Neither carried out nor answered.
    Hang,
    /// Nothing goes wrong, but something else happens just before the call.
    After(Box<dyn Fn(&Store) + Send + Sync>),
}

impl Fault {
    /// What IAM says to a role that lacks the permission.
    pub const ACCESS_DENIED: Self = Self::Refuse(400, "AccessDeniedException");
    /// What SSM says to too many calls a second.
    pub const THROTTLED: Self = Self::Refuse(400, THROTTLING);
    /// What SSM says to too many writes of one parameter at a time.
    pub const TOO_MANY_UPDATES: Self = Self::Refuse(400, TOO_MANY_UPDATES);
    /// What SSM says when it is broken itself.
    pub const INTERNAL: Self = Self::Refuse(500, "InternalServerError");
}

/// A fault and the calls that it strikes.
struct Rule {
    calls: Calls,
    skip: usize,
    times: usize,
    fault: Arc<Fault>,
}

/// What carries calls out.
pub trait Service: Send + Sync {
    /// Its answer to the call of an action.
    fn call(&self, action: &str, request: &Value) -> Answer;
}

/// Parameters of one account, reached past any proxy: nothing is recorded, and nothing fails.
#[derive(Clone)]
pub struct Store {
    service: Arc<dyn Service>,
}

/// An account in moto.
pub struct Account {
    id: String,
    moto: SocketAddr,
}

impl Account {
    /// One in which there is nothing yet.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(FIRST_ACCOUNT);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed).to_string(),
            moto: moto::address(),
        }
    }

    /// Its twelve digits.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::new()
    }
}

/// An account's Parameter Store behind a recording, failing proxy.
pub struct Ssm {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    calls: Mutex<Vec<Call>>,
    rules: Mutex<Vec<Rule>>,
    limits: Mutex<Option<Limits>>,
    /// Moto's backend is not safe for threads: one call at a time.
    turn: Mutex<()>,
}

impl Ssm {
    /// Starts a proxy for an account in which there is nothing yet.
    pub fn start() -> Self {
        Self::of(Account::new())
    }

    /// Starts a proxy for a service.
    pub fn of(service: impl Service + 'static) -> Self {
        let shared = Arc::new(Shared {
            store: Store::of(service),
            calls: Mutex::default(),
            rules: Mutex::default(),
            limits: Mutex::default(),
            turn: Mutex::default(),
        });
        let server = Server::start({
            let shared = Arc::clone(&shared);
            move |request| shared.handle(&request)
        });
        Self { server, shared }
    }

    /// Where the function finds it.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Every call since the last time that they were taken.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.calls())
    }

    /// How many calls there were of each action since the last time that they were taken.
    pub fn count_calls(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.shared.calls().iter() {
            *counts.entry(call.action.clone()).or_default() += 1;
        }
        counts
    }

    /// From now on, lets `skip` of these calls pass, and then strikes `times` of them.
    pub fn fail(&self, calls: Calls, skip: usize, times: usize, fault: Fault) {
        let rule = Rule {
            calls,
            skip,
            times,
            fault: Arc::new(fault),
        };
        self.shared.rules().push(rule);
    }

    /// From now on, refuses these calls for good, except for the first `skip`.
    pub fn refuse(&self, calls: Calls, skip: usize) {
        self.fail(calls, skip, usize::MAX, Fault::ACCESS_DENIED);
    }

    /// From now on, lets so many calls a second pass, and as many at once that come after a second without any. A call
    /// that is refused for its rate meets no fault.
    pub fn limit(&self, reads_per_second: u32, writes_per_second: u32) {
        self.limit_actions(&[
            ("GetParameter", reads_per_second.into()),
            ("Put", writes_per_second.into()),
            ("Delete", writes_per_second.into()),
        ]);
    }

    /// The same for the actions that begin with these words, and no others.
    pub fn limit_actions(&self, calls_per_second: &[(&'static str, f64)]) {
        *self.shared.limits() = Some(Limits::new(calls_per_second));
    }

    /// Lifts every fault.
    pub fn recover(&self) {
        self.shared.rules().clear();
    }
}

impl Deref for Ssm {
    type Target = Store;

    /// The parameters, past the proxy.
    fn deref(&self) -> &Store {
        &self.shared.store
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().expect("no holder panics")
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().expect("no holder panics")
    }

    fn limits(&self) -> MutexGuard<'_, Option<Limits>> {
        self.limits.lock().expect("no holder panics")
    }

    fn handle(&self, request: &Request) -> Reply {
        let action = request
            .headers
            .get("x-amz-target")
            .and_then(|target| target.strip_prefix("AmazonSSM."))
            .unwrap_or_default()
            .to_owned();
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        let passes = |limits: &mut Limits| limits.take(&action);
        if !self.limits().as_mut().is_none_or(passes) {
            self.record(action, body, false);
            return Reply::Answer(refusal(400, THROTTLING, "Rate exceeded"));
        }
        let fault = self.fault_for(&action);
        match fault.as_deref() {
            Some(Fault::Refuse(status, code)) => {
                let message = format!("the test refuses ssm:{action} here");
                self.record(action, body, false);
                Reply::Answer(refusal(*status, code, &message))
            }
            Some(Fault::Reset) => {
                self.record(action, body, false);
                Reply::Reset
            }
            Some(Fault::Hang) => {
                self.record(action, body, false);
                Reply::Hang
            }
            Some(Fault::LoseAnswer) => {
                self.carry_out(action, body);
                Reply::Close
            }
            Some(Fault::After(event)) => {
                event(&self.store);
                Reply::Answer(self.carry_out(action, body))
            }
            None => Reply::Answer(self.carry_out(action, body)),
        }
    }

    /// The fault that strikes this call, if any; every rule for such calls counts it.
    fn fault_for(&self, action: &str) -> Option<Arc<Fault>> {
        let mut struck = None;
        for rule in self
            .rules()
            .iter_mut()
            .filter(|rule| rule.calls.include(action))
        {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.times > 0 && struck.is_none() {
                rule.times -= 1;
                struck = Some(Arc::clone(&rule.fault));
            }
        }
        struck
    }

    fn carry_out(&self, action: String, request: Value) -> Answer {
        let _turn = self.turn.lock().expect("no holder panics");
        let answer = self
            .store
            .refused_by_aws(&action, &request)
            .unwrap_or_else(|| {
                with_selectors(&request, self.store.service.call(&action, &request))
            });
        self.record(action, request, answer.status == 200);
        answer
    }

    fn record(&self, action: String, request: Value, landed: bool) {
        self.calls().push(Call {
            action,
            request,
            landed,
        });
    }
}

impl Store {
    /// The parameters that a service keeps.
    pub fn of(service: impl Service + 'static) -> Self {
        Self {
            service: Arc::new(service),
        }
    }

    /// A parameter as it stands, decrypted.
    pub fn read(&self, name: &str) -> Option<Stored> {
        self.read_all(&[name.to_owned()]).remove(name)
    }

    /// Those of these parameters that exist, by name.
    pub fn read_all(&self, names: &[String]) -> BTreeMap<String, Stored> {
        let request = json!({ "Names": names, "WithDecryption": true });
        let answer = self.call("GetParameters", &request);
        let found = answer["Parameters"].as_array().into_iter().flatten();
        let read = |parameter: &Value| {
            let text = |field: &str| Some(parameter[field].as_str()?.to_owned());
            let stored = Stored {
                kind: text("Type")?,
                value: text("Value")?,
                version: parameter["Version"].as_u64()?,
            };
            Some((text("Name")?, stored))
        };
        found.filter_map(read).collect()
    }

    /// Creates or overwrites a parameter.
    pub fn write(&self, name: &str, kind: &str, value: &str) {
        let request = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        self.call("PutParameter", &request);
    }

    /// Removes a parameter.
    pub fn remove(&self, name: &str) {
        self.call("DeleteParameters", &json!({ "Names": [name] }));
    }

    /// The names of all parameters of the account, in order.
    pub fn names(&self) -> Vec<String> {
        let answer = self.call("DescribeParameters", &json!({ "MaxResults": 50 }));
        assert!(
            answer["NextToken"].is_null(),
            "more parameters than a page holds"
        );
        let mut names: Vec<_> = answer["Parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|parameter| parameter["Name"].as_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// What AWS refuses and moto would carry out.
    fn refused_by_aws(&self, action: &str, request: &Value) -> Option<Answer> {
        if let Some(names) = request["Names"].as_array()
            && (names.is_empty() || names.len() > MAX_NAMES)
        {
            let message = format!("{action} takes 1 to {MAX_NAMES} names, not {}", names.len());
            return Some(refusal(400, "ValidationException", &message));
        }
        if action != "PutParameter" {
            return None;
        }
        let characters = request["Value"]
            .as_str()
            .unwrap_or_default()
            .chars()
            .count();
        if characters > MAX_VALUE_CHARACTERS {
            let message = format!(
                "Standard tier parameters support a maximum parameter value of \
                 {MAX_VALUE_CHARACTERS} characters, not {characters}"
            );
            return Some(refusal(400, "ValidationException", &message));
        }
        let changed = request["Overwrite"] == true
            && request["Type"]
                .as_str()
                .zip(self.read(request["Name"].as_str().unwrap_or_default()))
                .is_some_and(|(kind, stored)| kind != stored.kind);
        changed.then(|| {
            let message = "The parameter type cannot be changed";
            refusal(400, "HierarchyTypeMismatchException", message)
        })
    }

    #[track_caller]
    fn call(&self, action: &str, request: &Value) -> Value {
        let answer = self.service.call(action, request);
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "SSM on {action}: {text}");
        serde_json::from_str(&text).expect("SSM answers JSON")
    }
}

impl Service for Account {
    fn call(&self, action: &str, request: &Value) -> Answer {
        // Moto tells services apart by the signature's scope, which it does not check further.
        let scope = "Credential=test/20260101/us-east-1/ssm/aws4_request";
        let headers = Headers::default()
            .with(
                "Authorization",
                format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"),
            )
            .with("Content-Type", "application/x-amz-json-1.1")
            .with("X-Amz-Target", format!("AmazonSSM.{action}"))
            .with("X-Moto-Account-Id", &self.id);
        let answer =
            post(self.moto, &headers, request.to_string().as_bytes()).expect("moto answers");
        Answer {
            headers: json_headers(),
            ..answer
        }
    }
}

/// The answer to a read as AWS gives it: a parameter that was asked for by its version says so, which moto leaves out.
fn with_selectors(request: &Value, answer: Answer) -> Answer {
    let names = request["Names"].as_array().into_iter().flatten();
    let asked: Vec<(&str, &str)> = names
        .filter_map(|name| name.as_str()?.split_once(':'))
        .collect();
    if asked.is_empty() || answer.status != 200 {
        return answer;
    }
    let mut body: Value = serde_json::from_slice(&answer.body).expect("moto answers JSON");
    let found = body["Parameters"].as_array_mut().into_iter().flatten();
    for parameter in found {
        let version = parameter["Version"].to_string();
        let by_version =
            |(name, selector): &&(&str, &str)| parameter["Name"] == *name && version == *selector;
        if asked.iter().any(|asked| by_version(&asked)) {
            parameter["Selector"] = json!(format!(":{version}"));
        }
    }
    Answer {
        body: body.to_string().into_bytes(),
        ..answer
    }
}

/// A success as SSM answers it.
pub fn success(body: &Value) -> Answer {
    Answer {
        status: 200,
        headers: json_headers(),
        body: body.to_string().into_bytes(),
    }
}

/// An error as SSM answers it.
pub fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "__type": code, "message": message });
    Answer {
        status,
        headers: json_headers(),
        body: body.to_string().into_bytes(),
    }
}

fn json_headers() -> Headers {
    Headers::default().with("Content-Type", "application/x-amz-json-1.1")
}
