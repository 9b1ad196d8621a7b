//! The sets of `tests/fixtures/cases` through what happens to a set: who is refused, and whether the plan said so.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::panic::{self, AssertUnwindSafe};
use std::thread::ScopedJoinHandle;
use std::{fs, thread};

use docker_tls_certgen::machine::real::system_time;
use docker_tls_certgen::plan::spec::Spec;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};
use tempfile::TempDir;
use x509_parser::extensions::GeneralName;

use crate::case_files::CaseFile;
use crate::damage::text_of;
use crate::engine::{Daemon, Verdict, Verification, call};
use crate::event::{carry_out, make_change, make_update};
use crate::history::Generation;
use crate::isolation;
use crate::mint::FreshMint;
use crate::openssl;
use crate::sets::value;
use crate::table::Table;

/// The generation of a case's own set.
const BEFORE: &str = "before";

/// What happens to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    PlainUpdate,
    Token,
    CaEndsSoon,
    CaKeyLost,
    LeafLost,
}

impl Happening {
    const ALL: [Self; 5] = [
        Self::PlainUpdate,
        Self::Token,
        Self::CaEndsSoon,
        Self::CaKeyLost,
        Self::LeafLost,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::PlainUpdate => "plain update",
            Self::Token => "token",
            Self::CaEndsSoon => "CA ends soon",
            Self::CaKeyLost => "CA key lost",
            Self::LeafLost => "leaf lost",
        }
    }

    /// What is lost before the event.
    fn lost(self) -> Option<Part> {
        match self {
            Self::PlainUpdate | Self::Token | Self::CaEndsSoon => None,
            Self::CaKeyLost => Some(Part::CaKey),
            Self::LeafLost => Some(Part::Cert),
        }
    }

    fn event(self) -> Spec {
        match self {
            Self::PlainUpdate | Self::CaKeyLost | Self::LeafLost => make_update(&json!({})),
            Self::Token => make_change(&json!({}), &json!({ "RotationToken": "1" })),
            Self::CaEndsSoon => make_update(&wide_window()),
        }
    }
}

/// A renewal window that a CA of 100 years is within from its first day on, so that no clock has to be set.
fn wide_window() -> Value {
    json!({ "CAValidityDays": 365_000, "ValidityDays": 365_000, "RenewBeforeDays": 60_000 })
}

/// What came of an event.
struct Answer {
    happening: Happening,
    action: String,
    /// Whether the plan says that it cuts somebody off.
    is_announced: bool,
    writes: usize,
    after: StoredSet,
}

/// Carries it out on a case's set; why not, if it fails.
fn answer(case: &CaseFile, happening: Happening) -> Result<Answer, String> {
    let mut after = case.stored();
    if let Some(lost) = happening.lost() {
        after.remove(&lost);
    }
    let event = happening.event();
    let done = panic::catch_unwind(AssertUnwindSafe(|| {
        carry_out(&event, &mut after, system_time(), &mut FreshMint)
    }));
    let done = done.map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => text.lines().next().unwrap_or_default().to_owned(),
        Err(_) => "panicked".to_owned(),
    })?;
    Ok(Answer {
        happening,
        action: format!("{:?}", done.plan.action),
        is_announced: done.plan.cuts_off(),
        writes: done.writes.len(),
        after,
    })
}

/// Writes a set as an instance does.
#[track_caller]
fn write(name: &'static str, stored: &StoredSet, folder: &TempDir) -> Generation {
    let folder = folder.path().join(name);
    fs::create_dir(&folder).expect("room in memory");
    let generation = Generation { name, folder };
    for (path, part) in [
        (generation.ca(), Part::CaCert),
        (generation.cert(), Part::Cert),
        (generation.key(), Part::Key),
    ] {
        fs::write(path, text_of(value(stored, part))).expect("room in memory");
    }
    generation
}

/// The address or the name under which a daemon is called: one that its certificate has.
#[track_caller]
fn host(case: &CaseFile) -> String {
    let text = text_of(case.value(Part::Cert));
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("a certificate");
    let certificate = pem.parse_x509().expect("a certificate");
    let names = certificate.subject_alternative_name();
    let names = names.expect("the extension at most once");
    let names = names.map_or(&[][..], |found| &found.value.general_names);
    let mut host = None;
    for name in names {
        match name {
            GeneralName::IPAddress([a, b, c, d]) => {
                return IpAddr::from([*a, *b, *c, *d]).to_string();
            }
            GeneralName::DNSName(name) => host = Some(*name),
            _ => {}
        }
    }
    host.expect("every case's certificate has a name")
        .to_owned()
}

