//! CloudFormation's side of a custom resource: it sends the events, and remembers what it was told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::fixtures::{Deployed, make_event, merged};
use crate::lambda::clock;
use crate::lambda::rig::{Exchange, FUNCTION_TIMEOUT, Invoke, Rig};
use crate::lambda::runtime_api::Function;

/// The resource type of the generator in deployed racks.
pub const DEPLOYED_GENERATOR: &str = "Custom::SelfSignedCertificate";
/// The resource type of the getter in our template.
pub const GETTER: &str = "Custom::DockerTLSCertGetter";
/// The resource type of the getter in deployed racks.
pub const DEPLOYED_GETTER: &str = "Custom::SelfSignedCertificateGetter";

/// The stack that resources belong to unless a test says otherwise.
pub const STACK: &str = "rack-1";

const BUCKET: &str = "cloudformation-custom-resource-response-useast1";

/// A custom resource in a stack, as CloudFormation keeps it.
pub struct Resource<'rig, F = Function> {
    rig: &'rig Rig<F>,
    kind: String,
    stack: String,
    logical_id: String,
    physical_id: Option<String>,
    properties: Value,
    date: Option<OffsetDateTime>,
    timeout: Duration,
}

impl<'rig, F: Invoke> Resource<'rig, F> {
    /// A generator for a rack that does not exist yet.
    pub fn generator(rig: &'rig Rig<F>, rack: &str) -> Self {
        Self::new(rig, "create", json!({ "Rack": rack }))
    }

    /// A generator that was created, with the properties of the event, for a rack of its own.
    #[track_caller]
    pub fn created(rig: &'rig Rig<F>, rack: &str) -> Self {
        let mut generator = Self::generator(rig, rack);
        generator.create(json!({})).succeeded();
        generator
    }

    /// The generator of a set that the deployed handler made.
    pub fn deployed(rig: &'rig Rig<F>, set: &Deployed) -> Self {
        Self::generator(rig, &set.rack).existing(&set.physical_id)
    }

    /// A getter that does not exist yet.
    pub fn getter(rig: &'rig Rig<F>, rack: &str, parameter: &str) -> Self {
        Self::new(
            rig,
            "getter",
            json!({ "Rack": rack, "ParameterKey": parameter }),
        )
    }

    /// A resource with the type, the logical id and the properties of an event, these changed.
    fn new(rig: &'rig Rig<F>, event: &str, changes: Value) -> Self {
        let event = make_event(event);
        let field = |name: &str| event[name].as_str().expect("events have all fields");
        Self {
            rig,
            kind: field("ResourceType").to_owned(),
            stack: STACK.to_owned(),
            logical_id: field("LogicalResourceId").to_owned(),
            physical_id: None,
            properties: merged(&event["ResourceProperties"], changes),
            date: None,
            timeout: FUNCTION_TIMEOUT,
        }
    }

    /// The same with another resource type.
    pub fn of_type(mut self, resource_type: &str) -> Self {
        resource_type.clone_into(&mut self.kind);
        self
    }

    /// The same in another stack.
    pub fn in_stack(mut self, stack: &str) -> Self {
        stack.clone_into(&mut self.stack);
        self
    }

    /// The same with another logical id.
    pub fn named(mut self, logical_id: &str) -> Self {
        logical_id.clone_into(&mut self.logical_id);
        self
    }

    /// The same as CloudFormation has it once the resource was created by another handler.
    pub fn existing(mut self, physical_id: &str) -> Self {
        self.physical_id = Some(physical_id.to_owned());
        self
    }

    /// From now on, events carry this date and not the present one.
    pub fn set_date(&mut self, date: OffsetDateTime) {
        self.date = Some(date);
    }

    /// From now on, the function's deadline is so far away.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// From now on, events carry these properties, whatever they are.
    pub fn set_properties(&mut self, properties: Value) {
        self.properties = properties;
    }

    /// What CloudFormation takes for its `PhysicalResourceId`.
    #[track_caller]
    pub fn physical_id(&self) -> &str {
        self.physical_id
            .as_deref()
            .expect("the resource was created")
    }

    /// Creates it with these properties changed, null taking one off.
    #[track_caller]
    pub fn create(&mut self, changes: Value) -> Exchange {
        self.properties = merged(&self.properties, changes);
        let exchange = self.deliver(&self.create_event());
        self.physical_id = Some(exchange.response.physical_id().to_owned());
        exchange
    }

    /// Updates it to these properties changed, null taking one off. After a FAILED the old ones stay.
    #[track_caller]
    pub fn update(&mut self, changes: Value) -> Exchange {
        let wanted = merged(&self.properties, changes);
        let exchange = self.deliver(&self.update_event(&wanted, &self.properties));
        if exchange.response.status() == "SUCCESS" {
            self.properties = wanted;
            self.physical_id = Some(exchange.response.physical_id().to_owned());
        }
        exchange
    }

    /// Rotates its CA by a new token.
    #[track_caller]
    pub fn rotate(&mut self, token: &str) -> Exchange {
        self.update(json!({ "RotationToken": token })).succeeded()
    }

    /// Gives the word that this CA is done with.
    #[track_caller]
    pub fn close(&mut self, fingerprint: &str) -> Exchange {
        self.update(json!({ "RetiredCA": fingerprint })).succeeded()
    }

