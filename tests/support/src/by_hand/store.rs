//! A parameter store in memory that behaves as SSM does, one call at a time.
//!
//! A call is a value, so that a scheduler can hold it back, let it take effect, or let it take effect and lose the
//! answer. [`crate::by_hand::running`] is what makes a handler's calls wait for that.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use docker_tls_certgen::set::parameter::{
    MAX_VALUE_CHARS, ParameterType, ParameterValue, StoredParameter, StoredSet,
};
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::store::{Deletion, Selector, StoreAction, StoreError};
use serde_json::Value;

/// What a handler asks of the store.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// `GetParameters`.
    Read {
        /// Whose.
        rack: Rack,
        /// Which.
        selectors: Vec<Selector>,
    },
    /// `PutParameter`.
    Put {
        /// Whose.
        rack: Rack,
        /// Which.
        part: Part,
        /// The value.
        value: Rc<str>,
        /// The type.
        parameter_type: ParameterType,
        /// Whether it may exist.
        overwrite: bool,
        /// Whether it is sent once alone.
        once: bool,
    },
    /// `DeleteParameters`.
    Delete {
        /// Whose.
        rack: Rack,
        /// What of it.
        deletion: Deletion,
    },
}

impl Call {
    /// Whether the call changes anything.
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }

    /// Whether the call is sent once alone, so that nobody knows what came of it where its answer is lost.
    pub fn is_once(&self) -> bool {
        match self {
            Self::Read { .. } => false,
            Self::Put { once, .. } => *once,
            Self::Delete { deletion, .. } => *deletion == Deletion::Everything,
        }
    }

    /// Whether the call writes what only the holder of the claim may write.
    pub fn needs_claim(&self) -> bool {
        match self {
            Self::Read { .. } => false,
            Self::Put { part, .. } => *part != Part::Claim,
            Self::Delete { .. } => true,
        }
    }

    /// If the call puts a claim, or ends one: until when, in milliseconds since 1970.
    pub fn claims_until(&self) -> Option<i64> {
        self.claim()?["until"].as_i64()
    }

    /// Whether whoever holds the claim holds it no longer after the call.
    pub fn leaves(&self) -> bool {
        match self {
            Self::Delete { deletion, .. } => *deletion == Deletion::Everything,
            _ => self.claim().is_some_and(|claim| claim["ended"] == true),
        }
    }

    fn claim(&self) -> Option<Value> {
        match self {
            Self::Put { part, value, .. } if *part == Part::Claim => {
                Some(serde_json::from_str(value).expect("a claim is JSON"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { .. } => f.write_str("read"),
            Self::Put { .. } if self.leaves() => f.write_str("end the claim"),
            Self::Put { part, .. } if *part == Part::Claim => f.write_str("claim"),
            Self::Put { part, .. } => write!(f, "put {}", part.suffix()),
            Self::Delete { deletion, .. } => match deletion {
                Deletion::Everything => f.write_str("delete"),
                Deletion::Pair(_) => f.write_str("delete a pair"),
            },
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To a read.
    Found(BTreeMap<Part, Parameter>),
    /// To a put: the new version.
    Version(i64),
    /// To a delete.
    Deleted,
    /// To any of them.
    Failed(Failure),
    /// The pause is over.
    Awake,
}

/// Why the store does not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// `ParameterAlreadyExists`.
    Exists,
    /// `ValidationException`: more than 4096 characters, or none.
    Length,
    /// `HierarchyTypeMismatchException`: the type would change.
    Type,
    /// `AccessDeniedException`: what a test makes the store say.
    Denied,
    /// `ThrottlingException`: nothing was done, and it passes.
    Throttled,
    /// No answer came, whether it was done or not.
    NoAnswer,
}

impl Failure {
    /// The error as the handler sees it.
    pub fn error(self, call: &Call) -> StoreError {
        let (action, parameter) = match call {
            Call::Read { rack, .. } => (StoreAction::Get, rack.hex().to_owned()),
            Call::Put { rack, part, .. } => (StoreAction::Put, rack.parameter_name(*part)),
            Call::Delete { rack, .. } => (StoreAction::Delete, rack.hex().to_owned()),
        };
        let code = match self {
            Self::Exists => return StoreError::AlreadyExists { parameter },
            Self::Length => "ValidationException",
            Self::Type => "HierarchyTypeMismatchException",
            Self::Denied => "AccessDeniedException",
            Self::Throttled => {
                return StoreError::Throttled {
                    action,
                    parameter,
                    code: "ThrottlingException".to_owned(),
                    message: "no".to_owned(),
                };
            }
            Self::NoAnswer => {
                return StoreError::Unreachable {
                    action,
                    parameter,
                    message: "no".to_owned(),
                };
            }
        };
        StoreError::Refused {
            action,
            parameter,
            code: code.to_owned(),
            message: "no".to_owned(),
        }
    }
}

/// A parameter as the store holds it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    value: Rc<str>,
    kind: ParameterType,
    version: i64,
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} of {} bytes", self.version, self.value.len())
    }
}