/// The names of the CAs that a daemon tells clients it takes.
#[track_caller]
fn taken_authorities(daemon: &Daemon) -> BTreeSet<String> {
    let address = daemon.address().to_string();
    let asked = ["s_client", "-nameopt", "RFC2253", "-connect", &address];
    let said = openssl::run(&asked, b"");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let (_, names) = said
        .split_once("Acceptable client certificate CA names\n")
        .expect("a daemon names the CAs that it takes");
    let names = names.lines().take_while(|line| line.contains('='));
    names.map(str::to_owned).collect()
}

/// The names of a bundle's certificates that have ended.
#[track_caller]
fn ended_authorities(case: &CaseFile) -> BTreeSet<String> {
    let text = text_of(case.value(Part::CaCert));
    let blocks = text.split_inclusive("-----END CERTIFICATE-----\n");
    let ended = blocks.filter_map(|block| {
        let asked = ["x509", "-noout", "-subject", "-nameopt", "RFC2253"];
        let shown = openssl::run(
            &[&asked[..], &["-checkend", "0"]].concat(),
            block.as_bytes(),
        );
        let subject = String::from_utf8_lossy(&shown.stdout).into_owned();
        let subject = subject.lines().next()?.strip_prefix("subject=")?.to_owned();
        (!shown.status.success()).then_some(subject)
    });
    ended.collect()
}

/// A case: its set as it was, what becomes of it, and a daemon of each of these sets that differs from the others.
struct Fleet {
    host: String,
    generations: Vec<Generation>,
    daemons: Vec<Daemon>,
    _folder: TempDir,
}

impl Fleet {
    #[track_caller]
    fn start(case: &CaseFile, answers: &[Answer]) -> Self {
        let folder = isolation::make_folder();
        let mut generations = vec![write(BEFORE, &case.stored(), &folder)];
        // What is published unchanged is the generation that runs already.
        let changed = answers.iter().filter(|answer| answer.writes > 0);
        generations
            .extend(changed.map(|answer| write(answer.happening.words(), &answer.after, &folder)));
        Self {
            host: host(case),
            daemons: Daemon::start_all(&generations),
            generations,
            _folder: folder,
        }
    }

    /// Which generation an event left.
    fn after(&self, happening: Happening) -> usize {
        let is_its_own = |generation: &Generation| generation.name == happening.words();
        self.generations.iter().position(is_its_own).unwrap_or(0)
    }

    /// A client of the one generation calls a daemon of the other, and both verify all that they can.
    #[track_caller]
    fn connect(&self, client: usize, server: usize) -> Verdict {
        let server = format!("{}:{}", self.host, self.daemons[server].address().port());
        call(&self.generations[client], server, Verification::Full)
    }

    /// The CAs that daemons took before an event and take no more.
    #[track_caller]
    fn dropped(&self, after: usize, ended: &BTreeSet<String>) -> Vec<String> {
        let [before, after] = [0, after].map(|index| taken_authorities(&self.daemons[index]));
        let dropped = before.difference(&after);
        dropped
            .filter(|name| !ended.contains(*name))
            .cloned()
            .collect()
    }
}

/// A row of the table.
struct Row {
    heading: String,
    cells: Vec<String>,
    wrong: Option<String>,
}

impl Row {
    /// Of an event that failed, or of a set that never worked.
    fn of_failure(case: &CaseFile, when: &str, reason: String) -> Self {
        Self {
            heading: format!("{}, {when}", case.name),
            cells: vec!["FAILED".to_owned()],
            wrong: Some(reason),
        }
    }

