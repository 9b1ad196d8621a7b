//! What is issued for a plan: certificates and keys, none of them written yet.

use time::OffsetDateTime;

use crate::pki::authority::{CertificateAuthority, IssueError, Mint};
use crate::pki::certificate::{CaCertificate, Certificate};
use crate::pki::private_key::PrivateKey;
use crate::plan::assessment::CurrentCa;
use crate::plan::spec::Spec;
use crate::plan::{AnchorPlan, CaPlan, CrossPlan, LeafKey, PairPlan, Plan};
use crate::set::decoded::Found;

/// What carrying out a plan needs to be given.
pub(crate) struct Issued {
    /// The CA that will be the current one.
    pub(crate) current: CaCertificate,
    /// Its key, where that is new.
    pub(crate) new_ca_key: Option<PrivateKey>,
    /// The anchor, where that is another CA.
    pub(crate) anchor: Option<CaCertificate>,
    /// The end-entity certificate and its cross-certificate, where they are written.
    pub(crate) chain: Option<(Certificate, Option<CaCertificate>)>,
    /// The end-entity certificate's key, where that is new.
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
    let stored_key = found.ca_key.as_ref().ok();
    let former = match plan.former() {
        None => None,
        Some(CurrentCa::Stored(authority)) => Some(authority.clone()),
        Some(CurrentCa::LostCertificate(lost)) => {
            let key = stored_key.expect("a CA whose certificate is lost is known by its key");
            let validity = properties.ca_validity;
            let reissued = CertificateAuthority::reissue(lost, key, validity, now, mint)?;
            Some(reissued.certificate().clone())
        }
    };
    let (current, new_ca_key) = if let (CaPlan::Keep(_), Some(former)) = (&plan.ca, &former) {
        (former.clone(), None)
    } else {
        let key = mint.key(properties.key_algorithm)?;
        let validity = properties.ca_validity;
        let created = CertificateAuthority::create(&key, validity, now, mint)?;
        (created.certificate().clone(), Some(key))
    };
    let anchor = match &plan.anchor {
        AnchorPlan::Current => None,
        AnchorPlan::Former => former,
        AnchorPlan::Other(authority) => Some(authority.clone()),
    };

    let cross = match &plan.pair {
        PairPlan::Keep => None,
        PairPlan::Rewrite { cross } | PairPlan::Issue { cross, .. } => match (cross, &anchor) {
            (Some(CrossPlan::Stored(cross)), _) => Some(cross.clone()),
            (Some(CrossPlan::Sign), Some(anchor)) => {
                let recorded = found.state.as_ref().ok();
                let recorded = recorded.and_then(|state| state.anchor()?.key());
                let key = [recorded.as_ref(), stored_key]
                    .into_iter()
                    .flatten()
                    .find(|key| key.public_key() == anchor.public_key())
                    .expect("a cross-certificate is planned only where the anchor's key is known");
                let anchor = CertificateAuthority::new(anchor.clone(), key)?;
                Some(anchor.cross_sign(&current, now, mint)?)
            }
            _ => None,
        },
    };
    let mut new_key = None;
    let chain = match &plan.pair {
        PairPlan::Keep => None,
        PairPlan::Rewrite { .. } => {
            let chain = found.cert.as_ref();
            let chain = chain.expect("only a chain that could be read is written again");
            Some((chain.leaf().clone(), cross))
        }
        PairPlan::Issue { key, .. } => {
            if *key == LeafKey::New {
                new_key = Some(mint.key(properties.key_algorithm)?);
            }
            let key = new_key.as_ref().or(found.key.as_ref().ok());
            let key = key.expect("a key is kept only if it loads");
            let ca_key = new_ca_key.as_ref().or(stored_key);
            let ca_key = ca_key.expect("the CA is kept only if its key loads");
            let authority = CertificateAuthority::new(current.clone(), ca_key)?;
            let names = spec.alternative_names();
            let leaf = authority.issue(key, &names, properties.validity, now, mint)?;
            Some((leaf, cross))
        }
    };
    Ok(Issued {
        current,
        new_ca_key,
        anchor,
        chain,
        new_key,
    })
}
