//! Who accepts whom, as the verifier of Go's crypto/x509 has it, for that is what the Docker daemon and the rack API use.
//!
//! Nothing of the crate under test takes part: certificates are read by x509-parser, and its names, signatures, dates,
//! cA, path lengths, usages and name constraints decide. A path leads from the presented end-entity certificate over
//! presented cross-certificates to a CA of the verifier's bundle; an end-entity certificate that stands in the bundle
//! needs none.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, NameConstraints};
use x509_parser::oid_registry::{
    OID_MD5_WITH_RSA, OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SHA1_WITH_RSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;

use crate::openssl;

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
    /// Whether it is of X.509 version 1, which cannot say that it is a CA's: Go takes such a one as a root alone.
    pub is_version_1: bool,
    /// Whether it may serve as a server's, and whether as a client's.
    pub usages: (bool, bool),
    /// Whether it limits the names below it.
    is_constrained: bool,
    /// Whether Go reads it.
    reading: Reading,
}

/// Whether Go reads a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Read,
    /// Not, for an extension is malformed or there twice; or not since version 1.23, for its serial number is negative.
    Refused,
}

impl Facts {
    #[track_caller]
    fn read(der: &[u8], keys: &mut Keys) -> Self {
        let (_, parsed) = X509Certificate::from_der(der).expect("a published certificate is DER");
        let constraints = parsed.basic_constraints();
        let usage = parsed.key_usage();
        let extended = parsed.extended_key_usage();
        let limits = parsed.name_constraints();
        let is_well_formed =
            constraints.is_ok() && usage.is_ok() && extended.is_ok() && limits.is_ok();
        let constraints = constraints.ok().flatten();
        let usage = usage.ok().flatten();
        let extended = extended.ok().flatten();
        let validity = parsed.validity();
        let usages = extended.map_or((true, true), |found| {
            let any = found.value.any;
            (
                any || found.value.server_auth,
                any || found.value.client_auth,
            )
        });
        let is_version_1 = parsed.version() == X509Version::V1;
        let limits = limits.ok().flatten();
        Self {
            der: der.to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            key: keys.id(parsed.public_key().raw),
            validity: (
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            ),
            is_ca: constraints
                .as_ref()
                .map_or(is_version_1, |found| found.value.ca)
                && usage.is_none_or(|found| found.value.key_cert_sign()),
            path_length: constraints.and_then(|found| found.value.path_len_constraint),
            is_version_1,
            usages,
            is_constrained: limits.is_some(),
            reading: match parsed.raw_serial() {
                [0x80..=0xff, ..] => Reading::Refused,
                _ if !is_well_formed => Reading::Refused,
                _ => Reading::Read,
            },
        }
    }

    fn is_valid(&self, now: i64) -> bool {
        (self.validity.0..=self.validity.1).contains(&now)
    }

    /// Whether a CA allows no CA below it, or limits the names below it.
    pub fn is_limited(&self) -> bool {
        self.is_constrained || self.path_length == Some(0)
    }

    /// Whether its validity is over.
    pub fn is_expired(&self, now: i64) -> bool {
        self.validity.1 < now
    }
}

/// What a certificate is presented for.
#[derive(Clone, Copy)]
enum Usage {
    /// A client's.
    Client,
    /// A server's or a client's.
    Either,
    /// A server's and a client's: daemons and the API present the same one.
    Both,
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

    /// Whether one who trusts `bundle` accepts one who presents `chain`, as a server or as a client.
    pub fn judge(&mut self, bundle: &[Id], chain: &[Id], now: i64) -> Verdict {
        self.judge_as(Usage::Either, bundle, chain, now)
    }

    /// Whether a daemon that trusts `bundle` accepts one who presents `chain`.
    pub fn judge_client(&mut self, bundle: &[Id], chain: &[Id], now: i64) -> Verdict {
        self.judge_as(Usage::Client, bundle, chain, now)
    }

    /// Whether one who trusts `bundle` accepts one who presents `chain`, as a server and as a client.
    pub fn judge_both(&mut self, bundle: &[Id], chain: &[Id], now: i64) -> Verdict {
        self.judge_as(Usage::Both, bundle, chain, now)
    }

