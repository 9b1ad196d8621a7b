//! The properties that a template gives to the generator and to the getter.

use serde_json::{Map, Value};
use time::Duration;

use crate::cloudformation::response;
use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::private_key::KeyAlgorithm;
use crate::plan::spec::{ClientCertificate, GeneratorProperties, OldProperties, RetirementWord};
use crate::set::parameter::ParameterType;
use crate::set::rack::{Part, Rack};
use crate::set::state::TokenHash;

/// A newly issued certificate's lifetime where none is given: 100 years.
pub const DEFAULT_VALIDITY_DAYS: i64 = 36_500;
/// The renewal window where none is given: two months.
pub const DEFAULT_RENEW_BEFORE_DAYS: i64 = 60;
/// The longest lifetime that may be asked for: 1,000 years, which X.509's dates hold.
const MAX_DAYS: i64 = 365_000;
/// How much of a value an error repeats.
const MAX_SHOWN_CHARS: usize = 60;

/// Every property that the generator knows.
const KNOWN: [&str; 15] = [
    "CAValidityDays",
    "ClientCertificate",
    "Description",
    "KeyAlgorithm",
    "KeyParameterType",
    "KmsKeyId",
    "Rack",
    "RenewBeforeDays",
    "RetiredCA",
    "RotationToken",
    "ServiceTimeout",
    "ServiceToken",
    "SubjectAlternativeNames",
    "ValidityDays",
    "Version",
];

/// What is wrong with a property; every variant's text says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// `ResourceProperties` is missing or no object.
    #[error("ResourceProperties is {found}; expected an object with the property Rack")]
    NotAnObject {
        /// What stands there.
        found: &'static str,
    },
    /// A property that has no default is not there.
    #[error("property {property} is missing; expected {expected}")]
    Missing {
        /// The property.
        property: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A value is of no use.
    #[error("property {property} is {value}; expected {expected}")]
    Unusable {
        /// The property.
        property: &'static str,
        /// Its value, cut.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// A property that nobody knows.
    #[error("property {property} is unknown; did you mean {nearest}?")]
    Unknown {
        /// The property.
        property: String,
        /// The known property whose name is nearest.
        nearest: &'static str,
    },
    /// Renewal would start before half of a lifetime has passed.
    #[error(
        "property RenewBeforeDays is {renew_before}; expected less than half of {property}, which is {lifetime}"
    )]
    RenewsTooEarly {
        /// The renewal window in days.
        renew_before: i64,
        /// The lifetime's property.
        property: &'static str,
        /// The lifetime in days.
        lifetime: i64,
    },
}

impl GeneratorProperties {
    /// Reads `ResourceProperties`; properties that are not known are left to [`unknown_property`].
    pub fn parse(rack: Rack, properties: &Value) -> Result<Self, PropertyError> {
        let properties = Properties::new(properties)?;
        let ca_days = properties.days("CAValidityDays", 1, DEFAULT_VALIDITY_DAYS)?;
        let days = properties.days("ValidityDays", 1, DEFAULT_VALIDITY_DAYS)?;
        let renew_before = properties.days("RenewBeforeDays", 0, DEFAULT_RENEW_BEFORE_DAYS)?;
        for (property, lifetime) in [("CAValidityDays", ca_days), ("ValidityDays", days)] {
            if renew_before * 2 >= lifetime {
                return Err(PropertyError::RenewsTooEarly {
                    renew_before,
                    property,
                    lifetime,
                });
            }
        }
        Ok(Self {
            ca_validity: Duration::days(ca_days),
            validity: Duration::days(days),
            renew_before: Duration::days(renew_before),
            key_algorithm: properties.one_of(
                "KeyAlgorithm",
                &KeyAlgorithm::ALL.map(|algorithm| (algorithm.name(), algorithm)),
            )?,
            alternative_names: properties.alternative_names()?,
            rotation_token: properties
                .text("RotationToken")?
                .map(|token| TokenHash::new(&token)),
            retired_ca: properties.retirement_word("RetiredCA")?,
            client_certificate: properties.one_of("ClientCertificate", &ClientCertificate::ALL)?,
            key_parameter_type: properties.one_of(
                "KeyParameterType",
                &[
                    ("SecureString", ParameterType::SecureString),
                    ("String", ParameterType::String),
                ],
            )?,
            getter_room_bytes: response::getter_room_bytes(&rack),
            kms_key_id: properties.text("KmsKeyId")?,
            rack,
        })
    }
}

/// The first property that the generator does not know, if there is one.
pub fn unknown_property(properties: &Value) -> Option<PropertyError> {
    let property = properties
        .as_object()?
        .keys()
        .find(|property| !KNOWN.contains(&property.as_str()))?;
    let distance =
        |known: &&str| strsim::damerau_levenshtein(&known.to_lowercase(), &property.to_lowercase());
    let nearest = KNOWN.into_iter().min_by_key(distance)?;
    Some(PropertyError::Unknown {
        property: shown(&Value::from(property.as_str())),
        nearest,
    })
}

impl OldProperties {
    /// Reads `OldResourceProperties`.
    pub fn read(properties: &Value) -> Self {
        let Ok(properties) = Properties::new(properties) else {
            return Self::default();
        };
        let token = properties.text("RotationToken").ok().flatten();
        Self {
            rack: properties.rack().ok(),
            rotation_token: token.map(|token| TokenHash::new(&token)),
            retired_ca: properties.retirement_word("RetiredCA").ok().flatten(),
        }
    }
}

/// The property `Rack` alone, for events that may be otherwise unusable.
pub fn rack(properties: &Value) -> Result<Rack, PropertyError> {
    Properties::new(properties)?.rack()
}

