//! What the model knows of the world: everything that was ever stored, read and signed, each thing once, by number.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use docker_tls_certgen::pki::certificate::{Certificate, Fingerprint};
use docker_tls_certgen::pki::encoding;
use docker_tls_certgen::plan::write::Write;
use docker_tls_certgen::set::parameter::{ParameterValue, StoredSet};
use docker_tls_certgen::set::rack::Part;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::archive::{Archive, Set, SetId, StoredValue};
use crate::acceptance::{Id, KeyId, Registry, Verdict, read_certificates};
use crate::mint::pool_number;

/// How many bytes of a fingerprint the state keeps of a CA.
const SHORT_FINGERPRINT_BYTES: usize = 8;

/// The number of a bundle or a chain that somebody may have read.
pub type ListId = usize;

/// Public keys.
pub type Keys = BTreeSet<KeyId>;

/// What is known of everything that is known.
#[derive(Default)]
pub struct Catalog {
    registry: Registry,
    archive: Archive,
    lists: Vec<Vec<Id>>,
    list_ids: HashMap<Vec<Id>, ListId>,
    /// The list that each value of a bundle or a chain holds.
    lists_of: HashMap<StoredValue, ListId>,
    verdicts: HashMap<(ListId, ListId, i64), Verdict>,
    /// The public key of each certificate.
    keys: HashMap<Fingerprint, KeyId>,
    /// Which key of the pool each public key belongs to.
    pool_numbers: HashMap<KeyId, Option<usize>>,
    /// The first certificate that was seen of each to-be-signed part.
    first_of: HashMap<Vec<u8>, Vec<u8>>,
}

impl Catalog {
    /// The number of a stored set; versions and types do not matter.
    pub fn set_id(&mut self, stored: &StoredSet) -> SetId {
        self.archive.id(stored)
    }

    /// The number of a set that differs in one part.
    pub fn set_with(&mut self, id: SetId, part: Part, value: Option<&str>) -> SetId {
        self.archive.id_with(id, part, value)
    }

    /// The number of a set that has its published parts from another one.
    pub fn set_with_published(&mut self, id: SetId, published: SetId) -> SetId {
        let from = self.archive.set(published);
        Part::PUBLISHED.into_iter().fold(id, |id, part| {
            let value = from.value(part).map(StoredValue::text);
            self.archive.id_with(id, part, value)
        })
    }

    /// The stored set with that number.
    pub fn set(&self, id: SetId) -> Arc<Set> {
        self.archive.set(id)
    }

    /// How many different sets were stored.
    pub fn sets_seen(&self) -> usize {
        self.archive.len()
    }

    /// How many questions of "does this bundle accept that chain at that time" were answered.
    pub fn pairs_judged(&self) -> usize {
        self.verdicts.len()
    }

    /// How many signatures were checked for that.
    pub fn signatures_checked(&self) -> usize {
        self.registry.signatures_checked()
    }

    /// The number of a public key.
    pub fn key_id(&mut self, public_key: &[u8]) -> KeyId {
        let id = self.registry.key_id(public_key);
        let number = self.pool_numbers.entry(id);
        number.or_insert_with(|| pool_number(public_key));
        id
    }

    /// Which key of the pool this is.
    pub fn pool_number(&self, key: KeyId) -> Option<usize> {
        self.pool_numbers.get(&key).copied().flatten()
    }

    /// The number of the list of certificates that a value holds.
    pub fn list_id(&mut self, value: &StoredValue) -> ListId {
        if let Some(id) = self.lists_of.get(value) {
            return *id;
        }
        let certificates = read_certificates(value.text());
        let list: Vec<Id> = certificates
            .iter()
            .map(|der| self.registry.id(der))
            .collect();
        let next = self.lists.len();
        let id = *self.list_ids.entry(list.clone()).or_insert(next);
        if id == next {
            for der in &certificates {
                let certificate = Certificate::from_der(der).expect("it was read before");
                let key = self.key_id(certificate.public_key());
                self.keys.insert(certificate.fingerprint(), key);
            }
            self.lists.push(list);
        }
        self.lists_of.insert(value.clone(), id);
        id
    }

    /// Whether a list has no certificate at all.
    pub fn is_empty(&self, id: ListId) -> bool {
        self.lists[id].is_empty()
    }

