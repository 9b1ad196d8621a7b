//! On which sides of a connection an end-entity certificate is good: its extended key usages, as Go reads them.

use rcgen::ExtendedKeyUsagePurpose;
use x509_parser::prelude::X509Certificate;

/// One side of a TLS connection, as an extended key usage names it (RFC 5280, section 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// `serverAuth`: a daemon presents it.
    Server,
    /// `clientAuth`: the API presents it, or `docker`.
    Client,
}

impl Usage {
    /// Who presents it, with the article.
    pub const fn presenter(self) -> &'static str {
        match self {
            Self::Server => "a server",
            Self::Client => "a client",
        }
    }

    /// The usage's name in the standard.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "serverAuth",
            Self::Client => "clientAuth",
        }
    }
}

/// The sides on which a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Usages {
    server: bool,
    client: bool,
}

impl Usages {
    /// Good on both sides.
    pub const BOTH: Self = Self {
        server: true,
        client: true,
    };
    /// A server's alone.
    pub const SERVER: Self = Self {
        server: true,
        client: false,
    };
    /// A client's alone.
    pub const CLIENT: Self = Self {
        server: false,
        client: true,
    };

    /// What a certificate is good for. Go's `VerifyOptions.KeyUsages` is ServerAuth in a TLS client and ClientAuth in a
    /// server; an extension that is not there, or that names nothing, allows everything.
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let Some(usage) = certificate.extended_key_usage().ok().flatten() else {
            return Self::BOTH;
        };
        let usage = usage.value;
        let names_nothing = !(usage.server_auth
            || usage.client_auth
            || usage.code_signing
            || usage.email_protection
            || usage.time_stamping
            || usage.ocsp_signing)
            && usage.other.is_empty();
        if usage.any || names_nothing {
            return Self::BOTH;
        }
        Self {
            server: usage.server_auth,
            client: usage.client_auth,
        }
    }

    /// Whether a certificate is good on this side.
    pub const fn include(self, usage: Usage) -> bool {
        match usage {
            Usage::Server => self.server,
            Usage::Client => self.client,
        }
    }

    /// The first of these usages that a certificate of those others lacks.
    pub(crate) fn lacking_in(self, others: Self) -> Option<Usage> {
        [Usage::Server, Usage::Client]
            .into_iter()
            .find(|usage| self.include(*usage) && !others.include(*usage))
    }

    /// The sides in one word each.
    pub fn names(self) -> Vec<&'static str> {
        let sides = [(Usage::Server, "server"), (Usage::Client, "client")];
        let included = sides.into_iter().filter(|(usage, _)| self.include(*usage));
        included.map(|(_, name)| name).collect()
    }

    /// As rcgen writes them.
    pub(crate) fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        let server = self.server.then_some(ExtendedKeyUsagePurpose::ServerAuth);
        let client = self.client.then_some(ExtendedKeyUsagePurpose::ClientAuth);
        server.into_iter().chain(client).collect()
    }
}
