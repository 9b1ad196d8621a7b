//! The function as `sam build` builds it, in the container that `sam local invoke` runs it in, and the template as
//! CloudFormation gets it.
//!
//! `make e2e-sam` runs this in namespaces of its own: `tests/e2e/isolated`. The tests' world is that of `tests/lambda`,
//! with another [`runtime_api::Function`]; so its scenarios of what CloudFormation sends run here unchanged.

mod container_engine;
mod lifecycle;
mod relay;
mod runtime_api;
mod sam;
mod template;

#[path = "../e2e/dockerd.rs"]
mod dockerd;
#[path = "../e2e/isolation.rs"]
#[allow(dead_code, reason = "tests/e2e uses the rest")]
mod isolation;
#[path = "../e2e/process.rs"]
mod process;

#[path = "../lambda/certificates.rs"]
#[allow(dead_code, reason = "tests/lambda uses the rest")]
mod certificates;
#[path = "../lambda/clock.rs"]
mod clock;
#[path = "../lambda/cloudformation.rs"]
#[allow(dead_code, reason = "tests/lambda uses the rest")]
mod cloudformation;
#[path = "../lambda/deployed.rs"]
mod deployed;
#[path = "../lambda/generation.rs"]
mod generation;
#[path = "../lambda/http.rs"]
#[allow(dead_code, reason = "tests/lambda uses the rest")]
mod http;
#[path = "../lambda/moto.rs"]
mod moto;
#[path = "../lambda/rack.rs"]
#[allow(dead_code, reason = "tests/lambda uses the rest")]
mod rack;
#[path = "../lambda/rig.rs"]
#[allow(dead_code, reason = "tests/lambda uses the rest")]
mod rig;
#[path = "../lambda/sink.rs"]
#[allow(dead_code, reason = "tests/lambda uses the rest")]
mod sink;
#[path = "../lambda/ssm.rs"]
#[allow(dead_code, reason = "tests/lambda uses the rest")]
mod ssm;

#[path = "../lambda/scenarios/ownership.rs"]
mod ownership;
