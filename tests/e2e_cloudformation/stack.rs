//! A stack, and what happens when it is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use crate::rack;
use crate::story::Story;
use crate::template::Template;

/// A stack's parameters, by name.
pub type Parameters = BTreeMap<String, String>;

/// A stack of a story.
pub struct Stack<'story> {
    story: &'story Story,
    name: String,
    template: Template,
    parameters: Parameters,
    /// The racks that it was ever given.
    racks: BTreeSet<String>,
}

impl<'story> Stack<'story> {
    /// One of our template that was not created yet.
    #[track_caller]
    pub fn ours(story: &'story Story, name: &str) -> Self {
        Self::of(story, name, Template::ours())
    }

    /// One of another template that was not created yet.
    pub fn of(story: &'story Story, name: &str, template: Template) -> Self {
        Self {
            story,
            name: name.to_owned(),
            template,
            parameters: Parameters::new(),
            racks: BTreeSet::new(),
        }
    }

    /// From now on, it has this template.
    pub fn set_template(&mut self, template: Template) {
        self.template = template;
    }

    /// The template that it was last given.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// What one of its parameters is, or was given last.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// Creates it with these parameters.
    #[track_caller]
    pub fn create(&mut self, step: &str, parameters: &[(&str, &str)]) -> Step {
        self.parameters.clear();
        self.set(parameters);
        self.operate(step, "CreateStack", self.definition())
    }

    /// Updates it to these parameters changed. The old ones stay where that fails.
    #[track_caller]
    pub fn update(&mut self, step: &str, changes: &[(&str, &str)]) -> Step {
        let before = self.parameters.clone();
        self.set(changes);
        let updated = self.operate(step, "UpdateStack", self.definition());
        if updated.status != "UPDATE_COMPLETE" {
            self.parameters = before;
        }
        updated
    }

    /// Goes on with a rollback that failed.
    #[track_caller]
    pub fn continue_rollback(&mut self, step: &str) -> Step {
        self.operate(step, "ContinueUpdateRollback", json!({}))
    }

    /// Deletes it.
    #[track_caller]
    pub fn delete(&mut self, step: &str) -> Step {
        self.operate(step, "DeleteStack", json!({}))
    }

    /// What one of its resources is called in AWS.
    #[track_caller]
    pub fn resource(&self, logical_id: &str) -> String {
        let request = json!({ "StackName": self.name, "LogicalResourceId": logical_id });
        let mut connection = self.story.connection();
        let answer = connection.check_call("cloudformation", "DescribeStackResource", &request);
        let id = answer["StackResourceDetail"]["PhysicalResourceId"].as_str();
        id.expect("the resource exists").to_owned()
    }

    /// Its outputs, by name.
    #[track_caller]
    pub fn outputs(&self) -> BTreeMap<String, String> {
        let request = json!({ "StackName": self.name });
        let mut connection = self.story.connection();
        let answer = connection.check_call("cloudformation", "DescribeStacks", &request);
        let outputs = answer["Stacks"][0]["Outputs"].as_array().cloned();
        let text = |output: &Value, field: &str| output[field].as_str().map(str::to_owned);
        let outputs = outputs.unwrap_or_default();
        let pairs = outputs
            .iter()
            .filter_map(|output| Some((text(output, "OutputKey")?, text(output, "OutputValue")?)));
        pairs.collect()
    }

    fn set(&mut self, parameters: &[(&str, &str)]) {
        for (name, value) in parameters {
            if *name == "Rack" {
                self.racks.insert(rack::hex(value));
            }
            self.parameters
                .insert((*name).to_owned(), (*value).to_owned());
        }
    }

    fn definition(&self) -> Value {
        let parameters = self
            .parameters
            .iter()
            .map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value }));
        json!({
            "TemplateBody": self.template.text(),
            "Parameters": parameters.collect::<Vec<_>>(),
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        })
    }

    /// Calls an operation on it.
    #[track_caller]
    fn operate(&mut self, step: &str, operation: &str, mut arguments: Value) -> Step {
        arguments["StackName"] = self.name.clone().into();
        self.watch(step, || {
            let mut connection = self.story.connection();
            let result = connection.call("cloudformation", operation, &arguments);
            result.map(drop)
        })
    }

    /// Waits until it has come to rest from what is done to it, unless that is refused.
    #[track_caller]
    pub fn watch(&self, step: &str, act: impl FnOnce() -> Result<(), String>) -> Step {
        let mark = self.story.connection().command("mark", json!({}));
        let result = match act() {
            Ok(()) => {
                let settle = json!({ "stack": self.name, "mark": mark });
                let record = self.story.connection().command("settle", settle);
                let entries = record["record"].as_array().expect("entries");
                let result = Step::read(&self.name, &self.racks, entries);
                assert_eq!(record["is_at_rest"], true, "never at rest: {result:#?}");
                result
            }
            Err(message) => Step::refused(message),
        };
        self.story.tell(step, result.cells());
        result
    }
}

/// What is sent and answered where all goes well: the getter needs the generator.
pub const CREATED: [&str; 2] = [
    "Create DockerTLSCertGenerate SUCCESS",
    "Create DockerTLSCert SUCCESS",
];
/// The same where the generator's properties change, and the getter's with them.
pub const UPDATED: [&str; 2] = [
    "Update DockerTLSCertGenerate SUCCESS",
    "Update DockerTLSCert SUCCESS",
];
/// The same the other way round.
pub const DELETED: [&str; 2] = [
    "Delete DockerTLSCert SUCCESS",
    "Delete DockerTLSCertGenerate SUCCESS",
];

