//! The core, as a function of what is wanted, what was found and the time.
//!
//! [`tables`] says what is decided, [`arbitrary`] that something always is, [`model`] that it refuses nobody,
//! [`issued`] that other code takes what is issued, and [`tls`] that it connects.

mod acceptance;
mod arbitrary;
mod cases;
mod damage;
mod event;
mod issued;
mod mint;
mod model;
mod openssl;
mod store;
mod tables;
mod tls;
