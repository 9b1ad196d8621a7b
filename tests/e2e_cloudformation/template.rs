//! template.yaml, and others that a test deploys.

use std::fs;

use crate::engine::{CODE_BUCKET, CODE_KEY};

/// The generator's logical id in template.yaml.
pub const GENERATOR: &str = "DockerTLSCertGenerate";

const GENERATOR_TYPE: &str = "    Type: Custom::DockerTLSCertGenerate\n";
const FAILING_TYPE: &str = "  Failing:\n    Type: Custom::DockerTLSCertGetter\n";

/// When a resource's turn comes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Order {
    /// Before the generator's.
    Before,
    /// After the generator's.
    After,
}

/// A text that is deployed.
#[derive(Clone, Debug)]
pub struct Template(String);

impl Template {
    /// Ours, with the one change that code has to be somewhere.
    #[track_caller]
    pub fn ours() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml");
        let text = fs::read_to_string(path).expect("the project has a template");
        let code = format!("CodeUri: s3://{CODE_BUCKET}/{CODE_KEY}\n");
        Self(text).with("CodeUri: .\n", &code)
    }

    /// Another one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The same with this in place of that, which stands in it once.
    #[track_caller]
    pub fn with(&self, that: &str, this: &str) -> Self {
        assert_eq!(self.0.matches(that).count(), 1, "{that:?} in {}", self.0);
        Self(self.0.replace(that, this))
    }

    /// The same with another resource that is created or updated before the generator, or after it, and fails.
    #[track_caller]
    pub fn with_failure(&self, order: Order) -> Self {
        let failing = "
  Failing:
    Type: Custom::DockerTLSCertGetter
    Properties:
      ServiceToken: !GetAtt DockerTLSCertFunction.Arn
      Rack: !Ref Rack
      ParameterKey: a-foreign-parameter
";
        let waits = |text: &str, name: &str| format!("{text}    DependsOn: {name}\n");
        let with = self.with("\nResources:", &format!("\nResources:{failing}"));
        match order {
            Order::Before => with.with(GENERATOR_TYPE, &waits(GENERATOR_TYPE, "Failing")),
            Order::After => with.with(FAILING_TYPE, &waits(FAILING_TYPE, GENERATOR)),
        }
    }

    /// The same with another logical id for the generator.
    pub fn with_generator_named(&self, name: &str) -> Self {
        let uses = [
            "  NAME:\n",
            "!GetAtt NAME.",
            "!Ref NAME]",
            "!Ref NAME}",
            "${NAME.",
            "DependsOn: NAME\n",
        ];
        let rename = |text: String, used: &str| {
            let [that, this] = [GENERATOR, name].map(|name| used.replace("NAME", name));
            text.replace(&that, &this)
        };
        Self(uses.into_iter().fold(self.0.clone(), rename))
    }

    /// The same without the function, whose token another stack exports.
    #[track_caller]
    pub fn importing(&self, function: &str) -> Self {
        let without = |text: &str, from: &str, to: &str| {
            let (before, rest) = text.split_once(from).expect("the template has it");
            let (_, after) = rest.split_once(to).expect("and what follows");
            format!("{before}{to}{after}")
        };
        let text = without(
            &self.0,
            "  DockerTLSCertFunction:\n",
            "  DockerTLSCertGenerate:\n",
        );
        let text = without(&text, "  EventsDropped:\n", "Outputs:\n");
        let text = without(&text, "  ServiceToken:\n", "  CACertSSMKey:\n");
        let token = format!("!ImportValue {function}-ServiceToken");
        Self(text.replace("!GetAtt DockerTLSCertFunction.Arn", &token))
    }

    /// Whether it has a resource of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&format!("\n  {name}:\n"))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}
