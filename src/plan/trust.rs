//! What a trust bundle holds behind the current CA and the anchor: the operator's own, kept as far as there is room.

use crate::pki::authority;
use crate::pki::certificate::{CaCertificate, Certificate};
use crate::pki::encoding;
use crate::plan::case::Case;
use crate::plan::{AnchorPlan, CaPlan, Trust};
use crate::set::parameter::MAX_VALUE_CHARS;

/// What stays trusted when a bundle is written: all that is unexpired and that no word has retired, but for our own
/// generations, which the anchor stands for.
pub(crate) fn trust(case: &Case<'_>, ca: &CaPlan, anchor: &AnchorPlan) -> Trust {
    let room = MAX_VALUE_CHARS.min(case.spec.properties.getter_room_bytes);
    let mut bytes = bytes_of_ours(case, ca, anchor);
    let mut trust = Trust::default();
    for certificate in others(case, ca, anchor) {
        bytes.push(certificate.der().len());
        if encoding::encoded_chars(&bytes) <= room {
            trust.kept.push(certificate.clone());
        } else {
            bytes.pop();
            trust.left_out.push(certificate.clone());
        }
    }
    trust
}

/// How many bytes of DER the current CA and the anchor take.
fn bytes_of_ours(case: &Case<'_>, ca: &CaPlan, anchor: &AnchorPlan) -> Vec<usize> {
    let bytes_of = |authority: Option<&CaCertificate>, subject: &[u8], public_key: &[u8]| {
        authority.map_or_else(
            || authority::longest_reissued_der(subject, public_key),
            |authority| authority.der().len(),
        )
    };
    let current = match ca {
        CaPlan::Keep(current) => bytes_of(
            current.certificate(),
            current.subject(),
            current.public_key(),
        ),
        CaPlan::New => authority::longest_created_der(case.spec.properties.key_algorithm),
    };
    let anchor = match anchor {
        AnchorPlan::Current => None,
        AnchorPlan::Outgoing(outgoing) => Some(bytes_of(
            outgoing.certificate(),
            outgoing.subject(),
            outgoing.public_key(),
        )),
        AnchorPlan::Previous(authority) => Some(authority.der().len()),
    };
    std::iter::once(current).chain(anchor).collect()
}

fn others<'a>(
    case: &'a Case<'_>,
    ca: &'a CaPlan,
    anchor: &'a AnchorPlan,
) -> impl Iterator<Item = &'a Certificate> {
    let found = &case.assessment.found;
    // Whoever knows the outgoing CA knows its anchor, too, if that was recorded when the outgoing one was made; and what it
    // has issued leads there, unless it is one of two pairs that does not.
    let recorded = found.recorded_anchor();
    let outgoing = match (ca, anchor) {
        (CaPlan::New, AnchorPlan::Previous(anchor)) if recorded == Some(anchor) => {
            let leads = |leads: bool| found.chains().any(|chain| chain.leads_to(anchor) == leads);
            let is_split = leads(true) && leads(false);
            case.assessment.current.as_ref().filter(|_| !is_split)
        }
        _ => None,
    };
    // Equal keys under other names are trusted for other issuers.
    let is_of = |certificate: &Certificate, subject: &[u8], public_key: &[u8]| {
        certificate.subject() == subject && certificate.public_key() == public_key
    };
    let has_its_own_place = move |certificate: &Certificate| {
        let is_current = match ca {
            CaPlan::Keep(current) => is_of(certificate, current.subject(), current.public_key()),
            CaPlan::New => false,
        };
        let is_anchor = match anchor {
            AnchorPlan::Current => false,
            AnchorPlan::Outgoing(outgoing) => {
                is_of(certificate, outgoing.subject(), outgoing.public_key())
            }
            AnchorPlan::Previous(anchor) => {
                is_of(certificate, anchor.subject(), anchor.public_key())
            }
        };
        is_current || is_anchor
    };
    let is_superseded = move |certificate: &Certificate| {
        let (subject, public_key) = (certificate.subject(), certificate.public_key());
        let is_cross_signed = match anchor {
            AnchorPlan::Previous(anchor) => {
                let mut chains = found.chains();
                chains.any(|chain| chain.cross(subject, public_key, anchor).is_some())
            }
            _ => false,
        };
        is_cross_signed
            || outgoing.is_some_and(|outgoing| {
                is_of(certificate, outgoing.subject(), outgoing.public_key())
            })
    };
    // First, for what runs presents certificates of it. It may be lost from the bundle, and is still in the state.
    let left_behind = case.left_behind().map(|ca| &**ca);
    let rest = found.trusted().iter().filter(move |certificate| {
        left_behind != Some(*certificate) && !is_superseded(certificate)
    });
    let others = left_behind.into_iter().chain(rest);
    others.filter(move |certificate| case.is_live(certificate) && !has_its_own_place(certificate))
}
