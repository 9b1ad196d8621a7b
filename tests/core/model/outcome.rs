//! What one event does to one set.

use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::refusal::Refusal;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::plan::{CutOff, Plan};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::flaw::Flaw;
use docker_tls_certgen::set::pair::FoundPair;
use docker_tls_certgen::set::rack::Part;
use time::OffsetDateTime;

use super::archive::SetId;

/// How an event ends.
pub enum Outcome {
    /// With a refusal, before anything was issued.
    Refused(Refusal),
    /// With a bug that was found before anything was written.
    Failed(String),
    /// With so many writes, perhaps none.
    Done(Done),
}

/// What was decided and written.
pub struct Done {
    /// The sets after each write; a pair that is deleted counts as one.
    pub sets: Vec<SetId>,
    /// The parts of each write: one, or a pair that is deleted.
    pub parts: Vec<Vec<Part>>,
    /// Action and causes, without what differs from run to run.
    pub summary: String,
    /// Whom the plan says it cuts off.
    pub cut_off: CutOff,
    /// Whether the plan takes the operator's word that nothing older runs.
    pub closes: bool,
    /// Whether the plan takes the operator's word that everything trusts the current CA.
    pub moves: bool,
    /// Whether the plan says that it has no room for what others trust.
    pub leaves_out: bool,
}

/// Checks that nothing but the causes would be planned differently if any of the parts that are missing were garbage
/// instead.
///
/// So a search that loses parts need not spoil them as well. What is issued comes from the plan and from what can be
/// read, and what is written is never garbage: two sets of which one lacks what is garbage in the other differ in just
/// that, or not at all, after every write as well, and all that a reader, the clock or further damage sees is the same.
pub fn check_spoilt_is_as_good_as_lost(
    planned: &Result<Plan, Refusal>,
    spec: &Spec,
    found: &Found,
    now: OffsetDateTime,
) {
    let spoilt = subsets(&missing_parts(found));
    let spoilt = spoilt.iter().filter(|parts| !parts.is_empty());
    for parts in spoilt {
        let mut found = found.clone();
        for part in parts {
            spoil(&mut found, *part);
        }
        let instead = planner::plan(spec, &Assessment::of(found), now);
        let (instead, planned) = (without_causes(&instead), without_causes(planned));
        assert_eq!(instead, planned, "{parts:?} spoilt, not lost");
    }
}

fn missing_parts(found: &Found) -> Vec<Part> {
    // Without either part of it, there is no such pair.
    let nothing = FoundPair {
        cert: Err(Flaw::NotState),
        key: Err(Flaw::NotState),
    };
    let client = Some(&found.client).filter(|client| !client.is_missing());
    let client = client.unwrap_or(&nothing);
    let flaws = [
        (Part::CaCert, found.ca_cert.as_ref().err()),
        (Part::CaKey, found.ca_key.as_ref().err()),
        (Part::Cert, found.server.cert.as_ref().err()),
        (Part::Key, found.server.key.as_ref().err()),
        (Part::ClientCert, client.cert.as_ref().err()),
        (Part::ClientKey, client.key.as_ref().err()),
        (Part::State, found.state.as_ref().err()),
    ];
    let missing = flaws
        .into_iter()
        .filter(|(_, flaw)| *flaw == Some(&Flaw::Missing));
    missing.map(|(part, _)| part).collect()
}

fn subsets(parts: &[Part]) -> Vec<Vec<Part>> {
    let Some((first, others)) = parts.split_first() else {
        return vec![Vec::new()];
    };
    let without = subsets(others);
    let with = without.iter().map(|parts| [&[*first], &parts[..]].concat());
    with.chain(without.iter().cloned()).collect()
}

fn spoil(found: &mut Found, part: Part) {
    match part {
        Part::CaCert => found.ca_cert = Err(Flaw::Undecodable(Undecodable::NotACertificate)),
        Part::CaKey => found.ca_key = Err(Flaw::Undecodable(Undecodable::KeyDoesNotLoad)),
        Part::Cert => found.server.cert = Err(Flaw::Undecodable(Undecodable::NotACertificate)),
        Part::Key => found.server.key = Err(Flaw::Undecodable(Undecodable::KeyDoesNotLoad)),
        Part::ClientCert => {
            found.client.cert = Err(Flaw::Undecodable(Undecodable::NotACertificate));
        }
        Part::ClientKey => found.client.key = Err(Flaw::Undecodable(Undecodable::KeyDoesNotLoad)),
        Part::State => found.state = Err(Flaw::NotState),
        Part::Claim => {}
    }
}

fn without_causes(planned: &Result<Plan, Refusal>) -> String {
    match planned.clone() {
        Ok(mut plan) => {
            plan.causes.clear();
            format!("{plan:?}")
        }
        Err(refusal) => refusal.to_string(),
    }
}

/// A plan in words without dates and fingerprints.
pub fn summary(plan: &Plan) -> String {
    let causes: Vec<String> = plan
        .causes
        .iter()
        .map(|cause| match cause {
            Cause::Expired { part, .. } => format!("{part} expired"),
            Cause::Expiring { part, .. } => format!("{part} expires"),
            Cause::NotLeadingTo { pair, .. } => {
                format!("no path from the {} to the anchor", pair.cert())
            }
            Cause::BundleLacks { .. } => "the bundle lacks a CA".to_owned(),
            Cause::BundleHasRetired { .. } => "the bundle has a retired CA".to_owned(),
            Cause::Retired { .. } => "RetiredCA".to_owned(),
            Cause::Trusted { .. } => "RetiredCA, to move".to_owned(),
            Cause::TakenBack { .. } => "RetiredCA, to take back".to_owned(),
            cause => cause.to_string(),
        })
        .collect();
    let cut_off = match plan.cut_off {
        CutOff::Nobody => "nobody",
        CutOff::KnowingOnly { .. } => "who knows only one CA",
        CutOff::Everyone => "everyone",
    };
    format!(
        "{:?} cuts off {cut_off}, because {}",
        plan.action,
        causes.join(" and ")
    )
}
