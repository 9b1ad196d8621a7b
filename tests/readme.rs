//! The README's transcripts are true: every `cargo run -- …` in it is run, in its order, in one fresh folder.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use docker_tls_certgen as _;
use docker_tls_testing::fixtures::EVENTS;
use docker_tls_testing::sources::read_all;

const README: &str = include_str!("../README.md");
const ROTATION: &str = include_str!("../docs/rotation.md");
const FLEET: &str = include_str!("../docs/fleet.md");
const PROMPT: &str = "$ cargo run -- ";
/// A fingerprint's hex digits.
const FINGERPRINT_CHARS: usize = 64;

/// The random hex digits at the end of a generation's name.
const NAME_END_CHARS: usize = 8;
/// From so many digits on, a number depends on what a signature happens to be.
const LARGE_NUMBER_CHARS: usize = 3;

/// A command of a transcript, and what it prints.
struct Step {
    command: String,
    output: String,
}

fn read_steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for part in block.split_inclusive('\n') {
            if let Some(command) = part.strip_prefix(PROMPT) {
                steps.push(Step {
                    command: command.trim_end().to_owned(),
                    output: String::new(),
                });
            } else if let Some(step) = steps.last_mut().filter(|_| block.starts_with(PROMPT)) {
                step.output.push_str(part);
            }
        }
    }
    steps
}

/// Writes fingerprints and the random ends of names as `#1`, `#2` … in the order in which they are first seen, and
/// every date and every larger number as one and the same.
#[derive(Default)]
struct Canonical {
    fingerprints: HashMap<String, usize>,
}

impl Canonical {
    fn text(&mut self, text: &str) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':');
        let mut canonical = String::new();
        for part in text.split_inclusive(|c| !is_word(c)) {
            let word = part.trim_end_matches(|c| !is_word(c));
            canonical.push_str(&self.word(word));
            canonical.push_str(&part[word.len()..]);
        }
        canonical
    }

    fn word(&mut self, word: &str) -> String {
        let is_hex = word.chars().all(|c| c.is_ascii_hexdigit());
        let is_number = word.chars().all(|c| c.is_ascii_digit());
        if is_number && (LARGE_NUMBER_CHARS..NAME_END_CHARS).contains(&word.len()) {
            return "000".to_owned();
        }
        if is_hex && [FINGERPRINT_CHARS, NAME_END_CHARS].contains(&word.len()) {
            let next = self.fingerprints.len() + 1;
            let number = self.fingerprints.entry(word.to_owned()).or_insert(next);
            return format!("#{number}");
        }
        let shape: String = word
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        match shape.as_str() {
            "0000-00-00T00:00:00Z" | "0000-00-00" => shape,
            _ => word.to_owned(),
        }
    }

    /// A canonical text with the fingerprints themselves.
    fn in_place_of_numbers(&self, canonical: &str) -> String {
        let mut parts = canonical.split('#');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let behind = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let number = part[..part.len() - behind.len()].parse();
            text.push_str(self.find(number.expect("a fingerprint's number")));
            text.push_str(behind);
        }
        text
    }

    fn find(&self, number: usize) -> &str {
        self.fingerprints
            .iter()
            .find(|(_, known)| **known == number)
            .map(|(fingerprint, _)| fingerprint.as_str())
            .expect("a command names only fingerprints that were shown before")
    }
}

fn make_folder_with_events() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let events = folder.path().join("events");
    fs::create_dir(&events).expect("a new folder");
    for (name, text) in EVENTS {
        fs::write(events.join(format!("{name}.json")), text).expect("a copy");
    }
    folder
}

/// Runs the tool in a folder; returns what it prints.
fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_docker-tls"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("RESPONSE_URL_ALLOWED_HOSTS")
        .output()
        .expect("the tool runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_table_has_a_header_of_as_many_columns() {
    let columns = |line: &str| line.matches('|').count();
    for text in [README, ROTATION, FLEET] {
        let lines: Vec<&str> = text.lines().collect();
        for (index, rule) in lines.iter().enumerate() {
            if rule.starts_with("|---|") {
                assert_eq!(columns(lines[index - 1]), columns(rule), "{index}: {rule}");
                assert_eq!(lines[index - 2], "", "{index}: {rule}");
            }
        }
    }
}

#[test]
fn every_file_of_events_is_one_that_the_tests_know() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let files = fs::read_dir(folder).expect("the folder").count();
    assert_eq!(files, EVENTS.len());
}

#[test]
fn every_transcript_shows_what_the_tool_prints() {
    let steps = read_steps(README);
    assert!(steps.len() >= 5, "the README has {} steps", steps.len());
    let folder = make_folder_with_events();
    let (mut shown, mut printed) = (Canonical::default(), Canonical::default());
    for step in steps {
        let arguments: Vec<String> = shown
            .text(&step.command)
            .split_whitespace()
            .map(|argument| printed.in_place_of_numbers(argument))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_eq!(
            printed.text(&run(folder.path(), &arguments)),
            shown.text(&step.output),
            "{}",
            step.command
        );
    }
}

