//! The built Lambda function, driven from outside: events come from a Lambda Runtime API, parameters live in a real SSM
//! API over HTTP, and responses arrive where a pre-signed URL would lead. All three are served by the test.
//!
//! [`rig::Rig`] is one test's world, [`cloudformation::Resource`] sends the events that CloudFormation would send, and
//! [`certificates`] judges what was stored by code that did not issue it. [`scenarios`] holds the tests.

mod certificates;
mod clock;
mod cloudformation;
mod damage;
mod deployed;
mod generation;
mod http;
mod moto;
mod rack;
mod rig;
mod runtime_api;
mod scenarios;
mod sink;
mod ssm;
