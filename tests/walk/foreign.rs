//! CAs and client certificates that are not the rack's, and that an operator adds to its bundle.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// A client that is not the rack's.
pub struct Client {
    /// What the bundle has to hold for it: a CA, or its own certificate.
    pub trusted: Vec<u8>,
    /// What it presents.
    pub presented: Vec<u8>,
}

impl Client {
    /// One whose CA is in the bundle.
    pub fn of_a_partner(number: usize) -> Self {
        let mut ca = make_params(&format!("partner CA {number}"));
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca, make_key()).expect("a CA can be made");
        let mut leaf = make_params(&format!("partner {number}"));
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = leaf.signed_by(&make_key(), &ca);
        let leaf = leaf.expect("a certificate can be made");
        Self {
            trusted: ca.der().to_vec(),
            presented: leaf.der().to_vec(),
        }
    }

    /// One whose own certificate is in the bundle.
    pub fn pinned(number: usize) -> Self {
        let mut own = make_params(&format!("pinned {number}"));
        own.is_ca = IsCa::ExplicitNoCa;
        let own = own.self_signed(&make_key());
        let own = own.expect("a certificate can be made").der().to_vec();
        Self {
            trusted: own.clone(),
            presented: own,
        }
    }
}

fn make_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

fn make_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(9000, 1, 1);
    params
}
