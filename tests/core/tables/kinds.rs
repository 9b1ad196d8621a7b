//! Certificates and keys of kinds that this function does not make: what is known of them, and what is not.

use std::path::{Path, PathBuf};

use docker_tls_certgen::pki::alternative_name::SubjectAlternativeName;
use docker_tls_certgen::pki::authority::{CertificateAuthority, IssueError};
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::{CaCertificate, Certificate};
use docker_tls_certgen::pki::chain::CertificateChain;
use docker_tls_certgen::pki::private_key::{KeyAlgorithm, PrivateKey};
use docker_tls_certgen::pki::undecodable::Undecodable;
use docker_tls_certgen::pki::usages::{Usage, Usages};
use docker_tls_certgen::pki::weakness::Weakness;
use docker_tls_certgen::set::rack::Part;
use serde_json::Value;
use tempfile::TempDir;
use time::Duration;

use crate::damage::text_of;
use crate::mint::{FreshMint, pool_key};
use crate::openssl::{run, text};
use crate::store::{NOW, certificates, make_deployed, make_other_deployed, make_own};

/// What is known of a set that people have laid on an instance.
struct Case {
    file: &'static str,
    set: &'static str,
    /// Whether the signatures by the CA's key can be checked.
    is_checked: bool,
    /// Whether the CA's key signs here.
    ca_signs: bool,
    /// Whether the end-entity's key signs here.
    leaf_signs: bool,
}

macro_rules! case {
    ($file:literal, $is_checked:literal, $ca_signs:literal, $leaf_signs:literal) => {
        Case {
            file: $file,
            set: include_str!(concat!("../../fixtures/cases/", $file, ".json")),
            is_checked: $is_checked,
            ca_signs: $ca_signs,
            leaf_signs: $leaf_signs,
        }
    };
}

const CASES: [Case; 10] = [
    case!("ecdsa-sha512", false, true, true),
    case!("expired-ca-beside", true, true, true),
    case!("name-constraints", true, true, true),
    case!("p521-ca", false, false, true),
    case!("partner-ca", true, true, true),
    case!("path-length-0", true, true, true),
    case!("pinned-client-certificate", true, true, true),
    case!("repeated-name-part", true, true, true),
    case!("rsa-1024", false, false, false),
    case!("rsa-3072-ca", true, true, true),
];

/// A case's values, decoded.
struct Set {
    ca: CaCertificate,
    ca_key: PrivateKey,
    leaf: Certificate,
    key: PrivateKey,
}

impl Case {
    #[track_caller]
    fn read(&self) -> Set {
        let set: Value = serde_json::from_str(self.set).expect("cases are JSON");
        let value = |name: &str| set[name].as_str().expect("cases hold text").to_owned();
        let key = |name| {
            let value = value(name);
            let key = PrivateKey::decode(&value).expect("the key loads");
            let label = |value: &str| text_of(value).lines().next().map(ToOwned::to_owned);
            assert_eq!(label(&key.encode()), label(&value), "{name}");
            let again = PrivateKey::decode(&key.encode()).expect("the key loads again");
            assert_eq!(again.der(), key.der());
            key
        };
        let bundle = TrustBundle::decode(&value("ca-cert")).expect("there is a CA");
        let chain = CertificateChain::decode(&value("cert")).expect("there is a leaf");
        Set {
            ca: bundle.authorities()[0].clone(),
            ca_key: key("ca-key"),
            leaf: chain.leaf().clone(),
            key: key("key"),
        }
    }
}

#[test]
fn the_cases_fit_together_whatever_can_be_checked_of_them() {
    for case in CASES {
        let Set {
            ca,
            ca_key,
            leaf,
            key,
        } = case.read();
        let file = case.file;
        assert_eq!(ca.public_key(), ca_key.public_key(), "{file}");
        assert_eq!(leaf.public_key(), key.public_key(), "{file}");
        assert!(ca.has_issued(&leaf), "{file}");
        assert!(!ca.is_unsigned_root(), "{file}");
        let checked = leaf.is_issued_by(ca.subject(), ca.public_key());
        assert_eq!(checked, case.is_checked, "{file}");
        assert_eq!(ca_key.can_sign(), case.ca_signs, "{file}");
        assert_eq!(key.can_sign(), case.leaf_signs, "{file}");
        assert_eq!(leaf.weakness(), None, "{file}");
    }
}

