//! `docker-tls inspect`: what is stored, who signs whom, how far an open rotation is, and what the next update would do.

use std::process::ExitCode;

use anstream::println;
use anstyle::{AnsiColor, Style};
use clap::Args;
use docker_tls_certgen::pki::timestamp::timestamp;
use docker_tls_certgen::plan::inspection::{CertificateView, Inspection, ParameterView};
use docker_tls_certgen::plan::spec::{ClientCertificate, GeneratorProperties, Spec};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use docker_tls_certgen::set::state::State;
use docker_tls_certgen::store::claim;
use serde_json::{Map, Value};

use crate::error::ToolError;
use crate::store::{ClockArguments, RackArguments};

/// How wide the parts' names are shown, at least.
const PART_WIDTH: usize = 8;

/// Show what is stored for a rack, what an open rotation waits for, and what the next update would do.
#[derive(Args)]
#[command(after_help = "Examples:
  docker-tls inspect
  docker-tls inspect --rack rack-1 --ssm
  docker-tls inspect --rack rack-1 --ssm --now +36450d
  docker-tls inspect --json | jq .next.summary
  docker-tls inspect --json | jq .rotation

Exit code: 0 if the next update changes nothing, 1 if it would, 2 if that cannot be told.")]
pub struct Arguments {
    #[command(flatten)]
    rack: RackArguments,
    #[command(flatten)]
    clock: ClockArguments,
    /// Tell what an update with this property would do; may be repeated
    #[arg(long = "set", value_name = "PROPERTY=VALUE", value_parser = crate::invoke::parse_property)]
    properties: Vec<(String, String)>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, ToolError> {
    let (store, rack) = arguments.rack.open().await?;
    let given = arguments.properties.iter().cloned();
    let properties: Map<String, Value> = given
        .map(|(property, value)| (property, Value::from(value)))
        .collect();
    let names_client = properties.contains_key("ClientCertificate");
    let mut properties = GeneratorProperties::parse(rack.clone(), &Value::Object(properties))?;
    let stored = store.stored(&rack, Part::ALL).await?;
    if !names_client {
        properties.client_certificate = ClientCertificate::of(&Found::decode(&stored));
    }
    let spec = Spec::hypothetical(properties);
    let inspection = Inspection::of(&spec, &stored, arguments.clock.now());
    if arguments.json {
        let json = serde_json::to_string_pretty(&inspection);
        println!("{}", json.expect("texts and numbers become JSON"));
    } else {
        show(arguments, &inspection, &stored);
    }
    Ok(if inspection.standing.next.is_due {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn show(arguments: &Arguments, inspection: &Inspection, stored: &StoredSet) {
    let bold = Style::new().bold();
    let dim = Style::new().dimmed();
    let standing = &inspection.standing;
    println!(
        "{bold}{}{bold:#}  {dim}{} in {}, {}{dim:#}",
        standing.rack,
        standing.id,
        arguments.rack.store.name(),
        timestamp(standing.now)
    );
    let names = inspection.parameters.iter();
    let width = names.map(|parameter| parameter.part.suffix().len()).max();
    let width = width.unwrap_or_default().max(PART_WIDTH);
    for parameter in &inspection.parameters {
        println!();
        show_parameter(parameter, width, stored);
    }
    for warning in &standing.warnings {
        let style = AnsiColor::Yellow.on_default().bold();
        println!("\n{style}warning{style:#}  {warning}");
    }
    if let Some(rotation) = &inspection.rotation {
        let style = AnsiColor::Cyan.on_default().bold();
        println!("\n{style}rotation{style:#}  {rotation}");
    }
    if let Some(word) = &inspection.take_back {
        let style = AnsiColor::Cyan.on_default().bold();
        println!(
            "\n{style}take back{style:#}  set RetiredCA to {word}: the previous CA is the current one again, and nobody \
             is refused"
        );
    }
    let style = if standing.next.cuts_off {
        AnsiColor::Red.on_default().bold()
    } else if standing.next.is_due {
        AnsiColor::Yellow.on_default().bold()
    } else {
        AnsiColor::Green.on_default().bold()
    };
    println!("\n{style}next update{style:#}  {}", standing.next.summary);
}

fn show_parameter(parameter: &ParameterView, width: usize, stored: &StoredSet) {
    let bad = AnsiColor::Red.on_default();
    let part = parameter.part.suffix();
    match (parameter.parameter_type, parameter.version, parameter.chars) {
        (Some(kind), Some(version), Some(chars)) => {
            println!("{part:width$}  {kind}, version {version}, {chars} characters");
        }
        _ if Part::PUBLISHED.contains(&parameter.part) => {
            println!("{part:width$}  {bad}missing{bad:#}");
        }
        _ => println!("{part:width$}  none"),
    }
    if let Some(flaw) = parameter
        .flaw
        .as_ref()
        .filter(|_| parameter.version.is_some())
    {
        println!("  {bad}{flaw}{bad:#}");
    }
    for certificate in &parameter.certificates {
        show_certificate(certificate);
    }
    match parameter.part {
        Part::State => {
            let state = stored.get(&Part::State);
            if let Some(Ok(state)) = state.map(|state| State::decode(state.value.expose())) {
                let (owners, tokens, retired) = state.counts();
                let anchor = match state.anchor() {
                    None => "no anchor",
                    Some(anchor) if anchor.key().is_some() => "the anchor and its key",
                    Some(_) => "the anchor without its key",
                };
                println!(
                    "  owners: {owners}, tokens seen: {tokens}, retired CAs: {retired}, {anchor}"
                );
            }
        }
        Part::Claim => match claim::held_until(stored) {
            Some(until) => println!("  held until {}", timestamp(until)),
            None if parameter.version.is_some() => println!("  ended"),
            None => {}
        },
        _ => {}
    }
}

fn show_certificate(certificate: &CertificateView) {
    let CertificateView {
        role,
        sha256,
        usages,
        subject,
        issuer,
        signed_by,
        not_before,
        not_after,
        days_left,
    } = certificate;
    let dim = Style::new().dimmed();
    println!("  {}  {subject:?}", role.words());
    println!("    {dim}sha256{dim:#}  {sha256}");
    match signed_by {
        Some(signer) if signer == sha256 => println!("    {dim}issuer{dim:#}  itself"),
        Some(signer) => println!("    {dim}issuer{dim:#}  {issuer:?}, {signer}"),
        None => println!("    {dim}issuer{dim:#}  {issuer:?}, which is not in the bundle"),
    }
    if !usages.is_empty() {
        println!("    {dim}for{dim:#}     {}", usages.join(" and "));
    }
    println!("    {dim}valid{dim:#}   {not_before} to {not_after}, {days_left} days left");
}