    fn judge_as(&mut self, usage: Usage, bundle: &[Id], chain: &[Id], now: i64) -> Verdict {
        let mut verdicts = Vec::new();
        let is_unread = |id: &Id| self.facts[*id].reading == Reading::Refused;
        // Who trusts one that cannot be read goes on without it. Who is sent one gives up.
        let bundle: Vec<Id> = bundle.iter().copied().filter(|id| !is_unread(id)).collect();
        let is_read = !chain.iter().any(is_unread);
        if let Some((leaf, crosses)) = chain.split_first().filter(|_| is_read) {
            if bundle.contains(leaf) && self.serves(usage, &[*leaf], *leaf) {
                verdicts.push(self.verdict_on_path(&[*leaf], *leaf, now));
            }
            let mut path = vec![*leaf];
            self.follow(usage, &bundle, crosses, &mut path, now, &mut verdicts);
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
        usage: Usage,
        bundle: &[Id],
        crosses: &[Id],
        path: &mut Vec<Id>,
        now: i64,
        verdicts: &mut Vec<Verdict>,
    ) {
        let last = path[path.len() - 1];
        let between = path.len() - 1;
        for root in bundle {
            if self.has_issued(*root, last)
                && self.leaves_room(*root, between)
                && self.permits(*root, path)
                && self.serves(usage, path, *root)
            {
                verdicts.push(self.verdict_on_path(path, *root, now));
            }
        }
        for cross in crosses {
            if !path.contains(cross)
                && !self.facts[*cross].is_version_1
                && self.has_issued(*cross, last)
                && self.leaves_room(*cross, between)
                && self.permits(*cross, path)
            {
                path.push(*cross);
                self.follow(usage, bundle, crosses, path, now, verdicts);
                path.pop();
            }
        }
    }

    fn leaves_room(&self, authority: Id, between: usize) -> bool {
        let most = self.facts[authority].path_length;
        most.is_none_or(|most| between <= most as usize)
    }

    /// Whether everything on a path may be used so.
    fn serves(&self, usage: Usage, path: &[Id], root: Id) -> bool {
        let usages = path.iter().chain([&root]).map(|id| self.facts[*id].usages);
        let (as_server, as_client) =
            usages.fold((true, true), |all, one| (all.0 && one.0, all.1 && one.1));
        match usage {
            Usage::Client => as_client,
            Usage::Either => as_server || as_client,
            Usage::Both => as_server && as_client,
        }
    }

    /// Whether a CA's name constraints permit the names of all that is below it.
    fn permits(&self, authority: Id, below: &[Id]) -> bool {
        let authority = &self.facts[authority];
        if !authority.is_constrained {
            return true;
        }
        let (_, parsed) = X509Certificate::from_der(&authority.der).expect("it was read before");
        let limits = parsed.name_constraints().expect("it was read before");
        let limits = limits.expect("it is constrained").value;
        below
            .iter()
            .all(|id| are_names_within(&self.facts[*id].der, limits))
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
    let algorithm = &issued.signature_algorithm.algorithm;
    let weak = [
        OID_PKCS1_SHA1WITHRSA,
        OID_SHA1_WITH_RSA,
        OID_PKCS1_MD5WITHRSAENC,
        OID_MD5_WITH_RSA,
    ];
    if weak.contains(algorithm) || algorithm.to_id_string() == ECDSA_WITH_SHA1 {
        return false;
    }
    match issued.verify_signature(Some(issuing.public_key())) {
        Ok(()) => true,
        Err(X509Error::SignatureUnsupportedAlgorithm) => openssl_verifies(&issued, &issuing),
        Err(_) if is_small(&issuing) => openssl_verifies(&issued, &issuing),
        Err(_) => false,
    }
}

/// ecdsa-with-SHA1.
const ECDSA_WITH_SHA1: &str = "1.2.840.10045.4.1";
/// The fewest bits of an RSA key that x509-parser takes; Go takes 1024.
const RSA_BITS: usize = 2048;

fn is_small(issuing: &X509Certificate<'_>) -> bool {
    let key = issuing.public_key().parsed();
    matches!(key, Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS)
}

/// Checks a signature that x509-parser cannot check.
fn openssl_verifies(issued: &X509Certificate<'_>, issuing: &X509Certificate<'_>) -> bool {
    let algorithm = &issued.signature_algorithm.algorithm;
    let digests = [
        (
            "-sha256",
            [OID_PKCS1_SHA256WITHRSA, OID_SIG_ECDSA_WITH_SHA256],
        ),
        (
            "-sha384",
            [OID_PKCS1_SHA384WITHRSA, OID_SIG_ECDSA_WITH_SHA384],
        ),
        (
            "-sha512",
            [OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA512],
        ),
    ];
    let digest = digests.iter().find(|(_, oids)| oids.contains(algorithm));
    let Some((digest, _)) = digest else {
        return false;
    };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("the folder is ours");
        path
    };
    let key = write("key", issuing.public_key().raw);
    let signature = write("signature", &issued.signature_value.data);
    let text = |path: &'_ Path| openssl::text(path).to_owned();
    let (key, signature) = (text(&key), text(&signature));
    let arguments = ["dgst", *digest, "-keyform", "DER", "-verify", &key];
    let arguments = [&arguments[..], &["-signature", &signature]].concat();
    openssl::run(&arguments, issued.tbs_certificate.as_ref())
        .status
        .success()
}

/// Whether the DNS names and addresses of a certificate are what a CA above it permits.
fn are_names_within(der: &[u8], limits: &NameConstraints<'_>) -> bool {
    let (_, parsed) = X509Certificate::from_der(der).expect("it was read before");
    let names = parsed.subject_alternative_name();
    let names = names.expect("at most one such extension");
    let names = names.map_or(&[][..], |found| &found.value.general_names);
    names.iter().all(|name| {
        let bases = |subtrees: &'_ Option<Vec<_>>| {
            let subtrees: &[x509_parser::extensions::GeneralSubtree<'_>] =
                subtrees.as_deref().unwrap_or_default();
            let bases = subtrees
                .iter()
                .filter_map(|subtree| is_within(name, &subtree.base));
            bases.collect::<Vec<bool>>()
        };
        let permitted = bases(&limits.permitted_subtrees);
        let excluded = bases(&limits.excluded_subtrees);
        (permitted.is_empty() || permitted.contains(&true)) && !excluded.contains(&true)
    })
}

/// Whether a name is within a subtree; nothing where the subtree is of another kind of name.
fn is_within(name: &GeneralName<'_>, base: &GeneralName<'_>) -> Option<bool> {
    match (name, base) {
        (GeneralName::DNSName(name), GeneralName::DNSName(base)) => {
            let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
            let above = name.strip_suffix(base.trim_start_matches('.'));
            Some(above.is_some_and(|above| above.is_empty() || above.ends_with('.')))
        }
        (GeneralName::IPAddress(name), GeneralName::IPAddress(base)) => {
            let (network, mask) = base.split_at(base.len() / 2);
            let bytes = name.iter().zip(network).zip(mask);
            let is_same =
                |((name, network), mask): ((&u8, &u8), &u8)| name & mask == network & mask;
            Some(name.len() == network.len() && bytes.into_iter().all(is_same))
        }
        _ => None,
    }
}

/// The certificates that Go reads from a published value: it skips whatever is none, and what is there twice.
pub fn read_certificates(value: &str) -> Vec<Vec<u8>> {
    let text = STANDARD.decode(value).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut seen = HashSet::new();
    // One after the other: what is no block hides no other.
    text.split("-----BEGIN ")
        .filter_map(|block| pem::parse(format!("-----BEGIN {block}")).ok())
        .filter(|block| block.tag() == "CERTIFICATE")
        .map(pem::Pem::into_contents)
        .filter(|der| X509Certificate::from_der(der).is_ok() && seen.insert(der.clone()))
        .collect()
}
