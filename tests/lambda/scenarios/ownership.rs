//! Who owns a set: nothing that anyone still uses is removed, and what is nobody's is not left behind.

use crate::rig::Rig;

docker_tls_testing::ownership_tests!(Rig::start);

#[test]
fn every_scenario_is_a_test() {
    let text = include_str!("../../support/src/lambda/scenarios/ownership.rs");
    let scenarios = text.lines().filter_map(|line| line.strip_prefix("pub fn "));
    for scenario in scenarios {
        let name = scenario.split('(').next().unwrap_or_default();
        assert!(text.contains(&format!(" {name},\n")), "{name} is no test");
    }
}
