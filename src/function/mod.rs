//! The Lambda function: it takes an event, has it handled, and delivers the answer.

pub mod delivery;
pub(crate) mod generator;
pub(crate) mod getter;
pub mod handler;
pub mod lambda;
pub(crate) mod logging;
pub mod metrics;
pub mod watch;
