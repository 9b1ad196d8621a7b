//! What SSM runs on a node, `src/fleet/converge.sh`, on nodes with real daemons.

mod boots;
mod containers;
mod kills;
mod moves;
mod set;
mod story;
mod tells;
