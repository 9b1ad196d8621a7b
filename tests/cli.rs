//! `docker-tls` as a person or a script calls it: output, exit codes, files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use docker_tls_certgen::pki::certificate::Certificate;
use docker_tls_certgen::pki::usages::Usages;
use serde_json::Value;

/// A folder with a store in it, and the tool to call there.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// A desk with one rack's set in its store.
    fn with_set() -> Self {
        let desk = Self::new();
        desk.check_invoke("create.json", 0);
        desk
    }

    /// The same with a rotation open; with it, the previous CA and the current one.
    #[track_caller]
    fn with_open_rotation() -> (Self, [String; 2]) {
        let desk = Self::with_set();
        desk.check_invoke("update-rotate.json", 0);
        let inspection = desk.check_json(&["inspect", "--json"], 0);
        let authority = |field: &str| inspection[field].as_str().map(str::to_owned);
        let authorities = ["previous_ca", "current_ca"].map(authority);
        (desk, authorities.map(|ca| ca.expect("a rotation is open")))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_docker-tls"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("RESPONSE_URL_ALLOWED_HOSTS")
            .output()
            .expect("the tool runs")
    }

    /// Runs the tool, checks its exit code, and returns what it printed to standard output and to standard error.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32) -> (String, String) {
        let output = self.run(arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let (out, error) = (text(output.stdout), text(output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}\n{out}{error}"
        );
        (out, error)
    }

    #[track_caller]
    fn check_invoke(&self, event: &str, code: i32) -> (String, String) {
        self.check(&["invoke", &event_path(event)], code)
    }

    #[track_caller]
    fn check_json(&self, arguments: &[&str], code: i32) -> Value {
        let (out, _) = self.check(arguments, code);
        serde_json::from_str(&out).expect("one JSON document")
    }
}

fn event_path(event: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("events")
        .join(event);
    path.display().to_string()
}

fn mode(path: &Path) -> u32 {
    let found = fs::metadata(path).expect("the file exists");
    found.permissions().mode() & 0o777
}

#[test]
fn inspect_of_a_healthy_set_exits_with_0_and_shows_no_key() {
    let desk = Desk::with_set();
    let (out, _) = desk.check(&["inspect"], 0);
    assert!(out.ends_with("next update  unchanged\n"), "{out}");
    let key = fs::read_to_string(desk.path(".docker-tls/7261636b2d31-docker-tls-key.json"));
    let key: Value = serde_json::from_str(&key.expect("the stored key")).expect("JSON");
    let value = key["value"].as_str().expect("a value");
    assert!(!out.contains(&value[..20]));
}

#[test]
fn inspect_exits_with_1_when_the_next_update_would_write() {
    let desk = Desk::with_set();
    let later = ["inspect", "--now", "+36450d", "--json"];
    let inspection = desk.check_json(&later, 1);
    assert_eq!(inspection["next"]["is_due"], true);
    assert_eq!(inspection["next"]["cuts_off"], false);
    let summary = inspection["next"]["summary"].as_str().unwrap_or_default();
    assert!(summary.starts_with("rotated the CA"), "{summary}");
    desk.check(&["inspect", "--set", "RotationToken=2"], 1);
    desk.check(&["inspect"], 0);
}

#[test]
fn now_takes_days_and_years_ahead_and_dates_and_refuses_the_rest_with_both_forms() {
    let desk = Desk::with_set();
    // A set that is made now ends in 36500 days, and is renewed from 60 days before that on.
    for (time, due) in [
        ("+0d", 0),
        ("+99y", 0),
        ("+100y", 1),
        ("+36439d", 0),
        ("+36441d", 1),
        ("2000-02-29T23:59:59-05:00", 0),
        ("+6900y", 1),
        ("8999-12-31T23:59:59Z", 1),
    ] {
        desk.check(&["inspect", "--now", time], due);
    }
    for wrong in [
        "+36450",
        "36450d",
        "+d",
        "++1d",
        "+-1d",
        "+1m",
        "+1.5y",
        "+99999999999d",
        "+9000y",
        "9000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "1969-12-31T23:59:59Z",
        "2027-02-29T00:00:00Z",
        "tomorrow",
    ] {
        for command in [&["inspect"][..], &["invoke", &event_path("update.json")]] {
            let (_, error) = desk.check(&[command, &["--now", wrong]].concat(), 2);
            for form in ["+36450d", "+99y", "2027-03-31T12:00:00Z"] {
                assert!(error.contains(form), "{wrong}: {error}");
            }
        }
    }
    let update = event_path("update.json");
    desk.check(&["invoke", &update, "--now", "8999-12-31T23:59:59Z"], 0);
}

