//! `docker-tls invoke`: one event through the very same handler that the Lambda function runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anstream::println;
use anstyle::{AnsiColor, Style};
use clap::Args;
use docker_tls_certgen::cloudformation::event::Event;
use docker_tls_certgen::cloudformation::response::{Data, Response};
use docker_tls_certgen::cloudformation::response_url::{ResponsePolicy, ResponseUrl, UrlRefusal};
use docker_tls_certgen::function::delivery::Courier;
use docker_tls_certgen::function::handler::{self, Outcome, Progress, Report};
use docker_tls_certgen::function::watch::Watch;
use docker_tls_certgen::machine::http::Tls;
use docker_tls_certgen::machine::real::{self, RealMachine};
use docker_tls_certgen::machine::roots::Roots;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::error::ToolError;
use crate::store::{ClockArguments, StoreArguments, TIME_LIMIT};

/// How wide the names of attributes are shown.
const NAME_WIDTH: usize = 20;

/// Run one CloudFormation event, as the Lambda function would.
///
/// Parameters are kept in a local folder, so nothing in AWS is touched unless --ssm is given. The response is shown,
/// and put to the event's URL only if RESPONSE_URL_ALLOWED_HOSTS names its host.
#[derive(Args)]
#[command(after_help = "Examples:
  docker-tls invoke events/create.json
  docker-tls invoke events/update.json
  docker-tls invoke events/update.json --now +36450d
  docker-tls invoke events/update.json --set RotationToken=2
  docker-tls invoke events/update.json --json | jq .Data

Exit code: 0 for SUCCESS, 1 for FAILED, 2 if there is no answer.")]
pub struct Arguments {
    /// The event, as CloudFormation sends it; see events/
    event: PathBuf,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    clock: ClockArguments,
    /// Override a property of the event; may be repeated
    #[arg(long = "set", value_name = "PROPERTY=VALUE", value_parser = parse_property)]
    properties: Vec<(String, String)>,
    /// Print the response's body as it is, and nothing else
    #[arg(long)]
    json: bool,
}

/// Reads a value of the option `--set`.
pub fn parse_property(text: &str) -> Result<(String, String), String> {
    let (property, value) = text
        .split_once('=')
        .ok_or("expected PROPERTY=VALUE, for example RotationToken=2")?;
    Ok((property.to_owned(), value.to_owned()))
}

/// Runs the subcommand.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, ToolError> {
    let event = read_event(&arguments.event, &arguments.properties)?;
    let hosts = env::var("RESPONSE_URL_ALLOWED_HOSTS").unwrap_or_default();
    let policy = ResponsePolicy {
        allowed_hosts: ResponsePolicy::parse_allowed_hosts(&hosts),
        ..ResponsePolicy::default()
    };
    let url = policy.check(&event.response_url);
    let (response, report) = handle(arguments, &event, &url).await?;
    if let Ok(url) = &url {
        let deadline = Instant::now() + TIME_LIMIT;
        Courier::new(&Tls::new(Roots::System)?)?
            .deliver(url, &response.body(), deadline, real::jitter)
            .await?;
    }
    if arguments.json {
        println!("{}", response.body());
    } else {
        show(arguments, &response, &report, &url);
    }
    Ok(if response.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn read_event(path: &Path, properties: &[(String, String)]) -> Result<Event, ToolError> {
    let text = fs::read_to_string(path).map_err(|error| ToolError::of_file(path, error))?;
    let mut event: Value = serde_json::from_str(&text).map_err(|error| ToolError::NotJson {
        path: path.to_owned(),
        error,
    })?;
    if let Some(given) = event
        .get_mut("ResourceProperties")
        .and_then(Value::as_object_mut)
    {
        let set = properties.iter().cloned();
        given.extend(set.map(|(property, value)| (property, Value::from(value))));
    }
    let path = path.to_owned();
    if Watch::parse(&event).is_some() {
        return Err(ToolError::IsWatch { path });
    }
    Event::parse(event).ok_or(ToolError::NoResponseUrl { path })
}

async fn handle(
    arguments: &Arguments,
    event: &Event,
    url: &Result<ResponseUrl, UrlRefusal>,
) -> Result<(Response, Report), ToolError> {
    let store = arguments.store.open().await?;
    let machine = RealMachine::new(arguments.clock.now(), Instant::now() + TIME_LIMIT);
    let signed_at = url.as_ref().ok().and_then(ResponseUrl::signed_at);
    let sent_at = signed_at.map(OffsetDateTime::unix_timestamp);
    match handler::handle(event, sent_at, &store, &machine, &Progress::default()).await {
        Outcome::Answer(response, report) => Ok((response, report)),
        Outcome::OutOfTime(reason) => Err(ToolError::NotAnswered(reason)),
    }
}

fn show(
    arguments: &Arguments,
    response: &Response,
    report: &Report,
    url: &Result<ResponseUrl, UrlRefusal>,
) {
    let (word, colour) = if response.is_success() {
        ("SUCCESS", AnsiColor::Green)
    } else {
        ("FAILED", AnsiColor::Red)
    };
    let style = colour.on_default().bold();
    let dim = Style::new().dimmed();
    println!(
        "{style}{word}{style:#}  {}",
        response.physical_resource_id()
    );
    for text in response.reason().into_iter().chain([&*report.summary]) {
        if !text.is_empty() {
            println!("{text}");
        }
    }
    for warning in &report.warnings {
        let style = AnsiColor::Yellow.on_default().bold();
        println!("{style}warning{style:#}: {warning}");
    }
    if let Some(data) = response.data() {
        println!();
        for (name, value) in attributes(data) {
            println!("  {name:NAME_WIDTH$}  {value}");
        }
    }
    let store = arguments.store.name();
    let sent = match url {
        Ok(_) => "the response was put to the event's URL".to_owned(),
        Err(refusal) => format!("the response was not sent: {refusal}"),
    };
    println!("\n{dim}store: {store}; {sent}{dim:#}");
}

/// The attributes by name; a getter's value is for `--json` alone, for it may be a key.
fn attributes(data: &Data) -> Vec<(String, String)> {
    let attributes = match data {
        Data::Generator(data) => serde_json::to_value(data).unwrap_or_default(),
        Data::Getter(data) => {
            let shown = format!("{} characters; --json shows them", data.value.len());
            return vec![("Value".to_owned(), shown)];
        }
    };
    let text = |value: &Value| match value.as_str() {
        Some("") => "none".to_owned(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let attributes = attributes.as_object().into_iter().flatten();
    attributes
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}
