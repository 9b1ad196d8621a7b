//! `docker-tls fleet`, as a person or a script calls it, in front of a stand-in for SSM's Run Command with nodes in
//! memory.

mod faults;
mod scale;
mod stories;
