//! The Lambda function: one response for every event that can be answered, before the deadline, whatever happens; but
//! none yet where time runs out and Lambda tries the event again.

use std::env;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use crate::cloudformation::event::Event;
use crate::cloudformation::response::Response;
use crate::cloudformation::response_url::{ResponsePolicy, ResponseUrl, UrlRefusal};
use crate::function::delivery::{Courier, DeliveryError};
use crate::function::handler::{self, Outcome, Progress, Report};
use crate::function::logging;
use crate::function::metrics::Metrics;
use crate::function::watch::{Watch, WatchError, Watched};
use crate::machine::http::{ClientError, Tls};
use crate::machine::real::{self, RealMachine};
use crate::machine::roots::Roots;
use crate::plan::standing::Standing;
use crate::store::ssm::Ssm;

/// The most time that is kept back from the handling of an event, to deliver its response.
const LONGEST_RESERVE: Duration = Duration::from_secs(10);
/// The part of an invocation's time that is kept back where that is less.
const RESERVE_DIVISOR: u32 = 3;
/// The last moment before Lambda's deadline at which a delivery is still tried.
const DELIVERY_MARGIN: Duration = Duration::from_millis(300);
/// How long Lambda waits before its second and its third attempt at an event: one minute, and two more. The third of
/// them is left for clocks that differ.
const WAITS_BETWEEN_ATTEMPTS: Duration = Duration::from_mins(2);

/// Why an invocation is an error: whoever invoked the function reads it, the `Errors` metric counts it, and Lambda tries
/// an event that was queued again.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// Nobody can be answered, so nothing was done.
    #[error(
        "the event has no ResponseURL, so no answer can be sent and nothing was done; expected a CloudFormation custom \
         resource event, or a schedule's Watch"
    )]
    NoResponseUrl,
    /// The answer may not be sent where the event asks for it, so nothing was done.
    #[error("{0}; no answer was sent and nothing was done")]
    ResponseUrlRefused(#[from] UrlRefusal),
    /// The response could not be delivered.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// Nothing was answered, for time ran out before what was to be done could be done.
    #[error("{0}; no answer was sent, for Lambda will try CloudFormation's event again")]
    NotAnswered(String),
    /// Not every set could be watched.
    #[error(transparent)]
    NotWatched(#[from] WatchError),
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        let error_type = match error {
            InvocationError::NoResponseUrl => "NoResponseUrl",
            InvocationError::ResponseUrlRefused(_) => "ResponseUrlRefused",
            InvocationError::Delivery(_) => "NotDelivered",
            InvocationError::NotAnswered(_) => "NotAnswered",
            InvocationError::NotWatched(_) => "NotWatched",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Serves events until Lambda ends the process.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    logging::init();
    let function = Function::from_env().await;
    let function =
        function.inspect_err(|error| tracing::error!(%error, "the function cannot start"))?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        function.serve(event)
    }))
    .await
}

/// What one process of the function keeps between events.
struct Function {
    region: String,
    allowed_hosts: Vec<String>,
    courier: Courier,
    ssm: Ssm,
}

impl Function {
    /// Makes both clients here, where Lambda gives a process more of a CPU than an event gets.
    async fn from_env() -> Result<Self, ClientError> {
        let text = |name| env::var(name).unwrap_or_default();
        let tls = Tls::new(Roots::BuiltIn)?;
        Ok(Self {
            region: text("AWS_REGION"),
            allowed_hosts: ResponsePolicy::parse_allowed_hosts(&text("RESPONSE_URL_ALLOWED_HOSTS")),
            courier: Courier::new(&tls)?,
            ssm: Ssm::from_function(tls.aws_client()?).await,
        })
    }

    /// Serves one event: CloudFormation's, which is answered at its URL, or a schedule's, whose answer is returned.
    async fn serve(&self, event: LambdaEvent<Value>) -> Result<Option<Watched>, InvocationError> {
        let LambdaEvent { payload, context } = event;
        let deadlines = Deadlines::of(&context);
        match Watch::parse(&payload) {
            Some(watch) => {
                let watched = self.watch(watch, &deadlines).await;
                let watched = watched
                    .inspect_err(|error| tracing::error!(%error, "not every set was watched"));
                Ok(Some(watched?))
            }
            None => self
                .serve_cloudformation(payload, &context, &deadlines)
                .await
                .map(|()| None),
        }
    }

    async fn watch(
        &self,
        watch: Result<Watch, WatchError>,
        deadlines: &Deadlines,
    ) -> Result<Watched, WatchError> {
        let machine = RealMachine::new(real::system_time(), deadlines.handling);
        let watch = watch?;
        let log = |standing: &Standing| logging::emit(&Metrics(standing));
        let watching: Pin<Box<dyn Future<Output = Result<Watched, WatchError>> + '_>> =
            Box::pin(watch.run(&self.ssm, &machine, log));
        watching.await
    }

