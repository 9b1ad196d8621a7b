//! The sets that walks start from.

use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::case_files::CaseFile;
use docker_tls_testing::fixtures::deployed;
use serde_json::{Value, json};

use crate::step::Parameter;

/// What is stored before the first step, and the properties of the first event.
pub struct Start {
    pub name: String,
    pub values: Vec<(Parameter, String)>,
    pub properties: Value,
}

/// The published parameters, and what the shared fixtures call them.
const PARTS: [(Parameter, Part); 4] = [
    (Parameter::CaCert, Part::CaCert),
    (Parameter::CaKey, Part::CaKey),
    (Parameter::Cert, Part::Cert),
    (Parameter::Key, Part::Key),
];

impl Start {
    /// Every one.
    pub fn all() -> Vec<Self> {
        let mut starts = vec![
            Self::of_nothing("ECDSA_P256"),
            Self::of_nothing("ECDSA_P384"),
            Self::of_nothing("RSA_2048"),
        ];
        for set in deployed() {
            let value = |part| set.value(part).to_owned();
            starts.push(Self::of(&format!("deployed, {}", set.rack), value));
        }
        for case in CaseFile::all() {
            starts.push(Self::of(&case.name, |part| case.value(part).to_owned()));
        }
        starts
    }

    fn of_nothing(algorithm: &str) -> Self {
        Self {
            name: format!("nothing, {algorithm}"),
            values: Vec::new(),
            properties: json!({ "KeyAlgorithm": algorithm }),
        }
    }

    fn of(name: &str, value: impl Fn(Part) -> String) -> Self {
        let values = PARTS.map(|(parameter, part)| (parameter, value(part)));
        Self {
            name: name.to_owned(),
            values: values.into(),
            properties: json!({}),
        }
    }

    /// The same with certificates that end sooner.
    pub fn with_short_lives(mut self) -> Self {
        self.properties["CAValidityDays"] = json!(4000);
        self.properties["ValidityDays"] = json!(1000);
        self.name.push_str(", short lives");
        self
    }
}
