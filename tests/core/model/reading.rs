//! What the model reads off a stored set: once for each set.

use std::collections::{BTreeMap, BTreeSet};

use docker_tls_certgen::pki::certificate::{CaCertificate, Certificate};
use docker_tls_certgen::pki::private_key::PrivateKey;
use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::rack::Part;

use super::archive::Set;
use super::catalog::{Catalog, Keys, ListId};
use crate::acceptance::KeyId;

/// What can be seen of a stored set.
pub struct Reading {
    /// The bundle, if one can be read.
    pub bundle: Option<ListId>,
    /// The chains that can be read together with their keys, each with the pair that it is of.
    pub chains: Vec<(Pair, ListId)>,
    /// The keys of the CAs that there is a trace of, apart from what they issued of the pairs.
    traces: Keys,
    /// The chains, whether there is a key or not, with the keys of the CAs that issued something of them.
    issuers: Vec<(ListId, Keys)>,
    /// The keys of the CAs in the bundle that no word has retired.
    pub trusted: Keys,
    /// When the last certificate that is stored of each CA's key ends.
    ends: BTreeMap<KeyId, i64>,
    /// Which keys of the pool are in use.
    pub pool_numbers: BTreeSet<usize>,
    /// The public key of the current CA.
    pub ca_key: Option<KeyId>,
    /// The previous CA's fingerprint while a rotation is open, which the operator reads off the stack's outputs.
    pub previous_ca: Option<String>,
    /// The current CA's fingerprint.
    pub current_ca: Option<String>,
}

impl Reading {
    /// Looks at a set.
    pub fn new(set: &Set, found: &Found, catalog: &mut Catalog) -> Self {
        let mut list = |part| {
            let id = catalog.list_id(set.value(part)?);
            Some(id).filter(|id| !catalog.is_empty(*id))
        };
        let bundle = list(Part::CaCert);
        let presented = Pair::ALL.map(|pair| Some((pair, list(pair.cert())?)));
        let presented: Vec<(Pair, ListId)> = presented.into_iter().flatten().collect();
        let mut keys_of_pairs = Vec::new();
        for pair in Pair::ALL.map(|pair| found.pair(pair)) {
            let leaf = pair.leaf().map(Certificate::public_key);
            let key = pair.key.as_ref().ok().map(PrivateKey::public_key);
            keys_of_pairs.extend(leaf.into_iter().chain(key).map(|key| catalog.key_id(key)));
        }
        let ca_private_key = found.ca_key.as_ref().ok();
        let ca_key = ca_private_key.map(|key| catalog.key_id(key.public_key()));

        // Where the operator said that nothing is left which knows only that CA, it takes more than a bundle to tell of it.
        let state = found.state.as_ref().ok();
        let is_retired =
            |ca: &CaCertificate| state.is_some_and(|state| state.has_retired(&ca.fingerprint()));
        let recorded = found.recorded_anchor().filter(|ca| !is_retired(ca));
        let recorded = recorded.map(|ca| catalog.key_id(ca.public_key()));
        let mut traces: Keys = recorded.into_iter().chain(ca_key).collect();
        let authorities = found.bundled();
        let bundled: Vec<KeyId> = authorities
            .iter()
            .map(|ca| catalog.key_id(ca.public_key()))
            .collect();
        // A CA beside the current one is a partner's, unless the record or the chain tells otherwise. Without a current
        // one, it is all that there is.
        let has_current = ca_private_key.is_some_and(|key| {
            ca_key.is_some_and(|key| bundled.contains(&key) || Some(key) == recorded)
                || found
                    .chains()
                    .any(|chain| chain.leaf().is_signed_by(key.public_key()))
        });
        let kept = bundled.iter().zip(authorities);
        let trusted: Keys = kept
            .filter(|(_, ca)| !is_retired(ca))
            .map(|(key, _)| *key)
            .collect();
        if !has_current {
            traces.extend(&trusted);
        }
        let mut ends = BTreeMap::new();
        for ca in found.authorities() {
            let end = ends.entry(catalog.key_id(ca.public_key())).or_insert(0);
            *end = ca.not_after().unix_timestamp().max(*end);
        }
        let issuers = presented.iter();
        let issuers: Vec<(ListId, Keys)> = issuers
            .map(|(_, chain)| (*chain, catalog.keys_of_issuers_of(*chain)))
            .collect();
        let of_pairs = issuers.iter().flat_map(|(_, keys)| keys);
        let used = traces.iter().chain(of_pairs).chain(&bundled);
        let used = used.chain(&keys_of_pairs);
        let current_ca = authorities
            .iter()
            .find(|ca| ca_private_key.is_some_and(|key| key.public_key() == ca.public_key()));
        Self {
            bundle,
            chains: presented
                .into_iter()
                .filter(|(pair, _)| found.pair(*pair).matches())
                .collect(),
            pool_numbers: used.filter_map(|key| catalog.pool_number(*key)).collect(),
            traces,
            issuers,
            trusted,
            ends,
            ca_key,
            previous_ca: Assessment::of(found.clone())
                .previous_ca()
                .map(|ca| ca.fingerprint().to_string()),
            current_ca: current_ca.map(|ca| ca.fingerprint().to_string()),
        }
    }

    /// The keys of the CAs of which everything that is stored has expired.
    pub fn ended(&self, now: i64) -> Keys {
        let ended = self.ends.iter().filter(|(_, end)| **end < now);
        ended.map(|(key, _)| *key).collect()
    }

    /// What `RetiredCA` says to take the next step.
    pub fn word(&self) -> Option<String> {
        let (previous, current) = (self.previous_ca.as_ref()?, self.current_ca.as_ref()?);
        Some(format!("{previous}/{current}"))
    }

    /// What `RetiredCA` says to take the rotation back.
    pub fn word_back(&self) -> Option<String> {
        let (previous, current) = (self.previous_ca.as_ref()?, self.current_ca.as_ref()?);
        Some(format!("{current}/{previous}"))
    }

    /// Whether a chain tells of those who issued it: it has a key, and has not expired.
    fn counts(&self, chain: ListId, catalog: &Catalog, now: i64) -> bool {
        let mut chains = self.chains.iter();
        chains.any(|(_, has_key)| *has_key == chain) && !catalog.is_leaf_expired(chain, now)
    }

    /// Whether daemons and the API can read what a template has them present. While a rotation is open it may be good for
    /// more than that, if the CA that everything knows cannot issue another.
    pub fn is_as_asked(&self, separate: bool, catalog: &Catalog) -> bool {
        let usages = |wanted: Pair| {
            let mut chains = self.chains.iter();
            let chain = chains.find(|(pair, _)| *pair == wanted);
            chain.map(|(_, chain)| catalog.usages(*chain))
        };
        match (separate, Pair::ALL.map(usages)) {
            (true, [Some((true, for_client)), Some((for_server, true))]) => {
                self.previous_ca.is_some() || !(for_client || for_server)
            }
            (false, [Some((true, true)), None]) => true,
            _ => false,
        }
    }

    /// The keys of the CAs of which anything is left that tells of them.
    pub fn traces(&self, catalog: &Catalog, now: i64) -> Keys {
        let mut traces = self.traces.clone();
        let of_pairs = self.issuers.iter();
        for (_, issuers) in of_pairs.filter(|(chain, _)| self.counts(*chain, catalog, now)) {
            traces.extend(issuers);
        }
        traces
    }
}
