//! Moments as the API's JSON has them.

use time::OffsetDateTime;

/// Seconds since 1970, with a fraction.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of our time are exact in it, and of fractions only the first digits count"
)]
pub(super) fn seconds(moment: OffsetDateTime) -> f64 {
    const MILLISECONDS: i128 = 1000;
    let milliseconds = moment.unix_timestamp_nanos() / 1_000_000;
    milliseconds as f64 / MILLISECONDS as f64
}