/// An event that the engine sent, and what it was answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// As it was sent: `request`, `resource`, `id`, `properties`, `old_properties`.
    pub event: Value,
    /// As it arrived; none where nobody answered.
    pub answer: Option<Value>,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |field: &str| self.event[field].as_str().unwrap_or_default();
        let status = self.answer.as_ref().map_or("no answer", |answer| {
            answer["Status"].as_str().unwrap_or("no status")
        });
        write!(f, "{} {} {status}", text("request"), text("resource"))
    }
}

/// What became of an operation on a stack.
#[derive(Debug)]
pub struct Step {
    /// The stack's status, or why the operation was refused.
    pub status: String,
    /// Why resources and the stack failed.
    pub reasons: Vec<String>,
    /// What was sent, in order.
    pub exchanges: Vec<Exchange>,
    /// What invocations ended in, as far as it was an error.
    pub errors: Vec<String>,
    /// The parameters of the racks concerned that were written or deleted, in order.
    pub written: Vec<String>,
}

impl Step {
    fn refused(message: String) -> Self {
        Self {
            status: message,
            reasons: Vec::new(),
            exchanges: Vec::new(),
            errors: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Reads what of the record is about this stack, and about racks: those that it was given, and those of its events.
    fn read(stack: &str, racks: &BTreeSet<String>, record: &[Value]) -> Self {
        let mut step = Self::refused(String::new());
        let mut racks = racks.clone();
        for entry in record.iter().filter(|entry| entry["stack"] == stack) {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            match entry["kind"].as_str() {
                Some("stack") => {
                    if entry["resource"] == stack {
                        step.status = text("status");
                    }
                    if !text("reason").is_empty() {
                        step.reasons.push(text("reason"));
                    }
                }
                Some("sent") => {
                    for properties in [&entry["properties"], &entry["old_properties"]] {
                        racks.extend(properties["Rack"].as_str().map(rack::hex));
                    }
                    step.exchanges.push(Exchange {
                        event: entry.clone(),
                        answer: None,
                    });
                }
                Some("answered") => {
                    let exchange = step.exchanges.iter_mut().rev().find(|exchange| {
                        exchange.answer.is_none() && exchange.event["resource"] == entry["resource"]
                    });
                    let exchange = exchange.expect("only what was sent is answered, and once");
                    exchange.answer = Some(entry["answer"].clone());
                }
                Some("erred") => step.errors.push(text("error")),
                _ => {}
            }
        }
        for entry in record.iter().filter(|entry| entry["kind"] == "wrote") {
            for name in entry["names"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                if racks
                    .iter()
                    .any(|rack| name.starts_with(&format!("{rack}-")))
                {
                    step.written.push(name.to_owned());
                }
            }
        }
        step
    }

    fn cells(&self) -> Vec<String> {
        let exchanges = self.exchanges.iter().map(|exchange| {
            let exchange = exchange.to_string();
            exchange.trim_end_matches(" SUCCESS").to_owned()
        });
        let exchanges: Vec<_> = exchanges.collect();
        vec![
            self.status.clone(),
            exchanges.join(", "),
            self.parts().join(" "),
        ]
    }

    /// What was written and deleted, without the racks.
    fn parts(&self) -> Vec<&str> {
        let parts = self.written.iter().map(|name| {
            let (_, part) = name.split_once('-').unwrap_or(("", name));
            part.trim_start_matches("docker-tls-")
        });
        parts.collect()
    }

    /// Checks the stack's status.
    #[track_caller]
    pub fn ends(self, status: &str) -> Self {
        assert_eq!(self.status, status, "{:#?}", self.reasons);
        self
    }

    /// Checks that a stack of ours was created, with its rack.
    #[track_caller]
    pub fn created(self) -> Self {
        self.ends("CREATE_COMPLETE").exchanges(&CREATED)
    }

    /// Checks that a stack of ours was updated, its getter with its generator.
    #[track_caller]
    pub fn updated(self) -> Self {
        self.ends("UPDATE_COMPLETE").exchanges(&UPDATED)
    }

    /// Checks that a stack of ours was deleted, with its rack.
    #[track_caller]
    pub fn deleted(self) -> Self {
        self.ends("DELETE_COMPLETE").exchanges(&DELETED)
    }

    /// Checks what was sent, and how it was answered.
    #[track_caller]
    pub fn exchanges(self, expected: &[&str]) -> Self {
        let exchanges: Vec<_> = self.exchanges.iter().map(ToString::to_string).collect();
        assert_eq!(exchanges, expected, "{:#?}", self.reasons);
        self
    }

    /// Checks that a reason has these words.
    #[track_caller]
    pub fn because(self, words: &[&str]) -> Self {
        let has = |reason: &String| words.iter().all(|word| reason.contains(word));
        assert!(
            self.reasons.iter().any(has),
            "{words:?} in {:#?}",
            self.reasons
        );
        self
    }

    /// What a resource's property was before the Update that was sent, and what it is.
    #[track_caller]
    pub fn changes(&self, resource: &str, property: &str) -> [&str; 2] {
        let mut updates = self.exchanges.iter().filter(|exchange| {
            exchange.event["resource"] == resource && exchange.event["request"] == "Update"
        });
        let event = &updates.next().expect("it was updated").event;
        ["old_properties", "properties"].map(|of| event[of][property].as_str().unwrap_or_default())
    }

    /// Checks which parameters were written and deleted, in order.
    #[track_caller]
    pub fn writes(self, parts: &str) -> Self {
        assert_eq!(self.parts().join(" "), parts);
        self
    }

    /// Checks that no parameter was written.
    #[track_caller]
    pub fn writes_nothing(self) -> Self {
        self.writes("")
    }
}
