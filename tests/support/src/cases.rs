//! How many cases a property is tried with.

use std::env;

use proptest::test_runner::{Config, RngSeed};

/// Asks for so many cases of every property, others each time, instead of the same few that `make test` has time for:
/// `PROPTEST_CASES=30000 cargo test --test core arbitrary`.
const CASES_VARIABLE: &str = "PROPTEST_CASES";

/// The same cases in every run, so that a change is what makes a test fail.
pub fn cases(cases: u32) -> Config {
    let repeated = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if env::var_os(CASES_VARIABLE).is_some() {
        return repeated;
    }
    Config {
        cases,
        rng_seed: RngSeed::Fixed(1),
        ..repeated
    }
}
