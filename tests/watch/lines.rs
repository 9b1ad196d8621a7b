//! The lines that CloudWatch takes metrics from.

use std::io::Write as _;
use std::process::Stdio;

use docker_tls_certgen::function::metrics::Metrics;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_testing::engine::sam;
use docker_tls_testing::event::change;
use docker_tls_testing::sets::{NOW, make_own};
use serde_json::{Value, json};

use crate::look;

const SCHEMA: &str = include_str!("emf.schema.json");
/// Checks each line of its input against a schema.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema = json.loads(sys.argv[1])
Draft202012Validator.check_schema(schema)
for line in sys.stdin:
    Draft202012Validator(schema).validate(json.loads(line))
";

fn make_rotated() -> StoredSet {
    let mut stored = make_own(KeyAlgorithm::EcdsaP256);
    change(&json!({}), &json!({ "RotationToken": "a" }), &mut stored);
    stored
}

/// Lines of every kind, and what each is of.
fn lines() -> Vec<(&'static str, Value)> {
    let own = make_own(KeyAlgorithm::EcdsaP256);
    let mut damaged = own.clone();
    damaged.remove(&Part::CaCert);
    let sets = [
        ("a healthy set", own),
        ("an open rotation", make_rotated()),
        ("a damaged set", damaged),
        ("nothing", StoredSet::new()),
    ];
    let lines = sets.map(|(name, stored)| {
        let standing = look(&json!({}), &stored, NOW);
        (
            name,
            serde_json::to_value(Metrics(&standing)).expect("JSON"),
        )
    });
    lines.to_vec()
}

#[test]
fn every_line_is_one_of_the_embedded_metric_format() {
    let lines = lines();
    let mut python = sam::command("python");
    let python = python.args(["-c", VALIDATE, SCHEMA]).stdin(Stdio::piped());
    let mut python = python.stderr(Stdio::piped()).spawn();
    let python = python.as_mut().expect("`make tools` has installed it");
    let mut stdin = python.stdin.take().expect("it is piped");
    for (_, line) in &lines {
        writeln!(stdin, "{line}").expect("it reads");
    }
    drop(stdin);
    let mut said = String::new();
    let mut stderr = python.stderr.take().expect("it is piped");
    std::io::Read::read_to_string(&mut stderr, &mut said).expect("it says text");
    assert!(python.wait().expect("it ends").success(), "{said}");

    for (name, line) in &lines {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        // What is referred to has to be there, at the top.
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let member = metric["Name"].as_str().expect("a name");
            assert!(line[member].is_i64(), "{name}: {member}");
        }
        for dimension in directive["Dimensions"][0].as_array().expect("dimensions") {
            let member = dimension.as_str().expect("a name");
            assert!(line[member].is_string(), "{name}: {member}");
        }
        let milliseconds = NOW.unix_timestamp() * 1000;
        assert_eq!(line["_aws"]["Timestamp"], milliseconds, "{name}");
    }
}

#[test]
fn a_number_that_is_not_known_is_left_out_and_a_set_is_named_for_people_too() {
    let lines = lines();
    let has = |name: &str, metric: &str| {
        let (_, line) = lines.iter().find(|(of, _)| *of == name).expect("a line");
        !line[metric].is_null()
    };
    assert!(has("a healthy set", "CADaysLeft") && has("a healthy set", "CertDaysLeft"));
    assert!(!has("a healthy set", "PreviousCADaysLeft"));
    assert!(has("an open rotation", "PreviousCADaysLeft"));
    assert!(!has("a damaged set", "CADaysLeft") && has("a damaged set", "CertDaysLeft"));
    assert!(!has("nothing", "CertDaysLeft") && has("nothing", "Unreadable"));
    let (_, line) = &lines[0];
    assert_eq!(
        (&line["Rack"], &line["RackId"]),
        (&json!("rack-1"), &json!("7261636b2d31"))
    );
    assert_eq!(line["NextUpdate"], "unchanged");
}
