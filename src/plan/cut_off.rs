//! Whom a plan cuts off: rule 9 of docs/rotation.md, told once, from what was found and what is published.

use crate::pki::certificate::CaCertificate;
use crate::plan::assessment::Anchor;
use crate::plan::case::Case;
use crate::plan::current_ca::CurrentCa;
use crate::plan::obstacle::{Obstacle, Signer};
use crate::plan::{Action, AnchorPlan, CaPlan, CrossPlan, CutOff, PairPlan, Plan};
use crate::set::pair::Pair;

impl Case<'_> {
    /// Rule 9 of docs/rotation.md: whom a plan cuts off, but for what its bundle has no room for.
    pub(crate) fn cut_off(&self, plan: &Plan) -> CutOff {
        // Of a pair that nobody asks for, too: it tells of a CA that was trusted.
        let is_orphaned = |pair| self.assessment.is_orphaned(pair, self.now);
        let takes_away = plan.action == Action::Remove;
        if plan.publishes() && !takes_away && Pair::ALL.into_iter().any(is_orphaned) {
            return CutOff::Everyone;
        }
        let Some(anchor) = &self.anchor else {
            return if self.is_first_set() {
                CutOff::Nobody
            } else {
                CutOff::Everyone
            };
        };
        let leaves_anchor =
            matches!(plan.anchor, AnchorPlan::Current) || self.leaves_anchor_behind(plan);
        match (anchor, &plan.anchor) {
            (Anchor::Previous(found), AnchorPlan::Previous(anchor))
                if found == anchor && !leaves_anchor =>
            {
                self.stranded(plan).map_or(CutOff::Nobody, |ca| {
                    knowing_only(ca, Obstacle::NotTheAnchor)
                })
            }
            (Anchor::Previous(anchor), _) => {
                let key = self.assessment.recorded_key(anchor);
                knowing_only(anchor, self.why_neither(&Signer::other(anchor, key)))
            }
            // The end of a CA that expired cuts nobody off who was not refused before.
            (Anchor::Current, _) if matches!(plan.ca, CaPlan::New) && leaves_anchor => {
                let outgoing = self.outgoing();
                let certificate = outgoing.and_then(CurrentCa::certificate);
                match outgoing.zip(certificate) {
                    Some((outgoing, certificate)) => {
                        knowing_only(certificate, self.why_neither(&Signer::current(outgoing)))
                    }
                    None => CutOff::Nobody,
                }
            }
            (Anchor::Current, _) => CutOff::Nobody,
        }
    }

    /// Whether the current CA issues a certificate that does not lead to the anchor. One that did not before refuses nobody
    /// who was not refused.
    fn leaves_anchor_behind(&self, plan: &Plan) -> bool {
        let leads = |cross: &CrossPlan| match (cross, &plan.anchor) {
            (CrossPlan::Stored(cross), AnchorPlan::Previous(anchor)) => anchor.has_issued(cross),
            _ => true,
        };
        let is_unled = |pair_plan: &PairPlan| match pair_plan {
            PairPlan::Issue { cross, .. } => !cross.as_ref().is_some_and(leads),
            _ => false,
        };
        let led_nowhere = |pair: Pair| {
            let is_kept = matches!(plan.ca, CaPlan::Keep(_));
            let fits = self.assessment.found.pair(pair).matches();
            is_kept
                && fits
                && self.assessment.is_of_current_ca(pair)
                && !self.assessment.leads_to(self.anchor.as_ref(), pair)
        };
        let mut pairs = plan.pairs.iter();
        !matches!(plan.anchor, AnchorPlan::Current)
            && pairs.any(|(pair, pair_plan)| is_unled(pair_plan) && !led_nowhere(*pair))
    }

    /// Why a CA neither issues the certificate itself nor vouches for the CA that does. One that could vouch had none to
    /// vouch for.
    fn why_neither(&self, signer: &Signer<'_>) -> Obstacle {
        let obstacle = signer.for_a_leaf(self.spec).err();
        let obstacle = obstacle.or_else(|| signer.for_a_ca(self.state).err());
        obstacle.unwrap_or(Obstacle::NotTheAnchor)
    }

    /// A CA that a stored chain leads to, of a stored bundle that holds none which the new chain leads to: the state's
    /// record is of another time than what is published.
    fn stranded(&self, plan: &Plan) -> Option<&CaCertificate> {
        let mut pairs = plan.pairs.iter();
        pairs.find_map(|(pair, pair_plan)| self.stranded_by(*pair, pair_plan, plan))
    }

    fn stranded_by(&self, pair: Pair, pair_plan: &PairPlan, plan: &Plan) -> Option<&CaCertificate> {
        let chain = self.assessment.found.pair(pair).chain()?;
        let bundled = || {
            let bundled = self.assessment.found.bundled().iter();
            bundled.filter(|ca| self.is_live(ca))
        };
        let current = match &plan.ca {
            CaPlan::Keep(current) => Some(current.public_key()),
            CaPlan::New => None,
        };
        let anchor = match &plan.anchor {
            AnchorPlan::Previous(anchor) => Some(anchor.public_key()),
            AnchorPlan::Outgoing(outgoing) => Some(outgoing.public_key()),
            AnchorPlan::Current => None,
        };
        let led_to = match pair_plan {
            PairPlan::Keep | PairPlan::Repair(_) | PairPlan::Remove => return None,
            PairPlan::Issue { cross: None, .. } | PairPlan::Rewrite { cross: None, .. } => {
                [current, None]
            }
            PairPlan::Issue { .. } | PairPlan::Rewrite { .. } => [current, anchor],
            PairPlan::IssueByAnchor { .. } => [anchor, None],
        };
        let is_led_to = |ca: &CaCertificate| led_to.contains(&Some(ca.public_key()));
        if bundled().any(is_led_to) {
            return None;
        }
        bundled().find(|ca| chain.leads_to(ca))
    }
}

fn knowing_only(authority: &CaCertificate, obstacle: Obstacle) -> CutOff {
    CutOff::KnowingOnly {
        authority: authority.fingerprint(),
        common_name: authority.common_name().to_owned(),
        obstacle,
    }
}
