//! One moment of the model: what is stored, what time it is, and who must still connect to whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use docker_tls_certgen::pki::certificate::Fingerprint;
use docker_tls_certgen::set::rack::Part;

use super::archive::SetId;
use super::catalog::{Catalog, ListId};
use super::reading::Reading;
use super::step::Event;
use crate::acceptance::Verdict;

/// What a template asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wish {
    /// `RotationToken`; 0 is none.
    pub token: u8,
    /// `RetiredCA`.
    pub retired: Option<String>,
    /// Whether `ClientCertificate` is `Separate`.
    pub separate: bool,
    /// Later wishes have higher numbers.
    pub age: u8,
}

/// What a template asks for, and what it asked for before its last change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Template {
    /// What it asks for.
    pub wish: Wish,
    /// What it asked for before.
    pub former: Wish,
    /// Whether the last change failed, so that CloudFormation sends nothing new before it was tried again or set back.
    pub failed: bool,
}

impl Template {
    /// One that was never changed.
    pub fn of(wish: Wish) -> Self {
        Self {
            former: wish.clone(),
            wish,
            failed: false,
        }
    }

    /// What it says when this event is sent; `None` if CloudFormation would not send it now.
    pub fn after(&self, event: Event, reading: &Reading) -> Option<Self> {
        let has_changed = self.wish != self.former;
        let mut wish = self.wish.clone();
        match event {
            Event::Again | Event::Twice
                if has_changed && self.failed == (event == Event::Again) =>
            {
                return Some(Self {
                    failed: false,
                    ..self.clone()
                });
            }
            Event::SetBack if has_changed => {
                return Some(Self {
                    wish: self.former.clone(),
                    former: self.wish.clone(),
                    failed: false,
                });
            }
            Event::Again | Event::Twice | Event::SetBack => return None,
            _ if self.failed => return None,
            Event::NoOp => return Some(self.clone()),
            Event::Switch => wish.separate = !wish.separate,
            Event::NewToken => wish.token = wish.token.max(self.former.token) + 1,
            Event::Close => wish.retired = Some(reading.word()?),
            Event::TakeBack => wish.retired = Some(reading.word_back()?),
            Event::TakeBackAndRotate => {
                wish.retired = Some(reading.word_back()?);
                wish.token = wish.token.max(self.former.token) + 1;
            }
            Event::CloseMoved => wish.retired = Some(format!("{}/moved", reading.word()?)),
            Event::CloseAndRotate => {
                wish.retired = Some(reading.word()?);
                wish.token = wish.token.max(self.former.token) + 1;
            }
            Event::CloseTooEarly if reading.previous_ca.is_some() => return None,
            Event::CloseTooEarly => wish.retired = Some(reading.current_ca.clone()?),
        }
        let is_change = wish != self.wish;
        wish.age = self.wish.age.max(self.former.age) + 1;
        is_change.then(|| Self {
            wish,
            former: self.wish.clone(),
            failed: false,
        })
    }

    /// Whether the event that it describes asks for something new, rather than for what was before.
    pub fn is_forward(&self) -> bool {
        self.wish.age > self.former.age
    }
}

/// Whom a plan says it cuts off.
#[derive(Clone, Copy)]
pub enum CutOffs<'a> {
    /// Everyone.
    All,
    /// Who knows this CA and does not accept what is published then, and whose chain is not accepted then.
    Knowing(&'a Fingerprint, &'a Reading),
}

/// What was published, and who had read it.
#[derive(Default, PartialEq, Eq, Hash)]
pub struct Published {
    /// The set.
    pub set: SetId,
    tainted: BTreeSet<Part>,
    bundles: BTreeSet<ListId>,
    chains: BTreeSet<ListId>,
    has_partner: bool,
}

/// One moment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Moment {
    /// What is stored.
    pub set: SetId,
    /// Published parts whose value nobody published.
    pub tainted: BTreeSet<Part>,
    /// The time in seconds since 1970.
    pub now: i64,
    /// Whether a part got the value of another set. Two such parts would be another set, not damage.
    pub swapped: bool,
    /// What the template says.
    pub template: Template,
    /// The bundles that somebody read who must still connect to everybody.
    pub bundles: BTreeSet<ListId>,
    /// The chains that somebody read, with the key that belongs to it, who must still connect to everybody.
    pub chains: BTreeSet<ListId>,
    /// Whether a partner's chain must be accepted by everybody: its CA was trusted ever since.
    pub has_partner: bool,
    /// Copies that can be put back since the first close: of what there was in the beginning, and before the latest close.
    pub copies: Vec<Arc<Published>>,
}

impl Moment {
    /// Somebody copies what is published, and all who read it.
    pub fn published(&self) -> Published {
        Published {
            set: self.set,
            tainted: self.tainted.clone(),
            bundles: self.bundles.clone(),
            chains: self.chains.clone(),
            has_partner: self.has_partner,
        }
    }

    /// Puts a copy back, and those who run from it; the state alone stays as it is.
    pub fn put_back(&self, copy: &Published, catalog: &mut Catalog) -> Self {
        let mut next = self.clone();
        next.set = catalog.set_with_published(self.set, copy.set);
        next.tainted.clone_from(&copy.tainted);
        next.bundles.clone_from(&copy.bundles);
        next.chains.clone_from(&copy.chains);
        next.has_partner = copy.has_partner;
        next
    }

