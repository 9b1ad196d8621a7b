//! Whether a CA can sign what is new: one question, and the reason where the answer is no.

use std::fmt;

use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::authority;
use crate::pki::certificate::CaCertificate;
use crate::pki::name;
use crate::pki::private_key::PrivateKey;
use crate::plan::current_ca::CurrentCa;
use crate::plan::spec::Spec;
use crate::set::state::State;

/// Why a CA cannot sign what is new. Its words follow "because".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Its key is not known, and no cross-certificate is at hand that it signed before.
    KeyLost,
    /// Its key is known and loads on a daemon, but this function cannot sign with it.
    UnusableKey,
    /// Its certificate is lost, and the one that is written in its place, or was before, may promise more than the
    /// original, which is what running daemons hold.
    CertificateLost,
    /// Its name cannot be written byte for byte into what it would issue.
    UnwritableName,
    /// It may issue only certificates that are no CA's.
    PathLength,
    /// It is limited to some names, and what a new CA issues is not.
    NameConstraints,
    /// It is limited to names that do not include one that is asked for.
    NameNotPermitted {
        /// The first such name.
        name: SubjectAlternativeName,
    },
    /// It is of X.509's first version, which does not say who may issue what.
    Version1,
    /// It is not asked to, for the state records another CA as the anchor.
    NotTheAnchor,
    /// Its certificate and its key do not fit into the state, where they have to be kept until the close.
    RecordTooLong,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyLost => {
                "its private key is lost, and so is any certificate that it signed for the new one"
            }
            Self::UnusableKey => "its private key is of a kind that this function cannot sign with",
            Self::CertificateLost => {
                "its certificate was written again after it was lost, as its path length of 9 tells, and whether the \
                 original allows a CA below it is not known"
            }
            Self::UnwritableName => "its name has a form that this function cannot write again",
            Self::PathLength => "its path length constraint allows no CA below it",
            Self::NameConstraints => "its name constraints would bind whatever the new CA issues",
            Self::NameNotPermitted { name } => {
                return write!(f, "its name constraints do not permit {name}");
            }
            Self::Version1 => "it is an X.509 version 1 certificate, below which no CA is accepted",
            Self::NotTheAnchor => "the state records another CA as the one that everything knows",
            Self::RecordTooLong => {
                "its certificate and its key are too long to be recorded in the state"
            }
        })
    }
}

impl Obstacle {
    /// Whether a cross-certificate that the CA signed earlier is as good as a new one.
    pub(crate) const fn leaves_earlier_signatures(&self) -> bool {
        matches!(
            self,
            Self::KeyLost | Self::UnusableKey | Self::UnwritableName | Self::RecordTooLong
        )
    }
}

/// A CA that is asked to sign.
pub(crate) struct Signer<'a> {
    subject: &'a [u8],
    /// `None` where it is lost, and so promises nothing that has to be kept to.
    certificate: Option<&'a CaCertificate>,
    key: Option<PrivateKey>,
}

impl<'a> Signer<'a> {
    /// The current CA.
    pub(crate) fn current(current: &'a CurrentCa) -> Self {
        Self {
            subject: current.subject(),
            certificate: current.certificate(),
            key: Some(current.key.clone()),
        }
    }

    /// Another CA, with its key where that is known.
    pub(crate) fn other(certificate: &'a CaCertificate, key: Option<PrivateKey>) -> Self {
        Self {
            subject: certificate.subject(),
            certificate: Some(certificate),
            key,
        }
    }

    /// Its key, if it can sign an end-entity certificate with the names that are asked for.
    pub(crate) fn for_a_leaf(&self, spec: &Spec) -> Result<PrivateKey, Obstacle> {
        let key = self.key()?;
        let constraints = self.certificate.and_then(CaCertificate::name_constraints);
        let given = spec.properties.alternative_names.iter().flatten();
        let denied = given
            .into_iter()
            .find(|name| constraints.is_some_and(|constraints| !constraints.allow(name)));
        match denied {
            Some(name) => Err(Obstacle::NameNotPermitted { name: name.clone() }),
            None => Ok(key.clone()),
        }
    }

    /// Its key, if it can vouch for another CA, and be recorded as the anchor until the close.
    pub(crate) fn for_a_ca(&self, state: &State) -> Result<PrivateKey, Obstacle> {
        let is_original = |certificate: &&CaCertificate| {
            certificate.path_length() != Some(authority::REISSUED_PATH_LENGTH.into())
        };
        let certificate = self.certificate.filter(is_original);
        let certificate = certificate.ok_or(Obstacle::CertificateLost)?;
        if certificate.is_version_1() {
            return Err(Obstacle::Version1);
        }
        if certificate.path_length() == Some(0) {
            return Err(Obstacle::PathLength);
        }
        if certificate.name_constraints().is_some() {
            return Err(Obstacle::NameConstraints);
        }
        let key = self.key()?;
        if self.fits(key, state) {
            Ok(key.clone())
        } else {
            Err(Obstacle::RecordTooLong)
        }
    }

    /// Its key, if it is worth being recorded: it can sign something, and there is room for it.
    pub(crate) fn to_record(&self, state: &State) -> Option<PrivateKey> {
        let key = self.key().ok()?;
        self.fits(key, state).then(|| key.clone())
    }

    fn fits(&self, key: &PrivateKey, state: &State) -> bool {
        let certificate_bytes = self.certificate.map_or_else(
            || authority::longest_reissued_der(self.subject, key.public_key()),
            |certificate| certificate.der().len(),
        );
        state.has_room_for_anchor(certificate_bytes, key.der().len())
    }

    fn key(&self) -> Result<&PrivateKey, Obstacle> {
        if !name::is_writable(self.subject) {
            return Err(Obstacle::UnwritableName);
        }
        let key = self.key.as_ref().ok_or(Obstacle::KeyLost)?;
        if key.can_sign() {
            Ok(key)
        } else {
            Err(Obstacle::UnusableKey)
        }
    }
}
