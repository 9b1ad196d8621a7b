//! What an operator wants to see of a rack's set: each parameter, who signs whom, what is wrong, what comes next.
//!
//! A pure function of what is stored, with the very planner that the Lambda function has.

use serde::Serialize;
use time::OffsetDateTime;

use crate::pki::certificate::{CaCertificate, Certificate};
use crate::pki::timestamp::timestamp;
use crate::plan::assessment::Assessment;
use crate::plan::open_rotation::OpenRotation;
use crate::plan::outlook::days_until;
use crate::plan::planner;
use crate::plan::spec::{RetirementWord, Spec};
use crate::plan::standing::Standing;
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::pair::Pair;
use crate::set::parameter::{ParameterType, StoredSet};
use crate::set::rack::Part;

/// A rack's set at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// What a watch says of it, too.
    #[serde(flatten)]
    pub standing: Standing,
    /// Each parameter that the set has or is to have.
    pub parameters: Vec<ParameterView>,
    /// The fingerprint of the CA that the CA key belongs to.
    pub current_ca: Option<String>,
    /// The fingerprint of the previous CA while a rotation is open.
    pub previous_ca: Option<String>,
    /// How far an open rotation has come, and what the operator does next, in words.
    pub rotation: Option<String>,
    /// What `RetiredCA` says to take the open rotation back, if that is possible.
    pub take_back: Option<String>,
}

/// One parameter.
#[derive(Clone, Debug, Serialize)]
pub struct ParameterView {
    /// Its name.
    pub name: String,
    /// What it is in the set.
    pub part: Part,
    /// Its type, if it exists.
    #[serde(rename = "type")]
    pub parameter_type: Option<ParameterType>,
    /// Its version, if it exists.
    pub version: Option<i64>,
    /// The characters of its value, if it exists.
    pub chars: Option<usize>,
    /// The certificates in it, in their order.
    pub certificates: Vec<CertificateView>,
    /// What is wrong with it by itself.
    pub flaw: Option<String>,
}

/// One certificate.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateView {
    /// What it is in the set.
    pub role: Role,
    /// SHA-256 of the DER, lower-case hex.
    pub sha256: String,
    /// On which sides of a connection it is good, `server`, `client` or both; of an end-entity certificate alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<&'static str>,
    /// The subject's common name.
    pub subject: String,
    /// The issuer's common name.
    pub issuer: String,
    /// The fingerprint of the CA of the bundle that signed it, if one did.
    pub signed_by: Option<String>,
    /// The first second of its validity, RFC 3339.
    pub not_before: String,
    /// The last second of its validity, RFC 3339.
    pub not_after: String,
    /// Whole days until its end; negative once it is past.
    pub days_left: i64,
}

/// What a certificate is in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The CA that the CA key belongs to.
    CurrentCa,
    /// The previous CA while a rotation is open.
    PreviousCa,
    /// Another CA of the bundle.
    OtherCa,
    /// Another certificate of the bundle, which is no CA's.
    Pinned,
    /// The end-entity certificate.
    EndEntity,
    /// The current CA's name and key, signed by the anchor.
    Cross,
}

impl Role {
    /// The role in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::CurrentCa => "current CA",
            Self::PreviousCa => "previous CA",
            Self::OtherCa => "another CA",
            Self::Pinned => "a certificate that is trusted by itself",
            Self::EndEntity => "certificate",
            Self::Cross => "cross-certificate",
        }
    }
}

