//! At every log level, nothing of a key and nothing of a pre-signed URL's query is logged.

use std::collections::HashSet;

use docker_tls_certgen::set::rack::Part;
use serde_json::json;

use crate::cloudformation::Resource;
use crate::damage::text_of;
use crate::rack::{self, Set};
use crate::rig::{FUNCTION_TIMEOUT, Rig, SHORT_TIMEOUT};
use crate::runtime_api::Settings;
use crate::ssm::Calls;

/// How long a piece of a key must be to be told from chance.
const PIECE_CHARS: usize = 20;

/// Every piece of a text, line by line.
fn pieces(text: &str) -> HashSet<&[u8]> {
    text.lines()
        // What encloses every PEM block is no secret.
        .filter(|line| !line.starts_with("-----"))
        .flat_map(|line| line.as_bytes().windows(PIECE_CHARS))
        .collect()
}

#[test]
fn nothing_secret_is_logged_at_trace_level() {
    let rig = Rig::with(&Settings {
        log: "trace".to_owned(),
        environment: vec![("AWS_LAMBDA_LOG_LEVEL".to_owned(), "TRACE".to_owned())],
    });
    let mut secrets = Vec::new();
    let mut remember = || {
        let set = Set::read(&rig.ssm, "rack-1");
        for part in set.parts().into_iter().filter(|part| part.is_key()) {
            secrets.push(set.value(part).to_owned());
            secrets.push(text_of(set.value(part)));
        }
    };

    let mut generator = Resource::created(&rig, "rack-1");
    remember();
    generator.rotate("1");
    remember();
    for part in Part::SHARED {
        Resource::getter(&rig, "rack-1", &rack::name(part, "rack-1"))
            .create(json!({}))
            .succeeded();
    }
    Resource::getter(&rig, "rack-1", "other")
        .create(json!({}))
        .failed(&[]);
    generator
        .update(json!({ "KeyAlgorithm": "none" }))
        .failed(&[]);
    rig.ssm.refuse(Calls::Writes, 2);
    generator.set_timeout(SHORT_TIMEOUT);
    generator
        .update(json!({ "RotationToken": "2" }))
        .failed(&[]);
    rig.ssm.recover();
    generator.set_timeout(FUNCTION_TIMEOUT);
    generator.delete().succeeded();

    let log = rig.function.stop();
    assert!(log.contains("rack-1"), "nothing was logged");
    let secrets: HashSet<_> = secrets.iter().flat_map(|secret| pieces(secret)).collect();
    for line in log.lines() {
        let leaks = line
            .as_bytes()
            .windows(PIECE_CHARS)
            .any(|piece| secrets.contains(piece));
        assert!(!leaks, "a piece of a secret in: {line}");
        assert!(
            !line.contains("X-Amz-Signature"),
            "a response URL's query in: {line}"
        );
    }
}
