//! What the function does, event by event.

mod adoption;
mod bad_input;
mod busy;
mod concurrency;
mod crash;
mod creation;
mod deletion;
mod delivery;
mod endurance;
mod events;
mod expiry;
mod faults;
mod getter;
mod harness;
mod logging;
mod ownership;
mod refused_reads;
mod repair;
mod roots;
mod rotation;
mod secrets;
mod separate;
mod watch;
