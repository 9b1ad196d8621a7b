//! The fields of what is issued.

use std::collections::HashSet;

use docker_tls_certgen::pki::certificate::Certificate;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::set::rack::Part;
use time::Duration;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use super::{Origin, families, make_generations};
use crate::store::{NOW, certificates};

const CLOCK_SKEW: Duration = Duration::HOUR;
const LIFETIME: Duration = Duration::days(36_500);

/// What kind of certificate a profile is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Root,
    Cross,
    Leaf,
}

#[test]
fn every_certificate_of_ours_has_the_fields_of_its_profile_and_no_others() {
    for (name, origin, generations) in families() {
        for (generation, stored) in generations.iter().enumerate() {
            let bundle = certificates(stored, Part::CaCert);
            let chain = certificates(stored, Part::Cert);
            let is_ours = |generation| generation > 0 || *origin != Origin::Deployed;
            if !is_ours(generation) {
                continue;
            }
            let what = format!("{name}, generation {generation}");
            let made = if generation == 0 {
                NOW - Duration::days(10)
            } else {
                NOW
            };
            assert_eq!(bundle[0].not_before(), made - CLOCK_SKEW, "{what}");
            assert_eq!(bundle[0].not_after(), made + LIFETIME, "{what}");
            check_profile(Kind::Root, &bundle[0], &bundle[0], &what);
            check_profile(Kind::Leaf, &chain[0], &bundle[0], &what);
            assert_eq!(chain[0].not_before(), made - CLOCK_SKEW, "{what}");
            assert_eq!(chain[0].not_after(), bundle[0].not_after(), "{what}");
            assert_eq!(chain.len(), bundle.len(), "{what}");
            if let [_, anchor] = &bundle[..] {
                let cross = &chain[1];
                check_profile(Kind::Cross, cross, anchor, &what);
                assert_eq!(cross.subject(), bundle[0].subject(), "{what}");
                assert_eq!(cross.subject_key_id(), bundle[0].subject_key_id(), "{what}");
                assert_eq!(cross.not_before(), made - CLOCK_SKEW, "{what}");
                let end = anchor.not_after().min(bundle[0].not_after());
                assert_eq!(cross.not_after(), end, "{what}");
            }
        }
    }
}

#[track_caller]
fn check_profile(kind: Kind, certificate: &Certificate, issuer: &Certificate, what: &str) {
    let (rest, parsed) = X509Certificate::from_der(certificate.der()).expect("it is DER");
    assert!(rest.is_empty(), "{what}");
    let what = format!("{what}, {kind:?}");
    assert_eq!(parsed.version(), X509Version::V3, "{what}");
    let serial = parsed.raw_serial();
    assert!(
        (8..=20).contains(&serial.len()) && serial[0] < 0x80,
        "{what}: {serial:02x?}"
    );
    assert_eq!(parsed.issuer().as_raw(), issuer.subject(), "{what}");
    let (_, signer) = X509Certificate::from_der(issuer.der()).expect("it is DER");
    assert_eq!(
        parsed.verify_signature(Some(signer.public_key())),
        Ok(()),
        "{what}"
    );

    let (mut ids, mut criticals) = (Vec::new(), Vec::new());
    for extension in parsed.extensions() {
        ids.push(extension.oid.to_id_string());
        criticals.extend(extension.critical.then(|| extension.oid.to_id_string()));
        check_extension(
            kind,
            extension.parsed_extension(),
            certificate,
            issuer,
            &what,
        );
    }
    ids.sort();
    criticals.sort();
    let (basic, usage, extended) = ("2.5.29.19", "2.5.29.15", "2.5.29.37");
    let (subject_key, authority_key, names) = ("2.5.29.14", "2.5.29.35", "2.5.29.17");
    let (mut expected, mut critical) = (vec![subject_key, basic, usage], vec![usage]);
    match kind {
        Kind::Root => critical.push(basic),
        Kind::Cross => {
            expected.push(authority_key);
            critical.push(basic);
        }
        Kind::Leaf => {
            expected.extend([authority_key, extended, names]);
            critical.push(basic);
        }
    }
    expected.sort_unstable();
    critical.sort_unstable();
    assert_eq!(ids, expected, "{what}");
    assert_eq!(criticals, critical, "{what}");
}

