//! Putting a response to its pre-signed URL.

use std::time::Duration;

use reqwest::{Method, Request, StatusCode};
use tokio::time::{Instant, sleep, timeout_at};

use crate::cloudformation::response_url::ResponseUrl;
use crate::machine::http::{Client, ClientError, Tls, chain_of};

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(4);
/// The wait before the second try; it doubles with every further one.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Why a response was not delivered. None of the texts has the URL, which is a secret.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A status that no further try will change.
    #[error("the response URL answered {0}; expected 2xx")]
    Final(StatusCode),
    /// Time ran out with no try answered well.
    #[error("the response could not be delivered in time: {tries} tries; last error: {last}")]
    OutOfTime {
        /// How many tries were made.
        tries: u32,
        /// How the last one ended.
        last: String,
    },
}

/// Puts responses.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Client,
}

impl Courier {
    /// A courier that follows no redirect and takes no proxy from the environment.
    pub fn new(tls: &Tls) -> Result<Self, ClientError> {
        let client = tls.response_client()?;
        Ok(Self { client })
    }

    /// Puts a body, the same bytes each time, until it is taken, finally refused, or time is up.
    ///
    /// No content type is sent, for the signature covers an empty one.
    pub async fn deliver(
        &self,
        url: &ResponseUrl,
        body: &str,
        deadline: Instant,
        jitter: impl Fn() -> f64,
    ) -> Result<(), DeliveryError> {
        let mut wait = FIRST_WAIT;
        let mut last = "none was made".to_owned();
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request = Request::new(Method::PUT, url.expose().clone());
            *request.timeout_mut() = Some(TRY_TIMEOUT);
            *request.body_mut() = Some(body.to_owned().into());
            last = match timeout_at(deadline, self.client.send(request)).await {
                Ok(Ok(answer)) if answer.status().is_success() => return Ok(()),
                Ok(Ok(answer)) if is_passing(answer.status()) => answer.status().to_string(),
                Ok(Ok(answer)) => return Err(DeliveryError::Final(answer.status())),
                Ok(Err(error)) => chain_of(&error),
                Err(_) => return Err(DeliveryError::OutOfTime { tries, last }),
            };
            tracing::warn!(tries, last, "the response was not accepted; trying again");
            let pause = wait.mul_f64(0.5 + jitter() / 2.0);
            if Instant::now() + pause >= deadline {
                return Err(DeliveryError::OutOfTime { tries, last });
            }
            sleep(pause).await;
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}
