//! Who accepts whom, as the verifier of Go's crypto/x509 has it, for that is what the Docker daemon and the rack API use.
//!
//! Nothing of the crate under test takes part: certificates are read by x509-parser, and its names, signatures, dates,
//! cA and path lengths decide. A path leads from the presented end-entity certificate over presented
//! cross-certificates to a CA of the verifier's bundle.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate's number in a [`Registry`].
pub type Id = usize;
/// A public key's number in a [`Registry`].
pub type KeyId = usize;

/// What a verifier looks at in a certificate.
pub struct Facts {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// The DER of the subject's name.
    pub subject: Vec<u8>,
    /// The DER of the issuer's name.
    pub issuer: Vec<u8>,
    /// The number of the public key.
    pub key: KeyId,
    /// First and last second of its validity, in seconds since 1970.
    pub validity: (i64, i64),
    /// Whether it has cA=TRUE, and keyCertSign where it has a key usage.
    pub is_ca: bool,
    /// pathLenConstraint.
    pub path_length: Option<u32>,
}

impl Facts {
    #[track_caller]
    fn read(der: &[u8], keys: &mut Keys) -> Self {
        let (_, parsed) = X509Certificate::from_der(der).expect("a published certificate is DER");
        let constraints = parsed
            .basic_constraints()
            .expect("at most one such extension");
        let usage = parsed.key_usage().expect("at most one such extension");
        let validity = parsed.validity();
        Self {
            der: der.to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            key: keys.id(parsed.public_key().raw),
            validity: (
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            ),
            is_ca: constraints.as_ref().is_some_and(|found| found.value.ca)
                && usage.is_none_or(|found| found.value.key_cert_sign()),
            path_length: constraints.and_then(|found| found.value.path_len_constraint),
        }
    }

    fn is_valid(&self, now: i64) -> bool {
        (self.validity.0..=self.validity.1).contains(&now)
    }

    /// Whether its validity is over.
    pub fn is_expired(&self, now: i64) -> bool {
        self.validity.1 < now
    }
}

/// Whether a verifier accepts a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is a path, and every certificate on it is valid.
    Accepted,
    /// Every path has an expired CA or an expired end-entity certificate at one of its ends, which nobody can help.
    Expired,
    /// There is no path, or a cross-certificate is what spoils it.
    Refused,
}

/// Certificates by number, and which of them signed which.
#[derive(Default)]
pub struct Registry {
    facts: Vec<Facts>,
    ids: HashMap<Vec<u8>, Id>,
    by_subject: HashMap<Vec<u8>, Vec<Id>>,
    keys: Keys,
    /// A CA may have several certificates, but a signature is by its key.
    signatures: HashMap<(KeyId, Id), bool>,
}

/// Public keys by number.
#[derive(Default)]
struct Keys {
    ids: HashMap<Vec<u8>, KeyId>,
}

impl Keys {
    fn id(&mut self, public_key: &[u8]) -> KeyId {
        if let Some(id) = self.ids.get(public_key) {
            return *id;
        }
        self.ids.insert(public_key.to_vec(), self.ids.len());
        self.ids.len() - 1
    }
}

impl Registry {
    /// The number of a certificate.
    #[track_caller]
    pub fn id(&mut self, der: &[u8]) -> Id {
        if let Some(id) = self.ids.get(der) {
            return *id;
        }
        let id = self.facts.len();
        let facts = Facts::read(der, &mut self.keys);
        let namesakes = self.by_subject.entry(facts.subject.clone());
        namesakes.or_default().push(id);
        self.facts.push(facts);
        self.ids.insert(der.to_vec(), id);
        id
    }

    /// The certificate with that number.
    pub fn facts(&self, id: Id) -> &Facts {
        &self.facts[id]
    }

    /// The number of a public key, given as the DER of a `SubjectPublicKeyInfo`.
    pub fn key_id(&mut self, public_key: &[u8]) -> KeyId {
        self.keys.id(public_key)
    }

    /// How many signatures were checked.
    pub fn signatures_checked(&self) -> usize {
        self.signatures.len()
    }

    /// The certificates whose subject and key are those of this one's issuer.
    pub fn issuers(&mut self, issued: Id) -> Vec<Id> {
        let namesakes = self.by_subject.get(&self.facts[issued].issuer);
        let mut issuers = namesakes.cloned().unwrap_or_default();
        issuers.retain(|issuer| self.has_issued(*issuer, issued));
        issuers
    }

    fn has_issued(&mut self, issuer: Id, subject: Id) -> bool {
        let (issuing, child) = (&self.facts[issuer], &self.facts[subject]);
        if !issuing.is_ca || issuing.subject != child.issuer {
            return false;
        }
        let known = self.signatures.entry((issuing.key, subject));
        *known.or_insert_with(|| is_signed_by(child, issuing))
    }

    /// Whether one who trusts `bundle` accepts one who presents `chain`.
    pub fn judge(&mut self, bundle: &[Id], chain: &[Id], now: i64) -> Verdict {
        let mut verdicts = Vec::new();
        if let Some((leaf, crosses)) = chain.split_first() {
            self.follow(bundle, crosses, &mut vec![*leaf], now, &mut verdicts);
        }
        if verdicts.contains(&Verdict::Accepted) {
            Verdict::Accepted
        } else if verdicts.is_empty() || verdicts.contains(&Verdict::Refused) {
            Verdict::Refused
        } else {
            Verdict::Expired
        }
    }

    /// The verdicts on all paths that begin like this one.
    fn follow(
        &mut self,
        bundle: &[Id],
        crosses: &[Id],
        path: &mut Vec<Id>,
        now: i64,
        verdicts: &mut Vec<Verdict>,
    ) {
        let last = path[path.len() - 1];
        let between = path.len() - 1;
        for root in bundle {
            if self.has_issued(*root, last) && self.leaves_room(*root, between) {
                verdicts.push(self.verdict_on_path(path, *root, now));
            }
        }
        for cross in crosses {
            if !path.contains(cross)
                && self.has_issued(*cross, last)
                && self.leaves_room(*cross, between)
            {
                path.push(*cross);
                self.follow(bundle, crosses, path, now, verdicts);
                path.pop();
            }
        }
    }

    fn leaves_room(&self, authority: Id, between: usize) -> bool {
        let most = self.facts[authority].path_length;
        most.is_none_or(|most| between <= most as usize)
    }

    fn verdict_on_path(&self, path: &[Id], root: Id, now: i64) -> Verdict {
        let root = &self.facts[root];
        if root.is_expired(now) || self.facts[path[0]].is_expired(now) {
            Verdict::Expired
        } else if root.is_valid(now) && path.iter().all(|id| self.facts[*id].is_valid(now)) {
            Verdict::Accepted
        } else {
            Verdict::Refused
        }
    }
}

fn is_signed_by(issued: &Facts, issuing: &Facts) -> bool {
    let (_, issued) = X509Certificate::from_der(&issued.der).expect("it was read before");
    let (_, issuing) = X509Certificate::from_der(&issuing.der).expect("it was read before");
    issued.verify_signature(Some(issuing.public_key())).is_ok()
}

/// The certificates that Go reads from a published value: it skips whatever is none, and what is there twice.
pub fn read_certificates(value: &str) -> Vec<Vec<u8>> {
    let text = STANDARD.decode(value).unwrap_or_default();
    let blocks = pem::parse_many(text).unwrap_or_default();
    let mut seen = HashSet::new();
    blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(pem::Pem::into_contents)
        .filter(|der| X509Certificate::from_der(der).is_ok() && seen.insert(der.clone()))
        .collect()
}
