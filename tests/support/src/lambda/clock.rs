//! The machine's clocks, which are the function's too.

use std::time::Instant;

use time::OffsetDateTime;

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the function under test reads the same clock"
)]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The present moment on the clock that nobody sets: for durations.
#[expect(
    clippy::disallowed_methods,
    reason = "how long something takes is measured, not decided"
)]
pub fn instant() -> Instant {
    Instant::now()
}