/// The property `KmsKeyId` alone, for events that may be otherwise unusable.
pub fn kms_key_id(properties: &Value) -> Option<String> {
    Properties::new(properties).ok()?.text("KmsKeyId").ok()?
}

/// What the getter is asked for; every property but these two is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetterProperties {
    /// `Rack`.
    pub rack: Rack,
    /// `ParameterKey`: which of the rack's published parameters.
    pub part: Part,
}

impl GetterProperties {
    /// Reads `ResourceProperties`.
    pub fn parse(rack: Rack, properties: &Value) -> Result<Self, PropertyError> {
        const EXPECTED: &str = "the name of one of the rack's published parameters";
        let properties = Properties::new(properties)?;
        let name = properties
            .text("ParameterKey")?
            .ok_or(PropertyError::Missing {
                property: "ParameterKey",
                expected: EXPECTED,
            })?;
        let part = rack
            .part_named(&name)
            .filter(|part| Part::PUBLISHED.contains(part));
        match part {
            Some(part) => Ok(Self { rack, part }),
            None => Err(PropertyError::Unusable {
                property: "ParameterKey",
                value: shown(&Value::from(name)),
                expected: format!(
                    "{EXPECTED}: {}",
                    Part::PUBLISHED
                        .map(|part| rack.parameter_name(part))
                        .join(", ")
                ),
            }),
        }
    }
}

/// An object of properties, read as CloudFormation writes them: scalars as text, empty and null for absent.
struct Properties<'a>(&'a Map<String, Value>);

impl<'a> Properties<'a> {
    fn new(properties: &'a Value) -> Result<Self, PropertyError> {
        let found = match properties {
            Value::Object(properties) => return Ok(Self(properties)),
            Value::Null => "missing",
            Value::Array(_) => "a list",
            Value::String(_) => "a text",
            Value::Number(_) | Value::Bool(_) => "a scalar",
        };
        Err(PropertyError::NotAnObject { found })
    }

    fn rack(&self) -> Result<Rack, PropertyError> {
        const EXPECTED: &str = "the rack's name, a text that is not empty";
        let missing = PropertyError::Missing {
            property: "Rack",
            expected: EXPECTED,
        };
        match self.0.get("Rack") {
            Some(Value::String(name)) if name.is_empty() => Err(PropertyError::Unusable {
                property: "Rack",
                value: "empty".to_owned(),
                expected: EXPECTED.to_owned(),
            }),
            _ => self
                .text("Rack")?
                .and_then(|name| Rack::new(&name))
                .ok_or(missing),
        }
    }

    fn text(&self, property: &'static str) -> Result<Option<String>, PropertyError> {
        match self.0.get(property) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match scalar(value) {
                Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                None => Err(unusable(property, value, "a text")),
            },
        }
    }

    fn days(&self, property: &'static str, least: i64, default: i64) -> Result<i64, PropertyError> {
        let Some(text) = self.text(property)? else {
            return Ok(default);
        };
        text.trim()
            .parse()
            .ok()
            .filter(|days| (least..=MAX_DAYS).contains(days))
            .ok_or_else(|| {
                let expected = format!("a whole number of days from {least} to {MAX_DAYS}");
                unusable(property, &Value::from(text), &expected)
            })
    }

    fn one_of<T: Copy + Default>(
        &self,
        property: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, PropertyError> {
        let Some(text) = self.text(property)? else {
            return Ok(T::default());
        };
        let choice = choices.iter().find(|(name, _)| *name == text);
        choice.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let expected = format!("one of {}", names.join(", "));
            unusable(property, &Value::from(text), &expected)
        })
    }

    fn retirement_word(
        &self,
        property: &'static str,
    ) -> Result<Option<RetirementWord>, PropertyError> {
        let Some(text) = self.text(property)? else {
            return Ok(None);
        };
        let expected = "a CA certificate's SHA-256 fingerprint, 64 hex digits, or two different ones as \
                        previous/current";
        RetirementWord::parse(&text)
            .map(Some)
            .ok_or_else(|| unusable(property, &Value::from(text), expected))
    }

    fn alternative_names(&self) -> Result<Option<Vec<SubjectAlternativeName>>, PropertyError> {
        const PROPERTY: &str = "SubjectAlternativeNames";
        const EXPECTED: &str = "DNS names and IP addresses, as a list or separated by commas";
        let items: Vec<String> = match self.0.get(PROPERTY) {
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| scalar(item).ok_or_else(|| unusable(PROPERTY, item, EXPECTED)))
                .collect::<Result<_, _>>()?,
            _ => match self.text(PROPERTY)? {
                Some(text) => text.split(',').map(str::to_owned).collect(),
                None => return Ok(None),
            },
        };
        let mut names = Vec::new();
        // An empty CommaDelimitedList arrives as a list of one empty text.
        let items = items.iter().map(|item| item.trim());
        for item in items.filter(|item| !item.is_empty()) {
            let name = SubjectAlternativeName::parse(item)
                .ok_or_else(|| unusable(PROPERTY, &Value::from(item), EXPECTED))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Some(names).filter(|names| !names.is_empty()))
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn unusable(property: &'static str, value: &Value, expected: &str) -> PropertyError {
    PropertyError::Unusable {
        property,
        value: shown(value),
        expected: expected.to_owned(),
    }
}

/// A value as an error repeats it: in quotes if it is text, and cut.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        Value::Null => return "null".to_owned(),
        value => value.to_string(),
    };
    if text.chars().count() <= MAX_SHOWN_CHARS {
        return text;
    }
    text.chars()
        .take(MAX_SHOWN_CHARS)
        .chain("…".chars())
        .collect()
}
