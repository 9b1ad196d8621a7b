//! Watches what is published: everything that ever was must connect to everything that comes later.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use docker_tls_certgen::cloudformation::response::Data;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::rack::{Part, Rack};

use crate::acceptance::{Id, Registry, Verdict, read_certificates};
use crate::machine::EPOCH;
use crate::store::{MemoryStore, stored_set};

/// What somebody out there may hold: bundles and chains by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Published {
    bundles: BTreeSet<usize>,
    chains: BTreeSet<usize>,
}

/// What can be read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    bundle: Option<usize>,
    /// Only while the key matches: readers wait for that.
    chain: Option<usize>,
    is_empty: bool,
}

/// Who watches.
#[derive(Default)]
pub struct Witness {
    registry: Registry,
    numbers: HashMap<Rc<str>, usize>,
    certificates: Vec<Vec<Id>>,
    verdicts: HashMap<(usize, usize), bool>,
}

impl Witness {
    /// Looks at the store, and adds what can be read to what was published. `closes` says that a bundle with one CA
    /// fewer is the operator's word that whoever does not know the current CA is gone.
    pub fn look(
        &mut self,
        published: &mut Published,
        store: &MemoryStore,
        rack: &Rack,
        closes: bool,
    ) -> Result<(), String> {
        let sight = self.sight(store, rack);
        if sight.is_empty {
            *published = Published::default();
            return Ok(());
        }
        // Nothing runs before there is a first pair, so until then nobody holds a bundle either.
        if published.chains.is_empty() && sight.chain.is_none() {
            return Ok(());
        }
        if let Some(bundle) = sight.bundle.filter(|_| closes) {
            self.forget(published, bundle);
        }
        published.bundles.extend(sight.bundle);
        published.chains.extend(sight.chain);
        for bundle in &published.bundles {
            for chain in &published.chains {
                let is_new = Some(*bundle) == sight.bundle || Some(*chain) == sight.chain;
                if is_new && !self.accepts(*bundle, *chain) {
                    return Err(format!(
                        "who trusts bundle {bundle} ({}) refuses chain {chain} ({})",
                        self.names(*bundle),
                        self.names(*chain)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether an answer's attributes are those of the store.
    pub fn confirms(data: &Data, store: &MemoryStore, rack: &Rack) -> bool {
        let data = match data {
            Data::Generator(data) => data,
            Data::Getter(data) => {
                return Part::SHARED.iter().any(|part| {
                    store
                        .value(rack, *part)
                        .is_some_and(|value| **value == data.value)
                });
            }
        };
        let found = Found::decode(&stored_set(&store.set(rack)));
        let (Ok(bundle), Ok(key), Ok(chain)) = (&found.ca_cert, &found.ca_key, &found.server.cert)
        else {
            return false;
        };
        let mut authorities = bundle.authorities().iter();
        let current = authorities.find(|ca| ca.public_key() == key.public_key());
        let current = current.map(|current| current.fingerprint().to_string());
        current.as_ref() == Some(&data.ca_cert_sha256)
            && data.cert_sha256 == chain.leaf().fingerprint().to_string()
    }

    fn sight(&mut self, store: &MemoryStore, rack: &Rack) -> Sight {
        let found = Found::decode(&stored_set(&store.set(rack)));
        let is_pair = found.server.matches();
        let mut number = |part| store.value(rack, part).map(|value| self.number(value));
        Sight {
            bundle: found
                .ca_cert
                .is_ok()
                .then(|| number(Part::CaCert))
                .flatten(),
            chain: is_pair.then(|| number(Part::Cert)).flatten(),
            is_empty: found.is_empty(),
        }
    }

    fn number(&mut self, value: &Rc<str>) -> usize {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let ders = read_certificates(value);
        let ids = ders.iter().map(|der| self.registry.id(der)).collect();
        self.certificates.push(ids);
        let number = self.certificates.len() - 1;
        self.numbers.insert(value.clone(), number);
        number
    }

    fn accepts(&mut self, bundle: usize, chain: usize) -> bool {
        let key = (bundle, chain);
        if let Some(verdict) = self.verdicts.get(&key) {
            return *verdict;
        }
        let (bundle, chain) = (&self.certificates[bundle], &self.certificates[chain]);
        let verdict = self.registry.judge(bundle, chain, EPOCH / 1_000) == Verdict::Accepted;
        self.verdicts.insert(key, verdict);
        verdict
    }

    fn forget(&mut self, published: &mut Published, bundle: usize) {
        let authorities = |number: &usize| &self.certificates[*number];
        let most = published
            .bundles
            .iter()
            .map(|bundle| authorities(bundle).len());
        if most.max().unwrap_or_default() <= authorities(&bundle).len() {
            return;
        }
        let current = authorities(&bundle)[0];
        published
            .bundles
            .retain(|bundle| self.certificates[*bundle].contains(&current));
        let chains = std::mem::take(&mut published.chains);
        let kept = chains
            .into_iter()
            .filter(|chain| self.accepts(bundle, *chain));
        published.chains = kept.collect();
    }

    fn names(&self, number: usize) -> String {
        let ids = self.certificates[number].iter();
        let names = ids.map(|id| format!("{}<-{}", id, self.issuer(*id)));
        names.collect::<Vec<_>>().join(", ")
    }

    fn issuer(&self, id: Id) -> String {
        let issuer = &self.registry.facts(id).issuer;
        String::from_utf8_lossy(issuer)
            .chars()
            .filter(char::is_ascii_graphic)
            .collect()
    }
}
