//! What was found in the store, decoded but not yet judged.

use crate::pki::bundle::TrustBundle;
use crate::pki::certificate::{CaCertificate, Certificate};
use crate::pki::chain::CertificateChain;
use crate::pki::private_key::PrivateKey;
use crate::set::flaw::Flaw;
use crate::set::pair::{FoundPair, Pair};
use crate::set::parameter::{ParameterValue, StoredSet};
use crate::set::rack::Part;
use crate::set::state::State;

/// A rack's set, each part either decoded or with what is wrong with it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The trust bundle.
    pub ca_cert: Result<TrustBundle, Flaw>,
    /// The current CA's private key.
    pub ca_key: Result<PrivateKey, Flaw>,
    /// The daemons' pair, which is the API's as well unless that has one of its own.
    pub server: FoundPair,
    /// The API's own pair.
    pub client: FoundPair,
    /// This function's memory.
    pub state: Result<State, Flaw>,
}

impl Found {
    /// What is found where nothing is stored.
    pub const fn nothing() -> Self {
        Self {
            ca_cert: Err(Flaw::Missing),
            ca_key: Err(Flaw::Missing),
            server: FoundPair::nothing(),
            client: FoundPair::nothing(),
            state: Err(Flaw::Missing),
        }
    }

    /// Decodes what the store holds.
    pub fn decode(stored: &StoredSet) -> Self {
        let mut found = Self::nothing();
        for (part, parameter) in stored {
            found.replace(*part, &parameter.value);
        }
        found
    }

    /// Decodes one part's new value; the others stay as they were found.
    pub fn replace(&mut self, part: Part, value: &ParameterValue) {
        let value = value.expose();
        let chain = || CertificateChain::decode(value).map_err(Flaw::from);
        let key = || PrivateKey::decode(value).map_err(Flaw::from);
        match part {
            Part::CaCert => self.ca_cert = TrustBundle::decode(value).map_err(Flaw::from),
            Part::CaKey => self.ca_key = key(),
            Part::Cert => self.server.cert = chain(),
            Part::Key => self.server.key = key(),
            Part::ClientCert => self.client.cert = chain(),
            Part::ClientKey => self.client.key = key(),
            Part::State => self.state = State::decode(value),
            // Who is writing says nothing about the set.
            Part::Claim => {}
        }
    }

    /// A pair.
    pub const fn pair(&self, pair: Pair) -> &FoundPair {
        match pair {
            Pair::Server => &self.server,
            Pair::Client => &self.client,
        }
    }

    /// Takes a pair that is not stored any more out.
    pub(crate) fn remove(&mut self, pair: Pair) {
        match pair {
            Pair::Server => self.server = FoundPair::nothing(),
            Pair::Client => self.client = FoundPair::nothing(),
        }
    }

    /// The certificate chains that can be read.
    pub fn chains(&self) -> impl Iterator<Item = &CertificateChain> {
        let pairs = Pair::ALL.into_iter().map(|pair| self.pair(pair));
        pairs.filter_map(FoundPair::chain)
    }

    /// The chain that tells where the set stands: the daemons', for it is written last of all that is published; else
    /// the API's own.
    pub fn telling_chain(&self) -> Option<&CertificateChain> {
        self.chains().next()
    }

    /// Whatever is trusted, each certificate once; nothing where the bundle cannot be read.
    pub fn trusted(&self) -> &[Certificate] {
        self.ca_cert.as_ref().map_or(&[], TrustBundle::certificates)
    }

    /// The CA certificates of the bundle, each once; none where the bundle cannot be read.
    pub fn bundled(&self) -> &[CaCertificate] {
        self.ca_cert.as_ref().map_or(&[], TrustBundle::authorities)
    }

    /// The CA certificate that the state records.
    pub fn recorded_anchor(&self) -> Option<&CaCertificate> {
        self.state.as_ref().ok()?.anchor()?.certificate()
    }

    /// The end-entity certificate of the chain that tells where the set stands.
    pub fn telling_leaf(&self) -> Option<&Certificate> {
        self.telling_chain().map(CertificateChain::leaf)
    }

    /// Every CA certificate that is stored: those of the bundle and of the state's records.
    pub fn authorities(&self) -> impl Iterator<Item = &CaCertificate> {
        let moved_from = self.state.as_ref().ok().and_then(State::moved_from);
        self.bundled()
            .iter()
            .chain(self.recorded_anchor())
            .chain(moved_from)
    }

    /// Whether no certificate and no key exists.
    pub fn is_empty(&self) -> bool {
        let flaws = [self.ca_cert.as_ref().err(), self.ca_key.as_ref().err()];
        flaws.iter().all(|flaw| *flaw == Some(&Flaw::Missing))
            && self.server.is_missing()
            && self.client.is_missing()
    }
}
