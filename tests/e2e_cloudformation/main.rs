//! The template in an engine of CloudFormation that somebody else wrote, after AWS and not after us: it decides what is
//! sent, and the built function answers it under AWS's own names.
//!
//! `make e2e-cloudformation` runs this in namespaces of its own: `tests/e2e/isolated`. [`engine`] starts MiniStack with
//! the seams of `seams.py`, each of which says what AWS does and MiniStack does not. A [`story::Story`] is one test's
//! [`stack`]s of a [`template`], and prints a table of its steps.
//!
//! Where the engine is known to differ from AWS, the events that `tests/lambda` and `tests/concurrency` send stay the
//! judge. It works on one resource after another; deletes what a resource depends on though that one's Delete failed;
//! sends no Update back after a replacement that was complete; and has no keys of KMS for parameters.

mod authority;
mod deploy;
mod engine;
mod fleet;
mod handover;
mod imports;
mod life;
mod moves;
mod outages;
mod owners;
mod readers;
mod stack;
mod story;
mod template;
mod urls;
mod walk;
mod watch;

use docker_tls_testing::engine::{isolation, process, sam};
use docker_tls_testing::lambda::{certificates, clock, http, published, rack, ssm};
use docker_tls_testing::{built, damage, dice, fixtures, openssl, table};