    /// Updates nothing but `Version`, and checks that all it takes is one read.
    #[track_caller]
    pub fn check_kept(&mut self) -> Exchange {
        let version = next_request_id();
        let updated = self.update(json!({ "Version": version }));
        updated.succeeded().only_read()
    }

    /// What CloudFormation sends after an update to these changes failed, here or elsewhere in the stack: an Update
    /// back.
    #[track_caller]
    pub fn roll_back(&mut self, changes: Value) -> Exchange {
        let failed = merged(&self.properties, changes);
        let exchange = self.deliver(&self.update_event(&self.properties, &failed));
        self.physical_id = Some(exchange.response.physical_id().to_owned());
        exchange
    }

    /// The same, and checks that all it takes is one read.
    #[track_caller]
    pub fn check_rolled_back(&mut self, changes: Value) -> Exchange {
        self.roll_back(changes).succeeded().only_read()
    }

    /// Deletes it.
    #[track_caller]
    pub fn delete(&self) -> Exchange {
        self.delete_as(self.physical_id())
    }

    /// Deletes it, and checks that nothing is left in the store.
    #[track_caller]
    pub fn check_removed(&self) -> Exchange {
        let deleted = self.delete().succeeded();
        assert_eq!(self.rig.ssm.names(), [""; 0]);
        deleted
    }

    /// Deletes what it was under another `PhysicalResourceId`.
    #[track_caller]
    pub fn delete_as(&self, physical_id: &str) -> Exchange {
        self.deliver(&self.delete_event(physical_id))
    }

    #[track_caller]
    fn deliver(&self, event: &Value) -> Exchange {
        self.rig.deliver_within(self.timeout, event)
    }

    /// A Create that was not sent yet.
    pub fn create_event(&self) -> Value {
        self.event("create", json!({ "ResourceProperties": self.properties }))
    }

    /// An Update that was not sent yet.
    #[track_caller]
    pub fn update_event(&self, new: &Value, old: &Value) -> Value {
        let fields = json!({
            "PhysicalResourceId": self.physical_id(),
            "ResourceProperties": new,
            "OldResourceProperties": old,
        });
        self.event("update", fields)
    }

    /// An Update to these properties changed, null taking one off, that was not sent yet.
    #[track_caller]
    pub fn change_event(&self, changes: Value) -> Value {
        self.update_event(&merged(&self.properties, changes), &self.properties)
    }

    /// A Delete that was not sent yet.
    pub fn delete_event(&self, physical_id: &str) -> Value {
        let fields =
            json!({ "PhysicalResourceId": physical_id, "ResourceProperties": self.properties });
        self.event("delete", fields)
    }

    /// An event of the kind given, made this resource's.
    fn event(&self, kind: &str, fields: Value) -> Value {
        let request_id = next_request_id();
        let stack_id = stack_id(&self.stack);
        let ours = json!({
            "ResponseURL": self.response_url(&stack_id, &request_id),
            "StackId": stack_id,
            "RequestId": request_id,
            "LogicalResourceId": self.logical_id,
            "ResourceType": self.kind,
        });
        merged(&merged(&make_event(kind), ours), fields)
    }

    /// A pre-signed URL as CloudFormation makes it, but for the host: the sink's.
    fn response_url(&self, stack_id: &str, request_id: &str) -> String {
        let date = amz_date(self.date.unwrap_or_else(clock::now));
        let (day, _) = date.split_once('T').expect("the time follows the day");
        format!(
            "http://{host}/{BUCKET}/{stack}%7C{logical_id}%7C{request_id}\
             ?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-SignedHeaders=host&X-Amz-Expires=7200\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F{day}%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Signature=c37a68f0c7c8d4ef0d25c6e4b21f65aa1bb45b0c1c5a2d0e8e3b7f2ac8b6a1d4",
            host = self.rig.sink.address(),
            // Only the colons are encoded, the slashes are the key's.
            stack = stack_id.replace(':', "%3A"),
            logical_id = self.logical_id,
        )
    }
}

/// A time as a pre-signed URL has it: `20260102T030405Z`.
fn amz_date(time: OffsetDateTime) -> String {
    let day =
        time.year() * 10_000 + i32::from(u8::from(time.month())) * 100 + i32::from(time.day());
    format!(
        "{day:08}T{:02}{:02}{:02}Z",
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The same event with a URL that was signed then, or that does not tell when.
#[track_caller]
pub fn signed_at(event: &Value, time: Option<OffsetDateTime>) -> Value {
    let url = event["ResponseURL"].as_str().unwrap_or_default();
    let (path, query) = url.split_once('?').expect("the URL is signed");
    let fields = query.split('&').filter_map(|field| {
        if field.starts_with("X-Amz-Date=") {
            Some(format!("X-Amz-Date={}", amz_date(time?)))
        } else {
            Some(field.to_owned())
        }
    });
    let query = fields.collect::<Vec<_>>().join("&");
    merged(event, json!({ "ResponseURL": format!("{path}?{query}") }))
}

/// An ARN as CloudFormation gives it to a stack of this name.
pub fn stack_id(stack: &str) -> String {
    format!(
        "arn:aws:cloudformation:us-east-1:012345678912:stack/{stack}/c1f4b2a0-c6b5-11f0-8de9-0242ac120002"
    )
}

/// An id that no other event has.
fn next_request_id() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("afd8d7c5-9376-4013-8b3b-{number:012x}")
}
