//! Name constraints: which names a CA's certificates may be good for (RFC 5280, section 4.2.1.10).

use std::net::IpAddr;

use x509_parser::extensions::{self, GeneralName, GeneralSubtree};

use crate::pki::alternative_name::SubjectAlternativeName;

/// The DNS names and IP addresses that a CA certificate permits and excludes, as Go's `Certificate.Verify` obeys them,
/// whether they are critical or not.
///
/// Names of other kinds stand in no certificate of this function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    permitted: Subtrees,
    excluded: Subtrees,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Subtrees {
    dns: Vec<String>,
    ip: Vec<Network>,
}

/// An address and its mask, each of 4 or of 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    address: Vec<u8>,
    mask: Vec<u8>,
}

impl NameConstraints {
    pub(crate) fn new(parsed: &extensions::NameConstraints<'_>) -> Self {
        let subtrees = |found: &Option<Vec<GeneralSubtree<'_>>>| {
            found.as_deref().map(Subtrees::new).unwrap_or_default()
        };
        Self {
            permitted: subtrees(&parsed.permitted_subtrees),
            excluded: subtrees(&parsed.excluded_subtrees),
        }
    }

    /// The permitted domains and whatever is one label below them.
    pub(crate) fn permitted_dns_names(&self) -> Vec<SubjectAlternativeName> {
        let names = self.permitted.dns.iter().flat_map(|tree| {
            let domain = tree.trim_start_matches('.');
            [domain.to_owned(), format!("*.{domain}")]
        });
        let names = names.filter_map(|name| SubjectAlternativeName::parse(&name));
        names.filter(|name| self.allow(name)).collect()
    }

    /// Whether a certificate for this name may stand below: it is not excluded, and it is permitted, or of a kind that
    /// no permitted subtree speaks of.
    pub fn allow(&self, name: &SubjectAlternativeName) -> bool {
        match name {
            SubjectAlternativeName::Dns(name) => {
                let (permitted, excluded) = (&self.permitted.dns, &self.excluded.dns);
                let is_permitted =
                    permitted.is_empty() || permitted.iter().any(|tree| holds_dns(tree, name));
                is_permitted && !excluded.iter().any(|tree| touches_dns(tree, name))
            }
            SubjectAlternativeName::Ip(address) => {
                let (permitted, excluded) = (&self.permitted.ip, &self.excluded.ip);
                let is_permitted =
                    permitted.is_empty() || permitted.iter().any(|tree| tree.holds(*address));
                is_permitted && !excluded.iter().any(|tree| tree.holds(*address))
            }
        }
    }
}

impl Subtrees {
    fn new(parsed: &[GeneralSubtree<'_>]) -> Self {
        let mut subtrees = Self::default();
        for subtree in parsed {
            match &subtree.base {
                GeneralName::DNSName(name) => subtrees.dns.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => {
                    let (address, mask) = bytes.split_at(bytes.len() / 2);
                    subtrees.ip.push(Network {
                        address: address.to_vec(),
                        mask: mask.to_vec(),
                    });
                }
                _ => {}
            }
        }
        subtrees
    }
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        let holds = |bytes: &[u8]| {
            let differs = |((byte, own), mask): ((&u8, &u8), &u8)| (byte ^ own) & mask != 0;
            bytes.len() == self.address.len()
                && bytes.len() == self.mask.len()
                && !bytes.iter().zip(&self.address).zip(&self.mask).any(differs)
        };
        match address {
            IpAddr::V4(address) => holds(&address.octets()),
            IpAddr::V6(address) => holds(&address.octets()),
        }
    }
}

/// Whether a DNS name lies within a subtree: an empty one holds all, and one that starts with a dot does not hold the
/// domain itself (`matchDomainConstraint` in Go's crypto/x509).
fn holds_dns(subtree: &str, name: &str) -> bool {
    labels_within(subtree, name, 0)
}

/// Whether a DNS name, or one that its wildcard stands for, may lie within an excluded subtree: for a wildcard, Go (from
/// 1.24.11 and 1.25.5 on) leaves out the first label of both.
fn touches_dns(subtree: &str, name: &str) -> bool {
    let is_wide = name.starts_with('*') && subtree.trim_start_matches('.').contains('.');
    labels_within(subtree, name, usize::from(is_wide))
}

