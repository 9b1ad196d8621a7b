//! The real thing: Docker Engines and four TLS stacks, given what our tool makes of a set over a rack's life.
//!
//! `make e2e` runs this in namespaces of its own: `tests/e2e/isolated`. A [`history::History`] is a rack's life, an
//! [`engine::Daemon`] an instance; [`docker`], [`fleet`] and [`tls`] hold the tests.

mod docker;
mod engine;
mod fleet;
mod history;
mod tls;

use docker_tls_testing::engine::{dockerd, isolation, node, process};
use docker_tls_testing::lambda::certificates;
use docker_tls_testing::{case_files, damage, dice, event, fixtures, mint, openssl, sets, table};
