//! The built Lambda function, driven from outside: [`docker_tls_testing::lambda`] is its world, and [`scenarios`] holds the
//! tests.

mod scenarios;

use docker_tls_testing::lambda::{
    certificates, clock, cloudformation, http, published, rack, rig, runtime_api, ssm,
};
use docker_tls_testing::{damage, fixtures};