    #[track_caller]
    fn of(case: &CaseFile, answer: &Answer, fleet: &Fleet, ended: &BTreeSet<String>) -> Self {
        let after = fleet.after(answer.happening);
        let ways = [(0, after), (after, 0), (after, after)];
        let ways = ways.map(|(client, server)| fleet.connect(client, server));
        let dropped = fleet.dropped(after, ended);
        let wrong = judge(case, answer, &ways, &dropped);
        let mut cells = vec![answer.action.clone(), answer.writes.to_string()];
        cells.extend(ways.map(|way| match way {
            Verdict::Connected => "connects".to_owned(),
            Verdict::Refused(_) => "refused".to_owned(),
        }));
        cells.push(if dropped.is_empty() {
            "none".to_owned()
        } else {
            dropped.join(" ")
        });
        let is_announced = answer.is_announced;
        cells.push(if is_announced { "CUTS OFF" } else { "nobody" }.to_owned());
        cells.extend(wrong.iter().map(|_| "WRONG".to_owned()));
        Self {
            heading: format!("{}, {}", case.name, answer.happening.words()),
            cells,
            wrong,
        }
    }
}

/// What is wrong with an answer, given who calls whom: a client of before, then a daemon of before, then neither.
#[track_caller]
fn judge(
    case: &CaseFile,
    answer: &Answer,
    ways: &[Verdict; 3],
    dropped: &[String],
) -> Option<String> {
    let has_same_bundle = case.value(Part::CaCert) == value(&answer.after, Part::CaCert);
    match answer.happening {
        Happening::PlainUpdate if answer.writes > 0 => {
            return Some(format!("{} writes to a healthy set", answer.writes));
        }
        Happening::Token | Happening::CaEndsSoon | Happening::CaKeyLost if has_same_bundle => {
            return Some("no new CA".to_owned());
        }
        _ => {}
    }
    let [old_client, old_daemon, neither] = ways;
    if let Verdict::Refused(reason) = neither {
        return Some(format!("what is published refuses itself: {reason}"));
    }
    let refusals = [("its clients", old_client), ("its daemons", old_daemon)];
    let refusals = refusals.into_iter().filter_map(|(who, way)| match way {
        Verdict::Connected => None,
        Verdict::Refused(reason) => Some(format!("{who}: {reason}")),
    });
    let dropped = dropped.iter().map(|name| format!("clients of {name}"));
    let refused: Vec<String> = refusals.chain(dropped).collect();
    match (refused.is_empty(), answer.is_announced) {
        (true, true) => Some("says that it cuts off, and nobody is refused".to_owned()),
        (false, false) => Some(format!("refused without a word: {}", refused.join(", "))),
        _ => None,
    }
}

/// The rows of a case.
#[track_caller]
fn rows(case: &CaseFile) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut answers = Vec::new();
    for happening in Happening::ALL {
        match answer(case, happening) {
            Ok(answer) => answers.push(answer),
            Err(reason) => rows.push(Row::of_failure(case, happening.words(), reason)),
        }
    }
    let fleet = Fleet::start(case, &answers);
    if let Verdict::Refused(reason) = fleet.connect(0, 0) {
        rows.push(Row::of_failure(case, "before anything happens", reason));
    }
    let ended = ended_authorities(case);
    rows.extend(
        answers
            .iter()
            .map(|answer| Row::of(case, answer, &fleet, &ended)),
    );
    rows
}

/// How many cases have their daemons at a time: they come and go slowly, and have next to nothing to compute.
const CASES_AT_ONCE: usize = 4;

#[test]
fn whoever_is_refused_after_an_event_on_a_set_of_the_cases_is_who_the_plan_says() {
    let columns = [
        "action",
        "writes",
        "before → after",
        "after → before",
        "after → after",
        "CAs dropped",
        "the word",
        "",
    ];
    let mut table = Table::new(
        "Sets that others made, through what happens to a set: a client → a daemon, with chain and name verified, and \
         whom the plan says that it cuts off",
        "set, event",
        &columns.map(str::to_owned),
    );
    let cases = CaseFile::all();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for some in cases.chunks(CASES_AT_ONCE) {
        let rows: Vec<Row> = thread::scope(|scope| {
            let lanes: Vec<_> = some
                .iter()
                .map(|case| scope.spawn(move || rows(case)))
                .collect();
            let rows = lanes.into_iter().map(ScopedJoinHandle::join);
            rows.flat_map(|rows| rows.expect("what a case shows can be told"))
                .collect()
        });
        for row in rows {
            wrong.extend(row.wrong.map(|what| format!("{}: {what}", row.heading)));
            table.add(&row.heading, row.cells);
        }
    }
    table.print();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
