//! Sets that the deployed handler itself wrote.

use serde_json::Value;

use crate::rack::{Part, Set, version_track};
use crate::ssm::Ssm;

/// A set as the deployed handler left it.
pub struct Deployed {
    /// The rack's name.
    pub rack: String,
    /// The `PhysicalResourceId` that it answered.
    pub physical_id: String,
    parameters: Vec<(String, String, String)>,
}

/// Both sets.
pub fn sets() -> [Deployed; 2] {
    [
        include_str!("../fixtures/deployed-handler-rack-1.json"),
        include_str!("../fixtures/deployed-handler-rack-2.json"),
    ]
    .map(Deployed::parse)
}

impl Deployed {
    fn parse(fixture: &str) -> Self {
        let fixture: Value = serde_json::from_str(fixture).expect("fixtures are JSON");
        let text = |value: &Value| value.as_str().expect("fixtures hold text").to_owned();
        let parameters = fixture["Parameters"]
            .as_object()
            .expect("fixtures hold parameters");
        Self {
            rack: text(&fixture["Rack"]),
            physical_id: text(&fixture["PhysicalResourceId"]),
            parameters: parameters
                .iter()
                .map(|(name, stored)| (name.clone(), text(&stored["Type"]), text(&stored["Value"])))
                .collect(),
        }
    }

    /// Puts the set into a store, as the deployed handler left it, and reads it back.
    #[track_caller]
    pub fn install(&self, ssm: &Ssm) -> Set {
        for (name, kind, value) in &self.parameters {
            ssm.write(name, kind, value);
        }
        assert!(ssm.read(&version_track(&self.rack)).is_some());
        let set = Set::read(ssm, &self.rack);
        assert_eq!(set.parts(), Part::ALL);
        set
    }
}