    /// Whether every certificate of a list has expired.
    pub fn is_all_expired(&self, id: ListId, now: i64) -> bool {
        let mut list = self.lists[id].iter();
        list.all(|id| self.registry.facts(*id).is_expired(now))
    }

    /// Whether the first certificate of a list may be used as a server's, and whether as a client's.
    pub fn usages(&self, id: ListId) -> (bool, bool) {
        let leaf = self.lists[id].first();
        leaf.map_or((false, false), |id| self.registry.facts(*id).usages)
    }

    /// Whether the first certificate of a list has expired.
    pub fn is_leaf_expired(&self, id: ListId, now: i64) -> bool {
        let leaf = self.lists[id].first();
        leaf.is_none_or(|id| self.registry.facts(*id).is_expired(now))
    }

    /// Whether a bundle has a CA with this one's key.
    pub fn knows(&self, bundle: ListId, authority: &Fingerprint) -> bool {
        let key = self.keys.get(authority);
        key.is_some_and(|key| self.has_key(bundle, *key))
    }

    /// Whether a bundle has a valid CA with one of these keys.
    pub fn has_valid_one_of(&self, bundle: ListId, keys: &Keys, now: i64) -> bool {
        let mut list = self.lists[bundle].iter().map(|id| self.registry.facts(*id));
        list.any(|facts| keys.contains(&facts.key) && !facts.is_expired(now))
    }

    fn authorities(&self, bundles: &BTreeSet<ListId>) -> BTreeSet<Id> {
        let lists = bundles.iter().flat_map(|id| &self.lists[*id]);
        lists.copied().collect()
    }

    /// Whether a CA of a bundle has expired.
    pub fn has_expired(&self, bundle: ListId, now: i64) -> bool {
        let mut list = self.lists[bundle].iter();
        list.any(|id| self.registry.facts(*id).is_expired(now))
    }

    /// The youngest valid CA of these bundles that itself issued the end-entity certificate of one of these chains.
    pub fn newest_issuer(
        &mut self,
        bundles: &BTreeSet<ListId>,
        chains: &BTreeSet<ListId>,
        now: i64,
    ) -> Option<Id> {
        let leaves: Vec<Id> = chains.iter().map(|chain| self.lists[*chain][0]).collect();
        let mut authorities = self.authorities(bundles);
        authorities.retain(|id| {
            let mut leaves = leaves.iter();
            leaves.any(|leaf| self.registry.judge(&[*id], &[*leaf], now) == Verdict::Accepted)
        });
        let age = |id: &Id| self.registry.facts(*id).validity.0;
        authorities.into_iter().max_by_key(age)
    }

    /// Whether a bundle holds a CA.
    pub fn holds(&self, bundle: ListId, authority: Id) -> bool {
        let key = self.registry.facts(authority).key;
        self.has_key(bundle, key)
    }

    /// Whether one who trusts this CA alone accepts a chain.
    pub fn is_accepted_by(&mut self, authority: Id, chain: ListId, now: i64) -> bool {
        let chain = &self.lists[chain];
        self.registry.judge(&[authority], chain, now) == Verdict::Accepted
    }

    /// Whether a bundle has a CA with one of these keys.
    pub fn has_one_of(&self, bundle: ListId, keys: &Keys) -> bool {
        keys.iter().any(|key| self.has_key(bundle, *key))
    }

    /// Whether a CA with one of these keys issued something of a chain.
    pub fn has_issuer_among(&mut self, chain: ListId, keys: &Keys) -> bool {
        let chain = self.lists[chain].clone();
        let mut issuers = chain.into_iter().flat_map(|id| self.keys_of_issuers(id));
        issuers.any(|key| keys.contains(&key))
    }

    /// The keys of the CAs that issued something of a chain.
    pub fn keys_of_issuers_of(&mut self, chain: ListId) -> Keys {
        let chain = self.lists[chain].clone();
        let keys = chain.into_iter().flat_map(|id| self.keys_of_issuers(id));
        keys.collect()
    }

    fn keys_of_issuers(&mut self, issued: Id) -> Vec<KeyId> {
        let issuers = self.registry.issuers(issued).into_iter();
        issuers.map(|id| self.registry.facts(id).key).collect()
    }

