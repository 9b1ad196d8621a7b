//! The files in events/, which SAM and the README use, do what they are there for.

use serde_json::{Value, json};

use crate::fixtures::make_event_for;
use crate::rack::Set;
use crate::rig::{Exchange, Rig};

/// An event file, its response led to the sink.
fn event(rig: &Rig, file: &str) -> Value {
    make_event_for(file, &format!("http://{}", rig.sink.address()))
}

#[test]
fn the_events_of_a_life_succeed_in_order() {
    let rig = Rig::start();
    rig.deliver(&event(&rig, "create")).succeeded();
    rig.deliver(&event(&rig, "update")).succeeded().only_read();
    for getter in [event(&rig, "getter"), event(&rig, "getter-key")] {
        let got = rig.deliver(&getter).succeeded();
        let name = getter["ResourceProperties"]["ParameterKey"]
            .as_str()
            .expect("it is text");
        assert_eq!(
            got.response.data("Value"),
            rig.ssm.read(name).expect("it exists").value
        );
    }
    let rotated = rig.deliver(&event(&rig, "update-rotate")).succeeded();
    let previous = rotated.previous_ca();
    // The file cannot know which CA there is, so the response says what to put there.
    let mut retire = event(&rig, "update-retire");
    rig.deliver(&retire)
        .failed(&["RetiredCA", previous])
        .wrote_nothing();
    retire["ResourceProperties"]["RetiredCA"] = json!(previous);
    let closed: Exchange = rig.deliver(&retire).succeeded();
    assert_eq!(closed.previous_ca(), "");
    rig.deliver(&event(&rig, "delete")).succeeded();
    assert_eq!(rig.ssm.names(), [""; 0]);
}

#[test]
fn the_bad_events_fail_and_touch_nothing() {
    let rig = Rig::start();
    rig.deliver(&event(&rig, "create")).succeeded();
    let before = Set::read(&rig.ssm, "rack-1");
    rig.deliver(&event(&rig, "bad-rack"))
        .failed(&["Rack"])
        .wrote_nothing();
    rig.deliver(&event(&rig, "bad-property"))
        .failed(&["CaValidityDays", "CAValidityDays"])
        .wrote_nothing();
    rig.deliver(&event(&rig, "bad-type"))
        .failed(&["Custom::DockerTLSCertGenerate"])
        .wrote_nothing();
    rig.deliver(&event(&rig, "bad-parameter-key"))
        .failed(&["ParameterKey"])
        .wrote_nothing();
    assert_eq!(Set::read(&rig.ssm, "rack-1"), before);
}