#[test]
fn the_limits_of_a_ca_are_read_off_its_certificate() {
    for case in CASES {
        let ca = case.read().ca;
        let path_length = (case.file == "path-length-0").then_some(0);
        assert_eq!(ca.path_length(), path_length, "{}", case.file);
        let is_constrained = case.file == "name-constraints";
        assert_eq!(
            ca.name_constraints().is_some(),
            is_constrained,
            "{}",
            case.file
        );
        assert!(!ca.is_version_1());
        if let Some(constraints) = ca.name_constraints() {
            let allow = |name: &str| {
                let name = SubjectAlternativeName::parse(name);
                constraints.allow(&name.expect("it is a name"))
            };
            assert!(allow("docker.internal.example") && allow("127.0.0.1"));
            assert!(!allow("localhost"));
        }
    }
}

#[test]
fn what_is_deployed_and_what_is_issued_has_no_weakness() {
    let own = KeyAlgorithm::ALL.map(make_own);
    for set in own.iter().chain(&[make_deployed(), make_other_deployed()]) {
        let leaf = &certificates(set, Part::Cert)[0];
        assert_eq!(leaf.weakness(), None);
    }
}

#[test]
fn a_ca_signs_with_a_key_that_can_and_under_a_name_that_can_be_written() {
    for case in CASES {
        let Set { ca, ca_key, .. } = case.read();
        let subject = ca.subject().to_vec();
        let authority = match CertificateAuthority::new(ca, &ca_key) {
            Ok(authority) => authority,
            Err(error) => {
                assert!(matches!(error, IssueError::UnusableKey), "{error}");
                assert!(!case.ca_signs, "{}", case.file);
                continue;
            }
        };
        let key = pool_key(0);
        let issued = authority.issue(
            &key,
            Usages::BOTH,
            &[],
            Duration::days(1),
            NOW,
            &mut FreshMint,
        );
        match issued {
            Ok(leaf) => assert!(leaf.is_issued_by(&subject, ca_key.public_key())),
            Err(error) => {
                assert!(
                    matches!(error, IssueError::UnwritableName { .. }),
                    "{error}"
                );
                assert_eq!(case.file, "repeated-name-part");
            }
        }
    }
}

#[test]
fn nothing_is_issued_for_a_key_that_cannot_sign() {
    let (ca_key, bench) = (pool_key(0), Bench::new());
    let authority = CertificateAuthority::create(&ca_key, Duration::days(1), NOW, &mut FreshMint);
    let key = load(&bench.key("short", &RSA_1024)).expect("it loads");
    let issued = authority.expect("it can sign").issue(
        &key,
        Usages::BOTH,
        &[],
        Duration::days(1),
        NOW,
        &mut FreshMint,
    );
    assert!(matches!(issued, Err(IssueError::UnusableKey)));
}

/// A folder in which openssl makes what rcgen cannot.
struct Bench(TempDir);

