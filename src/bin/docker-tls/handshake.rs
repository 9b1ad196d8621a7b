//! What a TLS server tells before anybody has shown a credential: its certificate, and whose clients it takes.

use std::sync::{Arc, Mutex};

use docker_tls_certgen::pki::certificate::Certificate;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a server told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The certificate that it presented.
    pub certificate: Option<Certificate>,
    /// The subjects (DER) of the CAs whose clients it takes; `None` if it asked for no client certificate.
    pub client_authorities: Option<Vec<Vec<u8>>>,
}

/// Why a server told nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// No connection.
    #[error("{0}")]
    Connect(std::io::Error),
    /// A connection, but no TLS.
    #[error("it does not speak TLS: {0}")]
    NotTls(std::io::Error),
    /// The host is neither a DNS name nor an IP address.
    #[error("it is neither a DNS name nor an IP address")]
    NotAHost,
}

/// Shakes hands without any credential, and listens.
///
/// Nothing is verified, for nothing is sent: the connection is dropped when the server has told what it tells.
pub async fn listen(host: &str, port: u16) -> Result<Told, HandshakeError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| HandshakeError::NotAHost)?;
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(HandshakeError::Connect)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let listener = Arc::new(Listener {
        provider: provider.clone(),
        told: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(listener.clone())
        .with_client_cert_resolver(listener.clone());
    let result = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let told = listener.told().clone();
    match result {
        // A TLS 1.2 server refuses the missing certificate within the handshake; by then it has told everything.
        Err(error) if told.certificate.is_none() => Err(HandshakeError::NotTls(error)),
        _ => Ok(told),
    }
}

#[derive(Debug)]
struct Listener {
    provider: Arc<CryptoProvider>,
    told: Mutex<Told>,
}

impl Listener {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl ServerCertVerifier for Listener {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.told().certificate = Certificate::from_der(end_entity).ok();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ResolvesClientCert for Listener {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let subjects = root_hint_subjects.iter().map(|subject| subject.to_vec());
        self.told().client_authorities = Some(subjects.collect());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}
