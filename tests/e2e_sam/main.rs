//! The function as `sam build` builds it, in the container that `sam local invoke` runs it in, and the template as
//! CloudFormation gets it.
//!
//! `make e2e-sam` runs this in namespaces of its own: `tests/e2e/isolated`. The tests' world is that of `tests/lambda`,
//! with another function in its rig: [`function::SamFunction`]. So its scenarios of ownership run here unchanged.

mod container_engine;
mod function;
mod lifecycle;
mod ownership;
mod relay;
mod sam;
mod template;

use docker_tls_testing::engine::{dockerd, isolation, process};
use docker_tls_testing::lambda::{
    certificates, cloudformation, moto, published, rack, rig, sink, ssm,
};
use docker_tls_testing::{built, fixtures};
