//! A CloudFormation event, taken apart so that even a malformed one can be answered.
//!
//! `aws_lambda_events` has a type for these events, but it fails as a whole on one missing or unknown field, and then
//! nobody tells CloudFormation. So the fields that an answer needs are found first, and the rest is read later.

use serde_json::Value;

/// The most bytes of JSON that an id takes that CloudFormation gives; the longest are a stack's.
const MAX_ID_BYTES: usize = 512;
/// The most bytes of JSON that a `PhysicalResourceId` takes, of 1024 bytes at most by itself.
const MAX_PHYSICAL_ID_BYTES: usize = 1026;

/// What CloudFormation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// The resource is new in its stack.
    Create,
    /// The resource's properties changed, or a change of them is rolled back.
    Update,
    /// The resource left its stack, or was replaced.
    Delete,
}

/// Which of the custom resources an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// Keeps a rack's set.
    Generator,
    /// Reads one of its parameters.
    Getter,
}

impl ResourceKind {
    /// The resource types that are served, each with its kind; the first two are those of deployed racks.
    pub const TYPES: [(&'static str, Self); 4] = [
        ("Custom::SelfSignedCertificate", Self::Generator),
        ("Custom::SelfSignedCertificateGetter", Self::Getter),
        ("Custom::DockerTLSCertGenerate", Self::Generator),
        ("Custom::DockerTLSCertGetter", Self::Getter),
    ];

    fn of(resource_type: &str) -> Option<Self> {
        let known = Self::TYPES
            .into_iter()
            .find(|(name, _)| *name == resource_type);
        known.map(|(_, kind)| kind)
    }
}

/// An event that can be answered: it has a response URL. Whatever else is missing or of the wrong kind is empty.
#[derive(Clone)]
pub struct Event {
    /// The pre-signed URL that the answer is put to. A secret: whoever has it can answer.
    pub response_url: String,
    /// `RequestType`, if it is one of the three.
    pub request_type: Option<RequestType>,
    /// `RequestType` as it stands in the event.
    pub request_type_text: String,
    /// `RequestId`, to be echoed.
    pub request_id: String,
    /// `StackId`, to be echoed.
    pub stack_id: String,
    /// `LogicalResourceId`, to be echoed.
    pub logical_resource_id: String,
    /// `PhysicalResourceId`; a Create has none.
    pub physical_resource_id: Option<String>,
    /// `ResourceType`.
    pub resource_type: String,
    /// `ResourceProperties`, or null.
    pub properties: Value,
    /// `OldResourceProperties`, or null.
    pub old_properties: Value,
}

impl Event {
    /// Takes an event apart; `None` if it has no response URL.
    pub fn parse(mut event: Value) -> Option<Self> {
        let text = |field: &str| event.get(field).and_then(Value::as_str).map(str::to_owned);
        // What is echoed must leave room in the response for what is said.
        let echo = |field: &str, most: usize| {
            let echoed = event
                .get(field)
                .filter(|value| value.to_string().len() <= most);
            echoed.and_then(Value::as_str).map(str::to_owned)
        };
        let response_url = text("ResponseURL").filter(|url| !url.is_empty())?;
        let request_type_text = text("RequestType").unwrap_or_default();
        Some(Self {
            response_url,
            request_type: match request_type_text.as_str() {
                "Create" => Some(RequestType::Create),
                "Update" => Some(RequestType::Update),
                "Delete" => Some(RequestType::Delete),
                _ => None,
            },
            request_type_text,
            request_id: echo("RequestId", MAX_ID_BYTES).unwrap_or_default(),
            stack_id: echo("StackId", MAX_ID_BYTES).unwrap_or_default(),
            logical_resource_id: echo("LogicalResourceId", MAX_ID_BYTES).unwrap_or_default(),
            physical_resource_id: echo("PhysicalResourceId", MAX_PHYSICAL_ID_BYTES)
                .filter(|id| !id.is_empty()),
            resource_type: text("ResourceType").unwrap_or_default(),
            properties: event["ResourceProperties"].take(),
            old_properties: event["OldResourceProperties"].take(),
        })
    }

    /// Which custom resource the event is about, if it is one that is served.
    pub fn kind(&self) -> Option<ResourceKind> {
        ResourceKind::of(&self.resource_type)
    }
}
