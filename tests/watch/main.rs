//! A schedule's event: what is read and said of it, and what becomes of that in CloudWatch.

mod events;
mod lines;
mod pace;
mod template;

use docker_tls_certgen::function::watch::{Watch, WatchError};
use docker_tls_certgen::plan::assessment::Assessment;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::plan::standing::Standing;
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_testing::event::make_update;
use serde_json::Value;
use time::OffsetDateTime;

/// What is a schedule's.
#[track_caller]
fn parse(event: &Value) -> Result<Watch, WatchError> {
    Watch::parse(event).expect("the event is a schedule's")
}

/// What a watch says of a set, whose properties are these.
fn look(properties: &Value, stored: &StoredSet, now: OffsetDateTime) -> Standing {
    let spec = Spec::hypothetical(make_update(properties).properties);
    let assessment = Assessment::of(Found::decode(stored));
    Standing::of(&spec.next(), stored, &assessment, now)
}
