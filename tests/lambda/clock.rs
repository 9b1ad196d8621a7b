//! The machine's clock, which is the function's too.

use std::env;

use time::OffsetDateTime;

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the function under test reads the same clock"
)]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The environment variables by which `make other-days` gives the test process another clock. A function that is started
/// with an environment of its own needs them too, or it lives on another day than its test.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars().filter(|(name, _)| name == "LD_PRELOAD" || name.starts_with("FAKETIME"))
}
