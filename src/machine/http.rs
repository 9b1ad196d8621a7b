//! The HTTPS clients for SSM and for responses: one TLS stack between them, whose roots are taken once.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http::Response;
use reqwest::redirect::Policy;
use reqwest::{Body, ClientBuilder, Request};
use rustls::{CertificateError, ClientConfig};

use crate::machine::roots::{self, NoRoots, Origin, Roots};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no HTTPS client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No server could be believed.
    #[error("the HTTPS client could not be made: {0}")]
    Roots(#[from] NoRoots),
    /// The environment has a proxy that is none.
    #[error("the HTTPS client could not be made: {0}")]
    Build(String),
}

/// What every HTTPS connection begins with.
#[derive(Clone, Debug)]
pub struct Tls {
    config: ClientConfig,
    origin: Arc<Origin>,
}

impl Tls {
    /// Takes the roots.
    pub fn new(roots: Roots) -> Result<Self, ClientError> {
        let (roots, origin) = roots::load(roots)?;
        let config = ClientConfig::builder().with_root_certificates(roots);
        Ok(Self {
            config: config.with_no_client_auth(),
            origin: Arc::new(origin),
        })
    }

    /// A client for responses: it follows no redirect, and no proxy of the environment gets to see anything.
    pub(crate) fn response_client(&self) -> Result<Client, ClientError> {
        self.build(reqwest::Client::builder().no_proxy())
    }

    /// A client for AWS, through the environment's proxy if there is one.
    pub fn aws_client(&self) -> Result<AwsClient, ClientError> {
        self.build(reqwest::Client::builder()).map(AwsClient)
    }

    fn build(&self, builder: ClientBuilder) -> Result<Client, ClientError> {
        let client = builder
            .tls_backend_preconfigured(self.config.clone())
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| ClientError::Build(chain_of(&error.without_url())))?;
        Ok(Client {
            client,
            origin: Arc::clone(&self.origin),
        })
    }
}

/// reqwest's client, whose errors tell the host and no more of the URL.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    client: reqwest::Client,
    origin: Arc<Origin>,
}

impl Client {
    /// Sends a request, and waits for the head of its answer.
    pub(crate) async fn send(&self, request: Request) -> Result<reqwest::Response, NoAnswer> {
        let host = request.url().host_str().unwrap_or_default().to_owned();
        self.client.execute(request).await.map_err(|error| {
            let is_unknown = is_of_an_unknown_issuer(&error);
            NoAnswer {
                host,
                origin: is_unknown.then(|| Arc::clone(&self.origin)),
                error: error.without_url(),
            }
        })
    }
}

/// Why a host has not answered.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    host: String,
    /// Where the roots are from, if none of them is the host's.
    origin: Option<Arc<Origin>>,
    error: reqwest::Error,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.origin {
            Some(origin) => write!(
                f,
                "on the way to {host} is a certificate of no CA that is trusted here, which are those of {origin}; \
                 SSL_CERT_FILE can name a file with all that are to be trusted instead"
            ),
            None => write!(f, "the request to {host} failed"),
        }
    }
}

impl Error for NoAnswer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

fn is_of_an_unknown_issuer(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&cause| {
        // An I/O error holds another inside, and gives not that for its cause but that one's.
        let inside = cause
            .downcast_ref()
            .and_then(|error: &std::io::Error| error.get_ref());
        inside.map_or_else(
            || cause.source(),
            |inside| Some(inside as &(dyn Error + 'static)),
        )
    });
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    causes
        .filter_map(|cause| cause.downcast_ref())
        .any(|cause: &rustls::Error| *cause == unknown)
}

/// reqwest's client as the AWS SDK calls it, so that the function has one HTTP stack and not two.
///
/// The SDK keeps the time of tries and operations itself, and says for some how long an answer may take; how long a
/// connection may take is the client's own.
#[derive(Clone, Debug)]
pub struct AwsClient(Client);

impl HttpClient for AwsClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(AwsConnector {
            client: self.0.clone(),
            limit: settings.read_timeout(),
        })
    }
}

#[derive(Debug)]
struct AwsConnector {
    client: Client,
    /// How long a request may take with its answer.
    limit: Option<Duration>,
}

impl HttpConnector for AwsConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(of_request)?;
            let mut request = Request::try_from(request.map(Body::wrap)).map_err(of_request)?;
            *request.timeout_mut() = limit;
            let answer = client.send(request).await.map_err(of_connection)?;
            let answer = Response::<Body>::from(answer).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(answer).map_err(of_answer)
        })
    }
}

fn of_request(error: impl Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::user(error.into())
}

fn of_answer(error: impl Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}

fn of_connection(no_answer: NoAnswer) -> ConnectorError {
    let error = &no_answer.error;
    if error.is_timeout() {
        ConnectorError::timeout(no_answer.into())
    } else if error.is_builder() {
        ConnectorError::user(no_answer.into())
    } else {
        ConnectorError::io(no_answer.into())
    }
}

/// An error with its causes, for reqwest's own text says only that sending failed.
pub fn chain_of(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
