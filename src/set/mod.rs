//! A rack's stored set: which parameters it has, what they hold, and what the state remembers.

pub mod anchor_record;
pub mod decoded;
pub mod flaw;
pub mod pair;
pub mod parameter;
pub mod rack;
pub mod state;
