//! CA certificates that were made elsewhere: what works is kept, and what does not lead anywhere is set right.

use docker_tls_certgen::pki::authority::CertificateAuthority;
use docker_tls_certgen::pki::bundle::TrustBundle;
use docker_tls_certgen::pki::certificate::CaCertificate;
use docker_tls_certgen::pki::private_key::{KeyAlgorithm, PrivateKey};
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::inspection::Inspection;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::pair::Pair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use rcgen::{Issuer, KeyPair};
use time::Duration;

use super::made_elsewhere::make_ca_params;
use super::{
    check_accepts, check_all_connect, check_calm, check_refuses, effect, make_plain, make_rotated,
};
use crate::event::{assess, check_kept};
use crate::mint::{FreshMint, pool_key};
use crate::store::{NOW, kept, make_own, make_set, set_value};

/// How an operator's own CA certificate was made.
struct Style {
    issuer: &'static str,
    subject: &'static str,
    /// Whether it tells its issuer's key identifier.
    tells_issuer: bool,
}

/// Intermediate CAs that are trusted by themselves, and so need no signature of their own.
const INTERMEDIATES: [Style; 3] = [
    Style {
        issuer: "Company Root",
        subject: "Company Racks",
        tells_issuer: true,
    },
    Style {
        issuer: "Company Root",
        subject: "Company Racks",
        tells_issuer: false,
    },
    Style {
        issuer: "Convox",
        subject: "Convox",
        tells_issuer: true,
    },
];

/// A set whose CA is an intermediate one.
fn make_intermediate(style: &Style) -> StoredSet {
    let (root_key, ca_key, key) = (pool_key(0), pool_key(1), pool_key(2));
    let root = Issuer::new(make_ca_params(style.issuer), pair(&root_key));
    let mut params = make_ca_params(style.subject);
    params.use_authority_key_identifier_extension = style.tells_issuer;
    let authority = params.signed_by(&pair(&ca_key), &root);
    let authority = authority.expect("the root can sign");
    let authority = CaCertificate::from_der(authority.der()).expect("it is a CA's");
    make_set(authority, &ca_key, &key, Duration::days(1000))
}

fn pair(key: &PrivateKey) -> KeyPair {
    KeyPair::try_from(key.der()).expect("the key loads")
}

#[test]
fn an_intermediate_ca_is_kept_and_rotated_as_any_other() {
    for style in &INTERMEDIATES {
        let stored = make_intermediate(style);
        check_kept(&make_plain(), &stored, NOW);
        let rotated = make_rotated(stored.clone(), &["a", "b"]);
        check_all_connect(&[&stored, &rotated], NOW);
    }
}

#[test]
fn an_intermediate_ca_whose_key_is_lost_is_trusted_on() {
    for style in &INTERMEDIATES {
        let before = make_intermediate(style);
        let mut stored = before.clone();
        stored.remove(&Part::CaKey);
        check_calm(&make_plain(), &mut stored, NOW, Action::Introduce);
        check_all_connect(&[&before, &stored], NOW);
    }
}

#[test]
fn an_intermediate_ca_is_kept_beside_its_root() {
    for style in &INTERMEDIATES {
        let mut stored = make_intermediate(style);
        let root = make_ca_params(style.issuer).self_signed(&pair(&pool_key(0)));
        let root = CaCertificate::from_der(root.expect("it can sign").der());
        let bundle = [only_ca(&stored), root.expect("it is a CA's")];
        set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&bundle));
        let before = stored.clone();
        effect(&make_plain(), &mut stored, NOW);
        assert_eq!(kept(&before, &stored), Part::SHARED, "{}", style.subject);
    }
}

fn only_ca(stored: &StoredSet) -> CaCertificate {
    let bundle = Found::decode(stored).ca_cert.expect("the bundle is good");
    bundle.authorities()[0].clone()
}

/// A set, and the same with a CA certificate that was made again for the same key under another name.
fn make_renamed() -> (StoredSet, StoredSet) {
    let before = make_own(KeyAlgorithm::EcdsaP256);
    let key = Found::decode(&before).ca_key.expect("the key loads");
    let again = CertificateAuthority::create(&key, Duration::days(40_000), NOW, &mut FreshMint);
    let again = again.expect("the CA can be made").certificate().clone();
    let mut stored = before.clone();
    set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&[again]));
    (before, stored)
}

#[test]
fn beside_one_that_was_made_again_the_attributes_show_the_ca_certificate_that_is_kept() {
    let (before, mut stored) = make_renamed();
    let bundle = [only_ca(&before), only_ca(&stored)];
    assert!(bundle[1].not_after() > bundle[0].not_after());
    set_value(&mut stored, Part::CaCert, &TrustBundle::encode(&bundle));
    check_kept(&make_plain(), &stored, NOW);
    let assessment = assess(&stored);
    let shown = assessment.current_ca_certificate();
    assert_eq!(shown, Some(&bundle[0]));
    let inspection = Inspection::of(&make_plain(), &stored, NOW);
    let fingerprint = bundle[0].fingerprint().to_string();
    assert_eq!(inspection.current_ca, Some(fingerprint));
}

#[test]
fn a_certificate_that_the_ca_key_signed_under_another_name_is_reissued_and_the_cas_values_stay() {
    let (_, mut stored) = make_renamed();
    let found = effect(&make_plain(), &mut stored, NOW);
    assert_eq!(found.causes, [Cause::NotIssuedBySet { pair: Pair::Server }]);
    assert_eq!(
        (found.action, found.cut_off),
        (Action::Reissue, CutOff::Nobody)
    );
    let kept = [Part::CaCert, Part::CaKey, Part::Key, Part::State];
    assert_eq!(found.kept, kept);
    check_accepts(&stored, &stored, NOW);
}

#[test]
fn where_the_ca_key_is_lost_as_well_the_log_says_whom_it_cuts_off() {
    let (before, mut stored) = make_renamed();
    stored.remove(&Part::CaKey);
    let found = effect(&make_plain(), &mut stored, NOW);
    assert_eq!(
        (found.action, found.cut_off),
        (Action::Replace, CutOff::Everyone)
    );
    check_refuses(&before, &stored, NOW);
}
