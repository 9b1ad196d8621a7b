//! Handlers that are at work at the same time, one call at a time, and CloudFormation's own sequences.
//!
//! Handlers are run by hand: [`docker_tls_testing::by_hand`]. [`explore`] goes through every order of their calls.

mod arbitrary;
mod behaviour;
mod cloudformation;
mod explore;
mod memory_store;
mod owners;
mod ownership;
mod stacks;
mod three_writers;
mod two_writers;
mod witness;

use docker_tls_testing::by_hand::{machine, running, store};
use docker_tls_testing::{acceptance, cases};
