//! Sets as the store holds them: the deployed handler's own, and ours.

use docker_tls_certgen::pki::authority::CertificateAuthority;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::{CaCertificate, Certificate};
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::pki::encoding::PemText;
use docker_tls_certgen::pki::private_key::{KeyAlgorithm, PrivateKey};
use docker_tls_certgen::pki::usages::Usages;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::{ParameterType, StoredParameter, StoredSet};
use docker_tls_certgen::set::rack::Part;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::event::{carry_out, make_adoption};
use crate::fixtures::{self, Deployed};
use crate::mint::FreshMint;

/// Now, unless a test says otherwise: some weeks after the deployed handler wrote the fixtures.
pub const NOW: OffsetDateTime = match OffsetDateTime::from_unix_timestamp(1_800_014_400) {
    Ok(now) => now,
    Err(_) => panic!("2027-01-15T12:00:00Z is a date"),
};

/// The rack that every set here belongs to.
pub const RACK: &str = "rack-1";

/// A set that the deployed handler wrote: RSA with 2048 bits, PKCS#1, no state.
pub fn make_deployed() -> StoredSet {
    let [deployed, _] = fixtures::deployed();
    make_from(&deployed)
}

/// Another such set, with other keys and the same names.
pub fn make_other_deployed() -> StoredSet {
    let [_, other] = fixtures::deployed();
    make_from(&other)
}

fn make_from(deployed: &Deployed) -> StoredSet {
    let mut stored = StoredSet::new();
    for part in Part::SHARED {
        set_value(&mut stored, part, deployed.value(part));
    }
    stored
}

/// A set of our own, made by a Create some days before [`NOW`].
pub fn make_own(algorithm: KeyAlgorithm) -> StoredSet {
    make_own_with(&json!({ "KeyAlgorithm": algorithm.name() }))
}

/// A set of our own with these properties, made by a Create some days before [`NOW`].
pub fn make_own_with(properties: &Value) -> StoredSet {
    let mut stored = StoredSet::new();
    let spec = make_adoption(properties);
    carry_out(&spec, &mut stored, NOW - Duration::days(10), &mut FreshMint);
    stored
}

/// A set that some other tool made some days before [`NOW`]: a CA that lasts so many days, and a pair that lasts a
/// quarter as long.
pub fn make_elsewhere(name: &str, constraints: BasicConstraints, days: i64) -> StoredSet {
    let [ca_key, key] = [0; 2].map(|_| PrivateKey::generate(KeyAlgorithm::EcdsaP256));
    let (ca_key, key) = (
        ca_key.expect("a key can be made"),
        key.expect("a key can be made"),
    );
    let pair = KeyPair::try_from(ca_key.der()).expect("the key loads");
    let mut params = CertificateParams::new([]).expect("no name is no bad name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let made = NOW - Duration::days(10);
    (params.not_before, params.not_after) = (made, made + Duration::days(days));
    let authority = params.self_signed(&pair).expect("the CA can be made");
    let authority = CaCertificate::from_der(authority.der()).expect("it is a CA's");
    make_set(authority, &ca_key, &key, Duration::days(days / 4))
}

/// A set of that CA, with a certificate that it issued.
pub fn make_set(
    authority: CaCertificate,
    ca_key: &PrivateKey,
    key: &PrivateKey,
    validity: Duration,
) -> StoredSet {
    let bundle = TrustBundle::encode(std::slice::from_ref(&authority));
    let authority = CertificateAuthority::new(authority, ca_key).expect("the key is its own");
    let leaf = authority.issue(key, Usages::BOTH, &[], validity, NOW, &mut FreshMint);
    let chain = CertificateChain::new(leaf.expect("the CA can issue"), None);
    let mut stored = StoredSet::new();
    for (part, value) in [
        (Part::CaCert, bundle),
        (Part::CaKey, ca_key.encode()),
        (Part::Cert, chain.encode()),
        (Part::Key, key.encode()),
    ] {
        set_value(&mut stored, part, &value);
    }
    stored
}

/// A parameter's value.
#[track_caller]
pub fn value(stored: &StoredSet, part: Part) -> &str {
    let parameter = stored.get(&part);
    let Some(parameter) = parameter else {
        panic!("the {part} is missing");
    };
    parameter.value.expose()
}

/// Puts another value into a parameter, behind the back of whoever wrote it.
pub fn set_value(stored: &mut StoredSet, part: Part, value: &str) {
    let version = stored.get(&part).map_or(0, |existing| existing.version);
    let parameter = StoredParameter {
        value: value.into(),
        parameter_type: ParameterType::String,
        version: version + 1,
    };
    stored.insert(part, parameter);
}

/// Puts the CAs of another set behind those of a bundle, as an operator does who trusts them besides.
pub fn trust_besides(stored: &mut StoredSet, other: &StoredSet) {
    let bundle = [&*stored, other].map(|set| certificates(set, Part::CaCert));
    set_value(stored, Part::CaCert, &TrustBundle::encode(&bundle.concat()));
}

/// The certificates of a bundle or a chain, in their order.
#[track_caller]
pub fn certificates(stored: &StoredSet, part: Part) -> Vec<Certificate> {
    let text = PemText::decode(value(stored, part)).expect("the value is base64");
    let blocks = text.blocks.iter();
    blocks
        .map(|block| Certificate::from_der(&block.der).expect("the block is a certificate"))
        .collect()
}

/// The certificate at that place of a bundle or a chain.
#[track_caller]
pub fn certificate(stored: &StoredSet, part: Part, index: usize) -> Certificate {
    certificates(stored, part).swap_remove(index)
}

/// The public key of a stored private key.
#[track_caller]
pub fn public_key(stored: &StoredSet, part: Part) -> Vec<u8> {
    let found = Found::decode(stored);
    let key = match part {
        Part::CaKey => found.ca_key,
        Part::Key => found.server.key,
        Part::ClientKey => found.client.key,
        part => panic!("the {part} is no key"),
    };
    key.expect("the key loads").public_key().to_vec()
}

/// The parts whose values are the same in both sets, of those that either has.
pub fn kept(before: &StoredSet, after: &StoredSet) -> Vec<Part> {
    let is_same = |part: &Part| {
        before.get(part).is_some()
            && before.get(part).map(|p| &p.value) == after.get(part).map(|p| &p.value)
    };
    Part::ALL.into_iter().filter(is_same).collect()
}
