//! Handlers that are at work at the same time, one call at a time, and CloudFormation's own sequences.
//!
//! No thread, no sleep, no chance: `store` behaves as SSM does, `machine` has a clock that the test moves, and
//! `running` polls a handler by hand from one call to the next. `explore` goes through every order of calls.

#[allow(dead_code, reason = "the core's tests use all of it")]
#[path = "../core/acceptance.rs"]
mod acceptance;
mod arbitrary;
mod behaviour;
#[path = "../core/cases.rs"]
mod cases;
mod cloudformation;
mod explore;
mod machine;
mod owners;
mod ownership;
mod running;
mod stacks;
mod store;
mod three_writers;
mod two_writers;
mod witness;
