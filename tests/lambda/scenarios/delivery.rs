//! The response's way to CloudFormation.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cloudformation::Resource;
use crate::http::{Answer, Reply, Server};
use crate::rig::FUNCTION_TIMEOUT;
use crate::rig::{Invoke as _, Rig};
use crate::runtime_api::Settings;

fn status(status: u16) -> Reply {
    Reply::Answer(Answer::new(status, ""))
}

/// A Create for a sink that follows a script: whether the invocation was a success, and the bodies that arrived.
fn deliver(script: impl IntoIterator<Item = Reply>) -> (bool, Vec<Vec<u8>>) {
    let rig = Rig::start();
    rig.sink.script(script);
    let event: Value = Resource::generator(&rig, "rack-1").create_event();
    let outcome = rig.function.invoke(FUNCTION_TIMEOUT, &event);
    // Taken by its target byte for byte.
    let uploads = rig.sink.take(rig.target(&event));
    (
        outcome.is_ok(),
        uploads.into_iter().map(|upload| upload.body).collect(),
    )
}

#[test]
fn any_2xx_is_delivered() {
    for code in [200, 201, 204] {
        let (ok, bodies) = deliver([status(code)]);
        assert!(ok, "{code}");
        assert_eq!(bodies.len(), 1, "{code}");
    }
}

#[test]
fn what_passes_is_tried_again_with_the_same_bytes() {
    let (ok, bodies) = deliver([
        status(500),
        status(503),
        status(429),
        Reply::Reset,
        Reply::Close,
    ]);
    assert!(ok);
    assert_eq!(bodies.len(), 6);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[test]
fn any_other_status_is_final_and_fails_the_invocation() {
    for code in [301, 307, 400, 403, 404] {
        let (ok, bodies) = deliver([status(code)]);
        assert!(!ok, "{code}");
        assert_eq!(bodies.len(), 1, "{code}");
    }
}

#[test]
fn a_response_that_was_not_delivered_is_delivered_when_lambda_tries_again() {
    let rig = Rig::start();
    rig.sink.script([status(403)]);
    let event = Resource::generator(&rig, "rack-1").create_event();
    assert!(rig.function.invoke(FUNCTION_TIMEOUT, &event).is_err());
    rig.sink.take(rig.target(&event));
    let created = rig.deliver(&event).succeeded();
    assert_eq!(created.parts_put("rack-1"), []);
    assert_eq!(created.previous_ca(), json!(""));
}

#[test]
fn a_proxy_of_the_environment_sees_requests_to_aws_and_no_response() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let proxy = Server::start({
        let seen = Arc::clone(&seen);
        move |request| {
            seen.lock().expect("no holder panics").push(request.target);
            let refusal = json!({ "__type": "AccessDeniedException", "message": "no" });
            Reply::Answer(Answer::new(400, refusal.to_string()))
        }
    });
    let address = format!("http://{}", proxy.address());
    let rig = Rig::with(&Settings {
        environment: ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"]
            .map(|name| (name.to_owned(), address.clone()))
            .to_vec(),
        ..Settings::default()
    });
    let event = Resource::generator(&rig, "rack-1").create_event();
    rig.deliver(&event).failed(&["AccessDeniedException"]);
    let ssm = format!("http://{}/", rig.ssm.address());
    assert_eq!(*seen.lock().expect("no holder panics"), [ssm]);
}