/// Whether the name ends with the subtree's labels, but for as many of its first ones as are left out.
fn labels_within(subtree: &str, name: &str, left_out: usize) -> bool {
    if subtree.is_empty() {
        return true;
    }
    let (domain, more) = match subtree.strip_prefix('.') {
        Some(domain) => (domain, 1),
        None => (subtree, 0),
    };
    let (wanted, found) = (domain.split('.').count(), name.split('.').count());
    found >= wanted + more
        && domain
            .rsplit('.')
            .take(wanted - left_out)
            .eq(name.rsplit('.').take(wanted - left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_constraints(permitted: &[&str], excluded: &[&str]) -> NameConstraints {
        let subtrees = |texts: &[&str]| {
            let mut subtrees = Subtrees::default();
            for text in texts {
                match text.split_once('/') {
                    Some((address, mask)) => {
                        let bytes = |text: &str| match text.parse().expect("an address") {
                            IpAddr::V4(address) => address.octets().to_vec(),
                            IpAddr::V6(address) => address.octets().to_vec(),
                        };
                        subtrees.ip.push(Network {
                            address: bytes(address),
                            mask: bytes(mask),
                        });
                    }
                    None => subtrees.dns.push((*text).to_owned()),
                }
            }
            subtrees
        };
        NameConstraints {
            permitted: subtrees(permitted),
            excluded: subtrees(excluded),
        }
    }

    #[track_caller]
    fn check(permitted: &[&str], excluded: &[&str], names: &[(&str, bool)]) {
        let constraints = make_constraints(permitted, excluded);
        for (name, allowed) in names {
            let parsed = SubjectAlternativeName::parse(name).expect("a name");
            assert_eq!(constraints.allow(&parsed), *allowed, "{name}");
        }
    }

    #[test]
    fn a_permitted_domain_holds_itself_and_what_is_below() {
        check(
            &["internal.example"],
            &[],
            &[
                ("internal.example", true),
                ("docker.internal.example", true),
                ("*.internal.example", true),
                ("Docker.Internal.Example", true),
                ("example", false),
                ("notinternal.example", false),
                ("localhost", false),
                ("127.0.0.1", true),
                ("::1", true),
            ],
        );
    }

    #[test]
    fn a_leading_dot_leaves_out_the_domain_itself() {
        let names = [
            ("example", false),
            ("a.example", true),
            ("b.a.example", true),
            ("*.example", true),
        ];
        check(&[".example"], &[], &names);
        check(&[], &[".example"], &names.map(|(name, is)| (name, !is)));
    }

    #[test]
    fn an_empty_subtree_holds_every_name_of_its_kind() {
        check(&[""], &[], &[("localhost", true), ("10.0.0.1", true)]);
        check(&[], &[""], &[("localhost", false), ("10.0.0.1", true)]);
    }

    #[test]
    fn what_is_excluded_is_so_though_it_is_permitted() {
        check(
            &["example", "10.0.0.0/255.0.0.0"],
            &["secret.example", "10.9.0.0/255.255.0.0"],
            &[
                ("a.example", true),
                ("secret.example", false),
                ("a.secret.example", false),
                ("10.1.2.3", true),
                ("10.9.2.3", false),
                ("11.0.0.1", false),
                ("::1", false),
            ],
        );
    }

    #[test]
    fn a_wildcard_that_stands_for_an_excluded_name_is_excluded() {
        check(
            &[],
            &["secret.example"],
            &[
                ("*.example", false),
                ("*.secret.example", false),
                ("*.other", true),
            ],
        );
    }

    #[test]
    fn an_address_is_held_by_a_network_of_its_own_family_alone() {
        check(
            &["fd00::/ff00::"],
            &[],
            &[("fd12::1", true), ("fe80::1", false), ("127.0.0.1", false)],
        );
        check(&["0.0.0.0/0.0.0.0"], &[], &[("9.9.9.9", true)]);
    }
}
