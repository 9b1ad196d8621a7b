//! Programs that a test starts: those that have to succeed, and those that run until the test ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a program may take to say what is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running program. Dropping it ends it.
pub struct Running {
    name: String,
    child: Child,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Said {
    text: Mutex<Text>,
    changed: Condvar,
}

#[derive(Default)]
struct Text {
    text: String,
    ended_pipes: usize,
}

impl Running {
    /// Starts it, and listens to both its outputs.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let said = Arc::new(Said::default());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let readers = vec![copy(stdout, &said), copy(stderr, &said)];
        Self {
            name,
            child,
            said,
            readers,
        }
    }

    /// Waits until it has said this, and returns the line.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> String {
        let output = self.said.text.lock().expect("no holder panics");
        let is_waiting = |output: &mut Text| !output.text.contains(words) && output.ended_pipes < 2;
        let (output, _) = self
            .said
            .changed
            .wait_timeout_while(output, PATIENCE, is_waiting)
            .expect("no holder panics");
        let line = output.text.lines().find(|line| line.contains(words));
        let line = line.map(str::to_owned);
        // Whoever panics with it takes it from those who listen.
        drop(output);
        line.unwrap_or_else(|| panic!("{} never said {words:?}:\n{}", self.name, self.said()))
    }

    /// What the kernel calls it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        let output = self.said.text.lock().expect("no holder panics");
        output.text.clone()
    }
}

impl Drop for Running {
    /// Asked to, for a daemon has children of its own to end.
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &id])
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            // Fails where it has ended by itself.
            drop(self.child.kill());
        }
        drop(self.child.wait());
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
    }
}

/// Runs a program that has to succeed.
#[track_caller]
pub fn check(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let status = output.status;
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    output
}

/// Adds what a pipe brings; its end is the program's.
fn copy(pipe: impl Read + Send + 'static, said: &Arc<Said>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    read_lines(pipe, move |line| {
        let mut output = said.text.lock().expect("no holder panics");
        output.text.push_str(line);
        output.ended_pipes += usize::from(line.is_empty());
        drop(output);
        said.changed.notify_all();
    })
}

/// Hands over each line that a pipe brings, with its end, and an empty one when there are no more.
pub fn read_lines(
    pipe: impl Read + Send + 'static,
    mut take: impl FnMut(&str) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe
            .read_until(b'\n', &mut line)
            .is_ok_and(|bytes| bytes > 0)
        {
            take(&String::from_utf8_lossy(&line));
            line.clear();
        }
        take("");
    })
}