#[test]
fn inspect_says_whom_the_next_update_cuts_off() {
    let desk = Desk::with_set();
    for part in ["ca-key", "key"] {
        let file = desk.path(&format!(".docker-tls/7261636b2d31-docker-tls-{part}.json"));
        fs::remove_file(file).expect("the parameter's file");
    }
    let inspection = desk.check_json(&["inspect", "--json"], 1);
    assert_eq!(inspection["next"]["cuts_off"], true);
    assert_eq!(inspection["parameters"][1]["flaw"], "is missing");
    let (out, _) = desk.check(&["inspect"], 1);
    assert!(out.contains("CUTS OFF"), "{out}");
}

#[test]
fn inspect_without_a_rack_exits_with_2_and_says_what_to_do() {
    let (_, error) = Desk::new().check(&["inspect"], 2);
    assert!(error.contains("events/create.json"), "{error}");
    let (_, error) = Desk::new().check(&["inspect", "--ssm"], 2);
    assert!(error.contains("--rack"), "{error}");
}

#[test]
fn a_store_with_several_racks_wants_one_named() {
    let desk = Desk::with_set();
    let event = event_path("create.json");
    desk.check(&["invoke", &event, "--set", "Rack=rack-2"], 0);
    let (_, error) = desk.check(&["inspect"], 2);
    assert!(error.contains("rack-1, rack-2"), "{error}");
    desk.check(&["inspect", "--rack", "rack-2"], 0);
}

#[test]
fn the_json_of_inspect_has_the_documented_fields() {
    let inspection = Desk::with_set().check_json(&["inspect", "--json"], 0);
    let fields = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    };
    let readme = include_str!("../README.md");
    let certificate = &inspection["parameters"][0]["certificates"][0];
    for value in [
        &inspection,
        &inspection["next"],
        &inspection["parameters"][0],
        certificate,
    ] {
        assert!(!fields(value).is_empty());
        for field in fields(value) {
            assert!(readme.contains(&format!("`{field}")), "{field}");
        }
    }
    assert_eq!(certificate["role"], "current-ca");
    assert_eq!(certificate["sha256"], inspection["current_ca"]);
}

#[test]
fn a_plain_key_is_warned_of_by_inspect_and_by_invoke() {
    let desk = Desk::new();
    let event = event_path("create.json");
    let create = ["invoke", &event, "--set", "KeyParameterType=String"];
    let (out, _) = desk.check(&create, 0);
    let warnings = |text: &str| text.matches("is a plain String").count();
    assert_eq!(warnings(&out), 2, "{out}");
    let (out, _) = desk.check(&["inspect"], 0);
    assert_eq!(warnings(&out), 2, "{out}");
}

#[test]
fn inspect_gives_the_word_that_takes_an_open_rotation_back_and_invoke_obeys_it() {
    let desk = Desk::with_set();
    let rotate = event_path("update-rotate.json");
    desk.check(&["invoke", &rotate], 0);
    let inspection = desk.check_json(&["inspect", "--json"], 0);
    let [previous, current, word] = ["previous_ca", "current_ca", "take_back"]
        .map(|field| inspection[field].as_str().expect("a rotation is open"));
    assert_eq!(word, format!("{current}/{previous}"));
    let (out, _) = desk.check(&["inspect"], 0);
    assert!(
        out.contains(&format!("take back  set RetiredCA to {word}")),
        "{out}"
    );
    let set = format!("RetiredCA={word}");
    let (out, _) = desk.check(&["invoke", &rotate, "--set", &set], 0);
    assert!(out.contains("took the rotation back"), "{out}");
    let (out, _) = desk.check(&["inspect"], 0);
    assert!(!out.contains("take back"), "{out}");
}

#[test]
fn half_a_word_is_obeyed_and_warned_of_with_the_whole_one() {
    let (desk, [previous, current]) = Desk::with_open_rotation();
    let rotate = event_path("update-rotate.json");
    let set = format!("RetiredCA={previous}");
    let (out, _) = desk.check(&["invoke", &rotate, "--set", &set], 0);
    assert!(out.contains("closed the rotation"), "{out}");
    let whole = format!("set it to {previous}/{current}");
    assert!(out.contains("warning") && out.contains(&whole), "{out}");
}

