//! What the state holds of a CA that is not the current one.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::pki::certificate::CaCertificate;
use crate::pki::private_key::PrivateKey;

/// What is recorded of a CA: of the anchor, that everything published since the last close trusts and leads to; or of a
/// previous CA that is trusted and not led to any more.
///
/// Clones share what was read off the text, each thing when it is first asked for. Text that cannot be read is carried
/// along as it is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "AnchorText", into = "AnchorText")]
pub struct AnchorRecord(Arc<Anchor>);

struct Anchor {
    text: AnchorText,
    certificate: OnceLock<Option<CaCertificate>>,
    key: OnceLock<Option<PrivateKey>>,
}

/// An anchor as the state writes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AnchorText {
    /// base64 of the certificate's DER.
    cert: String,
    /// base64 of the private key's DER, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Zeroizing<String>>,
}

impl From<AnchorText> for AnchorRecord {
    fn from(text: AnchorText) -> Self {
        Self(Arc::new(Anchor {
            text,
            certificate: OnceLock::new(),
            key: OnceLock::new(),
        }))
    }
}

impl From<AnchorRecord> for AnchorText {
    fn from(record: AnchorRecord) -> Self {
        record.0.text.clone()
    }
}

impl AnchorRecord {
    /// An anchor, with its key where that is known and will be needed.
    pub fn new(certificate: &CaCertificate, key: Option<&PrivateKey>) -> Self {
        Self::from(AnchorText {
            cert: STANDARD.encode(certificate.der()),
            key: key.map(|key| Zeroizing::new(STANDARD.encode(key.der()))),
        })
    }

    /// The anchor's certificate, if it still parses.
    pub fn certificate(&self) -> Option<&CaCertificate> {
        let read = || {
            let der = STANDARD.decode(&self.0.text.cert).ok()?;
            let authority = CaCertificate::from_der(&der).ok()?;
            (!authority.is_unsigned_root()).then_some(authority)
        };
        self.0.certificate.get_or_init(read).as_ref()
    }

    /// The anchor's key, if it is known and still loads.
    pub fn key(&self) -> Option<PrivateKey> {
        let read = || {
            let text = self.0.text.key.as_ref()?;
            let der = Zeroizing::new(STANDARD.decode(text.as_bytes()).ok()?);
            PrivateKey::from_der(&der).ok()
        };
        self.0.key.get_or_init(read).clone()
    }
}

/// All else is read off the text.
impl PartialEq for AnchorRecord {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for AnchorRecord {}

impl fmt::Debug for AnchorRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnchorRecord")
            .field("cert", &self.certificate())
            .field("key", &self.0.text.key.as_ref().map(|_| "[elided]"))
            .finish()
    }
}
