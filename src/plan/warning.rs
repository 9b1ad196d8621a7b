//! What a person has to see to.

use std::fmt;

use time::OffsetDateTime;

use crate::pki::bundle::TrustBundle;
use crate::pki::chain::CertificateChain;
use crate::pki::timestamp::timestamp;
use crate::plan::assessment::Assessment;
use crate::plan::refusal::Refusal;
use crate::plan::spec::{RetirementWord, Spec};
use crate::plan::word;
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
    /// `RetiredCA` does nothing to the open rotation.
    UnheededWord {
        /// What an event would be answered that cannot be of an earlier rotation.
        refusal: Refusal,
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
            Self::UnheededWord { refusal } => write!(
                f,
                "{refusal}; it was taken for what an earlier update said, and does nothing"
            ),
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
    let leaf = assessment
        .found
        .cert
        .iter()
        .map(|chain| (Part::Cert, chain.leaf()));
    let current = assessment.current_ca_certificate();
    let current = current.map(|ca| (Part::CaCert, &**ca));
    let early = leaf
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

/// What there is to warn of in the word of an event that found this set with a rotation open, and was not refused.
pub(crate) fn of_the_word(spec: &Spec, found: &Assessment) -> Option<Warning> {
    let given = spec.properties.retired_ca?;
    if spec.old.retired_ca == Some(given) {
        return None;
    }
    let whole = word::finish(found, found.previous_ca()?);
    if given.staying.is_none() && given.retired == whole.retired {
        return Some(Warning::HalfAWord { whole });
    }
    let refusal = word::unheeded(&given, found)?;
    Some(Warning::UnheededWord { refusal })
}

/// The private keys that stand where certificates are published.
pub(crate) fn exposed_keys(rack: &Rack, assessment: &Assessment) -> Vec<Warning> {
    let found = &assessment.found;
    let bundle = found.ca_cert.as_ref().map(TrustBundle::holds_private_key);
    let chain = found.cert.as_ref().map(CertificateChain::holds_private_key);
    let parts = [(Part::CaCert, bundle), (Part::Cert, chain)];
    let exposed = parts.into_iter().filter(|(_, holds)| *holds == Ok(true));
    exposed
        .map(|(part, _)| Warning::ExposedKey {
            parameter: rack.parameter_name(part),
        })
        .collect()
}
