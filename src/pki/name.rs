//! Names of CAs that others made, written again byte for byte.

use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString, UniversalString};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, PKCS_ED25519, PublicKeyData,
    SignatureAlgorithm, SigningKey,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

/// Whether a name (its DER) can be written again byte for byte: rcgen can neither repeat nor combine attributes.
pub(crate) fn is_writable(der: &[u8]) -> bool {
    written_again(der).is_some()
}

/// A name as rcgen writes it, from its DER. That the same DER comes out again is proven by writing it.
pub(crate) fn written_again(der: &[u8]) -> Option<DistinguishedName> {
    let (_, parsed) = X509Name::from_der(der).ok()?;
    let name = copied_name(&parsed)?;
    (written(&name)? == der).then_some(name)
}

fn copied_name(parsed: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut name = DistinguishedName::new();
    for attribute in parsed.iter_attributes() {
        let oid: Vec<u64> = attribute.attr_type().iter()?.collect();
        let value = dn_value(attribute.attr_value().tag(), attribute.as_slice())?;
        name.push(DnType::from_oid(&oid), value);
    }
    Some(name)
}

/// The DER that rcgen writes for a name, which it tells only as a part of something signed.
fn written(name: &DistinguishedName) -> Option<Vec<u8>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name.clone();
    let request = params.serialize_request(&Unsigned).ok()?;
    let (_, request) = X509CertificationRequest::from_der(request.der()).ok()?;
    let name = &request.certification_request_info.subject;
    Some(name.as_raw().to_vec())
}

/// What signs a request that nobody reads the signature of.
struct Unsigned;

impl PublicKeyData for Unsigned {
    fn der_bytes(&self) -> &[u8] {
        &[]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Unsigned {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}

fn dn_value(tag: Tag, bytes: &[u8]) -> Option<DnValue> {
    let text = || std::str::from_utf8(bytes).ok();
    Some(match tag {
        Tag::Utf8String => DnValue::Utf8String(text()?.to_owned()),
        Tag::PrintableString => DnValue::PrintableString(PrintableString::try_from(text()?).ok()?),
        Tag::Ia5String => DnValue::Ia5String(Ia5String::try_from(text()?).ok()?),
        Tag::T61String => DnValue::TeletexString(TeletexString::try_from(text()?).ok()?),
        Tag::BmpString => DnValue::BmpString(BmpString::from_utf16be(bytes.to_vec()).ok()?),
        Tag::UniversalString => {
            DnValue::UniversalString(UniversalString::from_utf32be(bytes.to_vec()).ok()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// countryName, commonName, organizationName and domainComponent, each as DER.
    const TYPES: [&[u8]; 4] = [
        &[0x06, 3, 0x55, 4, 6],
        &[0x06, 3, 0x55, 4, 3],
        &[0x06, 3, 0x55, 4, 10],
        &[
            0x06, 10, 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25,
        ],
    ];

    /// A type by its place in [`TYPES`], the value's tag, and its content.
    pub(crate) type Attribute = (usize, u8, Vec<u8>);

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("names of tests are short");
        let long: &[u8] = if length < 0x80 { &[] } else { &[0x81] };
        [&[tag], long, &[length], content].concat()
    }

    pub(crate) fn make_name(rdns: &[Vec<Attribute>]) -> Vec<u8> {
        let attribute = |(kind, tag, text): &Attribute| {
            tlv(0x30, &[TYPES[*kind], tlv(*tag, text).as_slice()].concat())
        };
        let rdn = |rdn: &Vec<Attribute>| {
            let attributes: Vec<_> = rdn.iter().map(attribute).collect();
            tlv(0x31, &attributes.concat())
        };
        let rdns: Vec<_> = rdns.iter().map(rdn).collect();
        tlv(0x30, &rdns.concat())
    }

    /// UTF8String, PrintableString, TeletexString, IA5String and BMPString.
    fn any_value() -> impl Strategy<Value = (u8, Vec<u8>)> {
        (
            "[A-Za-z0-9 ]{0,6}",
            prop::sample::select(vec![12, 19, 20, 22, 30]),
        )
            .prop_map(|(text, tag)| match tag {
                30 => (tag, text.bytes().flat_map(|byte| [0, byte]).collect()),
                _ => (tag, text.into_bytes()),
            })
    }

    fn any_attribute() -> impl Strategy<Value = Attribute> {
        (0..TYPES.len(), any_value()).prop_map(|(kind, (tag, content))| (kind, tag, content))
    }

    proptest! {
        #[test]
        fn a_name_can_be_written_again_if_no_attribute_is_repeated_or_combined(
            rdns in vec(vec(any_attribute(), 1..=2), 0..4),
        ) {
            let kinds: Vec<_> = rdns.iter().flatten().map(|(kind, ..)| kind).collect();
            let is_plain = rdns.iter().all(|rdn| rdn.len() == 1)
                && kinds.iter().collect::<BTreeSet<_>>().len() == kinds.len();
            prop_assert_eq!(is_writable(&make_name(&rdns)), is_plain);
        }
    }

    #[test]
    fn a_name_of_strings_that_are_none_cannot_be_written_again() {
        for (tag, content) in [
            (12, &b"\xff"[..]),
            (19, b"a@b"),
            (22, b"\xe9"),
            (30, b"a"),
            (18, b"12345"),
            (4, b"octets"),
        ] {
            let name = make_name(&[vec![(1, tag, content.to_vec())]]);
            assert!(!is_writable(&name), "{tag}");
        }
        assert!(!is_writable(b"no name"));
        let name = make_name(&[vec![(1, 12, b"a".to_vec())]]);
        assert!(is_writable(&name));
        assert!(!is_writable(&[&name[..], b"more"].concat()));
    }
}
