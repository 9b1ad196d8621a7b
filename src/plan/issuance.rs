//! What is issued for a plan: certificates and keys, none of them written yet.

use time::OffsetDateTime;

use crate::pki::authority::{CertificateAuthority, IssueError, Mint};
use crate::pki::certificate::{CaCertificate, Certificate};
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::pki::usages::Usages;
use crate::plan::current_ca::CurrentCa;
use crate::plan::spec::Spec;
use crate::plan::{AnchorPlan, CaPlan, CrossPlan, LeafKey, PairPlan, Plan};
use crate::set::decoded::Found;
use crate::set::pair::Pair;

/// What carrying out a plan needs to be given.
pub(crate) struct Issued {
    /// The CA that will be the current one.
    pub(crate) current: CaCertificate,
    /// Its key.
    pub(crate) ca_key: PrivateKey,
    /// The anchor, where that is another CA.
    pub(crate) anchor: Option<CaCertificate>,
    /// The pairs of which anything is written.
    pub(crate) pairs: Vec<IssuedPair>,
}

/// What is written of a pair.
pub(crate) struct IssuedPair {
    /// The pair.
    pub(crate) pair: Pair,
    /// Its certificate chain.
    pub(crate) chain: CertificateChain,
    /// Its key, where that is new.
    pub(crate) new_key: Option<PrivateKey>,
}

/// Issues what a plan calls for.
pub(crate) fn issue(
    plan: &Plan,
    spec: &Spec,
    found: &Found,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Result<Issued, IssueError> {
    let properties = &spec.properties;
    let validity = properties.ca_validity;
    let (current, ca_key) = match &plan.ca {
        CaPlan::Keep(kept) => (certificate_of(kept, spec, now, mint)?, kept.key.clone()),
        CaPlan::New => {
            let key = mint.key(properties.key_algorithm)?;
            let created = CertificateAuthority::create(&key, validity, now, mint)?;
            (created.certificate().clone(), key)
        }
    };
    let anchor = match &plan.anchor {
        AnchorPlan::Current => None,
        AnchorPlan::Outgoing(outgoing) => Some(certificate_of(outgoing, spec, now, mint)?),
        AnchorPlan::Previous(authority) => Some(authority.clone()),
    };
    let mut pairs = Vec::new();
    for (pair, pair_plan) in &plan.pairs {
        let stored_leaf = found.pair(*pair).leaf();
        let (chain, new_key) = match pair_plan {
            PairPlan::Keep | PairPlan::Remove => continue,
            PairPlan::Repair(chain) => (chain.clone(), None),
            PairPlan::Rewrite { leaf, cross } => {
                let cross =
                    cross_certificate(cross.as_ref(), anchor.as_ref(), &current, now, mint)?;
                (CertificateChain::new(leaf.clone(), cross), None)
            }
            PairPlan::Issue { key, usages, cross } => {
                let cross =
                    cross_certificate(cross.as_ref(), anchor.as_ref(), &current, now, mint)?;
                let authority = CertificateAuthority::new(current.clone(), &ca_key)?;
                let (leaf, new_key) =
                    issue_leaf(&authority, key, *usages, spec, stored_leaf, now, mint)?;
                (CertificateChain::new(leaf, cross), new_key)
            }
            PairPlan::IssueByAnchor {
                key,
                usages,
                anchor_key,
            } => {
                let issuer = anchor.clone().unwrap_or_else(|| current.clone());
                let authority = CertificateAuthority::new(issuer, anchor_key)?;
                let (leaf, new_key) =
                    issue_leaf(&authority, key, *usages, spec, stored_leaf, now, mint)?;
                (CertificateChain::new(leaf, None), new_key)
            }
        };
        pairs.push(IssuedPair {
            pair: *pair,
            chain,
            new_key,
        });
    }
    Ok(Issued {
        current,
        ca_key,
        anchor,
        pairs,
    })
}

/// An end-entity certificate, and its key where that is new.
fn issue_leaf(
    authority: &CertificateAuthority<'_>,
    key: &LeafKey,
    usages: Usages,
    spec: &Spec,
    stored_leaf: Option<&Certificate>,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Result<(Certificate, Option<PrivateKey>), IssueError> {
    let (key, new_key) = match key {
        LeafKey::Keep(key) => (key.clone(), None),
        LeafKey::New => {
            let key = mint.key(spec.properties.key_algorithm)?;
            (key.clone(), Some(key))
        }
    };
    let mut names = spec.alternative_names(stored_leaf);
    // Of names that nobody asks for, those that the CA may issue are of use. Where the stored ones are lost, they were
    // some of what it permits.
    if let Some(constraints) = authority.certificate().name_constraints() {
        names.retain(|name| constraints.allow(name));
        let is_lost = stored_leaf.is_none() || names.is_empty();
        if is_lost && spec.properties.alternative_names.is_none() {
            names.extend(constraints.permitted_dns_names());
        }
    }
    let leaf = authority.issue(&key, usages, &names, spec.properties.validity, now, mint)?;
    Ok((leaf, new_key))
}

/// A CA's certificate, written again where it is lost. Running daemons obey the end of the one that they hold, which
/// is not known; so it ends with the pair, unless that ends now and a new CA is made anyway.
fn certificate_of(
    authority: &CurrentCa,
    spec: &Spec,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Result<CaCertificate, IssueError> {
    match &authority.certificate {
        Ok(certificate) => Ok(certificate.clone()),
        Err(lost) => {
            let not_after = if spec.ends_soon(lost.leaf_not_after, now) {
                now + spec.properties.ca_validity
            } else {
                lost.leaf_not_after
            };
            let reissued =
                CertificateAuthority::reissue(lost, &authority.key, not_after, now, mint);
            Ok(reissued?.certificate().clone())
        }
    }
}

/// The cross-certificate that a plan asks for: the stored one, or one that the anchor signs.
fn cross_certificate(
    plan: Option<&CrossPlan>,
    anchor: Option<&CaCertificate>,
    current: &CaCertificate,
    now: OffsetDateTime,
    mint: &mut dyn Mint,
) -> Result<Option<CaCertificate>, IssueError> {
    match (plan, anchor) {
        (Some(CrossPlan::Stored(cross)), _) => Ok(Some(cross.clone())),
        (Some(CrossPlan::Sign(key)), Some(anchor)) => {
            let anchor = CertificateAuthority::new(anchor.clone(), key)?;
            anchor.cross_sign(current, now, mint).map(Some)
        }
        _ => Ok(None),
    }
}
