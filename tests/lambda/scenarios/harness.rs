//! The stand-ins themselves: what they must get right for the other tests to mean anything.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::clock;
use crate::http::{Answer, Headers, Reply, Server, post};
use crate::ssm::{Calls, Fault, Ssm};

/// Calls an action as the function would.
#[track_caller]
fn call(ssm: &Ssm, action: &str, request: &Value) -> Result<Value, String> {
    let headers = Headers::default().with("X-Amz-Target", format!("AmazonSSM.{action}"));
    let answer = post(ssm.address(), &headers, request.to_string().as_bytes())
        .map_err(|error| error.to_string())?;
    let body: Value = serde_json::from_slice(&answer.body).expect("SSM answers JSON");
    match answer.status {
        200 => Ok(body),
        _ => Err(body["__type"]
            .as_str()
            .expect("errors have a type")
            .to_owned()),
    }
}

/// Creates or overwrites the parameter `a`.
#[track_caller]
fn put(ssm: &Ssm, kind: Option<&str>, value: &str, overwrite: bool) -> Result<Value, String> {
    let request = json!({ "Name": "a", "Type": kind, "Value": value, "Overwrite": overwrite });
    call(ssm, "PutParameter", &request)
}

#[test]
fn the_store_counts_versions_keeps_types_and_refuses_to_create_twice() {
    let ssm = Ssm::start();
    let first = put(&ssm, Some("SecureString"), "1", false);
    assert_eq!(first.expect("it is new")["Version"], 1);
    let again = put(&ssm, Some("SecureString"), "2", false);
    assert!(
        again
            .expect_err("it exists")
            .contains("ParameterAlreadyExists")
    );
    let second = put(&ssm, None, "2", true);
    assert_eq!(second.expect("it is overwritten")["Version"], 2);
    let stored = ssm.read("a").expect("it exists");
    assert_eq!(
        (stored.kind.as_str(), stored.value.as_str(), stored.version),
        ("SecureString", "2", 2)
    );
    let answer = call(
        &ssm,
        "GetParameters",
        &json!({ "Names": ["a", "b"], "WithDecryption": true }),
    );
    assert_eq!(
        answer.expect("it is allowed")["InvalidParameters"],
        json!(["b"])
    );
}

#[test]
fn what_aws_refuses_and_moto_does_not_is_refused() {
    let ssm = Ssm::start();
    let full = "x".repeat(4096);
    put(&ssm, Some("String"), &full, false).expect("4096 characters fit");
    let longer = put(&ssm, Some("String"), &format!("{full}x"), true);
    assert_eq!(longer, Err("ValidationException".to_owned()));
    let changed = put(&ssm, Some("SecureString"), "1", true);
    assert_eq!(changed, Err("HierarchyTypeMismatchException".to_owned()));
    let names: Vec<_> = (0..11).map(|number| number.to_string()).collect();
    let many = call(&ssm, "DeleteParameters", &json!({ "Names": names }));
    assert_eq!(many, Err("ValidationException".to_owned()));
    assert_eq!(ssm.read("a").expect("it exists").version, 1);
}

#[test]
fn accounts_share_nothing() {
    let (one, other) = (Ssm::start(), Ssm::start());
    one.write("a", "String", "1");
    assert_eq!(one.names(), ["a"]);
    assert_eq!(other.names(), [""; 0]);
    one.remove("a");
    assert_eq!(one.names(), [""; 0]);
}

