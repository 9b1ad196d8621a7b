//! `docker-tls fleet` with many nodes, which are in memory and answer at once: what is left is the tool, and how often it
//! asks.

use docker_tls_testing::fleet::world::World;
use docker_tls_testing::table::Table;

use crate::process::{self, Measured};

const NODES: usize = 1_000;
const RUNS: usize = 3;

/// Adds a row for looking at all nodes, and one for moving them besides.
pub fn add_rows(table: &mut Table) {
    for (what, options, code) in [("fleet", &[][..], 1), ("fleet --move", &["--move"], 0)] {
        let runs: Vec<_> = (0..RUNS).map(|_| run(options, code)).collect();
        let (measured, requests): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        let name = format!("docker-tls {what}, {NODES} nodes");
        table.add(&name, process::row(&measured, requests[0].clone()));
    }
}

/// Runs the tool in front of a rack whose CA was rotated; with it, how often it called what.
fn run(options: &[&str], code: i32) -> (Measured, String) {
    let world = World::rotated(NODES);
    world.fleet.take_calls();
    let (measured, status, output) = Measured::run(world.command(options));
    assert_eq!(status.code(), Some(code), "{output}");
    let calls = world.fleet.count_calls();
    let calls = calls
        .iter()
        .map(|(action, count)| format!("{count} {action}"));
    (measured, calls.collect::<Vec<_>>().join(", "))
}
