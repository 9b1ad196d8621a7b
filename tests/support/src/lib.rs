//! What the tests, the benchmarks and the fuzzers share.
//!
//! For everybody: [`fixtures`] has the files of `events/` and of `tests/fixtures`, and [`table`] shows results.
//!
//! For the core: [`sets`] makes stored sets, [`event`] carries events out on them, [`mint`] hands out keys, and [`cases`]
//! says how often a property is tried. [`damage`] spoils a value. [`acceptance`] judges who accepts whom, and
//! [`openssl`] has the openssl command line judge.
//!
//! For the handler alone: [`by_hand`] runs it from one call to the next, with a store in memory.

pub mod acceptance;
pub mod by_hand;
pub mod cases;
pub mod damage;
pub mod event;
pub mod fixtures;
pub mod mint;
pub mod openssl;
pub mod sets;