/// The set in the form in which a handler reads it.
pub fn stored_set(found: &BTreeMap<Part, Parameter>) -> StoredSet {
    let stored = found.iter().map(|(part, parameter)| {
        let stored = StoredParameter {
            value: ParameterValue::from(&*parameter.value),
            parameter_type: parameter.kind,
            version: parameter.version,
        };
        (*part, stored)
    });
    stored.collect()
}

/// The store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemoryStore {
    parameters: BTreeMap<String, Parameter>,
    /// The former versions of claims, by name. Of nothing else, for nothing else is asked for, and a search would tell
    /// stores apart that differ in those alone.
    former_claims: BTreeMap<String, Vec<Parameter>>,
}

impl MemoryStore {
    /// Lets a call take effect.
    pub fn apply(&mut self, call: &Call) -> Answer {
        match call {
            Call::Read { rack, selectors } => {
                let found = selectors.iter().filter_map(|selector| {
                    let name = rack.parameter_name(selector.part);
                    let former = self.former_claims.get(&name).into_iter().flatten();
                    let mut versions = self.parameters.get(&name).into_iter().chain(former);
                    let is_asked_for = |found: &&Parameter| {
                        selector
                            .version
                            .is_none_or(|version| found.version == version)
                    };
                    Some((selector.part, versions.find(is_asked_for)?.clone()))
                });
                Answer::Found(found.collect())
            }
            Call::Put {
                rack,
                part,
                value,
                parameter_type,
                overwrite,
                once: _,
            } => {
                let name = rack.parameter_name(*part);
                let existing = self.parameters.get(&name);
                let is_long = value.is_empty() || value.chars().count() > MAX_VALUE_CHARS;
                let version = match existing {
                    Some(_) if !overwrite => return Answer::Failed(Failure::Exists),
                    _ if is_long => return Answer::Failed(Failure::Length),
                    Some(existing) if existing.kind != *parameter_type => {
                        return Answer::Failed(Failure::Type);
                    }
                    existing => existing.map_or(0, |existing| existing.version) + 1,
                };
                let parameter = Parameter {
                    value: value.clone(),
                    kind: *parameter_type,
                    version,
                };
                let former = self.parameters.insert(name.clone(), parameter);
                if let Some(former) = former.filter(|_| *part == Part::Claim) {
                    self.former_claims.entry(name).or_default().push(former);
                }
                Answer::Version(version)
            }
            Call::Delete { rack, deletion } => {
                for name in deletion.names(rack) {
                    self.parameters.remove(&name);
                    self.former_claims.remove(&name);
                }
                Answer::Deleted
            }
        }
    }

    /// Everything that a rack has.
    pub fn set(&self, rack: &Rack) -> BTreeMap<Part, Parameter> {
        let found = Part::ALL.into_iter().filter_map(|part| {
            let parameter = self.parameters.get(&rack.parameter_name(part))?;
            Some((part, parameter.clone()))
        });
        found.collect()
    }

    /// A parameter's value.
    pub fn value(&self, rack: &Rack, part: Part) -> Option<&Rc<str>> {
        let parameter = self.parameters.get(&rack.parameter_name(part))?;
        Some(&parameter.value)
    }

    /// The names of all parameters of all racks.
    pub fn names(&self) -> Vec<&str> {
        self.parameters.keys().map(String::as_str).collect()
    }

    /// Puts a parameter behind the back of whoever writes there, by its full name.
    pub fn plant(&mut self, name: &str, value: &str) {
        let version = self.parameters.get(name).map_or(0, |found| found.version);
        let parameter = Parameter {
            value: value.into(),
            kind: ParameterType::String,
            version: version + 1,
        };
        self.parameters.insert(name.to_owned(), parameter);
    }

    /// Takes a part away behind the back of whoever writes there.
    pub fn lose(&mut self, rack: &Rack, part: Part) {
        self.parameters.remove(&rack.parameter_name(part));
    }
}
