//! The certificate chain: what a daemon or a client presents.

use zeroize::Zeroizing;

use crate::pki::certificate::{self, CaCertificate, Certificate};
use crate::pki::encoding::{self, PemText};
use crate::pki::instance;
use crate::pki::private_key::PrivateKey;
use crate::pki::undecodable::Undecodable;

/// An end-entity certificate, and what stands behind it: cross-certificates, and perhaps others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateChain {
    leaf: Certificate,
    rest: Vec<Certificate>,
    crosses: Vec<CaCertificate>,
    intact: bool,
    holds_private_key: bool,
}

impl CertificateChain {
    /// Reads a chain: the first certificate is the end-entity's, and garbage is skipped.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        let text = PemText::decode(value)?;
        let mut certificates = Vec::new();
        let mut holds_private_key = false;
        let mut flaw = Undecodable::NoPemBlock {
            label: certificate::LABEL,
        };
        for block in &text.blocks {
            match Certificate::from_der(&block.der) {
                Ok(certificate) => certificates.push(certificate),
                Err(found) => {
                    holds_private_key |= block.is_key() || PrivateKey::from_der(&block.der).is_ok();
                    if block.label.ends_with(certificate::LABEL) {
                        flaw = found;
                    }
                }
            }
        }
        // Go sends whatever has this label, and refuses what it is sent if it cannot parse all of it.
        let sent = instance::blocks(&instance::file(value));
        let sent = sent
            .iter()
            .filter(|block| block.label == certificate::LABEL);
        let is_sent = sent
            .map(|block| &block.der[..])
            .eq(certificates.iter().map(Certificate::der));
        let mut certificates = certificates.into_iter();
        let leaf = certificates.next().ok_or(flaw)?;
        let intact = is_sent && !holds_private_key;
        Ok(Self::of(
            leaf,
            certificates.collect(),
            intact,
            holds_private_key,
        ))
    }

    /// Puts an end-entity certificate and its cross-certificate together.
    pub fn new(leaf: Certificate, cross: Option<CaCertificate>) -> Self {
        let rest = cross.into_iter().map(|cross| Certificate::clone(&cross));
        Self::of(leaf, rest.collect(), true, false)
    }

    fn of(
        leaf: Certificate,
        rest: Vec<Certificate>,
        intact: bool,
        holds_private_key: bool,
    ) -> Self {
        let crosses = rest.iter().cloned().map(CaCertificate::new);
        let is_taken = |cross: &CaCertificate| cross.weakness().is_none();
        Self {
            leaf,
            crosses: crosses.filter_map(Result::ok).filter(is_taken).collect(),
            rest,
            intact,
            holds_private_key,
        }
    }

    /// Writes the chain as a parameter holds it.
    pub fn encode(&self) -> Zeroizing<String> {
        let certificates = std::iter::once(&self.leaf).chain(&self.rest);
        encoding::encode(certificates.map(|certificate| (certificate::LABEL, certificate.der())))
    }

    /// The end-entity certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The CA certificates behind it whose signatures a daemon takes.
    pub fn crosses(&self) -> &[CaCertificate] {
        &self.crosses
    }

    /// Whether a daemon sends these very certificates in this order, and no private key stands among them.
    pub fn is_intact(&self) -> bool {
        self.intact
    }

    /// Whether a private key was published with it.
    pub fn holds_private_key(&self) -> bool {
        self.holds_private_key
    }

    /// The chain without what this CA signed behind the end-entity certificate; `None` if there is nothing of it.
    pub(crate) fn without_crosses_of(&self, authority: &CaCertificate) -> Option<Self> {
        let mut chain = self.clone();
        chain.crosses.retain(|cross| !authority.has_issued(cross));
        let is_dropped = |certificate: &Certificate| {
            let is_this = |cross: &CaCertificate| **cross == *certificate;
            self.crosses.iter().any(is_this) && !chain.crosses.iter().any(is_this)
        };
        chain.rest.retain(|certificate| !is_dropped(certificate));
        (chain.crosses.len() < self.crosses.len()).then_some(chain)
    }

    /// The cross-certificate that this anchor signed for that CA's name and key.
    pub fn cross(
        &self,
        subject: &[u8],
        public_key: &[u8],
        anchor: &CaCertificate,
    ) -> Option<&CaCertificate> {
        self.crosses.iter().find(|cross| {
            cross.public_key() == public_key
                && cross.subject() == subject
                && anchor.has_issued(cross)
        })
    }

    /// How many certificates stand between the end entity and this CA: 0 where the CA issued it directly, `None`
    /// where no path leads there. Dates are not looked at.
    pub(crate) fn distance_to(&self, authority: &CaCertificate) -> Option<usize> {
        let mut reached: Vec<&Certificate> = vec![&self.leaf];
        // Each round either reaches a cross-certificate that was not reached before, or ends the search.
        for distance in 0..=self.crosses.len() {
            let is_next = reached.iter().any(|reached| authority.has_issued(reached));
            if is_next && authority.admits(distance, &self.leaf) {
                return Some(distance);
            }
            reached = self
                .crosses
                .iter()
                .filter(|cross| reached.iter().any(|reached| cross.has_issued(reached)))
                .map(|cross| &**cross)
                .collect();
        }
        None
    }

    /// Whether a path of names and signatures, which its constraints admit, leads to this CA.
    pub(crate) fn leads_to(&self, authority: &CaCertificate) -> bool {
        self.distance_to(authority).is_some()
    }
}
