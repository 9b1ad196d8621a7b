//! MiniStack as a process, and the connection on which a test commands it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority;
use crate::built;
use crate::http::Answer;
use crate::isolation;
use crate::process::Running;
use crate::ssm::{Service, Store};

/// The account that all is in.
pub const ACCOUNT: &str = "123456789012";
/// The bucket that code is uploaded to.
pub const CODE_BUCKET: &str = "code";
/// What the function's code is called there.
pub const CODE_KEY: &str = "bootstrap.zip";

/// The names under which AWS is called here. A certificate's wildcard covers no dot.
const HOSTS: [&str; 12] = [
    "cloudformation-custom-resource-response-useast1.s3.amazonaws.com",
    "cloudformation-custom-resource-response-useast2.s3.amazonaws.com",
    "cloudformation.us-east-1.amazonaws.com",
    "code.s3.amazonaws.com",
    "iam.amazonaws.com",
    "lambda.us-east-1.amazonaws.com",
    "localhost",
    "monitoring.us-east-1.amazonaws.com",
    "s3.amazonaws.com",
    "s3.us-east-1.amazonaws.com",
    "ssm.us-east-1.amazonaws.com",
    "sts.us-east-1.amazonaws.com",
];

/// The engine of the whole test process; started by the first test, gone with the namespaces.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::start);

/// A running engine.
pub struct Engine {
    folder: TempDir,
    process: Arc<Running>,
}

impl Engine {
    fn start() -> Self {
        let folder = isolation::make_folder();
        isolation::name_loopback(&HOSTS);
        // Functions in Python are given the address itself.
        let names = [&HOSTS[..], &["127.0.0.1"]].concat();
        authority::write_identity(folder.path(), &names);
        let mut command = Command::new(built::target_folder().join("cloudformation/bin/python"));
        command.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/e2e_cloudformation/engine.py"
        ));
        let process = Running::start(command.arg(folder.path()));
        process.wait_for("the engine is ready");
        let engine = Self {
            folder,
            process: Arc::new(process),
        };
        let mut connection = engine.connect();
        let bucket = json!({ "Bucket": CODE_BUCKET });
        connection.check_call("s3", "CreateBucket", &bucket);
        let code = built::target_folder().join("lambda/bootstrap.zip");
        let upload = json!({ "path": code, "bucket": CODE_BUCKET, "key": CODE_KEY });
        connection.command("upload", upload);
        engine
    }

    /// A connection of a test's own.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.folder.path().join("control"));
        let stream = stream.expect("the engine takes commands");
        Connection {
            reader: BufReader::new(stream.try_clone().expect("a stream has two ends")),
            stream,
            engine: Arc::clone(&self.process),
        }
    }

    /// The account's parameters.
    #[track_caller]
    pub fn store(&self) -> Store {
        Store::of(Account(Mutex::new(self.connect())))
    }

    /// What a client of AWS needs in its environment to believe it.
    pub fn environment(&self) -> [(&'static str, PathBuf); 1] {
        [("AWS_CA_BUNDLE", self.folder.path().join("ca.pem"))]
    }
}

/// Commands to the engine, one after the other.
pub struct Connection {
    reader: BufReader<UnixStream>,
    stream: UnixStream,
    engine: Arc<Running>,
}

impl Connection {
    /// Calls AWS; the message where it refuses.
    #[track_caller]
    pub fn call(
        &mut self,
        service: &str,
        operation: &str,
        arguments: &Value,
    ) -> Result<Value, String> {
        self.call_as(&Value::Null, service, operation, arguments)
    }

    /// The same with an access key, as IAM has made it.
    #[track_caller]
    pub fn call_as(
        &mut self,
        key: &Value,
        service: &str,
        operation: &str,
        arguments: &Value,
    ) -> Result<Value, String> {
        let call = json!({
            "service": service,
            "operation": operation,
            "arguments": arguments,
            "key": key,
        });
        let mut answer = self.command("call", call);
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Calls AWS, which has to take it.
    #[track_caller]
    pub fn check_call(&mut self, service: &str, operation: &str, arguments: &Value) -> Value {
        let answer = self.call(service, operation, arguments);
        answer.unwrap_or_else(|error| panic!("{service} {operation}: {error}"))
    }

    /// Has the engine do something of its own.
    #[track_caller]
    pub fn command(&mut self, what: &str, mut arguments: Value) -> Value {
        arguments["do"] = what.into();
        writeln!(self.stream, "{arguments}").expect("the engine listens");
        let mut line = String::new();
        self.reader
            .read_line(&mut line)
            .expect("the engine answers");
        assert!(
            !line.is_empty(),
            "{what}: the engine has ended:\n{}",
            self.engine.said()
        );
        let mut answer: Value = serde_json::from_str(&line).expect("the engine answers JSON");
        if let Some(error) = answer["failed"].as_str() {
            panic!("{what}: {error}");
        }
        answer["done"].take()
    }
}

/// SSM as the account's owner calls it.
struct Account(Mutex<Connection>);

impl Service for Account {
    fn call(&self, action: &str, request: &Value) -> Answer {
        let mut connection = self.0.lock().expect("no holder panics");
        match connection.call("ssm", action, request) {
            Ok(answer) => Answer::new(200, answer.to_string()),
            Err(error) => Answer::new(400, error),
        }
    }
}
