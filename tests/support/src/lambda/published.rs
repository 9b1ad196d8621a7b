//! What was published over time: instances and clients hold on to what they read, so all of it must go together.

use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::rack::Part;

use crate::lambda::certificates::{Der, certificates, connects, public_key_of, public_key_of_key};
use crate::lambda::rack::Set;

/// Every trust bundle and every pair that anyone may have read.
#[derive(Debug, Default)]
pub struct Published {
    bundles: Vec<Vec<Der>>,
    chains: Vec<Vec<Der>>,
}

impl Published {
    /// What these sets were read as.
    #[track_caller]
    pub fn of(sets: &[&Set]) -> Self {
        let mut published = Self::default();
        for set in sets {
            published.add(set);
        }
        published
    }

    /// Adds what a reader finds now. Each parameter is read on its own, except that a certificate is taken only with
    /// the key that matches it.
    #[track_caller]
    pub fn add(&mut self, set: &Set) {
        let parts = set.parts();
        if parts.contains(&Part::CaCert) {
            add_once(&mut self.bundles, certificates(set.value(Part::CaCert)));
        }
        for pair in Pair::ALL {
            if parts.contains(&pair.cert()) && parts.contains(&pair.key()) {
                let chain = certificates(set.value(pair.cert()));
                if public_key_of(&chain[0]) == public_key_of_key(set.value(pair.key())) {
                    add_once(&mut self.chains, chain);
                }
            }
        }
    }

    /// Checks that whoever holds any of the bundles accepts whoever presents any of the pairs; returns how many
    /// combinations there are.
    #[track_caller]
    pub fn check_all_connect(&self) -> usize {
        for (trusting, bundle) in self.bundles.iter().enumerate() {
            for (presenting, chain) in self.chains.iter().enumerate() {
                let verdict = connects(bundle, chain);
                assert_eq!(verdict, Ok(()), "bundle {trusting}, pair {presenting}");
            }
        }
        self.bundles.len() * self.chains.len()
    }
}

fn add_once(list: &mut Vec<Vec<Der>>, item: Vec<Der>) {
    if !list.contains(&item) {
        list.push(item);
    }
}
