//! A thousand nodes.

use std::io::{self, Write as _};

use docker_tls_certgen::fleet::NODES_PER_COMMAND;

use docker_tls_testing::fleet::world::World;

const NODES: usize = 1000;

#[test]
fn a_thousand_nodes_are_observed_and_moved_in_commands_of_fifty() {
    let world = World::rotated(NODES);
    for (options, code) in [(&[][..], 1), (&["--move"], 0)] {
        world.fleet.take_calls();
        let before = world.fleet.sent().len();
        world.check(options, code);
        let sent = world.fleet.sent().split_off(before);
        let observations = sent.iter().filter(|sent| sent.action() == "observe");
        assert_eq!(observations.count(), NODES / NODES_PER_COMMAND);
        assert!(
            sent.iter()
                .all(|sent| sent.nodes.len() <= NODES_PER_COMMAND)
        );
        let calls = world.fleet.count_calls();
        // Past the test harness, which would keep it to itself.
        writeln!(
            io::stdout(),
            "docker-tls fleet {}: {NODES} nodes, {} commands, {calls:?}",
            options.join(" "),
            sent.len()
        )
        .expect("stdout is open");
    }
    assert!(world.has_moved());
}
