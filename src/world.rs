//! What the shell takes from outside besides the store: the time and chance.

use time::{Duration, OffsetDateTime};

use crate::authority::Mint;

/// The clock, and where keys, serial numbers and nonces come from.
#[expect(
    async_fn_in_trait,
    reason = "handlers run on one thread, so futures need not be Send"
)]
pub trait World {
    /// The time.
    fn now(&self) -> OffsetDateTime;
    /// How long the event's handling may still take, the time to answer not counted.
    fn time_left(&self) -> Duration;
    /// Lets time pass.
    async fn pause(&self, duration: Duration);
    /// A fresh random text that nobody else has.
    fn nonce(&self) -> String;
    /// Where keys and serial numbers come from.
    fn mint(&self) -> impl Mint;
}
