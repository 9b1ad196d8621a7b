//! A document of type Command: what parameters it takes, and the script that they are put into.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::Value;

use crate::fleet::refusal::Refusal;

/// How long a script may run where its document does not say.
const DEFAULT_EXECUTION_SECONDS: u32 = 3600;

/// What the API says of any parameter that does not fit, and little more.
const REFUSED: &str = "Parameters provided in document are invalid or not supported.";

/// A document with one script, of schema version 2.2.
#[derive(Debug)]
pub struct Document {
    parameters: BTreeMap<String, Parameter>,
    step: String,
    execution_seconds: u32,
    script: String,
}

#[derive(Debug)]
struct Parameter {
    default: Option<String>,
    allowed_values: Option<Vec<String>>,
    allowed_pattern: Option<Regex>,
}

impl Document {
    /// Reads a document's content; a test that brings one of another kind learns what was expected.
    #[track_caller]
    pub fn parse(content: &Value) -> Self {
        assert_eq!(content["schemaVersion"], "2.2", "the document's schema");
        let step = match content["mainSteps"].as_array().map(Vec::as_slice) {
            Some([step]) if step["action"] == "aws:runShellScript" => step,
            _ => panic!("a document with one script was expected: {content}"),
        };
        let lines = strings(&step["inputs"]["runCommand"]).expect("a step has its script");
        let parameters = content["parameters"].as_object().into_iter().flatten();
        Self {
            parameters: parameters
                .map(|(name, parameter)| (name.clone(), Parameter::parse(name, parameter)))
                .collect(),
            step: text(&step["name"]).expect("a step has a name"),
            execution_seconds: match &step["inputs"]["timeoutSeconds"] {
                Value::Null => DEFAULT_EXECUTION_SECONDS,
                Value::String(seconds) => seconds.parse().expect("a limit is a number"),
                seconds => panic!("a limit is a text with a number: {seconds}"),
            },
            script: lines.join("\n"),
        }
    }

    /// The name of its step, by which its plugin goes.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// How many seconds its script may run.
    pub fn execution_seconds(&self) -> u32 {
        self.execution_seconds
    }

    /// The parameters from those of a request, with defaults.
    pub(super) fn resolve(&self, given: &Value) -> Result<BTreeMap<String, String>, Refusal> {
        let refused = |why: String| Refusal::new("InvalidParameters", format!("{REFUSED} {why}"));
        let given = given.as_object();
        for name in given.into_iter().flat_map(|given| given.keys()) {
            if !self.parameters.contains_key(name) {
                return Err(refused(format!("There is no {name}")));
            }
        }
        let mut resolved = BTreeMap::new();
        for (name, parameter) in &self.parameters {
            let value = match given.and_then(|given| given.get(name)) {
                None => parameter.default.clone(),
                Some(values) => match strings(values).as_deref() {
                    Some([value]) => Some(value.clone()),
                    _ => return Err(refused(format!("{name} takes one value"))),
                },
            };
            let value = value.ok_or_else(|| refused(format!("{name} has no value")))?;
            if !parameter.allows(&value) {
                return Err(refused(format!("{name} does not take {value}")));
            }
            resolved.insert(name.clone(), value);
        }
        Ok(resolved)
    }

    /// The script with these parameters.
    pub fn script(&self, parameters: &BTreeMap<String, String>) -> String {
        let mut script = self.script.clone();
        for (name, value) in parameters {
            script = script.replace(&format!("{{{{ {name} }}}}"), value);
            script = script.replace(&format!("{{{{{name}}}}}"), value);
        }
        script
    }
}

impl Parameter {
    #[track_caller]
    fn parse(name: &str, parameter: &Value) -> Self {
        assert_eq!(parameter["type"], "String", "the type of {name}");
        Self {
            default: text(&parameter["default"]),
            allowed_values: strings(&parameter["allowedValues"]),
            allowed_pattern: parameter["allowedPattern"]
                .as_str()
                .map(|pattern| Regex::new(pattern).expect("a document's patterns are patterns")),
        }
    }

    fn allows(&self, value: &str) -> bool {
        let is_listed = |values: &Vec<String>| values.iter().any(|allowed| allowed == value);
        let fits = |pattern: &Regex| pattern.is_match(value);
        self.allowed_values.as_ref().is_none_or(is_listed)
            && self.allowed_pattern.as_ref().is_none_or(fits)
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}
