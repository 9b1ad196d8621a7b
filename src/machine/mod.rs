//! What the function takes from the machine that it runs on: the time, chance and the network.

pub mod http;
pub mod real;
pub mod roots;

use time::{Duration, OffsetDateTime};

use crate::pki::authority::Mint;

/// The clock, and where keys, serial numbers and nonces come from.
#[expect(
    async_fn_in_trait,
    reason = "handlers run on one thread, so futures need not be Send"
)]
pub trait Machine {
    /// The time.
    fn now(&self) -> OffsetDateTime;
    /// How long the event's handling may still take, the time to answer not counted.
    fn time_left(&self) -> Duration;
    /// Lets time pass.
    async fn pause(&self, duration: Duration);
    /// A number from 0 to 1 that nobody can foretell.
    fn jitter(&self) -> f64;
    /// A fresh random text that nobody else has.
    fn nonce(&self) -> String;
    /// Where keys and serial numbers come from.
    fn mint(&self) -> impl Mint;
}