    async fn serve_cloudformation(
        &self,
        payload: Value,
        context: &Context,
        deadlines: &Deadlines,
    ) -> Result<(), InvocationError> {
        let not_answered =
            |error: &InvocationError| tracing::error!(%error, "the event is not answered");
        let event = Event::parse(payload).ok_or(InvocationError::NoResponseUrl);
        let event = event.inspect_err(not_answered)?;
        let policy = ResponsePolicy {
            region: self.region.clone(),
            account: account(&context.invoked_function_arn),
            allowed_hosts: self.allowed_hosts.clone(),
        };
        let url = policy.check(&event.response_url);
        let url = url
            .map_err(InvocationError::from)
            .inspect_err(not_answered)?;
        if url.is_expired(real::system_time()) {
            tracing::warn!(
                request_id = event.request_id,
                "the event's response URL has expired, so nobody is waiting for an answer; nothing was done"
            );
            return Ok(());
        }
        let response = self.answer(&event, &url, deadlines).await?;
        self.courier
            .deliver(&url, &response.body(), deadlines.delivery, real::jitter)
            .await
            .inspect_err(|error| tracing::error!(%error, "the response was not delivered"))?;
        Ok(())
    }

    /// Handles an event; a panic or the deadline makes it FAILED.
    async fn answer(
        &self,
        event: &Event,
        url: &ResponseUrl,
        deadlines: &Deadlines,
    ) -> Result<Response, InvocationError> {
        let now = real::system_time();
        let progress = Progress::default();
        let machine = RealMachine::new(now, deadlines.handling);
        let sent_at = url.signed_at().map(OffsetDateTime::unix_timestamp);
        // Boxed as a trait object, for the SDK's futures nest deeper than the compiler follows.
        let handling: Pin<Box<dyn Future<Output = Outcome> + '_>> = Box::pin(handler::handle(
            event, sent_at, &self.ssm, &machine, &progress,
        ));
        let outcome = timeout_at(
            deadlines.handling,
            AssertUnwindSafe(handling).catch_unwind(),
        )
        .await;
        let failed = |reason: &str| (progress.failed(event, reason), Report::default());
        let (response, report) = match outcome {
            Ok(Ok(Outcome::Answer(response, report))) => (response, report),
            Ok(Ok(Outcome::OutOfTime(reason))) => {
                failed(&deadlines.of_last_attempt(reason, url, now)?)
            }
            Ok(Err(_panic)) => failed("the function panicked, which is a bug; its log says where"),
            Err(_elapsed) => {
                let reason = "time ran out before everything was written";
                if machine.has_paused() {
                    let reason = format!(
                        "{reason}, while SSM had too many calls or another invocation was writing"
                    );
                    failed(&deadlines.of_last_attempt(reason, url, now)?)
                } else {
                    failed(&format!("{reason}; the next update completes it"))
                }
            }
        };
        log(event, &response, &report);
        Ok(response)
    }
}

/// When an invocation's steps have to be done.
struct Deadlines {
    handling: Instant,
    delivery: Instant,
    /// How long the handling may take.
    time: Duration,
}

impl Deadlines {
    fn of(context: &Context) -> Self {
        let now = real::system_time().unix_timestamp_nanos() / 1_000_000;
        let left = i128::from(context.deadline) - now;
        let left = Duration::from_millis(u64::try_from(left.max(0)).unwrap_or(u64::MAX));
        let began = Instant::now();
        let reserve = LONGEST_RESERVE.min(left / RESERVE_DIVISOR);
        let time = left.saturating_sub(reserve);
        Self {
            handling: began + time,
            delivery: began + left.saturating_sub(DELIVERY_MARGIN),
            time,
        }
    }

    /// The reason for FAILED of an event for which time ran out; unless Lambda makes another attempt, which may do better.
    ///
    /// Lambda does not say which attempt one is. So it is the last of three if the event is as old as two that used up
    /// their time, and the waits between them.
    fn of_last_attempt(
        &self,
        reason: String,
        url: &ResponseUrl,
        now: OffsetDateTime,
    ) -> Result<String, InvocationError> {
        let age_of_last = 2 * self.time + WAITS_BETWEEN_ATTEMPTS;
        if url
            .signed_at()
            .is_some_and(|sent| now - sent >= age_of_last)
        {
            return Ok(format!(
                "{reason}; it was Lambda's last attempt at the event, so try again later"
            ));
        }
        let error = InvocationError::NotAnswered(reason);
        tracing::error!(%error, "the event is not answered");
        Err(error)
    }
}

/// The account of a function's ARN: `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
fn account(function_arn: &str) -> String {
    function_arn
        .split(':')
        .nth(4)
        .unwrap_or_default()
        .to_owned()
}

fn log(event: &Event, response: &Response, report: &Report) {
    if let Some(standing) = &report.standing {
        logging::emit(&Metrics(standing));
    }
    let request_type = &event.request_type_text;
    let logical_id = &event.logical_resource_id;
    let physical_id = response.physical_resource_id();
    for warning in &report.warnings {
        tracing::warn!(logical_id, physical_id, %warning, "see to this");
    }
    let summary = &report.summary;
    match response.reason() {
        Some(reason) => {
            tracing::error!(request_type, logical_id, physical_id, reason, "FAILED");
        }
        None if report.cuts_off => {
            tracing::warn!(request_type, logical_id, physical_id, summary, "SUCCESS");
        }
        None => tracing::info!(request_type, logical_id, physical_id, summary, "SUCCESS"),
    }
}
