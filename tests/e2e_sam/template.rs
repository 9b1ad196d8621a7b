//! template.yaml on its way to CloudFormation: linted, built, transformed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::built;
use crate::isolation;
use crate::process::check;
use crate::sam::{self, BUILT, FUNCTION};

/// What the transform AWS::Serverless-2016-10-31 does, by the library that does it in AWS. Reads a template whose code
/// was uploaded, and writes what CloudFormation then works with.
const TRANSFORM: &str = "
import json, sys
from samtranslator.translator.transform import transform
from samcli.yamlhelper import yaml_parse
class NoManagedPolicies:
    def load(self): return {}
template = yaml_parse(open(sys.argv[1]).read())
template['Resources'][sys.argv[2]]['Properties']['CodeUri'] = 's3://bucket/key'
json.dump(transform(template, {}, NoManagedPolicies()), open(sys.argv[3], 'w'), indent=1)
";

#[test]
fn sam_and_cfn_lint_find_nothing_in_the_template() {
    check(sam::sam("validate").arg("--lint"));
    check_lint(&Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml"));
}

#[test]
fn sam_build_takes_the_bootstrap_that_make_built_and_nothing_else() {
    let artifacts = BUILT.artifacts();
    let entries = fs::read_dir(&artifacts).expect("artifacts");
    let names: Vec<_> = entries
        .map(|entry| entry.expect("an artifact").file_name())
        .collect();
    assert_eq!(names, ["bootstrap"]);
    let made = built::target_folder().join("lambda/bootstrap/bootstrap");
    assert!(
        fs::read(artifacts.join("bootstrap")).expect("it is built")
            == fs::read(made).expect("make has built it"),
        "sam's bootstrap is another one than make's"
    );
}

#[test]
fn the_transformed_template_is_clean_and_has_what_the_function_needs() {
    let folder = isolation::make_folder();
    let source = folder.path().join("template.yaml");
    let result = folder.path().join("transformed.json");
    fs::write(&source, BUILT.template()).expect("room in memory");
    let mut transform = sam::command("python");
    transform.env("AWS_DEFAULT_REGION", "us-east-1");
    transform
        .args(["-c", TRANSFORM])
        .arg(&source)
        .arg(FUNCTION)
        .arg(&result);
    check(&mut transform);
    check_lint(&result);

    let text = fs::read_to_string(&result).expect("it was written");
    let template: Value = serde_json::from_str(&text).expect("it is JSON");
    let resources = template["Resources"].as_object().expect("resources");
    let mut types: Vec<_> = resources
        .values()
        .map(|resource| &resource["Type"])
        .collect();
    types.sort_by_key(ToString::to_string);
    assert_eq!(
        types,
        [
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::Alarm",
            "AWS::IAM::ManagedPolicy",
            "AWS::IAM::ManagedPolicy",
            "AWS::IAM::Role",
            "AWS::IAM::Role",
            "AWS::Lambda::Function",
            "AWS::Logs::LogGroup",
            "AWS::SSM::Association",
            "AWS::SSM::Document",
            "AWS::Scheduler::Schedule",
            "Custom::DockerTLSCertGenerate",
            "Custom::DockerTLSCertGetter",
        ]
    );
    let function = &resources[FUNCTION]["Properties"];
    assert_eq!(function["Runtime"], "provided.al2023");
    assert_eq!(function["Architectures"], serde_json::json!(["x86_64"]));
    assert_eq!(function["MemorySize"], 512);
    assert_eq!(function["Timeout"], 900);
    assert_eq!(function["Code"]["S3Key"], "key");
}

/// Checks that cfn-lint has nothing to say, not even by the way.
#[track_caller]
fn check_lint(template: &Path) {
    let mut lint = sam::command("cfn-lint");
    lint.args(["--include-checks", "I", "--"]);
    let output = check(lint.arg(template));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
