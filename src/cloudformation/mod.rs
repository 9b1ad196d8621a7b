//! The contract with CloudFormation: what an event says, and what it is answered.

pub mod event;
pub mod properties;
pub mod response;
pub mod response_url;
