//! Sets that others made and that work with a daemon, each with something that is easily mistaken for damage:
//! `tests/fixtures/cases`.

use std::fs;
use std::path::Path;

use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::Part;
use serde_json::Value;

use crate::sets::set_value;

/// A file of that folder.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// Its name, without its ending.
    pub name: String,
    /// The value of a published part, by the part's suffix.
    values: Value,
}

impl CaseFile {
    /// Every one, by name.
    #[track_caller]
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/cases");
        let entries = fs::read_dir(folder).expect("the repository has that folder");
        let paths = entries.map(|entry| entry.expect("a readable folder").path());
        let mut cases: Vec<Self> = paths.map(|path| Self::read(&path)).collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }

    #[track_caller]
    fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a file has a name");
        let text = fs::read_to_string(path).expect("a readable file");
        Self {
            name: name.to_string_lossy().into_owned(),
            values: serde_json::from_str(&text).expect("cases are JSON"),
        }
    }

    /// The value of a published part.
    #[track_caller]
    pub fn value(&self, part: Part) -> &str {
        let value = self.values[part.suffix()].as_str();
        value.expect("cases have every published part")
    }

    /// The set, without a state.
    pub fn stored(&self) -> StoredSet {
        let mut stored = StoredSet::new();
        for part in Part::SHARED {
            set_value(&mut stored, part, self.value(part));
        }
        stored
    }
}
