//! The Lambda function: it takes an event, has it handled, and delivers the answer.

pub mod delivery;
pub mod generator;
pub mod getter;
pub mod handler;
pub mod lambda;
pub mod logging;
