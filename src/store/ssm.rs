//! SSM Parameter Store.

use std::env;
use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::ProvideRegion as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::config::retry::ReconnectMode;
use aws_sdk_ssm::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::delete_parameters::DeleteParametersError;
use aws_sdk_ssm::operation::get_parameters::GetParametersError;
use aws_sdk_ssm::operation::put_parameter::PutParameterError;
use aws_sdk_ssm::types;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

use crate::machine::http::{AwsClient, chain_of};
use crate::set::parameter::{ParameterType, ParameterValue, StoredParameter, StoredSet};
use crate::set::rack::Rack;
use crate::store::{Deletion, PUT_LIMIT, ParameterStore, Put, Selector, StoreAction, StoreError};

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a read may take, its retries included.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a call is tried at most.
const MAX_TRIES: u32 = 8;
/// The wait before the second try; it doubles with every further one, with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Which connection a further try takes is up to reqwest; the SDK cannot make it drop one.
const RECONNECT_MODE: ReconnectMode = ReconnectMode::ReuseAllConnections;
/// The codes of refusals that say that there are too many calls, so nothing was done, and that pass: of an account at a
/// time, or of writes of one parameter.
const THROTTLED: [&str; 3] = ["ThrottlingException", "Throttling", "TooManyUpdates"];

/// SSM Parameter Store in the account and region that the environment names.
#[derive(Clone, Debug)]
pub struct Ssm {
    client: Client,
}

impl Ssm {
    /// Takes region, credentials and endpoint from where every AWS tool takes them.
    pub async fn from_defaults(client: AwsClient) -> Self {
        let defaults = aws_config::defaults(BehaviorVersion::latest());
        Self::new(&defaults.http_client(client).load().await)
    }

    /// Takes region, credentials and endpoint from the environment that Lambda gives a function, and looks nowhere
    /// else for them: neither files nor the instance's metadata are read.
    pub(crate) async fn from_function(client: AwsClient) -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = ["AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL"];
        let endpoint = endpoint.into_iter().find_map(text);
        let credentials = EnvironmentVariableCredentialsProvider::new();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(SharedHttpClient::new(client))
            .region(EnvironmentVariableRegionProvider::new().region().await)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .use_fips(is_set("AWS_USE_FIPS_ENDPOINT"))
            .use_dual_stack(is_set("AWS_USE_DUALSTACK_ENDPOINT"));
        config.set_endpoint_url(endpoint);
        Self::new(&config.build())
    }

    fn new(config: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(TRY_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(MAX_TRIES)
            .with_initial_backoff(FIRST_WAIT)
            .with_max_backoff(LONGEST_WAIT)
            .with_reconnect_mode(RECONNECT_MODE);
        let config = aws_sdk_ssm::config::Builder::from(config)
            .timeout_config(timeouts)
            .retry_config(retries)
            .retry_classifier(Throttling)
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }
}

