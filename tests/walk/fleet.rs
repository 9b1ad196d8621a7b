//! Daemons and clients that have read what was published at some time and still run, and who connects to whom.

use std::collections::HashMap;

use docker_tls_testing::acceptance::{Id, KeyId, Registry, Verdict};
use docker_tls_testing::openssl;

use crate::reading;
use crate::store::Values;

/// What an instance has of the published values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub bundle: Vec<Id>,
    pub chain: Vec<Id>,
}

/// Something that runs: a daemon and a client of a generation, or a client of somebody else's.
#[derive(Clone, Debug)]
pub struct Runner {
    /// What it is, for people.
    pub name: String,
    /// How many events there had been when it started.
    pub born: usize,
    /// What it trusts, and what it presents.
    pub has: Published,
    /// Whether it connects to what is published.
    pub is_connected: bool,
}

/// Certificates and keys that were seen.
#[derive(Default)]
pub struct Judge {
    pub registry: Registry,
    keys: HashMap<String, Option<KeyId>>,
}

impl Judge {
    /// What an instance makes of the values; why it does not start with them, if it does not.
    pub fn read(&mut self, values: &Values) -> Result<Published, &'static str> {
        let value = |suffix: &str| values.get(suffix).map_or("", String::as_str);
        let bundle = self.ids(&reading::bundle(value("ca-cert")));
        let chain = self.ids(&reading::chain(value("cert")));
        let key = reading::key(value("key"));
        let key = key.and_then(|key| self.public_key(&key));
        let leaf = chain.first().ok_or("there is no certificate")?;
        if bundle.is_empty() {
            return Err("there is no CA");
        }
        if key != Some(self.registry.facts(*leaf).key) {
            return Err("the key is not the certificate's");
        }
        Ok(Published { bundle, chain })
    }

    /// The numbers of certificates.
    pub fn ids(&mut self, certificates: &[Vec<u8>]) -> Vec<Id> {
        let ids = certificates.iter().map(|der| self.registry.id(der));
        ids.collect()
    }

    /// The CAs of a bundle that the CA key belongs to.
    pub fn of_ca_key(&mut self, values: &Values, bundle: &[Id]) -> Vec<Id> {
        let key = values.get("ca-key").and_then(|value| reading::key(value));
        let key = key.and_then(|key| self.public_key(&key));
        let mut of_key = bundle.to_vec();
        of_key.retain(|id| Some(self.registry.facts(*id).key) == key);
        of_key
    }

    fn public_key(&mut self, key: &str) -> Option<KeyId> {
        if let Some(known) = self.keys.get(key) {
            return *known;
        }
        // The public key that a file has beside the private one proves nothing.
        let check = openssl::run(&["pkey", "-check", "-noout"], key.as_bytes());
        let public = openssl::run(&["pkey", "-pubout", "-outform", "DER"], key.as_bytes());
        let is_good = check.status.success() && public.status.success();
        let found = is_good.then(|| self.registry.key_id(&public.stdout));
        self.keys.insert(key.to_owned(), found);
        found
    }

    /// Whether what is published takes what something that runs presents, and the other way round.
    pub fn both_ways(&mut self, one: &Published, other: &Published, now: i64) -> [Verdict; 2] {
        [
            self.registry.judge(&other.bundle, &one.chain, now),
            self.registry.judge(&one.bundle, &other.chain, now),
        ]
    }

    /// Whether they connect.
    pub fn connects(&mut self, one: &Published, other: &Published, now: i64) -> bool {
        self.both_ways(one, other, now) == [Verdict::Accepted; 2]
    }

    /// Whether something that runs could still connect, were the certificate that was published last reissued in time.
    pub fn can_connect(&mut self, runner: &Published, last: &Published, now: i64) -> bool {
        let mut alive = runner.bundle.clone();
        alive.retain(|id| !self.registry.facts(*id).is_expired(now));
        let leaf_ends = self.registry.facts(last.chain[0]).validity.1;
        let then = now.min(leaf_ends);
        self.registry.judge(&last.bundle, &runner.chain, now) == Verdict::Accepted
            && self.registry.judge(&alive, &last.chain, then) == Verdict::Accepted
    }

    /// The CAs of a bundle that take a chain, each by itself.
    pub fn takers(&mut self, bundle: &[Id], chain: &[Id], now: i64) -> Vec<Id> {
        let mut takers = bundle.to_vec();
        takers.retain(|id| self.registry.judge(&[*id], chain, now) != Verdict::Refused);
        takers
    }

    /// Whether two certificates are of one CA: of the same name and key.
    pub fn is_same_ca(&self, one: Id, other: Id) -> bool {
        let [one, other] = [one, other].map(|id| self.registry.facts(id));
        one.key == other.key && one.subject == other.subject
    }
}
