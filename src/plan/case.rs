//! One event's question to a set that is assessed.

use time::OffsetDateTime;

use crate::pki::certificate::{CaCertificate, Certificate};
use crate::pki::usages::Usages;
use crate::plan::assessment::{Anchor, Assessment};
use crate::plan::cause::Cause;
use crate::plan::current_ca::CurrentCa;
use crate::plan::spec::{Occasion, Spec};
use crate::plan::word::Word;
use crate::set::pair::Pair;
use crate::set::state::State;

/// One event's question, with the answers to what comes before the decision.
pub(crate) struct Case<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) assessment: &'a Assessment,
    pub(crate) now: OffsetDateTime,
    /// The state as the event leaves it, but for what is recorded of the plan.
    pub(crate) state: &'a State,
    /// The anchor, once the close is done.
    pub(crate) anchor: Option<Anchor>,
    pub(crate) word: Word,
    pub(crate) rotates_for_token: bool,
    /// The pairs that the set is to have.
    pub(crate) pairs: Vec<PairCase>,
}

/// A pair that a set is to have.
pub(crate) struct PairCase {
    pub(crate) pair: Pair,
    /// What its certificate is to be good for.
    pub(crate) usages: Usages,
    /// What is wrong with it by itself.
    pub(crate) causes: Vec<Cause>,
}

impl PairCase {
    /// The pairs that a set is to have.
    pub(crate) fn all(spec: &Spec, assessment: &Assessment, now: OffsetDateTime) -> Vec<Self> {
        let asked = Pair::ALL.into_iter().filter_map(|pair| {
            let usages = spec.properties.client_certificate.usages(pair)?;
            Some((pair, usages))
        });
        let case = |(pair, usages)| Self {
            pair,
            usages,
            causes: assessment.pair_causes(pair, usages, spec, now),
        };
        asked.map(case).collect()
    }
}

impl Case<'_> {
    /// The previous CA that the published certificate is moved away from, by this event or by one before. It is trusted
    /// until the close.
    pub(crate) fn left_behind(&self) -> Option<&CaCertificate> {
        let current = self.assessment.current.as_ref();
        let is_current = |ca: &CaCertificate| current.is_some_and(|current| current.has_key_of(ca));
        let left = self.state.moved_from();
        left.filter(|ca| self.is_live(ca) && !is_current(ca))
    }

    /// The anchor, if it is another CA than the current one.
    pub(crate) fn previous_ca(&self) -> Option<&CaCertificate> {
        match &self.anchor {
            Some(Anchor::Previous(authority)) => Some(authority),
            _ => None,
        }
    }

    /// Whether a certificate is trusted by its date and by the operator's word, whatever leads to it.
    pub(crate) fn is_live(&self, certificate: &Certificate) -> bool {
        let fingerprint = certificate.fingerprint();
        let closing = self.word.closing();
        !certificate.is_expired(self.now)
            && !self.state.has_retired(&fingerprint)
            && !closing.is_some_and(|closing| closing.retires(&fingerprint))
    }

    /// Whether a Create finds nothing.
    pub(crate) fn is_first_set(&self) -> bool {
        self.assessment.found.is_empty() && self.spec.occasion == Occasion::Adoption
    }

    /// The current CA, if it has not expired.
    pub(crate) fn outgoing(&self) -> Option<&CurrentCa> {
        self.assessment.current.as_ref().filter(|outgoing| {
            let certificate = outgoing.certificate();
            certificate.is_none_or(|authority| !authority.is_expired(self.now))
        })
    }
}
