//! What to do about a set: the least change that keeps everyone connected.
//!
//! These are the words that [`crate::plan::planner`] decides in and [`crate::plan::publication`] carries out.

pub mod assessment;
mod case;
pub mod cause;
pub mod current_ca;
mod cut_off;
mod decision;
pub mod inspection;
mod issuance;
pub mod obstacle;
pub mod open_rotation;
pub mod outlook;
pub mod planner;
pub mod publication;
mod recording;
pub mod refusal;
pub(crate) mod removal;
pub mod spec;
pub mod standing;
pub mod taking_back;
mod trust;
pub mod warning;
mod word;
pub mod write;

use std::fmt;

use crate::pki::certificate::{CaCertificate, Certificate, Fingerprint};
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::pki::usages::Usages;
use crate::plan::cause::Cause;
use crate::plan::current_ca::CurrentCa;
use crate::plan::obstacle::Obstacle;
use crate::plan::warning::Warning;
use crate::set::anchor_record::AnchorRecord;
use crate::set::pair::Pair;
use crate::set::rack::Part;
use crate::set::state::{Closing, State, TokenHash};

/// What a plan amounts to, in one word; the most far-reaching word that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// No write.
    Keep,
    /// Only the state is written.
    Record,
    /// The API's own pair, which nobody asks for any more, is deleted.
    Remove,
    /// What is published is written again with the same CA, end-entity certificate and keys.
    Repair,
    /// A new end-entity certificate from the current CA.
    Reissue,
    /// The current CA issues the end-entity certificate from now on, for everything that runs trusts it.
    Move,
    /// The open rotation ends: the previous CA is no longer trusted.
    Close,
    /// The open rotation is taken back: the previous CA is the current one again.
    TakeBack,
    /// The current CA's certificate is written again for the same key and the same name.
    ReissueCa,
    /// A new CA is trusted from now on, beside the old one, which still issues the end-entity certificate.
    Introduce,
    /// A new CA, cross-signed by the anchor, and a new end-entity certificate.
    Rotate,
    /// The first CA and certificate of a rack.
    Create,
    /// A new CA and a new end-entity certificate that nothing older leads to.
    Replace,
}

impl Action {
    /// The action in words, for the log and for `docker-tls`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Keep => "unchanged",
            Self::Record => "recorded in the state; certificates and keys unchanged",
            Self::Remove => "took the API's own pair away; same CA, same certificate, same keys",
            Self::Repair => "rewrote what is published; same CA, same certificate, same keys",
            Self::Reissue => "reissued the certificate from the same CA",
            Self::Move => "issued the certificate from the new CA, which everything trusts",
            Self::Close => "closed the rotation: the previous CA is no longer trusted",
            Self::TakeBack => "took the rotation back: the previous CA is the current one again",
            Self::ReissueCa => "reissued the CA certificate for the same key and name",
            Self::Introduce => {
                "introduced a new CA beside the old one, which still issues the certificate"
            }
            Self::Rotate => "rotated the CA: new CA cross-signed by the anchor, new certificate",
            Self::Create => "created the CA and the certificate",
            Self::Replace => "replaced the CA and the certificate",
        }
    }
}

/// Whether anything that could connect before is refused after a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// Nobody is refused who was not refused before.
    Nobody,
    /// Whoever knows this CA and none that the new certificate leads to, for it does not vouch for what is new.
    KnowingOnly {
        /// That CA.
        authority: Fingerprint,
        /// Its common name.
        common_name: String,
        /// Why it can vouch for nothing new.
        obstacle: Obstacle,
    },
    /// Whoever runs: nothing of the old CA can be read any more.
    Everyone,
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("no running daemon or client is cut off"),
            Self::KnowingOnly {
                authority,
                common_name,
                obstacle,
            } => write!(
                f,
                "CUTS OFF every daemon and client that knows the CA {common_name:?} ({authority}) and none that the \
                 new certificate leads to, because {obstacle}; replace them"
            ),
            Self::Everyone => f.write_str(
                "CUTS OFF every running daemon and client, because nothing is left that could vouch for the new \
                 certificate; replace them",
            ),
        }
    }
}

