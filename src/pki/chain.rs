//! The certificate chain: what a daemon or a client presents.

use zeroize::Zeroizing;

use crate::pki::certificate::{self, CaCertificate, Certificate};
use crate::pki::encoding::{self, PemText};
use crate::pki::undecodable::Undecodable;

/// An end-entity certificate, and the cross-certificates that stand behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateChain {
    leaf: Certificate,
    crosses: Vec<CaCertificate>,
    intact: bool,
}

impl CertificateChain {
    /// Reads a chain: the first certificate is the end-entity's, whatever else is garbage or no CA is skipped.
    pub fn decode(value: &str) -> Result<Self, Undecodable> {
        let text = PemText::decode(value)?;
        let mut intact = text.intact;
        let mut blocks = text
            .blocks
            .iter()
            .filter(|block| block.label == certificate::LABEL);
        let leaf = blocks.next().ok_or(Undecodable::NoPemBlock {
            label: certificate::LABEL,
        })?;
        let leaf = Certificate::from_der(&leaf.der)?;
        let mut crosses = Vec::new();
        for block in blocks {
            match CaCertificate::from_der(&block.der) {
                Ok(cross) => crosses.push(cross),
                Err(_) => intact = false,
            }
        }
        Ok(Self {
            leaf,
            crosses,
            intact,
        })
    }

    /// Puts an end-entity certificate and its cross-certificate together.
    pub fn new(leaf: Certificate, cross: Option<CaCertificate>) -> Self {
        Self {
            leaf,
            crosses: cross.into_iter().collect(),
            intact: true,
        }
    }

    /// Writes the chain as a parameter holds it.
    pub fn encode(&self) -> Zeroizing<String> {
        let crosses = self.crosses.iter().map(|cross| &**cross);
        encoding::encode(
            std::iter::once(&self.leaf)
                .chain(crosses)
                .map(|certificate| (certificate::LABEL, certificate.der())),
        )
    }

    /// The end-entity certificate.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The certificates behind it.
    pub fn crosses(&self) -> &[CaCertificate] {
        &self.crosses
    }

    /// Whether every block could be read and stands on lines of its own.
    pub fn is_intact(&self) -> bool {
        self.intact
    }

    /// The chain without what this CA signed behind the end-entity certificate; `None` if there is nothing of it.
    pub(crate) fn without_crosses_of(&self, authority: &CaCertificate) -> Option<Self> {
        let mut chain = self.clone();
        chain.crosses.retain(|cross| !authority.has_issued(cross));
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
            if reached.iter().any(|reached| authority.has_issued(reached)) {
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

    /// Whether a path of names and signatures leads to this CA.
    pub(crate) fn leads_to(&self, authority: &CaCertificate) -> bool {
        self.distance_to(authority).is_some()
    }
}
