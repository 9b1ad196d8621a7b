//! Arbitrary values in the store: a plan, and writes that the next event keeps, or a clean refusal.
#![no_main]

use std::sync::LazyLock;

use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::{PublicationError, publication};
use docker_tls_certgen::plan::spec::{GeneratorProperties, Occasion, OldProperties, Spec};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::{ParameterType, StoredParameter, StoredSet};
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::set::state::Owner;
use docker_tls_testing::by_hand::machine::{Chance, ChanceMint, EPOCH, time_at};
use docker_tls_testing::fixtures::{Deployed, deployed};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static SETS: LazyLock<[Deployed; 2]> = LazyLock::new(deployed);

/// What stands in a parameter.
#[derive(Arbitrary, Debug)]
enum Stored {
    Missing,
    Text(String),
    /// A value of a deployed set, perhaps in a place where it does not belong.
    Real {
        set: bool,
        part: u8,
    },
    /// The same with one character changed or with its end cut off.
    Spoilt {
        set: bool,
        part: u8,
        at: u16,
        with: Option<char>,
    },
}

#[derive(Arbitrary, Debug)]
struct Input {
    stored: [Stored; 7],
    is_adoption: bool,
    is_separate: bool,
    token: Option<u8>,
    retires_previous: bool,
    days: u16,
}

fn real(set: bool, part: u8) -> String {
    let part = Part::SHARED[usize::from(part) % Part::SHARED.len()];
    SETS[usize::from(set)].value(part).to_owned()
}

fn value(stored: &Stored) -> Option<String> {
    match stored {
        Stored::Missing => None,
        Stored::Text(text) => Some(text.clone()),
        Stored::Real { set, part } => Some(real(*set, *part)),
        Stored::Spoilt {
            set,
            part,
            at,
            with,
        } => {
            let mut value = real(*set, *part);
            let at = usize::from(*at) % value.len();
            match with {
                Some(c) => value.replace_range(at..=at, &c.to_string()),
                None => value.truncate(at),
            }
            Some(value)
        }
    }
}

fuzz_target!(|input: Input| {
    let parts = [
        Part::CaCert,
        Part::CaKey,
        Part::Cert,
        Part::Key,
        Part::ClientCert,
        Part::ClientKey,
        Part::State,
    ];
    let stored: StoredSet = parts
        .into_iter()
        .zip(&input.stored)
        .filter_map(|(part, stored)| {
            let parameter = StoredParameter {
                value: value(stored)?.into(),
                parameter_type: ParameterType::String,
                version: 1,
            };
            Some((part, parameter))
        })
        .collect();
    let assessment = Assessment::of(Found::decode(&stored));
    let rack = Rack::new("rack-1").expect("a name that is not empty");
    let mut properties = json!({});
    if input.is_separate {
        properties["ClientCertificate"] = Value::from("Separate");
    }
    if let Some(token) = input.token {
        properties["RotationToken"] = Value::from(token);
    }
    if let Some(previous) = assessment.previous_ca().filter(|_| input.retires_previous) {
        properties["RetiredCA"] = Value::from(previous.fingerprint().to_string());
    }
    let spec = Spec {
        properties: GeneratorProperties::parse(rack, &properties).expect("properties that are good"),
        old: OldProperties::default(),
        occasion: if input.is_adoption {
            Occasion::Adoption
        } else {
            Occasion::Update
        },
        owner: Owner::new("stack", "resource"),
        sent_at: None,
    };
    let now = time_at(EPOCH) + time::Duration::days(input.days.into());
    let Ok(plan) = planner::plan(&spec, &assessment, now) else {
        return;
    };
    let chance = Chance::of("fuzz");
    let mut mint = ChanceMint(&chance);
    match publication(&plan, &spec, &stored, &assessment, now, &mut mint) {
        Ok(publication) => {
            let is_quiet = publication.writes.is_empty() && publication.removed.is_empty();
            assert_eq!(plan.is_keep(), is_quiet);
        }
        Err(PublicationError::Unstable { next }) => panic!("{next}"),
        Err(_) => {}
    }
});
