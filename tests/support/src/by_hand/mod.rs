//! A handler that is run by hand, one call at a time: no thread, no sleep, no chance.
//!
//! [`store`] behaves as SSM does, [`machine`] has a clock that the test moves, and [`running`] polls a handler from one
//! call to the next.

pub mod machine;
pub mod running;
pub mod store;
