//! What holds for every function that a rig can have, however it runs.

pub mod ownership;