/// Arguments of `openssl genpkey`.
type KeyKind = [&'static str; 4];

const fn ec(curve: &'static str) -> KeyKind {
    ["-algorithm", "EC", "-pkeyopt", curve]
}

const P256: KeyKind = ec("ec_paramgen_curve:P-256");
const P384: KeyKind = ec("ec_paramgen_curve:P-384");
const P521: KeyKind = ec("ec_paramgen_curve:P-521");
const P224: KeyKind = ec("ec_paramgen_curve:P-224");
const BITCOIN: KeyKind = ec("ec_paramgen_curve:secp256k1");
const ED25519: KeyKind = ["-algorithm", "ED25519", "-outform", "PEM"];
const RSA_512: KeyKind = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"];
const RSA_1024: KeyKind = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
const RSA_2048: KeyKind = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

const ROLES: &str = "extendedKeyUsage=serverAuth,clientAuth";
const NAMES_ISSUER: &str = "authorityKeyIdentifier=keyid";
/// Without it, some versions of OpenSSL name the issuer's key.
const NAMES_NOBODY: &str = "authorityKeyIdentifier=none";

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room for a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs openssl, and writes what it says to a file.
    #[track_caller]
    fn make(&self, file: &str, arguments: &[&str]) -> PathBuf {
        let output = run(arguments, b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        let path = self.path(file);
        std::fs::write(&path, output.stdout).expect("the folder is ours");
        path
    }

    #[track_caller]
    fn key(&self, file: &str, kind: &KeyKind) -> PathBuf {
        self.make(file, &[&["genpkey"], &kind[..]].concat())
    }

    /// A self-signed CA certificate; all have one name.
    #[track_caller]
    fn root(&self, file: &str, key: &Path, more: &[&str]) -> PathBuf {
        let usage = "keyUsage=critical,keyCertSign";
        let plain = ["req", "-x509", "-new", "-key", text(key), "-subj", "/CN=CA"];
        let arguments = [&plain[..], &["-days", "4000", "-addext", usage], more].concat();
        self.make(file, &arguments)
    }

    /// An end-entity certificate with these extensions, signed by a root's key.
    #[track_caller]
    fn leaf(&self, root: &Path, key: &Path, more: &[&str], extensions: &[&str]) -> Certificate {
        let own = self.key("leaf.key", &P256);
        let request = ["req", "-new", "-key", text(&own), "-subj", "/CN=leaf"];
        let request = self.make("leaf.csr", &request);
        let extensions_file = self.path("leaf.ext");
        let lines = [&["basicConstraints=CA:FALSE"], extensions].concat();
        std::fs::write(&extensions_file, lines.join("\n")).expect("the folder is ours");
        let plain = [
            ["x509", "-req", "-in", text(&request)],
            ["-CA", text(root), "-CAkey", text(key)],
            ["-days", "400", "-extfile", text(&extensions_file)],
        ]
        .concat();
        let serial = if more.contains(&"-set_serial") {
            &[][..]
        } else {
            &["-set_serial", "7"][..]
        };
        read_leaf(&self.make("leaf.pem", &[&plain, serial, more].concat()))
    }
}

/// The DER of the only block of a file.
#[track_caller]
fn der(path: &Path) -> Vec<u8> {
    let text = std::fs::read(path).expect("it was written");
    pem::parse(text)
        .expect("openssl writes PEM")
        .into_contents()
}

#[track_caller]
fn read_leaf(path: &Path) -> Certificate {
    Certificate::from_der(&der(path)).expect("it parses")
}

#[track_caller]
fn read_ca(path: &Path) -> CaCertificate {
    CaCertificate::from_der(&der(path)).expect("it is a CA's")
}

#[track_caller]
fn load(path: &Path) -> Result<PrivateKey, Undecodable> {
    PrivateKey::from_der(&der(path))
}

/// How a CA signs, and whether that can be checked.
const SIGNATURES: [(&str, KeyKind, &[&str], bool); 14] = [
    ("P-256 SHA-256", P256, &["-sha256"], true),
    ("P-256 SHA-384", P256, &["-sha384"], true),
    ("P-256 SHA-512", P256, &["-sha512"], false),
    ("P-256 SHA-224", P256, &["-sha224"], false),
    ("P-256 SHA-1", P256, &["-sha1"], false),
    ("P-384 SHA-384", P384, &["-sha384"], true),
    ("P-384 SHA-512", P384, &["-sha512"], false),
    ("P-521 SHA-256", P521, &["-sha256"], false),
    ("P-224 SHA-256", P224, &["-sha256"], false),
    ("RSA-1024 SHA-256", RSA_1024, &["-sha256"], false),
    ("RSA-1024 SHA-1", RSA_1024, &["-sha1"], true),
    ("RSA-2048 SHA-512", RSA_2048, &["-sha512"], true),
    ("RSA-2048 SHA-224", RSA_2048, &["-sha224"], false),
    (
        "RSA-2048 PSS with a short salt",
        RSA_2048,
        &[
            "-sha256",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:20",
        ],
        false,
    ),
];

#[test]
fn a_signature_that_cannot_be_checked_is_good_unless_the_key_identifiers_name_two_keys() {
    let bench = Bench::new();
    let stranger_key = bench.key("stranger.key", &ED25519);
    let stranger = read_ca(&bench.root("stranger.pem", &stranger_key, &[]));
    for (name, kind, more, is_checked) in SIGNATURES {
        let key = bench.key("ca.key", &kind);
        let root = bench.root("ca.pem", &key, more);
        let other_key = bench.key("other.key", &kind);
        let other = read_ca(&bench.root("other.pem", &other_key, more));
        let ca = read_ca(&root);
        assert!(!ca.is_unsigned_root(), "{name}");
        for (extensions, tells_issuer) in [
            (&[ROLES, NAMES_ISSUER][..], true),
            (&[ROLES, NAMES_NOBODY], false),
        ] {
            let leaf = bench.leaf(&root, &key, more, extensions);
            assert!(ca.has_issued(&leaf), "{name}");
            assert_eq!(leaf.is_signed_by(ca.public_key()), is_checked, "{name}");
            let may_be_others = !is_checked && !tells_issuer;
            assert_eq!(other.has_issued(&leaf), may_be_others, "{name}");
            assert!(!leaf.is_signed_by(other.public_key()), "{name}");
            // A key of another kind cannot have made any of these signatures.
            assert!(!stranger.has_issued(&leaf), "{name}");
            let altered = make_altered(&leaf);
            assert_eq!(ca.has_issued(&altered), !is_checked, "{name}");
        }
    }
}

/// The same certificate, with the last bit of its signature changed.
fn make_altered(certificate: &Certificate) -> Certificate {
    let mut der = certificate.der().to_vec();
    *der.last_mut().expect("a certificate is not empty") ^= 1;
    Certificate::from_der(&der).expect("it still parses")
}

#[test]
fn a_signature_that_no_daemon_of_today_takes_is_a_weakness() {
    let bench = Bench::new();
    let [p256, rsa] = [&P256, &RSA_2048].map(|kind| bench.key(kind[1], kind));
    let dsa = bench.make("dsa.key", &["dsaparam", "-genkey", "-noout", "1024"]);
    let pss = ["-sha1", "-sigopt", "rsa_padding_mode:pss"];
    for (key, more, expected) in [
        (&rsa, &["-md5"][..], Some("RSA over MD5")),
        (&rsa, &["-sha1"], Some("RSA over SHA-1")),
        (&rsa, &["-sha224"], Some("RSA over SHA-224")),
        (&rsa, &pss, Some("RSA-PSS over SHA-1")),
        (&rsa, &["-sha512"], None),
        (&p256, &["-sha1"], Some("ECDSA over SHA-1")),
        (&p256, &["-sha224"], Some("ECDSA over SHA-224")),
        (&p256, &["-sha512"], None),
        (&dsa, &["-sha1"], Some("DSA over SHA-1")),
        (&dsa, &["-sha256"], Some("DSA over SHA-256")),
    ] {
        let root = bench.root("root.pem", key, &[]);
        let leaf = bench.leaf(&root, key, more, &[ROLES]);
        let expected = expected.map(|algorithm| Weakness::Signature { algorithm });
        assert_eq!(leaf.weakness(), expected, "{more:?}");
    }
}

#[test]
fn a_negative_serial_number_is_a_weakness() {
    let bench = Bench::new();
    let key = bench.key("ca.key", &P256);
    let root = bench.root("root.pem", &key, &[]);
    let leaf = bench.leaf(&root, &key, &["-set_serial", "-5"], &[ROLES]);
    assert_eq!(leaf.weakness(), Some(Weakness::NegativeSerial));
    let words = Weakness::NegativeSerial.to_string();
    assert!(words.starts_with("has a negative serial number"), "{words}");
}

#[test]
fn a_certificate_is_good_on_the_sides_that_its_usages_name() {
    let bench = Bench::new();
    let key = bench.key("ca.key", &P256);
    let root = bench.root("root.pem", &key, &[]);
    for (usage, expected) in [
        ("", [true, true]),
        ("extendedKeyUsage=anyExtendedKeyUsage", [true, true]),
        (
            "extendedKeyUsage=anyExtendedKeyUsage,codeSigning",
            [true, true],
        ),
        ("extendedKeyUsage=serverAuth", [true, false]),
        ("extendedKeyUsage=clientAuth,codeSigning", [false, true]),
        ("extendedKeyUsage=1.2.3.4", [false, false]),
    ] {
        let usages = bench.leaf(&root, &key, &[], &[usage]).usages();
        let sides = [Usage::Server, Usage::Client].map(|side| usages.include(side));
        assert_eq!(sides, expected, "{usage}");
    }
}

/// A root of version 1, which has no extensions: made by `openssl x509 -req -signkey` in OpenSSL 3.0.
const VERSION_1_ROOT: &str = include_str!("../../fixtures/version-1-root.pem");

#[test]
fn a_self_issued_certificate_of_version_1_is_a_cas() {
    let root = pem::parse(VERSION_1_ROOT).expect("it is PEM");
    let root = CaCertificate::from_der(root.contents()).expect("it is a CA's");
    assert!(root.is_version_1() && !root.is_unsigned_root());
    assert_eq!((root.path_length(), root.name_constraints()), (None, None));
    // Of version 3, one without cA=TRUE is a certificate that is trusted by itself, and no more.
    let bench = Bench::new();
    let key = bench.key("ca.key", &P256);
    let pinned = bench.root(
        "pinned.pem",
        &key,
        &["-addext", "basicConstraints=CA:FALSE"],
    );
    let pinned = CaCertificate::new(read_leaf(&pinned));
    assert_eq!(pinned.err(), Some(Undecodable::NotACa));
}

#[test]
fn keys_load_in_every_form_and_tell_whether_they_sign_here() {
    let bench = Bench::new();
    for (kind, signs, form, label) in [
        (&P256, true, "EC", "EC PRIVATE KEY"),
        (&P384, true, "EC", "EC PRIVATE KEY"),
        (&P521, false, "EC", "EC PRIVATE KEY"),
        (&P224, false, "EC", "EC PRIVATE KEY"),
        (&RSA_512, false, "RSA", "RSA PRIVATE KEY"),
        (&RSA_1024, false, "RSA", "RSA PRIVATE KEY"),
        (&RSA_2048, true, "RSA", "RSA PRIVATE KEY"),
    ] {
        let plain = bench.key("plain.key", kind);
        let command = if form == "EC" { "ec" } else { "rsa" };
        let mut arguments = vec![command, "-in", text(&plain)];
        arguments.extend((form == "RSA").then_some("-traditional"));
        let traditional = bench.make("traditional.key", &arguments);
        let public = ["pkey", "-in", text(&plain), "-pubout"];
        let public = der(&bench.make("public.pem", &public));
        for (path, label) in [(plain, "PRIVATE KEY"), (traditional, label)] {
            let key = load(&path).expect("it loads");
            assert_eq!(key.public_key(), public, "{kind:?}");
            assert_eq!(key.can_sign(), signs, "{kind:?}");
            assert_eq!(key.der(), der(&path), "{kind:?}");
            let first_line = format!("-----BEGIN {label}-----\n");
            assert!(text_of(&key.encode()).starts_with(&first_line), "{kind:?}");
            assert_eq!(format!("{key:?}"), "PrivateKey([elided])");
        }
    }
}

#[test]
fn a_key_on_a_curve_that_go_does_not_know_does_not_load() {
    let bench = Bench::new();
    let key = bench.key("plain.key", &BITCOIN);
    assert_eq!(load(&key).err(), Some(Undecodable::KeyDoesNotLoad));
}

#[test]
fn a_short_rsa_key_whose_modulus_is_not_the_product_of_its_primes_does_not_load() {
    let bench = Bench::new();
    let key = bench.key("plain.key", &RSA_1024);
    let key = bench.make(
        "traditional.key",
        &["rsa", "-in", text(&key), "-traditional"],
    );
    let sound = der(&key);
    assert!(PrivateKey::from_der(&sound).is_ok());
    // The modulus is behind the sequence's and the version's headers; the first prime in the second half.
    for at in [20, 330] {
        let mut altered = sound.clone();
        altered[at] ^= 1;
        assert!(PrivateKey::from_der(&altered).is_err(), "{at}");
    }
    assert!(PrivateKey::from_der(&sound[..sound.len() - 1]).is_err());
}

#[test]
fn a_key_on_p_224_loads_only_with_its_public_key() {
    let bench = Bench::new();
    let key = bench.key("plain.key", &P224);
    let bare = bench.make("bare.key", &["ec", "-in", text(&key), "-no_public"]);
    assert!(load(&bare).is_err());
    let compressed = ["ec", "-in", text(&key), "-conv_form", "compressed"];
    assert!(load(&bench.make("compressed.key", &compressed)).is_err());
}

#[test]
fn a_key_on_p_521_loads_without_its_public_key() {
    let bench = Bench::new();
    let key = bench.key("plain.key", &P521);
    let bare = bench.make("bare.key", &["ec", "-in", text(&key), "-no_public"]);
    let [key, bare] = [key, bare].map(|path| load(&path).expect("it loads"));
    assert_eq!(key.public_key(), bare.public_key());
    assert!(!bare.can_sign());
}
