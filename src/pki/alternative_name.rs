//! Subject alternative names: the DNS names and IP addresses that an end-entity certificate is good for.

use std::fmt;
use std::net::IpAddr;

/// The longest DNS name in characters (RFC 1035, section 2.3.4).
const MAX_DNS_NAME_CHARS: usize = 253;
/// The longest label of a DNS name in characters (RFC 1035, section 2.3.4).
const MAX_DNS_LABEL_CHARS: usize = 63;

/// A DNS name or an IP address (RFC 5280, section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectAlternativeName {
    /// A DNS name in lower case, perhaps with a wildcard as its first label.
    Dns(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

impl SubjectAlternativeName {
    /// A DNS name as it stands in a certificate.
    pub fn dns(name: &str) -> Self {
        Self::Dns(name.to_ascii_lowercase())
    }

    /// Reads an IP address or a DNS name, as a person writes it. An IPv4 address in IPv6's form, `::ffff:10.0.0.1`, is
    /// read as IPv4: Go looks for no other form in a certificate.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Ip(address.to_canonical()));
        }
        is_dns_name(text).then(|| Self::dns(text))
    }
}

impl fmt::Display for SubjectAlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Letters, digits, hyphens and underscores in labels; a wildcard only as the whole first label; not all digits.
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label_is_good = |label: &str| {
        (1..=MAX_DNS_LABEL_CHARS).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    text.len() <= MAX_DNS_NAME_CHARS
        && name.split('.').all(label_is_good)
        && !name.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (text, expected) in [
            ("localhost", Some(SubjectAlternativeName::dns("localhost"))),
            (
                "*.Example.com",
                Some(SubjectAlternativeName::dns("*.example.com")),
            ),
            (
                "127.0.0.1",
                Some(SubjectAlternativeName::Ip([127, 0, 0, 1].into())),
            ),
            (
                "::1",
                Some(SubjectAlternativeName::Ip(
                    std::net::Ipv6Addr::LOCALHOST.into(),
                )),
            ),
            (
                "::ffff:10.0.0.1",
                Some(SubjectAlternativeName::Ip([10, 0, 0, 1].into())),
            ),
            (
                "::FFFF:a00:1",
                Some(SubjectAlternativeName::Ip([10, 0, 0, 1].into())),
            ),
            ("", None),
            ("a b", None),
            ("a..b", None),
            ("-a", None),
            ("x.*.com", None),
            ("300.1.1.1", None),
            ("https://a", None),
        ] {
            assert_eq!(SubjectAlternativeName::parse(text), expected, "{text:?}");
        }
    }
}
