//! The files that tests start from: events as CloudFormation sends them, and sets that the deployed handler wrote.

use docker_tls_certgen::set::rack::{Part, Rack};
use serde_json::{Map, Value};

/// A file of `events/`, with the name that it has there.
macro_rules! event {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../events/", $name, ".json")),
        )
    };
}

/// The files of `events/`, with the names that they have there.
pub const EVENTS: [(&str, &str); 11] = [
    event!("bad-parameter-key"),
    event!("bad-property"),
    event!("bad-rack"),
    event!("bad-type"),
    event!("create"),
    event!("delete"),
    event!("getter-key"),
    event!("getter"),
    event!("update-retire"),
    event!("update-rotate"),
    event!("update"),
];

/// The fields of an event, but for where its answer goes.
pub const FIELDS: [&str; 8] = [
    "RequestType",
    "RequestId",
    "StackId",
    "LogicalResourceId",
    "PhysicalResourceId",
    "ResourceType",
    "ResourceProperties",
    "OldResourceProperties",
];

/// The properties of the generator and of the getter.
pub const PROPERTIES: [&str; 14] = [
    "CAValidityDays",
    "ClientCertificate",
    "Description",
    "KeyAlgorithm",
    "KeyParameterType",
    "KmsKeyId",
    "ParameterKey",
    "Rack",
    "RenewBeforeDays",
    "RetiredCA",
    "RotationToken",
    "SubjectAlternativeNames",
    "ValidityDays",
    "Version",
];

/// One of the events in `events/`, with all the fields that CloudFormation sends.
#[track_caller]
pub fn make_event(file: &str) -> Value {
    let event = EVENTS.iter().find(|(name, _)| *name == file);
    let (_, text) = event.expect("there is such a file");
    serde_json::from_str(text).expect("events are JSON")
}

/// The same event, with the path of its response URL on another server.
#[track_caller]
pub fn make_event_for(file: &str, origin: &str) -> Value {
    let mut event = make_event(file);
    let url = event["ResponseURL"].as_str().expect("events have a URL");
    let key = url.splitn(4, '/').nth(3).expect("the URL has a path");
    event["ResponseURL"] = format!("{origin}/{key}").into();
    event
}

/// An object with the members of another added, null taking one off. Anything but two objects: the other.
pub fn merged(base: &Value, changes: Value) -> Value {
    let (Value::Object(base), Value::Object(changes)) = (base, &changes) else {
        return changes;
    };
    let mut merged: Map<String, Value> = base.clone();
    for (key, value) in changes {
        if value.is_null() {
            merged.remove(key);
        } else {
            merged.insert(key.clone(), value.clone());
        }
    }
    Value::Object(merged)
}

/// A set as the deployed handler left it: RSA with 2048 bits, PKCS#1, no state.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The rack's name.
    pub rack: String,
    /// The `PhysicalResourceId` that it answered.
    pub physical_id: String,
    /// What it stored.
    pub parameters: Vec<DeployedParameter>,
}

/// A parameter as the deployed handler left it.
#[derive(Clone, Debug)]
pub struct DeployedParameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its value.
    pub value: String,
}

/// Two sets with the same names in their certificates, and with other keys.
pub fn deployed() -> [Deployed; 2] {
    [
        include_str!("../../fixtures/deployed-handler-rack-1.json"),
        include_str!("../../fixtures/deployed-handler-rack-2.json"),
    ]
    .map(Deployed::parse)
}

impl Deployed {
    fn parse(fixture: &str) -> Self {
        let fixture: Value = serde_json::from_str(fixture).expect("fixtures are JSON");
        let text = |value: &Value| value.as_str().expect("fixtures hold text").to_owned();
        let parameters = fixture["Parameters"].as_object();
        let parameters = parameters.expect("fixtures hold parameters").iter();
        let parameter = |(name, stored): (&String, &Value)| DeployedParameter {
            name: name.clone(),
            kind: text(&stored["Type"]),
            value: text(&stored["Value"]),
        };
        Self {
            rack: text(&fixture["Rack"]),
            physical_id: text(&fixture["PhysicalResourceId"]),
            parameters: parameters.map(parameter).collect(),
        }
    }

    /// The value of a published part.
    #[track_caller]
    pub fn value(&self, part: Part) -> &str {
        let rack = Rack::new(&self.rack).expect("fixtures name their rack");
        let name = rack.parameter_name(part);
        let found = self.parameters.iter().find(|found| found.name == name);
        &found.expect("fixtures have every published part").value
    }
}
