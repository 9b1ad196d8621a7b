//! What a node tells, read from whatever Run Command hands over.

use docker_tls_certgen::fleet::name::NameId;
use docker_tls_certgen::fleet::observation::{Lasts, Observation, Outcome, Unreadable};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::make_fingerprint;
use crate::cases::cases;

/// How many characters of an output SSM keeps.
const SSM_CHARS: usize = 2500;

fn make_object() -> Value {
    json!({
        "verdict": "told",
        "did": "",
        "trusts": ["fedcba9876543210", "0123456789abcdef"],
        "asks": true,
        "presents": make_fingerprint(0x1e).to_string(),
        "containers": 3,
        "keeps_containers": true,
        "lasts": "always",
        "reason": "",
    })
}

fn make_line(object: &Value) -> String {
    format!("docker-tls {object}")
}

fn make_read() -> Observation {
    let name = |text| NameId::parse(text).expect("16 hex digits");
    Observation {
        outcome: Outcome::Told,
        did: String::new(),
        trusts: vec![name("0123456789abcdef"), name("fedcba9876543210")],
        asks: true,
        presents: Some(make_fingerprint(0x1e)),
        containers: 3,
        keeps_containers: true,
        lasts: Lasts::Always,
        reason: String::new(),
    }
}

#[test]
fn the_line_is_read_among_whatever_else_was_printed() {
    let line = make_line(&make_object());
    let earlier = line.replace("told", "busy");
    for output in [
        line.clone(),
        format!("{line}\n"),
        format!("Last login: never\n{line}\nbye\n"),
        format!("no newline{line}--output truncated--"),
        format!("docker-tls: a word of its own\n{line}"),
        format!("{earlier}\n{line}"),
        line.replace("\"asks\"", "\"later\":[{}],\"asks\""),
    ] {
        assert_eq!(Observation::parse(&output), Ok(make_read()), "{output}");
    }
}

#[test]
fn every_outcome_has_its_word() {
    for (word, outcome) in [
        ("told", Outcome::Told),
        ("moved", Outcome::Moved),
        ("stale", Outcome::Stale),
        ("refused", Outcome::Refused),
        ("busy", Outcome::Busy),
        ("broken", Outcome::Broken),
        ("rolled-back", Outcome::RolledBack),
        ("down", Outcome::Down),
    ] {
        let mut object = make_object();
        object["verdict"] = word.into();
        let read = Observation::parse(&make_line(&object)).expect("a line");
        assert_eq!(read.outcome, outcome, "{word}");
    }
}

#[test]
fn a_daemon_that_speaks_no_tls_presents_nothing() {
    let mut object = make_object();
    object["presents"] = "".into();
    object["trusts"] = json!([]);
    let read = Observation::parse(&make_line(&object)).expect("a line");
    assert_eq!((read.presents, read.trusts), (None, vec![]));
}

#[test]
fn an_output_without_the_line_says_so() {
    for output in ["", "docker-tls", "docker-tls []", "{\"verdict\":\"told\"}"] {
        assert_eq!(
            Observation::parse(output),
            Err(Unreadable::Absent),
            "{output}"
        );
    }
}

#[test]
fn a_line_that_is_cut_anywhere_says_so() {
    let line = make_line(&make_object());
    for end in "docker-tls {".len()..line.len() {
        let cut = Observation::parse(&line[..end]);
        assert_eq!(cut, Err(Unreadable::Cut), "{}", &line[..end]);
    }
    let mut long = make_object();
    long["trusts"] = vec!["0123456789abcdef"; SSM_CHARS / 16].into();
    let long = make_line(&long);
    assert_eq!(Observation::parse(&long[..SSM_CHARS]), Err(Unreadable::Cut));
}

#[test]
fn a_line_with_something_else_in_it_names_what() {
    for (field, value, named) in [
        ("verdict", json!("fine"), "fine"),
        ("trusts", json!(["0123456789ABCDEF"]), "0123456789ABCDEF"),
        ("trusts", json!("0123456789abcdef"), "sequence"),
        ("presents", json!("abc"), "abc"),
        ("asks", json!("true"), "boolean"),
        ("containers", json!(-1), "-1"),
        ("lasts", json!("never"), "until-start"),
        ("reason", json!(7), "string"),
    ] {
        let mut object = make_object();
        object[field] = value;
        let Err(Unreadable::NotAsAgreed { problem }) = Observation::parse(&make_line(&object))
        else {
            panic!("{field} was taken");
        };
        assert!(problem.contains(named), "{field}: {problem}");
    }
    for field in make_object().as_object().expect("an object").keys() {
        let mut object = make_object();
        object.as_object_mut().expect("an object").remove(field);
        let Err(Unreadable::NotAsAgreed { problem }) = Observation::parse(&make_line(&object))
        else {
            panic!("{field} is not missed");
        };
        assert!(problem.contains(field), "{problem}");
    }
}

#[test]
fn what_a_node_says_cannot_steer_a_terminal() {
    let mut object = make_object();
    object["reason"] = format!("\u{1b}[2J\r\n{}", "x".repeat(SSM_CHARS)).into();
    let read = Observation::parse(&make_line(&object)).expect("a line");
    assert!(!read.reason.contains(char::is_control), "{:?}", read.reason);
    assert!(read.reason.len() < SSM_CHARS / 2);
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn no_output_panics(text in ".*", behind in ".*") {
        drop(Observation::parse(&text));
        drop(Observation::parse(&format!("{text}docker-tls {{{behind}")));
    }

    #[test]
    fn no_line_with_a_changed_character_panics(at in 0_usize..400, put in any::<char>()) {
        let mut line: Vec<char> = make_line(&make_object()).chars().collect();
        let at = at % line.len();
        line[at] = put;
        let line: String = line.into_iter().collect();
        if let Err(error) = Observation::parse(&line) {
            prop_assert!(!error.to_string().contains(char::is_control));
        }
    }
}
