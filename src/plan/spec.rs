//! What an event asks for.

use std::fmt;
use std::net::Ipv4Addr;

use time::{Duration, OffsetDateTime};

use crate::pki::alternative_name::SubjectAlternativeName;
use crate::pki::certificate::{Certificate, Fingerprint};
use crate::pki::private_key::KeyAlgorithm;
use crate::pki::usages::Usages;
use crate::set::decoded::Found;
use crate::set::flaw::Flaw;
use crate::set::pair::Pair;
use crate::set::parameter::ParameterType;
use crate::set::rack::Rack;
use crate::set::state::{EventSeconds, Owner, State, TokenHash};

/// Everything that an event asks for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The properties.
    pub properties: GeneratorProperties,
    /// What an Update knows of the properties before it.
    pub old: OldProperties,
    /// Whether the event makes its resource an owner of the set.
    pub occasion: Occasion,
    /// The resource that the event speaks for.
    pub owner: Owner,
    /// When CloudFormation sent the event, where its URL tells.
    pub sent_at: Option<EventSeconds>,
}

impl Spec {
    /// An Update to these properties that nobody has sent: what it would do is asked.
    pub fn hypothetical(properties: GeneratorProperties) -> Self {
        Self {
            properties,
            old: OldProperties::default(),
            occasion: Occasion::Update,
            owner: Owner::new("", ""),
            sent_at: None,
        }
    }

    /// The event that comes next while the template stays as it is.
    #[must_use]
    pub fn next(&self) -> Self {
        let properties = &self.properties;
        Self {
            old: OldProperties {
                rack: Some(properties.rack.clone()),
                rotation_token: properties.rotation_token.clone(),
                retired_ca: properties.retired_ca,
            },
            occasion: Occasion::Update,
            sent_at: None,
            ..self.clone()
        }
    }

    /// Whether the event brings its resource to the set although that owner's entry has changed since it was sent.
    pub(crate) fn is_late_duplicate(&self, state: &Result<State, Flaw>) -> bool {
        match (self.occasion, self.sent_at, state) {
            (Occasion::Adoption | Occasion::Return, Some(sent_at), Ok(state)) => {
                state.has_later_change(&self.owner, sent_at)
            }
            _ => false,
        }
    }

    /// Whether a certificate is within the renewal window, or past its end.
    pub(crate) fn is_due(&self, certificate: &Certificate, now: OffsetDateTime) -> bool {
        self.ends_soon(certificate.not_after(), now)
    }

    /// Whether an end is within the renewal window, or past.
    pub(crate) fn ends_soon(&self, not_after: OffsetDateTime, now: OffsetDateTime) -> bool {
        self.ends_within(1, not_after, now)
    }

    /// Whether an end is within so many renewal windows, or past.
    pub(crate) fn ends_within(
        &self,
        windows: i32,
        not_after: OffsetDateTime,
        now: OffsetDateTime,
    ) -> bool {
        not_after < now + self.properties.renew_before * windows
    }

    /// The names of a new end-entity certificate: those that are given, else those of the stored one, else this host's.
    pub fn alternative_names(&self, stored: Option<&Certificate>) -> Vec<SubjectAlternativeName> {
        if let Some(given) = &self.properties.alternative_names {
            return given.clone();
        }
        let stored = stored.map_or(&[][..], Certificate::alternative_names);
        // As they would be asked for: an IPv4 address is written as one, and what is no host's name is left out.
        let as_asked =
            |name: &SubjectAlternativeName| SubjectAlternativeName::parse(&name.to_string());
        let mut names: Vec<_> = stored.iter().filter_map(as_asked).collect();
        if names.is_empty() {
            names = vec![
                SubjectAlternativeName::dns("localhost"),
                SubjectAlternativeName::Ip(Ipv4Addr::LOCALHOST.into()),
            ];
        }
        names
    }
}

/// Why an event was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A Create, or an Update that changes `Rack`: the resource becomes an owner, and its token is only recorded.
    Adoption,
    /// An Update that takes a failed change of `Rack` back: the resource's id is still this rack's, so it is an owner
    /// still, and no Delete of that id was sent since it became one. Its token is only recorded.
    Return,
    /// Any other Update.
    Update,
}

/// What the generator is asked to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorProperties {
    /// `Rack`.
    pub rack: Rack,
    /// `CAValidityDays`: the lifetime of a newly issued CA.
    pub ca_validity: Duration,
    /// `ValidityDays`: the lifetime of a newly issued end-entity certificate.
    pub validity: Duration,
    /// `RenewBeforeDays`: how long before its end a certificate is replaced.
    pub renew_before: Duration,
    /// `KeyAlgorithm`: for what is newly issued.
    pub key_algorithm: KeyAlgorithm,
    /// `SubjectAlternativeNames`, where given.
    pub alternative_names: Option<Vec<SubjectAlternativeName>>,
    /// `RotationToken`, hashed.
    pub rotation_token: Option<TokenHash>,
    /// `RetiredCA`.
    pub retired_ca: Option<RetirementWord>,
    /// `ClientCertificate`.
    pub client_certificate: ClientCertificate,
    /// `KeyParameterType`: for key parameters that do not exist yet.
    pub key_parameter_type: ParameterType,
    /// How many bytes of a value a getter's response has room for with this rack's name.
    pub getter_room_bytes: usize,
    /// `KmsKeyId`: the key that SecureString parameters are encrypted with.
    pub kms_key_id: Option<String>,
}