impl Inspection {
    /// Looks at what is stored. `spec` is the Update that would come next.
    pub fn of(spec: &Spec, stored: &StoredSet, now: OffsetDateTime) -> Self {
        let rack = &spec.properties.rack;
        let assessment = Assessment::of(Found::decode(stored));
        let shown = |ca: Option<&CaCertificate>| ca.map(|ca| ca.fingerprint().to_string());
        let viewer = Viewer {
            found: &assessment.found,
            current: shown(assessment.current_ca_certificate()),
            previous: shown(assessment.previous_ca()),
            now,
        };
        let asked = spec.properties.client_certificate;
        let is_shown = |part: &Part| {
            let pair = Pair::of(*part);
            stored.contains_key(part) || pair.is_none_or(|pair| asked.usages(pair).is_some())
        };
        let parameters = Part::ALL.into_iter().filter(is_shown).map(|part| {
            let parameter = stored.get(&part);
            let (certificates, flaw) = viewer.contents(part);
            ParameterView {
                name: rack.parameter_name(part),
                part,
                parameter_type: parameter.map(|parameter| parameter.parameter_type),
                version: parameter.map(|parameter| parameter.version),
                chars: parameter.map(|parameter| parameter.value.expose().chars().count()),
                certificates,
                flaw: flaw.map(|flaw| flaw.to_string()),
            }
        });
        let rotation = OpenRotation::of(&assessment);
        Self {
            standing: Standing::of(spec, stored, &assessment, now),
            parameters: parameters.collect(),
            current_ca: viewer.current.clone(),
            previous_ca: viewer.previous.clone(),
            rotation: rotation.as_ref().map(OpenRotation::to_string),
            take_back: rotation
                .and_then(|rotation| rotation.word_back)
                .filter(|word| can_say(spec, *word, &assessment, now))
                .map(|word| word.to_string()),
        }
    }
}

/// Whether an Update is obeyed that says this.
fn can_say(
    spec: &Spec,
    word: RetirementWord,
    assessment: &Assessment,
    now: OffsetDateTime,
) -> bool {
    let mut spec = spec.next();
    spec.properties.retired_ca = Some(word);
    planner::plan(&spec, assessment, now).is_ok()
}

struct Viewer<'a> {
    found: &'a Found,
    current: Option<String>,
    previous: Option<String>,
    now: OffsetDateTime,
}

impl Viewer<'_> {
    /// The certificates in a part, and what is wrong with it.
    fn contents(&self, part: Part) -> (Vec<CertificateView>, Option<Flaw>) {
        let found = self.found;
        let alone = |flaw: Option<&Flaw>| (Vec::new(), flaw.copied());
        match part {
            Part::CaCert => match &found.ca_cert {
                Ok(_) => (
                    found
                        .trusted()
                        .iter()
                        .map(|trusted| self.view(self.role_of(trusted), trusted))
                        .collect(),
                    None,
                ),
                Err(flaw) => alone(Some(flaw)),
            },
            Part::Cert => self.presented(Pair::Server),
            Part::ClientCert => self.presented(Pair::Client),
            Part::CaKey => alone(found.ca_key.as_ref().err()),
            Part::Key => alone(found.server.key.as_ref().err()),
            Part::ClientKey => alone(found.client.key.as_ref().err()),
            Part::State => alone(found.state.as_ref().err().filter(|f| **f != Flaw::Missing)),
            Part::Claim => alone(None),
        }
    }

    /// The certificates that are presented with a pair, and what is wrong with their part.
    fn presented(&self, pair: Pair) -> (Vec<CertificateView>, Option<Flaw>) {
        match &self.found.pair(pair).cert {
            Ok(chain) => {
                let leaf = self.view(Role::EndEntity, chain.leaf());
                let crosses = chain.crosses().iter();
                let crosses = crosses.map(|cross| self.view(Role::Cross, cross));
                (std::iter::once(leaf).chain(crosses).collect(), None)
            }
            Err(flaw) => (Vec::new(), Some(*flaw)),
        }
    }

    fn role_of(&self, trusted: &Certificate) -> Role {
        let fingerprint = Some(trusted.fingerprint().to_string());
        if fingerprint == self.current {
            Role::CurrentCa
        } else if fingerprint == self.previous {
            Role::PreviousCa
        } else if self.found.bundled().iter().any(|ca| **ca == *trusted) {
            Role::OtherCa
        } else {
            Role::Pinned
        }
    }

    fn view(&self, role: Role, certificate: &Certificate) -> CertificateView {
        let mut bundled = self.found.bundled().iter();
        let signer = bundled.find(|authority| authority.has_issued(certificate));
        CertificateView {
            role,
            sha256: certificate.fingerprint().to_string(),
            usages: match role {
                Role::EndEntity => certificate.usages().names(),
                _ => Vec::new(),
            },
            subject: certificate.common_name().to_owned(),
            issuer: certificate.issuer_common_name().to_owned(),
            signed_by: signer.map(|authority| authority.fingerprint().to_string()),
            not_before: timestamp(certificate.not_before()),
            not_after: timestamp(certificate.not_after()),
            days_left: days_until(certificate.not_after(), self.now),
        }
    }
}