#[test]
fn a_word_that_may_be_an_old_one_does_nothing_and_is_warned_of() {
    let (desk, [previous, current]) = Desk::with_open_rotation();
    // Without a state nothing tells which words are old.
    let state = desk.path(".docker-tls/7261636b2d31-docker-tls-state.json");
    fs::remove_file(state).expect("the state");
    let set = format!("RetiredCA={current}/{previous}");
    let update = event_path("update.json");
    let (out, _) = desk.check(&["invoke", &update, "--set", &set], 0);
    for told in [
        "warning",
        "does nothing to the open rotation",
        "the state does not hold its private key",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
}

#[test]
fn the_store_is_its_owners_alone() {
    let desk = Desk::with_set();
    let store = desk.path(".docker-tls");
    assert_eq!(mode(&store), 0o700);
    let mut files = 0;
    for file in fs::read_dir(&store).expect("the store") {
        assert_eq!(mode(&file.expect("a file").path()), 0o600);
        files += 1;
    }
    assert!(files >= 6);
}

#[test]
fn the_store_neither_reads_nor_writes_through_a_symbolic_link() {
    let desk = Desk::with_set();
    let parameter = desk.path(".docker-tls/7261636b2d31-docker-tls-cert.json");
    let elsewhere = desk.path("elsewhere.json");
    fs::rename(&parameter, &elsewhere).expect("a move");
    symlink(&elsewhere, &parameter).expect("a link");
    let before = fs::read(&elsewhere).expect("the file elsewhere");
    let (out, _) = desk.check_invoke("update.json", 1);
    assert!(out.contains("not a regular file"), "{out}");
    assert_eq!(fs::read(&elsewhere).expect("the file elsewhere"), before);
}

#[test]
fn export_writes_three_files_for_their_owner_alone_that_openssl_takes() {
    let desk = Desk::with_set();
    desk.check(&["export", "certs"], 0);
    assert_eq!(mode(&desk.path("certs")), 0o700);
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        assert_eq!(mode(&desk.path("certs").join(file)), 0o600, "{file}");
    }
    let verified = Command::new("openssl")
        .args(["verify", "-x509_strict", "-CAfile", "ca.pem", "cert.pem"])
        .current_dir(desk.path("certs"))
        .output()
        .expect("openssl runs");
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn export_replaces_nothing_unless_it_is_forced_and_follows_no_link() {
    let desk = Desk::with_set();
    desk.check(&["export", "certs"], 0);
    let (_, error) = desk.check(&["export", "certs"], 2);
    assert!(error.contains("--force"), "{error}");
    let (key, elsewhere) = (desk.path("certs/key.pem"), desk.path("elsewhere"));
    fs::write(&elsewhere, "mine").expect("a file");
    fs::remove_file(&key).expect("the exported key");
    symlink(&elsewhere, &key).expect("a link");
    let exported = desk.check_json(&["export", "certs", "--force", "--json"], 0);
    assert_eq!(exported["files"][2], "certs/key.pem");
    assert_eq!(fs::read_to_string(&elsewhere).expect("the file"), "mine");
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn export_of_a_pair_that_does_not_match_writes_nothing() {
    let desk = Desk::with_set();
    let store = desk.path(".docker-tls");
    let ca_key = store.join("7261636b2d31-docker-tls-ca-key.json");
    fs::copy(ca_key, store.join("7261636b2d31-docker-tls-key.json")).expect("a copy");
    let (_, error) = desk.check(&["export", "certs"], 2);
    assert!(error.contains("do not match"), "{error}");
    assert!(!desk.path("certs").exists());
}

#[test]
fn invoke_says_what_is_wrong_with_its_event() {
    let desk = Desk::new();
    for (name, content, expected) in [
        ("text.json", "not JSON", "not JSON"),
        ("empty.json", "{}", "no ResponseURL"),
        (
            "watch.json",
            r#"{"Watch": {"Rack": "rack-1"}}"#,
            "docker-tls inspect",
        ),
    ] {
        fs::write(desk.path(name), content).expect("a file");
        let (_, error) = desk.check(&["invoke", name], 2);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(name), "{error}");
    }
    let (_, error) = desk.check(&["invoke", "missing.json"], 2);
    assert!(error.contains("missing.json: No such file"), "{error}");
}

#[test]
fn invoke_exits_with_1_on_failed_and_names_the_property() {
    let desk = Desk::new();
    for (event, expected) in [
        ("bad-property.json", "did you mean CAValidityDays?"),
        ("bad-rack.json", "property Rack"),
        ("bad-type.json", "Custom::DockerTLSCertGenerate"),
        ("bad-parameter-key.json", "property ParameterKey"),
    ] {
        let (out, _) = desk.check_invoke(event, 1);
        assert!(out.starts_with("FAILED"), "{out}");
        assert!(out.contains(expected), "{event}: {out}");
    }
    assert!(!desk.path(".docker-tls").exists());
}

#[test]
fn invoke_with_json_prints_the_body_and_nothing_else() {
    let desk = Desk::with_set();
    let update = event_path("update.json");
    let body = desk.check_json(&["invoke", &update, "--json"], 0);
    assert_eq!(body["Status"], "SUCCESS");
    assert_eq!(body["Data"].as_object().map(serde_json::Map::len), Some(9));
    let getter = event_path("getter-key.json");
    let body = desk.check_json(&["invoke", &getter, "--json"], 0);
    assert_eq!(body["NoEcho"], true);
    let (out, _) = desk.check(&["invoke", &getter], 0);
    let value = body["Data"]["Value"].as_str().unwrap_or_default();
    assert!(value.len() > 100 && !out.contains(&value[..20]));
}

#[test]
fn probe_wants_a_port_that_is_one_and_a_bundle_to_compare_with() {
    let desk = Desk::with_set();
    for host in ["a:b", ":1", "[::1", "a:99999"] {
        let (_, error) = desk.check(&["probe", host], 2);
        assert!(error.contains("expected HOST"), "{error}");
    }
    let (_, error) = desk.check(&["probe", "localhost", "--ca", "missing.pem"], 2);
    assert!(error.contains("missing.pem"), "{error}");
    fs::write(desk.path("text.pem"), "no certificate").expect("a file");
    let (_, error) = desk.check(&["probe", "localhost", "--ca", "text.pem"], 2);
    assert!(error.contains("CERTIFICATE"), "{error}");
}

#[test]
fn a_set_with_two_pairs_is_inspected_as_it_is_and_exported_for_a_client() {
    let desk = Desk::with_set();
    let update = event_path("update.json");
    let separate = ["invoke", &update, "--set", "ClientCertificate=Separate"];
    let (out, _) = desk.check(&separate, 0);
    assert!(out.contains("ClientCertSSMKey"), "{out}");
    // Without a word about it, what comes next is asked of the set as it is.
    let inspection = desk.check_json(&["inspect", "--json"], 0);
    let parameters = inspection["parameters"].as_array().expect("a list");
    let parts: Vec<_> = parameters
        .iter()
        .map(|parameter| parameter["part"].as_str().expect("a text"))
        .collect();
    let expected = [
        "ca-cert",
        "ca-key",
        "cert",
        "key",
        "client-cert",
        "client-key",
        "state",
        "claim",
    ];
    assert_eq!(parts, expected);
    let (out, _) = desk.check(&["inspect"], 0);
    assert!(out.contains("Docker TLS client"), "{out}");
    let usages = |part: usize| &parameters[part]["certificates"][0]["usages"];
    assert_eq!(*usages(2), serde_json::json!(["server"]));
    assert_eq!(*usages(4), serde_json::json!(["client"]));
    let shared = ["inspect", "--set", "ClientCertificate=Shared", "--json"];
    let summary = &desk.check_json(&shared, 1)["next"]["summary"];
    let summary = summary.as_str().unwrap_or_default();
    assert!(summary.contains("ClientCertificate is Shared"), "{summary}");

    desk.check(&["export", "certs"], 0);
    let exported = fs::read_to_string(desk.path("certs/cert.pem")).expect("it was written");
    let presented = Certificate::from_der(pem::parse(exported).expect("PEM").contents());
    let usages = presented.expect("a certificate").usages();
    assert_eq!(usages, Usages::CLIENT);
    desk.check(&["invoke", &update], 0);
    desk.check(&["export", "certs", "--force"], 0);
    let exported = fs::read_to_string(desk.path("certs/cert.pem")).expect("it was written");
    let presented = Certificate::from_der(pem::parse(exported).expect("PEM").contents());
    assert_eq!(presented.expect("a certificate").usages(), Usages::BOTH);
}
