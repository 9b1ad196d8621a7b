//! The core, as a function of what is wanted, what was found and the time.
//!
//! [`tables`] says what is decided, [`arbitrary`] that something always is, [`model`] that it refuses nobody,
//! [`issued`] that other code takes what is issued, and [`tls`] that it connects. [`fleet`] does the same for the moving
//! of nodes.

mod arbitrary;
mod fleet;
mod issued;
mod model;
mod tables;
mod tls;

use docker_tls_testing::{
    acceptance, case_files, cases, damage, event, fixtures, forms, mint, openssl, sets as store,
};
