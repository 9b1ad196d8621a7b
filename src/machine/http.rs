//! The HTTPS clients for SSM and for responses: one TLS stack between them, whose roots are read once.

use std::error::Error;
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
use reqwest::{Body, Client, ClientBuilder, Request};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt as _;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no HTTPS client.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client could not be made: {0}")]
pub struct ClientError(String);

/// What every HTTPS connection begins with: the roots that the machine trusts, or those of `SSL_CERT_FILE`
/// and `SSL_CERT_DIR`.
#[derive(Clone, Debug)]
pub struct Tls(ClientConfig);

impl Tls {
    /// Reads the roots, which takes milliseconds.
    pub fn new() -> Result<Self, ClientError> {
        ClientConfig::with_platform_verifier()
            .map(Self)
            .map_err(|error| {
                let error = chain_of(&error);
                ClientError(format!(
                    "{error}; expected CA certificates where the system keeps them, or where SSL_CERT_FILE or \
                     SSL_CERT_DIR says"
                ))
            })
    }

    /// A client for responses: it follows no redirect, and no proxy of the environment gets to see anything.
    pub(crate) fn response_client(&self) -> Result<Client, ClientError> {
        self.build(Client::builder().no_proxy())
    }

    /// A client for AWS, through the environment's proxy if there is one.
    pub fn aws_client(&self) -> Result<AwsClient, ClientError> {
        self.build(Client::builder()).map(AwsClient)
    }

    fn build(&self, builder: ClientBuilder) -> Result<Client, ClientError> {
        builder
            .tls_backend_preconfigured(self.0.clone())
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| ClientError(chain_of(&error.without_url())))
    }
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
            let answer = client.execute(request).await.map_err(of_connection)?;
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

fn of_connection(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

/// An error with its causes, for reqwest's own text says only that sending failed.
pub fn chain_of(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