    /// Whether a bundle has a CA with this key.
    pub fn has_key(&self, bundle: ListId, key: KeyId) -> bool {
        let mut list = self.lists[bundle].iter();
        list.any(|id| self.registry.facts(*id).key == key)
    }

    /// Whether the end-entity certificate of a chain was issued by a CA with this key.
    pub fn is_leaf_issued_by(&mut self, chain: ListId, key: KeyId) -> bool {
        let leaf = self.lists[chain][0];
        let mut issuers = self.registry.issuers(leaf).into_iter();
        issuers.any(|id| self.registry.facts(id).key == key)
    }

    /// A list in words: the common names.
    pub fn describe(&self, list: ListId) -> String {
        let name = |id: &Id| {
            let der = &self.registry.facts(*id).der;
            let certificate = Certificate::from_der(der).expect("it was read before");
            let short = &certificate.fingerprint().to_string()[..8];
            let (from, to) = (
                certificate.not_before().date(),
                certificate.not_after().date(),
            );
            format!("{} {short} {from}..{to}", certificate.common_name())
        };
        let names: Vec<String> = self.lists[list].iter().map(name).collect();
        format!("[{}]", names.join(", "))
    }

    /// Whether one who trusts a bundle accepts one who presents a chain.
    pub fn judge(&mut self, bundle: ListId, chain: ListId, now: i64) -> Verdict {
        if let Some(verdict) = self.verdicts.get(&(bundle, chain, now)) {
            return *verdict;
        }
        let (trusted, presented) = (&self.lists[bundle], &self.lists[chain]);
        let verdict = self.registry.judge(trusted, presented, now);
        self.verdicts.insert((bundle, chain, now), verdict);
        verdict
    }

    /// Which keys of the pool the CAs of these lists have.
    pub fn pool_numbers(&self, lists: &BTreeSet<ListId>) -> BTreeSet<usize> {
        let read = lists.iter().flat_map(|id| &self.lists[*id]);
        let authorities = read
            .map(|id| self.registry.facts(*id))
            .filter(|facts| facts.is_ca);
        let numbers = authorities.filter_map(|facts| self.pool_number(facts.key));
        numbers.collect()
    }

    /// Makes signatures a matter of what is signed: where the same thing was signed before, the first signature takes
    /// the place of the new one. ECDSA draws a random number for each; no decision may depend on it.
    pub fn settle_signatures(&mut self, writes: &mut [Write]) {
        let mut renamed: BTreeMap<String, String> = BTreeMap::new();
        for write in writes.iter_mut() {
            let text = match write.part {
                Part::CaCert | Part::Cert | Part::ClientCert => {
                    self.settle_certificates(write, &mut renamed)
                }
                _ => continue,
            };
            write.value = text;
        }
        for write in writes.iter_mut().filter(|write| write.part == Part::State) {
            let mut text = write.value.expose().to_owned();
            for (new, first) in &renamed {
                text = text.replace(new, first);
            }
            write.value = text.into();
        }
    }

    fn settle_certificates(
        &mut self,
        write: &Write,
        renamed: &mut BTreeMap<String, String>,
    ) -> ParameterValue {
        let mut settled = Vec::new();
        for der in read_certificates(write.value.expose()) {
            let first = self.first_signed(&der);
            if first != der {
                renamed.insert(STANDARD.encode(&der), STANDARD.encode(&first));
                renamed.insert(short_fingerprint(&der), short_fingerprint(&first));
            }
            settled.push(first);
        }
        let blocks = settled.iter().map(|der| ("CERTIFICATE", &der[..]));
        encoding::encode(blocks).into()
    }

    fn first_signed(&mut self, der: &[u8]) -> Vec<u8> {
        let (_, parsed) = X509Certificate::from_der(der).expect("what is issued is DER");
        let signed = parsed.tbs_certificate.as_ref().to_vec();
        let first = self.first_of.entry(signed);
        first.or_insert_with(|| der.to_vec()).clone()
    }
}

fn fingerprint(der: &[u8]) -> Fingerprint {
    let certificate = Certificate::from_der(der).expect("what is issued is DER");
    certificate.fingerprint()
}

/// As the state writes it.
fn short_fingerprint(der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&fingerprint(der).as_bytes()[..SHORT_FINGERPRINT_BYTES])
}
