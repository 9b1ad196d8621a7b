//! The root certificates by which a server is believed.

use std::env;
use std::fmt;

use rustls::RootCertStore;
use rustls_native_certs::CertificateResult;
use webpki_roots::TLS_SERVER_ROOTS;

/// The variables that name other roots than the usual ones, as OpenSSL has them.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// How many errors a text has at most.
const MAX_NAMED: usize = 3;

/// Where roots come from, unless `SSL_CERT_FILE` or `SSL_CERT_DIR` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots {
    /// From this build, which has those that Mozilla trusts: no file has to be read and no certificate decoded.
    BuiltIn,
    /// From where the machine's system keeps those that it trusts.
    System,
}

/// No root could be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "no root certificate could be read of {origin}{}; expected certificates in PEM, where the system keeps those of its \
     package ca-certificates, or where SSL_CERT_FILE or SSL_CERT_DIR says",
    listed(.errors)
)]
pub struct NoRoots {
    origin: Origin,
    errors: Vec<String>,
}

/// Where roots were taken from, in words for whoever looks for a missing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This build.
    Build,
    /// The system.
    System,
    /// These variables, each with its value.
    Variables(Vec<(&'static str, String)>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build => f.write_str("Mozilla's list, as this build has it"),
            Self::System => f.write_str("this system"),
            Self::Variables(variables) => {
                let named = variables
                    .iter()
                    .map(|(name, value)| format!("{name} ({value})"));
                f.write_str(&named.collect::<Vec<_>>().join(" and "))
            }
        }
    }
}

/// Takes the roots.
pub fn load(roots: Roots) -> Result<(RootCertStore, Origin), NoRoots> {
    let named = VARIABLES.into_iter().filter_map(|name| {
        let value = env::var_os(name)?;
        Some((name, value.to_string_lossy().into_owned()))
    });
    let named: Vec<_> = named.collect();
    let origin = match roots {
        _ if !named.is_empty() => Origin::Variables(named),
        Roots::System => Origin::System,
        Roots::BuiltIn => {
            let roots = TLS_SERVER_ROOTS.to_vec();
            return Ok((RootCertStore { roots }, Origin::Build));
        }
    };
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(certs);
    let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if ignored > 0 {
        errors.push(format!("certificates that cannot be decoded: {ignored}"));
    }
    if store.is_empty() {
        return Err(NoRoots { origin, errors });
    }
    if !errors.is_empty() {
        let roots = store.len();
        tracing::warn!(%origin, roots, "not all root certificates could be read{}", listed(&errors));
    }
    Ok((store, origin))
}

/// The first errors, each behind a colon.
fn listed(errors: &[String]) -> String {
    let mut parts = vec![""];
    parts.extend(errors.iter().take(MAX_NAMED).map(String::as_str));
    if errors.len() > MAX_NAMED {
        parts.push("…");
    }
    parts.join(": ")
}