/// What will be published and recorded, and why.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the plan amounts to.
    pub action: Action,
    /// What was found that the plan acts on; empty for [`Action::Keep`].
    pub causes: Vec<Cause>,
    /// Who is refused afterwards.
    pub cut_off: CutOff,
    /// What there is to warn of in the operator's word.
    pub warning: Option<Warning>,
    pub(crate) ca: CaPlan,
    pub(crate) anchor: AnchorPlan,
    /// What the bundle trusts besides.
    pub(crate) trust: Trust,
    pub(crate) writes_bundle: bool,
    /// The keys that are written again as they are.
    pub(crate) repaired_keys: Vec<Part>,
    /// What happens to each pair that is asked for or stored.
    pub(crate) pairs: PairPlans,
    pub(crate) state: StatePlan,
}

impl Plan {
    /// Whether nothing has to be written.
    pub fn is_keep(&self) -> bool {
        self.action == Action::Keep
    }

    /// Whether anything that could connect before is refused afterwards.
    pub fn cuts_off(&self) -> bool {
        self.cut_off != CutOff::Nobody || !self.trust.left_out.is_empty()
    }

    /// The certificates that were trusted and for which the bundle has no room.
    pub fn left_out(&self) -> &[Certificate] {
        &self.trust.left_out
    }

    /// Whether the published leaf will be one that a new CA has issued.
    pub(crate) fn publishes_leaf_of_new_ca(&self) -> bool {
        matches!(self.ca, CaPlan::New) && self.issues_leaf()
    }

    /// Whether the current CA issues the daemons' certificate anew.
    pub(crate) fn issues_leaf(&self) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.any(|(pair, plan)| *pair == Pair::Server && matches!(plan, PairPlan::Issue { .. }))
    }

    /// Whether what daemons and clients get changes, or whom it cuts off.
    pub(crate) fn publishes(&self) -> bool {
        !self.writes_only_state() || self.cuts_off()
    }

    /// Whether the state is all that is written.
    pub(crate) fn writes_only_state(&self) -> bool {
        let mut pairs = self.pairs.iter();
        !self.writes_bundle
            && self.repaired_keys.is_empty()
            && pairs.all(|(_, plan)| matches!(plan, PairPlan::Keep))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.words())?;
        for (index, cause) in self.causes.iter().enumerate() {
            write!(
                f,
                "{}{cause}",
                if index == 0 { ", because " } else { " and " }
            )?;
        }
        let is_close = |cause: &Cause| matches!(cause, Cause::Retired { .. });
        if self.causes.iter().any(is_close) {
            f.write_str("; RetiredCA asserts that nothing that is running knows only that CA")?;
        }
        let is_asserted = |cause: &Cause| matches!(cause, Cause::Trusted { .. });
        let is_silent = matches!(self.action, Action::Keep | Action::Close)
            || self.causes.iter().any(is_asserted);
        let is_left_out = !self.trust.left_out.is_empty();
        if self.cut_off != CutOff::Nobody || !(is_silent || is_left_out) {
            write!(f, "; {}", self.cut_off)?;
        }
        for certificate in &self.trust.left_out {
            write!(
                f,
                "; CUTS OFF whatever presents the certificate {:?} ({}) or one that it has issued, because the trust \
                 bundle has no room for it; use KeyAlgorithm ECDSA_P256, or trust fewer others",
                certificate.common_name(),
                certificate.fingerprint()
            )?;
        }
        Ok(())
    }
}

/// The CA that will be the current one.
#[derive(Clone, Debug)]
pub(crate) enum CaPlan {
    /// The current one stays; its certificate is perhaps written again.
    Keep(CurrentCa),
    /// A new one.
    New,
}

