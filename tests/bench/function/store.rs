//! Parameter Store, as small as it can be, so that what is measured is the function; the tests use a real one.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use docker_tls_certgen::set::rack::Rack;
use docker_tls_testing::fixtures::Deployed;
use serde_json::{Value, json};

/// Parameters by name, each with all that was put since it was created: version 1 first.
#[derive(Clone, Debug, Default)]
pub struct Parameters(BTreeMap<String, Vec<Put>>);

#[derive(Clone, Debug)]
struct Put {
    kind: String,
    value: String,
}

impl Parameters {
    /// Nothing is stored.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Those of a set that the deployed handler wrote.
    pub fn of(deployed: &Deployed) -> Self {
        let parameters = deployed.parameters.iter().map(|stored| {
            let put = Put {
                kind: stored.kind.clone(),
                value: stored.value.clone(),
            };
            (stored.name.clone(), vec![put])
        });
        Self(parameters.collect())
    }

    /// Adds one rack's set under another rack's names.
    pub fn add_copy(&mut self, set: &Self, from: &Rack, to: &Rack) {
        for (name, puts) in &set.0 {
            let rest = name.strip_prefix(from.hex());
            let rest = rest.expect("a set's names begin with its rack's");
            self.0.insert(format!("{}{rest}", to.hex()), puts.clone());
        }
    }

    /// Carries out a call.
    pub fn answer(&mut self, action: &str, request: &Value) -> Response {
        let answer = match action {
            "GetParameters" => Ok(self.get(request)),
            "PutParameter" => self.put(request),
            "DeleteParameters" => Ok(self.delete(request)),
            action => panic!("nothing that is measured calls {action}"),
        };
        match answer {
            Ok(answer) => answer.to_string().into_response(),
            Err(code) => refusal(code, ""),
        }
    }

    fn get(&self, request: &Value) -> Value {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for asked in names(request) {
            match self.find(asked) {
                Some(parameter) => found.push(parameter),
                None => missing.push(asked),
            }
        }
        json!({ "Parameters": found, "InvalidParameters": missing })
    }

    /// The newest version of `name`, or the one that `name:version` selects.
    fn find(&self, asked: &str) -> Option<Value> {
        let (name, selected) = match asked.split_once(':') {
            Some((name, version)) => (name, Some(version.parse().ok()?)),
            None => (asked, None),
        };
        let puts = self.0.get(name)?;
        let version: usize = selected.unwrap_or(puts.len());
        let put = puts.get(version.checked_sub(1)?)?;
        let mut parameter =
            json!({ "Name": name, "Type": put.kind, "Value": put.value, "Version": version });
        if selected.is_some() {
            parameter["Selector"] = format!(":{version}").into();
        }
        Some(parameter)
    }

    fn put(&mut self, request: &Value) -> Result<Value, &'static str> {
        let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let puts = self.0.entry(text("Name")).or_default();
        if !puts.is_empty() && request["Overwrite"] != true {
            return Err("ParameterAlreadyExists");
        }
        puts.push(Put {
            kind: text("Type"),
            value: text("Value"),
        });
        Ok(json!({ "Version": puts.len(), "Tier": "Standard" }))
    }

    fn delete(&mut self, request: &Value) -> Value {
        let (deleted, missing): (Vec<&str>, Vec<&str>) =
            names(request).partition(|name| self.0.remove(*name).is_some());
        json!({ "DeletedParameters": deleted, "InvalidParameters": missing })
    }
}

/// SSM's refusal of a call.
pub fn refusal(code: &str, message: &str) -> Response {
    let body = json!({ "__type": code, "message": message }).to_string();
    (StatusCode::BAD_REQUEST, body).into_response()
}

/// The parameters that a call names.
fn names(request: &Value) -> impl Iterator<Item = &str> {
    let names = request["Names"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str)
}
