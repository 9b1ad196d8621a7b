//! The machine's clock, which is the function's too.

use time::OffsetDateTime;

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the function under test reads the same clock"
)]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
