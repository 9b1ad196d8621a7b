//! What the tests, the benchmarks and the fuzzers share.
//!
//! For everybody: [`fixtures`] has the files of `events/` and of `tests/fixtures`, [`case_files`] those of its folder
//! `cases`, [`sources`] reads the repository's own files, [`acceptor`] takes connections, and [`table`] shows results.
//!
//! For the core: [`sets`] makes stored sets, [`event`] carries events out on them, [`mint`] hands out keys, and [`cases`]
//! says how often a property is tried. [`damage`] spoils a value, [`forms`] writes it
//! otherwise, and [`repairs`] says what is written then. [`acceptance`]
//! judges who accepts whom, and [`openssl`] has the openssl command line judge.
//!
//! For the handler: [`by_hand`] runs it from one call to the next, with a store in memory.
//!
//! For the built function: [`lambda`] drives it from outside, and [`built`] finds it.
//!
//! For the operator's tool: [`fleet`] stands in for Systems Manager's Run Command and for the nodes that it reaches.
//!
//! For real engines: [`engine`] starts daemons and other programs.

#![expect(
    clippy::return_self_not_must_use,
    reason = "a check returns what it has checked, for another check or for none"
)]

pub mod acceptance;
pub mod acceptor;
pub mod built;
pub mod by_hand;
pub mod case_files;
pub mod cases;
pub mod damage;
pub mod dice;
pub mod engine;
pub mod event;
pub mod fixtures;
pub mod fleet;
pub mod forms;
pub mod lambda;
pub mod mint;
pub mod openssl;
pub mod repairs;
pub mod sets;
pub mod sources;
pub mod table;
