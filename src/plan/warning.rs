//! What a person has to see to.

use std::fmt;

use time::OffsetDateTime;

use crate::pki::bundle::TrustBundle;
use crate::pki::chain::CertificateChain;
use crate::pki::timestamp::timestamp;
use crate::plan::assessment::Assessment;
use crate::plan::spec::RetirementWord;
use crate::plan::taking_back::TakingBackObstacle;
use crate::set::pair::Pair;
use crate::set::parameter::{ParameterType, StoredSet};
use crate::set::rack::{Part, Rack};

/// What a person has to see to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A private key is stored as plain text.
    PlainKey {
        /// The parameter's name.
        parameter: String,
    },
    /// A private key stands where certificates are published, or did.
    ExposedKey {
        /// The parameter's name.
        parameter: String,
    },
    /// A certificate's validity has not begun.
    NotYetValid {
        /// The part that holds it.
        part: Part,
        /// Its first second.
        not_before: OffsetDateTime,
    },
    /// `RetiredCA` names only the CA that goes.
    HalfAWord {
        /// What it should say.
        whole: RetirementWord,
    },
    /// `RetiredCA` may be what an earlier update said, and does nothing to the open rotation.
    UnheededWord {
        /// What it says.
        given: RetirementWord,
        /// Why the rotation cannot be taken back, where it asks for that.
        obstacle: Option<TakingBackObstacle>,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainKey { parameter } => write!(
                f,
                "the private key in {parameter} is a plain String, readable by anyone who may read the account's \
                 parameters; once every reader asks for decryption, read its value, delete the parameter, and put \
                 the same value again as a SecureString"
            ),
            Self::ExposedKey { parameter } => write!(
                f,
                "a private key was published with the certificates in {parameter}; an update removes it there, but \
                 whoever has read that parameter may have it: replace that key wherever it is in use"
            ),
            Self::NotYetValid { part, not_before } => write!(
                f,
                "the {} is not valid until {}; check the clock",
                part.certificate(),
                timestamp(*not_before)
            ),
            Self::HalfAWord { whole } => write!(
                f,
                "RetiredCA names the CA that goes and not the one that stays, so it fits any rotation from that CA, \
                 also one that somebody has begun since, and does nothing where it was said before; set it to {whole}"
            ),
            Self::UnheededWord { given, obstacle } => {
                write!(
                    f,
                    "RetiredCA is {given}, is taken for what an earlier update said, and does nothing to the open \
                     rotation"
                )?;
                obstacle.as_ref().map_or(Ok(()), |obstacle| {
                    write!(
                        f,
                        "; it asks to take that back to the previous CA, but {obstacle}"
                    )
                })
            }
        }
    }
}

/// What there is to warn of in a set.
pub fn warnings(
    rack: &Rack,
    stored: &StoredSet,
    assessment: &Assessment,
    now: OffsetDateTime,
) -> Vec<Warning> {
    let plain = stored.iter().filter(|(part, parameter)| {
        part.is_key() && parameter.parameter_type == ParameterType::String
    });
    let plain = plain.map(|(part, _)| Warning::PlainKey {
        parameter: rack.parameter_name(*part),
    });
    let leaves = Pair::ALL.into_iter().filter_map(|pair| {
        let leaf = assessment.found.pair(pair).leaf()?;
        Some((pair.cert(), leaf))
    });
    let current = assessment.current_ca_certificate();
    let current = current.map(|ca| (Part::CaCert, &**ca));
    let early = leaves
        .chain(current)
        .filter(|(_, certificate)| certificate.not_before() > now)
        .map(|(part, certificate)| Warning::NotYetValid {
            part,
            not_before: certificate.not_before(),
        });
    plain
        .chain(exposed_keys(rack, assessment))
        .chain(early)
        .collect()
}

/// The private keys that stand where certificates are published.
pub(crate) fn exposed_keys(rack: &Rack, assessment: &Assessment) -> Vec<Warning> {
    let found = &assessment.found;
    let bundle = found.ca_cert.as_ref().map(TrustBundle::holds_private_key);
    let bundle = (Part::CaCert, bundle == Ok(true));
    let chains = Pair::ALL.into_iter().map(|pair| {
        let chain = found.pair(pair).chain();
        (
            pair.cert(),
            chain.is_some_and(CertificateChain::holds_private_key),
        )
    });
    let exposed = std::iter::once(bundle).chain(chains);
    exposed
        .filter(|(_, holds)| *holds)
        .map(|(part, _)| Warning::ExposedKey {
            parameter: rack.parameter_name(part),
        })
        .collect()
}