impl ParameterStore for Ssm {
    async fn read(&self, rack: &Rack, selectors: &[Selector]) -> Result<StoredSet, StoreError> {
        let names = selectors.iter().map(|selector| {
            let name = rack.parameter_name(selector.part);
            match selector.version {
                Some(version) => format!("{name}:{version}"),
                None => name,
            }
        });
        let names: Vec<String> = names.collect();
        let answer = self
            .client
            .get_parameters()
            .set_names(Some(names.clone()))
            .with_decryption(true)
            .send()
            .await
            .map_err(|error| store_error(StoreAction::Get, &names.join(", "), &error))?;
        let mut stored = StoredSet::new();
        for parameter in answer.parameters() {
            let part = parameter.name().and_then(|name| rack.part_named(name));
            if let (Some(part), Some(value)) = (part, parameter.value()) {
                stored.insert(
                    part,
                    StoredParameter {
                        value: ParameterValue::from(value),
                        parameter_type: match parameter.r#type() {
                            Some(types::ParameterType::SecureString) => ParameterType::SecureString,
                            _ => ParameterType::String,
                        },
                        version: parameter.version(),
                    },
                );
            }
        }
        // Only what SSM itself calls invalid does not exist; a name that it passes over in silence is an error.
        let missing = answer.invalid_parameters();
        for (selector, name) in selectors.iter().zip(&names) {
            if !stored.contains_key(&selector.part) && !missing.contains(name) {
                return Err(StoreError::Unreachable {
                    action: StoreAction::Get,
                    parameter: name.clone(),
                    message: "SSM's answer does not mention it".to_owned(),
                });
            }
        }
        Ok(stored)
    }

    async fn put(&self, rack: &Rack, put: &Put<'_>) -> Result<i64, StoreError> {
        let name = rack.parameter_name(put.part);
        let limits = if put.once { once() } else { within_put_limit() };
        let answer = self
            .client
            .put_parameter()
            .name(&name)
            .value(put.value.expose())
            .r#type(match put.parameter_type {
                ParameterType::String => types::ParameterType::String,
                ParameterType::SecureString => types::ParameterType::SecureString,
            })
            .overwrite(put.overwrite)
            .set_key_id(put.kms_key_id.map(str::to_owned))
            .customize()
            .config_override(limits)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.version()),
            Err(error) => Err(store_error(StoreAction::Put, &name, &error)),
        }
    }

    async fn delete(&self, rack: &Rack, deletion: Deletion) -> Result<(), StoreError> {
        let names = deletion.names(rack);
        let limits = match deletion {
            // The claim goes with it: it must not take effect again when others rely on that.
            Deletion::Everything => once(),
            Deletion::Pair(_) => within_put_limit(),
        };
        let answer = self
            .client
            .delete_parameters()
            .set_names(Some(names.clone()))
            .customize()
            .config_override(limits)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(store_error(StoreAction::Delete, &names.join(", "), &error)),
        }
    }
}

/// What a call is bounded by that must not take effect later than that.
fn within_put_limit() -> aws_sdk_ssm::config::Builder {
    let limit = PUT_LIMIT.unsigned_abs();
    let timeouts = TimeoutConfig::builder().operation_timeout(limit).build();
    aws_sdk_ssm::config::Builder::new().timeout_config(timeouts)
}

/// The same, for a call that must not take effect twice: it has one try.
fn once() -> aws_sdk_ssm::config::Builder {
    within_put_limit().retry_config(RetryConfig::disabled().with_reconnect_mode(RECONNECT_MODE))
}

/// Keeps the SDK from trying again what SSM has too many calls for: [`crate::store::patience`] does that.
#[derive(Debug)]
struct Throttling;

impl ClassifyRetry for Throttling {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        let code = error.and_then(|error| {
            let get = error.downcast_ref().and_then(GetParametersError::code);
            let put = error.downcast_ref().and_then(PutParameterError::code);
            let delete = error.downcast_ref().and_then(DeleteParametersError::code);
            get.or(put).or(delete)
        });
        match code {
            Some(code) if THROTTLED.contains(&code) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "throttling"
    }
}

/// Whether a switch of the environment is on.
fn is_set(name: &str) -> bool {
    let value = env::var(name).unwrap_or_default();
    if !["", "true", "false"].contains(&value.to_ascii_lowercase().as_str()) {
        tracing::warn!(
            name,
            value,
            "an environment variable is neither true nor false; taking it for false"
        );
    }
    value.eq_ignore_ascii_case("true")
}

fn store_error<E>(
    action: StoreAction,
    parameter: &str,
    error: &SdkError<E, HttpResponse>,
) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let parameter = parameter.to_owned();
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let Some(code) = error.code().map(str::to_owned) else {
        return StoreError::Unreachable {
            action,
            parameter,
            message: chain_of(error),
        };
    };
    let message = error.message().unwrap_or("no message").to_owned();
    match code.as_str() {
        "ParameterAlreadyExists" => StoreError::AlreadyExists { parameter },
        code if THROTTLED.contains(&code) => StoreError::Throttled {
            action,
            parameter,
            code: code.to_owned(),
            message,
        },
        // A server's error does not tell whether it was done.
        code if status.is_some_and(|status| status >= 500) => StoreError::Unreachable {
            action,
            parameter,
            message: format!("only a server's error, {code}: {message}"),
        },
        _ => StoreError::Refused {
            action,
            parameter,
            code,
            message,
        },
    }
}
