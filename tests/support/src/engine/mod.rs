//! Docker Engines of the test's own: [`dockerd`] is the daemon, [`isolation`] says where it may run, and [`process`] runs
//! it and other programs, of which [`sam`] is one.

pub mod dockerd;
pub mod isolation;
pub mod process;
pub mod sam;
