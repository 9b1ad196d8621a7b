//! What a search is asked, and what it answers.

use std::collections::BTreeMap;

use docker_tls_certgen::set::parameter::StoredSet;
use serde_json::Value;
use time::OffsetDateTime;

use super::step::{Event, Mishap, Wait};

/// Where the search begins, and what it never changes.
pub struct Start {
    /// The set.
    pub stored: StoredSet,
    /// The time.
    pub now: OffsetDateTime,
    /// Properties apart from token, retired CA and client certificate.
    pub properties: Value,
    /// Whether `ClientCertificate` is `Separate` in the beginning.
    pub separate: bool,
    /// Another set of the same kind.
    pub other: StoredSet,
    /// The chain that a partner presents, whose CA is in the bundle.
    pub partner: Option<String>,
}

/// How far a search goes, and which steps it takes.
pub struct Reach {
    /// How many steps a sequence has, before the event that follows it.
    pub steps: usize,
    /// What happens to the store.
    pub mishaps: Vec<Mishap>,
    /// Until when time passes.
    pub waits: Vec<Wait>,
    /// What CloudFormation sends.
    pub events: Vec<Event>,
    /// The first write after which an event may crash; 0 is before any.
    pub first_crash: usize,
}

/// What a search found.
#[derive(Default)]
pub struct Findings {
    /// Distinct moments.
    pub moments: usize,
    /// Distinct stored sets.
    pub sets: usize,
    /// Events that were decided and issued.
    pub events: usize,
    /// Pairs of readers that were looked at.
    pub pairs: usize,
    /// Pairs that differ in bundle, chain or time.
    pub distinct_pairs: usize,
    /// Signatures that the model itself checked.
    pub signatures: usize,
    /// Plans that said that they cut off, with the shortest way there.
    pub cut_offs: BTreeMap<String, String>,
    /// What must not be, with the shortest way there.
    pub counterexamples: BTreeMap<String, String>,
}
