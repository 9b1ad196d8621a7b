//! The store in memory: what it must get right for the schedules to mean anything.

use docker_tls_certgen::set::parameter::{MAX_VALUE_CHARS, ParameterType};
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::store::Deletion;

use crate::store::{Answer, Call, Failure, MemoryStore};

#[test]
fn the_store_counts_versions_from_one_again_after_a_delete_and_refuses_what_ssm_refuses() {
    let rack = Rack::new("rack-1").expect("a name that is not empty");
    let put = |value: &str, parameter_type, overwrite| Call::Put {
        rack: rack.clone(),
        part: Part::Key,
        value: value.into(),
        parameter_type,
        overwrite,
        once: false,
    };
    let mut store = MemoryStore::default();
    let longest = "x".repeat(MAX_VALUE_CHARS);
    let one = put(&longest, ParameterType::String, false);
    let other_type = put("x", ParameterType::SecureString, true);
    let too_long = put(&format!("{longest}x"), ParameterType::String, true);
    let over = put("x", ParameterType::String, true);
    let delete = Call::Delete {
        rack: rack.clone(),
        deletion: Deletion::Everything,
    };
    for (call, answer) in [
        (&one, Answer::Version(1)),
        (&one, Answer::Failed(Failure::Exists)),
        (&over, Answer::Version(2)),
        (&other_type, Answer::Failed(Failure::Type)),
        (&too_long, Answer::Failed(Failure::Length)),
        (&delete, Answer::Deleted),
        (&delete, Answer::Deleted),
        (&over, Answer::Version(1)),
    ] {
        assert_eq!(store.apply(call), answer, "{call}");
    }
}