#[track_caller]
fn check_extension(
    kind: Kind,
    extension: &ParsedExtension<'_>,
    certificate: &Certificate,
    issuer: &Certificate,
    what: &str,
) {
    match extension {
        ParsedExtension::BasicConstraints(constraints) => {
            let expected = match kind {
                Kind::Root => (true, Some(1)),
                Kind::Cross => (true, Some(0)),
                Kind::Leaf => (false, None),
            };
            assert_eq!(
                (constraints.ca, constraints.path_len_constraint),
                expected,
                "{what}"
            );
        }
        ParsedExtension::KeyUsage(usage) => {
            let cert_sign_and_crl_sign = 1 << 5 | 1 << 6;
            let digital_signature = 1;
            let is_leaf = kind == Kind::Leaf;
            let expected = if is_leaf {
                digital_signature
            } else {
                cert_sign_and_crl_sign
            };
            assert_eq!(usage.flags, expected, "{what}");
        }
        ParsedExtension::ExtendedKeyUsage(usage) => {
            assert!(
                usage.server_auth && usage.client_auth && !usage.any,
                "{what}"
            );
            assert!(!usage.code_signing && !usage.email_protection, "{what}");
            assert!(!usage.time_stamping && !usage.ocsp_signing, "{what}");
            assert_eq!(usage.other, Vec::<Oid<'_>>::new(), "{what}");
        }
        ParsedExtension::SubjectKeyIdentifier(id) => {
            assert!(id.0.len() >= 20, "{what}");
        }
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            let id_of_issuer = id.key_identifier.as_ref().map(|id| id.0);
            assert_eq!(id_of_issuer, issuer.subject_key_id(), "{what}");
            assert!(id.authority_cert_issuer.is_none(), "{what}");
            assert!(id.authority_cert_serial.is_none(), "{what}");
        }
        ParsedExtension::SubjectAlternativeName(names) => {
            let expected = [
                GeneralName::DNSName("localhost"),
                GeneralName::IPAddress(&[127, 0, 0, 1]),
            ];
            assert_eq!(names.general_names, expected, "{what}");
        }
        extension => panic!("{what}: {extension:?} in {certificate:?}"),
    }
}

#[test]
fn every_generation_has_subjects_of_its_own_and_every_certificate_a_serial_of_its_own() {
    for origin in [Origin::Deployed, Origin::Own(KeyAlgorithm::EcdsaP256)] {
        let generations = make_generations(origin, KeyAlgorithm::EcdsaP256);
        let (mut names, mut serials) = (HashSet::new(), HashSet::new());
        let mut issued = Vec::new();
        for stored in &generations {
            issued.push(certificates(stored, Part::CaCert).swap_remove(0));
            issued.extend(certificates(stored, Part::Cert));
        }
        let mut crosses = 0;
        for certificate in &issued {
            let (_, parsed) = X509Certificate::from_der(certificate.der()).expect("it is DER");
            serials.insert(parsed.raw_serial().to_vec());
            crosses += usize::from(!names.insert(certificate.subject().to_vec()));
        }
        assert_eq!(serials.len(), issued.len(), "{origin:?}");
        // A cross-certificate bears the name of its CA; the deployed pair bears that of its CA as well.
        assert_eq!(
            crosses,
            3 + usize::from(origin == Origin::Deployed),
            "{origin:?}"
        );
        let newest = &issued[issued.len() - 3];
        assert!(
            newest
                .common_name()
                .starts_with("Docker TLS CA 2027-01-15T12:00:00Z"),
            "{newest:?}"
        );
    }
}

#[test]
fn serials_are_random_and_not_counted() {
    let make = || make_generations(Origin::Deployed, KeyAlgorithm::EcdsaP256);
    let serial = |stored| {
        let ca = certificates(stored, Part::CaCert).swap_remove(0);
        let (_, parsed) = X509Certificate::from_der(ca.der()).expect("it is DER");
        parsed.raw_serial().to_vec()
    };
    assert_ne!(serial(&make()[1]), serial(&make()[1]));
}
