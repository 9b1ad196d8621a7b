//! Limits of what does not depend on the clock: sizes, requests and instructions, with some five per cent of room.

use std::process::ExitCode;

use serde_json::Value;

use crate::Bench;
use crate::figures::{counted, grouped};

const LIMITS: &str = include_str!("../limits.json");

/// Compares, prints what was found, and ends the program with an error where a limit is passed.
pub async fn check(bench: &mut Bench) -> ExitCode {
    let limits: Value = serde_json::from_str(LIMITS).expect("the limits are JSON");
    let mut is_within = true;
    let mut compare = |what: &str, found: u64| {
        let limit = limits[what]
            .as_u64()
            .unwrap_or_else(|| panic!("no limit of {what}"));
        let verdict = if found <= limit { "ok" } else { "TOO MUCH" };
        is_within &= found <= limit;
        println!(
            "{what:24} {:>14}  of at most {:>14}  {verdict}",
            grouped(found),
            grouped(limit)
        );
    };
    let (zip, binary) = bench.sizes();
    compare("zip bytes", zip);
    compare("binary bytes", binary);
    let cases = bench.cases().await;
    let cold = bench.instructions(None).await;
    let whole = bench.instructions(Some(&cases[0])).await;
    compare("cold start instructions", cold);
    compare("no-op instructions", whole.saturating_sub(cold));
    for case in &cases {
        let run = bench.run(&case.event, case.parameters.clone()).await;
        let expected = limits["requests"][case.name].as_str().unwrap_or_default();
        let found = counted(&run.requests);
        let verdict = if found == expected { "ok" } else { "DIFFERENT" };
        is_within &= found == expected;
        println!(
            "requests of {}: {found}; expected {expected}  {verdict}",
            case.name
        );
    }
    if is_within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