/// The CA that will be the anchor.
#[derive(Clone, Debug)]
pub(crate) enum AnchorPlan {
    /// The CA that will be the current one.
    Current,
    /// The CA that is the current one until then.
    Outgoing(CurrentCa),
    /// The previous CA.
    Previous(CaCertificate),
}

/// What a bundle trusts besides the current CA and the anchor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// What is kept: the CA that the certificate was moved away from, and the rest in the order of the stored bundle.
    pub(crate) kept: Vec<Certificate>,
    /// What there is no room for.
    pub(crate) left_out: Vec<Certificate>,
}

/// What happens to each pair that is asked for or stored.
pub(crate) type PairPlans = Vec<(Pair, PairPlan)>;

/// What happens to a pair: an end-entity certificate and its key.
#[derive(Clone, Debug)]
pub(crate) enum PairPlan {
    /// Both stay byte for byte.
    Keep,
    /// Nobody asks for it any more: both are deleted.
    Remove,
    /// The same certificates are written again plainly, but for what a retired CA signed.
    Repair(CertificateChain),
    /// The same end-entity certificate is written again, with this cross-certificate behind it.
    Rewrite {
        leaf: Certificate,
        cross: Option<CrossPlan>,
    },
    /// A new end-entity certificate from the current CA, with this cross-certificate behind it.
    Issue {
        key: LeafKey,
        usages: Usages,
        cross: Option<CrossPlan>,
    },
    /// A new end-entity certificate from the anchor, which is not the current CA and cannot vouch for it, with the
    /// anchor's key.
    IssueByAnchor {
        key: LeafKey,
        usages: Usages,
        anchor_key: PrivateKey,
    },
}

impl PairPlan {
    /// Whether another end-entity certificate is issued.
    pub(crate) const fn is_new(&self) -> bool {
        matches!(self, Self::Issue { .. } | Self::IssueByAnchor { .. })
    }

    /// Whether the same end-entity certificate is written again.
    pub(crate) const fn is_rewritten(&self) -> bool {
        matches!(self, Self::Repair(_) | Self::Rewrite { .. })
    }

    /// Whether the chain stays, and so what it leads to.
    pub(crate) const fn stays(&self) -> bool {
        matches!(self, Self::Keep | Self::Repair(_))
    }
}

/// Where the cross-certificate comes from.
#[derive(Clone, Debug)]
pub(crate) enum CrossPlan {
    /// It stands in the stored chain.
    Stored(CaCertificate),
    /// The anchor signs it, with this key.
    Sign(PrivateKey),
}

/// The key of a new end-entity certificate.
#[derive(Clone, Debug)]
pub(crate) enum LeafKey {
    /// The stored one, so that one write changes the pair.
    Keep(PrivateKey),
    /// A fresh one.
    New,
}

/// What happens to the state.
#[derive(Clone, Debug)]
pub(crate) enum StatePlan {
    /// It stays byte for byte, or does not exist and need not.
    Keep,
    /// It is written: before the certificates and keys, and again behind them where it differs.
    Write {
        /// The state as it will be, but for what depends on the CA that is issued.
        state: State,
        /// The end of a rotation, which is under way until all is written.
        closing: Option<Closing>,
        /// What is recorded of the event's token.
        token: TokenPlan,
        /// What is recorded of the anchor.
        anchor: AnchorRecordPlan,
    },
}

/// What is recorded of the event's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenPlan {
    /// Nothing, or it is in the state already.
    None,
    /// It counts as seen when all is written.
    See(TokenHash),
    /// It counts as seen once the published leaf was issued by the new CA.
    Obey(TokenHash),
}

/// What is recorded of the anchor when all is written.
#[derive(Clone, Debug)]
pub(crate) enum AnchorRecordPlan {
    /// What was recorded stays.
    Keep,
    /// Nothing is recorded: there is one CA.
    Clear,
    /// This record, known already.
    Record(AnchorRecord),
    /// The outgoing CA, with its key if that is of use, recorded before anything else is written.
    RecordOutgoing(Option<PrivateKey>),
}