#[test]
fn faults_strike_the_calls_that_they_are_for_and_are_recorded() {
    let ssm = Ssm::start();
    let write = |value: &str| put(&ssm, Some("String"), value, true);
    ssm.refuse(Calls::Writes, 1);
    write("1").expect("the first passes");
    assert_eq!(write("2"), Err("AccessDeniedException".to_owned()));
    ssm.recover();
    ssm.fail(Calls::Writes, 0, 1, Fault::LoseAnswer);
    write("3").expect_err("the answer is lost");
    assert_eq!(ssm.read("a").expect("it exists").value, "3");
    ssm.fail(Calls::Writes, 0, 1, Fault::Reset);
    let error = write("4").expect_err("the connection is reset");
    assert!(error.contains("reset"), "{error}");
    ssm.fail(
        Calls::Writes,
        0,
        1,
        Fault::After(Box::new(|store| store.remove("a"))),
    );
    write("5").expect("it passes");
    assert_eq!(ssm.read("a").expect("it exists").version, 1);
    let landed: Vec<_> = ssm
        .take_calls()
        .iter()
        .map(|call| (call.is_write(), call.landed))
        .collect();
    assert_eq!(
        landed,
        [
            (true, true),
            (true, false),
            (true, true),
            (true, false),
            (true, true)
        ]
    );
}

#[test]
fn a_version_that_is_asked_for_says_so_and_one_that_does_not_exist_is_invalid_as_it_was_asked_for()
{
    let ssm = Ssm::start();
    for value in ["1", "2"] {
        ssm.write("a", "String", value);
    }
    let read = |names: &[&str]| call(&ssm, "GetParameters", &json!({ "Names": names }));
    let answer = read(&["a:1", "a:3", "b:1"]).expect("it is allowed");
    let found = &answer["Parameters"];
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    let fields = ["Name", "Selector", "Version", "Value"].map(|field| &found[0][field]);
    assert_eq!(json!(fields), json!(["a", ":1", 1, "1"]));
    let mut invalid = answer["InvalidParameters"].clone();
    let invalid = invalid.as_array_mut().expect("a list");
    invalid.sort_by_key(Value::to_string);
    assert_eq!(*invalid, ["a:3", "b:1"]);
    let answer = read(&["a"]).expect("it is allowed");
    assert_eq!(answer["Parameters"][0]["Selector"], Value::Null);
}

#[test]
fn calls_beyond_a_rate_are_refused_and_those_of_another_kind_are_not() {
    const READS: u32 = 40;
    let ssm = Ssm::start();
    ssm.limit(2, 1);
    let began = clock::instant();
    let read = |_: &u32| call(&ssm, "GetParameters", &json!({ "Names": ["a"] })).is_ok();
    let passed = (0..READS).filter(read).count();
    let earned = 2.0 * began.elapsed().as_secs_f64();
    assert!(passed >= 2, "the bucket is full at first");
    let passed = u32::try_from(passed).expect("they are few");
    assert!(
        f64::from(passed) <= 2.0 + earned,
        "{passed} in the time for {earned}"
    );
    assert!(passed < READS, "none was refused in the time for {earned}");
    put(&ssm, Some("String"), "1", true).expect("it is the first");
    let deleted = call(&ssm, "DeleteParameters", &json!({ "Names": ["a"] }));
    deleted.expect("it is the first, too");
}

#[test]
fn a_hanging_call_ends_with_its_server() {
    let ssm = Ssm::start();
    ssm.fail(Calls::Reads, 0, 1, Fault::Hang);
    let mut stream = TcpStream::connect(ssm.address()).expect("the proxy listens");
    let request =
        b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSSM.GetParameters\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(request).expect("the proxy reads");
    drop(ssm);
    // In good order or with a reset, depending on how far the proxy had read.
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_server_shows_the_target_byte_for_byte() {
    let target = "/bucket/arn%3Aaws%3Astack/a%7Cb?X-Amz-Credential=a%2Fb&c=%20+~";
    let server = Server::start(|request| Reply::Answer(Answer::new(200, request.target)));
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    let request = format!("PUT {target} HTTP/1.1\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    let mut answer = vec![0; 1024];
    let mut length = 0;
    while !answer[..length].ends_with(target.as_bytes()) {
        match stream
            .read(&mut answer[length..])
            .expect("the server answers")
        {
            0 => panic!("{}", String::from_utf8_lossy(&answer)),
            bytes => length += bytes,
        }
    }
}
