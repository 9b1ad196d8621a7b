//! What was found in the store, decoded but not yet judged.

use crate::bundle::TrustBundle;
use crate::certificate::CaCertificate;
use crate::chain::CertificateChain;
use crate::flaw::Flaw;
use crate::parameter::StoredSet;
use crate::private_key::PrivateKey;
use crate::rack::Part;
use crate::state::State;

/// A rack's set, each part either decoded or with what is wrong with it.
#[derive(Debug)]
pub struct Found {
    /// The trust bundle.
    pub ca_cert: Result<TrustBundle, Flaw>,
    /// The current CA's private key.
    pub ca_key: Result<PrivateKey, Flaw>,
    /// The certificate chain.
    pub cert: Result<CertificateChain, Flaw>,
    /// The end-entity certificate's private key.
    pub key: Result<PrivateKey, Flaw>,
    /// This function's memory.
    pub state: Result<State, Flaw>,
}

impl Found {
    /// Decodes what the store holds.
    pub fn decode(stored: &StoredSet) -> Self {
        fn part<T>(
            stored: &StoredSet,
            part: Part,
            decode: impl FnOnce(&str) -> Result<T, Flaw>,
        ) -> Result<T, Flaw> {
            let parameter = stored.get(&part).ok_or(Flaw::Missing)?;
            decode(parameter.value.expose())
        }
        Self {
            ca_cert: part(stored, Part::CaCert, TrustBundle::decode),
            ca_key: part(stored, Part::CaKey, PrivateKey::decode),
            cert: part(stored, Part::Cert, CertificateChain::decode),
            key: part(stored, Part::Key, PrivateKey::decode),
            state: part(stored, Part::State, State::decode),
        }
    }

    /// The certificate of the CA that the CA key belongs to, if the bundle has it.
    pub fn current_ca(&self) -> Option<&CaCertificate> {
        let key = self.ca_key.as_ref().ok()?;
        self.ca_cert
            .as_ref()
            .ok()?
            .with_public_key(key.public_key())
    }

    /// Whether no certificate and no key exists.
    pub fn is_empty(&self) -> bool {
        fn is_missing<T>(part: &Result<T, Flaw>) -> bool {
            matches!(part, Err(Flaw::Missing))
        }
        is_missing(&self.ca_cert)
            && is_missing(&self.ca_key)
            && is_missing(&self.cert)
            && is_missing(&self.key)
    }
}