#[test]
fn the_example_of_a_coming_end_shows_a_renewal() {
    let (_, example) = README
        .split_once("`cargo run -- invoke events/update.json --now ")
        .expect("the README has the example");
    let (moment, _) = example.split_once('`').expect("the example ends");
    let folder = make_folder_with_events();
    run(folder.path(), &["invoke", "events/create.json"]);
    let update = ["invoke", "events/update.json"];
    let now = run(folder.path(), &update);
    assert!(now.contains("\nunchanged\n"), "{now}");
    let then = run(folder.path(), &[&update[..], &["--now", moment]].concat());
    assert!(then.contains("\nrotated the CA"), "{moment}: {then}");
}

#[test]
fn every_event_and_file_that_is_named_exists() {
    for (document, least) in [(README, 6), (ROTATION, 30), (FLEET, 5)] {
        let mut seen = 0;
        for path in words(document).filter(|word| is_path(word)) {
            assert!(root().join(path).exists(), "{path}");
            seen += 1;
        }
        assert!(seen >= least, "{seen} files are named");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn words(document: &str) -> impl Iterator<Item = &str> {
    document.split(|c: char| c.is_whitespace() || matches!(c, '`' | '(' | ')' | ']'))
}

fn is_path(word: &str) -> bool {
    ["events/", "src/", "docs/", "tests/", "LICENSE"]
        .iter()
        .any(|start| word.starts_with(start))
}

#[test]
fn every_rule_that_the_code_cites_is_one_of_docs_rotation() {
    let folders = ["src", "tests/core", "tests/support/src"];
    let sources = folders
        .map(|folder| read_all(&root().join(folder)))
        .concat();
    let citations = sources
        .iter()
        .flat_map(|(_, source)| source.lines())
        .filter_map(|line| {
            line.split_once(" of docs/rotation.md")?
                .0
                .rsplit_once("ule")
        });
    let numbers = citations.flat_map(|(_, rules)| rules.split(|c: char| !c.is_ascii_digit()));
    let mut seen = 0;
    for number in numbers.filter(|number| !number.is_empty()) {
        let heading = format!("\n### Rule {number}: ");
        assert!(ROTATION.contains(&heading), "rule {number}");
        seen += 1;
    }
    assert!(seen > 10, "{seen} rules are cited");
}

#[test]
fn every_module_that_the_documents_name_exists() {
    let is_module = |word: &&str| {
        let extension = Path::new(word).extension();
        !word.contains('/') && extension.is_some_and(|extension| extension == "rs")
    };
    let names = [ROTATION, FLEET].into_iter().flat_map(words);
    let names = names.filter(is_module);
    let layers: Vec<_> = fs::read_dir(root().join("src"))
        .expect("the folder src")
        .map(|layer| layer.expect("a layer").path())
        .collect();
    let mut seen = 0;
    for name in names {
        let exists = layers.iter().any(|layer| layer.join(name).exists());
        assert!(exists, "{name}");
        seen += 1;
    }
    assert!(seen > 20, "{seen} modules are named");
}

#[test]
fn every_test_that_docs_fleet_names_exists() {
    let sources = read_all(&root().join("tests/core/fleet"));
    let sources: String = sources.into_iter().map(|(_, source)| source).collect();
    let is_test = |word: &&str| word.matches('_').count() > 3;
    let mut seen = 0;
    for name in words(FLEET).filter(is_test) {
        let name = name.trim_end_matches('.');
        let test = format!("#[test]\nfn {name}()");
        assert!(sources.contains(&test), "{name}");
        seen += 1;
    }
    assert!(seen > 5, "{seen} tests are named");
}

/// The rows of the table behind a heading, as their cells.
fn table<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, section) = document.split_once(heading).expect("the heading is there");
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn every_row_of_the_life_cycle_leads_to_tests_that_exist() {
    let rows = table(README, "\n## Life cycle\n");
    let tested = table(ROTATION, "\n## Where the life cycle is tested\n");
    let folders = ["tests/core", "tests/lambda", "tests/support/src/lambda"];
    let sources = folders
        .map(|folder| read_all(&root().join(folder)))
        .concat();
    let sources: String = sources.into_iter().map(|(_, source)| source).collect();
    assert_eq!(rows.len(), tested.len());
    for (row, tested) in rows.iter().zip(&tested) {
        assert_eq!(row[..2], tested[..2]);
        for name in tested[2].split(", ") {
            let name = name.trim_matches('`');
            let test = format!("#[test]\nfn {name}()");
            // A scenario is made a test by a list of such.
            let listed = format!("\n            {name},\n");
            assert!(
                sources.contains(&test) || sources.contains(&listed),
                "{name}"
            );
        }
    }
}
