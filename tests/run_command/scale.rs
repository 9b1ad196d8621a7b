//! A thousand nodes.

use docker_tls_testing::fleet::node::id;

use crate::{World, make_set};

const NODES: usize = 1000;
/// As many as a command takes.
const BATCH: usize = 50;

#[tokio::test]
async fn a_thousand_nodes_move_in_batches() {
    let world = World::with(NODES);
    world.published.publish(make_set('b'));
    for first in (0..NODES).step_by(BATCH) {
        let batch = (first..first + BATCH).map(id).collect();
        let command = world.about('b', "move").set_instance_ids(Some(batch));
        let rows = world.carry_out(command.max_concurrency("10%")).await;
        assert!(
            rows.values()
                .all(|row| row.status_details() == Some("Success"))
        );
    }
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.daemon().runs == make_set('b'))
    );
    let sent = world.fleet.sent();
    assert_eq!(sent.len(), NODES / BATCH);
    assert!(sent.iter().all(|command| command.peak <= BATCH / 10));
}
