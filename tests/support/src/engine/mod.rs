//! Docker Engines of the test's own, and other programs: [`dockerd`] is the daemon, [`node`] a machine with one, [`sam`] the
//! tool that deploys, [`isolation`] says where they may run, and [`process`] runs them.

pub mod dockerd;
pub mod isolation;
pub mod node;
pub mod process;
pub mod sam;