/// What an Update needs to know of `OldResourceProperties`; whatever is unusable there counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldProperties {
    /// The rack that the resource named before.
    pub rack: Option<Rack>,
    /// The token that the template held before.
    pub rotation_token: Option<TokenHash>,
    /// The `RetiredCA` that the template held before.
    pub retired_ca: Option<RetirementWord>,
}

/// Whose certificate the API presents: the property `ClientCertificate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientCertificate {
    /// The daemons' own, which is a server's and a client's at once.
    #[default]
    Shared,
    /// One of its own, which is a client's alone; and the daemons' is a server's alone.
    Separate,
}

impl ClientCertificate {
    /// Every choice, with the word that the property has for it.
    pub const ALL: [(&str, Self); 2] = [("Shared", Self::Shared), ("Separate", Self::Separate)];

    /// What a pair is to be good for; `None` where a set has no such pair.
    pub const fn usages(self, pair: Pair) -> Option<Usages> {
        match (self, pair) {
            (Self::Shared, Pair::Server) => Some(Usages::BOTH),
            (Self::Shared, Pair::Client) => None,
            (Self::Separate, Pair::Server) => Some(Usages::SERVER),
            (Self::Separate, Pair::Client) => Some(Usages::CLIENT),
        }
    }

    /// The choice that a stored set was made by. The daemons' certificate tells where the API's pair is lost.
    pub fn of(found: &Found) -> Self {
        let is_servers_alone = |leaf: &Certificate| leaf.usages() == Usages::SERVER;
        if found.client.is_missing() && !found.server.leaf().is_some_and(is_servers_alone) {
            Self::Shared
        } else {
            Self::Separate
        }
    }
}

/// What `RetiredCA` says: `X/Y`, retire the CA X and stay with the CA Y; or `X` alone, which names half of that.
///
/// `X/Y/moved` says besides that everything that runs presents certificates that Y vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetirementWord {
    /// The CA that is to be trusted no more.
    pub retired: Fingerprint,
    /// The CA that is to stay; none where the word names only the retired one.
    pub staying: Option<Fingerprint>,
    /// Whether it says that everything has moved.
    pub has_moved: bool,
}

impl RetirementWord {
    /// Whether whoever says this says that as well.
    pub(crate) fn implies(&self, other: &Self) -> bool {
        self.retired == other.retired
            && (other.staying.is_none() || other.staying == self.staying)
            && (self.has_moved || !other.has_moved)
    }

    /// What stands behind both CAs where everything has moved.
    pub const MOVED: &str = "moved";

    /// Reads one fingerprint, or two with a slash between them, and perhaps [`Self::MOVED`]. A CA cannot both go and
    /// stay.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let retired = Fingerprint::parse(parts.next()?)?;
        let staying = match parts.next() {
            Some(staying) => Some(Fingerprint::parse(staying)?),
            None => None,
        };
        let has_moved = match parts.next().map(str::trim) {
            Some(Self::MOVED) => true,
            Some(_) => return None,
            None => false,
        };
        let is_whole = parts.next().is_none() && staying != Some(retired);
        is_whole.then_some(Self {
            retired,
            staying,
            has_moved,
        })
    }
}

impl fmt::Display for RetirementWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.staying {
            Some(staying) => write!(f, "{}/{staying}", self.retired)?,
            None => self.retired.fmt(f)?,
        }
        if self.has_moved {
            write!(f, "/{}", Self::MOVED)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retirement_word_is_one_fingerprint_or_two_different_ones() {
        let (x, y) = (
            "ab".repeat(Fingerprint::BYTES),
            "01".repeat(Fingerprint::BYTES),
        );
        let fingerprint = |text: &str| Fingerprint::parse(text).expect("64 hex digits");
        let plain = RetirementWord {
            retired: fingerprint(&x),
            staying: None,
            has_moved: false,
        };
        let both = RetirementWord {
            staying: Some(fingerprint(&y)),
            ..plain
        };
        let moved = RetirementWord {
            has_moved: true,
            ..both
        };
        let colons = ["AB"; Fingerprint::BYTES].join(":");
        for (text, expected) in [
            (x.clone(), Some(plain)),
            (x.to_uppercase(), Some(plain)),
            (colons.clone(), Some(plain)),
            (format!("{x}/{y}"), Some(both)),
            (format!(" {colons} / {y}\n"), Some(both)),
            (format!("{x}/{y}/moved"), Some(moved)),
            (format!("{x}/{y}/moved/"), None),
            (format!("{x}/moved"), None),
            (format!("{x}/{x}"), None),
            (format!("{x}/{colons}"), None),
            (format!("{x}/"), None),
            (format!("/{x}"), None),
            ("/".to_owned(), None),
            (format!("{x}/{y}/{y}"), None),
            (format!("{x},{y}"), None),
            (format!("{x}{y}"), None),
            (format!("{x}/{}", &y[1..]), None),
        ] {
            assert_eq!(RetirementWord::parse(&text), expected, "{text:?}");
        }
        for (word, text) in [
            (plain, x.clone()),
            (both, format!("{x}/{y}")),
            (moved, format!("{x}/{y}/moved")),
        ] {
            assert_eq!(word.to_string(), text);
        }
    }
}