    /// Somebody reads what can be read.
    pub fn read(&mut self, reading: &Reading, catalog: &mut Catalog) {
        let is_published = |part| !self.tainted.contains(&part);
        self.bundles
            .extend(reading.bundle.filter(|_| is_published(Part::CaCert)));
        let chains = reading.chains.iter();
        let chains = chains.filter(|(pair, _)| is_published(pair.cert()));
        self.chains.extend(chains.map(|(_, chain)| *chain));
        self.forget_expired(reading, catalog);
    }

    /// Lets go of readers whose time is over: the end of an anchor ends every generation but the newest.
    ///
    /// So does the end of all that is stored of a CA, which may have been written again: the original's end is not known.
    pub fn forget_expired(&mut self, reading: &Reading, catalog: &mut Catalog) {
        let now = self.now;
        let ended = reading.ended(now);
        let known = &reading.traces(catalog, now) - &ended;
        self.bundles.retain(|bundle| {
            !catalog.has_one_of(*bundle, &ended) || catalog.has_valid_one_of(*bundle, &known, now)
        });
        self.bundles
            .retain(|bundle| !catalog.is_all_expired(*bundle, now));
        self.chains.retain(|chain| {
            !catalog.has_issuer_among(*chain, &ended) || catalog.has_issuer_among(*chain, &known)
        });
        self.chains
            .retain(|chain| !catalog.is_leaf_expired(*chain, now));
        let mut bundles = self.bundles.iter();
        if bundles.any(|bundle| catalog.has_expired(*bundle, now))
            && let Some(newest) = catalog.newest_issuer(&self.bundles, &self.chains, now)
        {
            self.bundles.retain(|bundle| catalog.holds(*bundle, newest));
            self.chains
                .retain(|chain| catalog.is_accepted_by(newest, *chain, now));
        }
    }

    /// Lets go of readers of whose CA nothing is left that would tell of it, after damage and time.
    pub fn forget_untraceable(
        &mut self,
        then: &Reading,
        when: i64,
        now: &Reading,
        catalog: &mut Catalog,
    ) {
        // Whatever is trusted is trusted on, but only what is ours is led to.
        let trusted = (&then.trusted, &now.trusted);
        let (then, now) = (then.traces(catalog, when), now.traces(catalog, self.now));
        self.bundles.retain(|bundle| {
            catalog.has_one_of(*bundle, &now) || !catalog.has_one_of(*bundle, &then)
        });
        let (then, now) = (&then | trusted.0, &now | trusted.1);
        self.chains.retain(|chain| {
            catalog.has_issuer_among(*chain, &now) || !catalog.has_issuer_among(*chain, &then)
        });
    }

    /// Lets go of readers that a plan says it cuts off, and of who reads from now on what they read.
    pub fn forget_cut_off(&mut self, whom: CutOffs<'_>, reading: &Reading, catalog: &mut Catalog) {
        let now = self.now;
        let is_cut_off = |bundle: ListId, catalog: &mut Catalog| match whom {
            CutOffs::All => true,
            CutOffs::Knowing(authority, then) => {
                let mut accepts =
                    |chain: ListId| catalog.judge(bundle, chain, now) == Verdict::Accepted;
                let accepts_all =
                    !then.chains.is_empty() && then.chains.iter().all(|(_, chain)| accepts(*chain));
                !accepts_all && catalog.knows(bundle, authority)
            }
        };
        self.bundles.retain(|bundle| !is_cut_off(*bundle, catalog));
        if reading
            .bundle
            .is_some_and(|bundle| is_cut_off(bundle, catalog))
        {
            self.tainted.insert(Part::CaCert);
        }
        let is_cut_off = |chain: ListId, catalog: &mut Catalog| match whom {
            CutOffs::All => true,
            CutOffs::Knowing(_, then) => {
                let accepts = |bundle| catalog.judge(bundle, chain, now) == Verdict::Accepted;
                !then.bundle.is_some_and(accepts)
            }
        };
        self.chains.retain(|chain| !is_cut_off(*chain, catalog));
        for (pair, chain) in &reading.chains {
            if is_cut_off(*chain, catalog) {
                self.tainted.insert(pair.cert());
            }
        }
    }

    /// Lets go of who presents what a plan says that the bundle has no room for.
    pub fn forget_left_out(&mut self, then: &Reading, catalog: &mut Catalog) {
        let now = self.now;
        let Some(bundle) = then.bundle else {
            return;
        };
        self.chains
            .retain(|chain| catalog.judge(bundle, *chain, now) == Verdict::Accepted);
    }

    /// Takes the operator's word that everybody trusts the current CA.
    pub fn forget_untrusting(&mut self, reading: &Reading, catalog: &Catalog) {
        if let Some(current) = reading.ca_key {
            self.bundles
                .retain(|bundle| catalog.has_key(*bundle, current));
        }
    }

    /// Takes the operator's word that nobody is left who read anything before the latest rotation.
    pub fn forget_retired(&mut self, reading: &Reading, catalog: &mut Catalog) {
        let Some(current) = reading.ca_key else {
            return;
        };
        self.bundles
            .retain(|bundle| catalog.has_key(*bundle, current));
        self.chains
            .retain(|chain| catalog.is_leaf_issued_by(*chain, current));
    }
}
