//! The core, as a function of what is wanted, what was found and the time: no process, no store, no network but in
//! [`tls`].

mod acceptance;
mod arbitrary;
mod damage;
mod event;
mod issued;
mod mint;
mod model;
mod openssl;
mod store;
mod tables;
mod tls;
