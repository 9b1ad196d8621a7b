//! The function driven from outside: events come from a Lambda Runtime API, parameters live in a real SSM API over HTTP,
//! and responses arrive where a pre-signed URL would lead. All three are served by the test.
//!
//! [`rig::Rig`] is one test's world. In it are a function ([`runtime_api`] has the built one as a process), [`ssm`] with
//! [`moto`] behind it, and the [`sink`] of responses; both are served by [`http`]. [`cloudformation::Resource`] sends the
//! events that CloudFormation would send, and [`rack`] reads what is stored. [`certificates`] and [`published`] judge
//! that by code that did not issue it. [`scenarios`] are what holds for every such function.

pub mod certificates;
pub mod clock;
pub mod cloudformation;
pub mod http;
pub mod limits;
pub mod moto;
pub mod published;
pub mod rack;
pub mod rig;
pub mod runtime_api;
pub mod scenarios;
pub mod sink;
pub mod ssm;
