//! A local folder that stands in for SSM: one file for each parameter, readable by its owner alone.
//!
//! It behaves as SSM does where the generator can tell: versions count up, a type never changes, values are bounded,
//! and a create of what exists fails.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::iter;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::set::parameter::{MAX_VALUE_CHARS, StoredParameter, StoredSet};
use crate::set::rack::{Part, Rack};
use crate::store::{Deletion, ParameterStore, Put, Selector, StoreAction, StoreError};

/// Permissions of the folder: its owner's alone.
const FOLDER_MODE: u32 = 0o700;
/// Permissions of its files: read and written by the owner alone.
const FILE_MODE: u32 = 0o600;

/// How many former versions are kept: with the latest, a hundred, as by SSM.
const MAX_FORMER: usize = 99;

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    latest: StoredParameter,
    /// Former versions, the latest first; of claims alone, for nobody asks for others, and old keys are best forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<StoredParameter>,
}

/// A folder of parameters.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A store in this folder, which is made when something is written.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The racks that have parameters here, by name.
    pub fn racks(&self) -> io::Result<Vec<Rack>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut racks: Vec<Rack> = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let hex = name
                .to_str()
                .and_then(|name| name.split_once("-docker-tls-"));
            let rack = hex.and_then(|(hex, _)| Rack::from_hex(hex));
            racks.extend(rack.filter(|rack| !racks.contains(rack)));
        }
        racks.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(racks)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.json"))
    }

    /// Keeps other processes out while a parameter is looked at and written.
    fn lock(&self) -> io::Result<File> {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(&self.path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(self.path.join(".lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn load(&self, name: &str) -> io::Result<Option<Kept>> {
        let path = self.file(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => {
                return Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    "it is not a regular file",
                ));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let text = fs::read_to_string(path)?;
        let stored = serde_json::from_str(&text)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "docker-tls did not write it"))?;
        Ok(Some(stored))
    }

    /// Written beside its place and then moved there: never half, and never through a symbolic link.
    fn save(&self, name: &str, kept: &Kept) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        let text = zeroize::Zeroizing::new(serde_json::to_string_pretty(kept)?);
        file.write_all(text.as_bytes())?;
        file.persist(self.file(name))?;
        Ok(())
    }

    fn put_locked(&self, name: &str, put: &Put<'_>) -> Result<i64, StoreError> {
        let refused = |code: &str, message: String| StoreError::Refused {
            action: StoreAction::Put,
            parameter: name.to_owned(),
            code: code.to_owned(),
            message,
        };
        let failed = |error: io::Error| self.error(StoreAction::Put, name, &error);
        let _lock = self.lock().map_err(failed)?;
        let chars = put.value.expose().chars().count();
        if chars > MAX_VALUE_CHARS {
            let message = format!("the value has {chars} characters, more than {MAX_VALUE_CHARS}");
            return Err(refused("ValidationException", message));
        }
        let existing = self.load(name).map_err(failed)?;
        if let Some(existing) = &existing {
            if !put.overwrite {
                return Err(StoreError::AlreadyExists {
                    parameter: name.to_owned(),
                });
            }
            if existing.latest.parameter_type != put.parameter_type {
                let message = "the type of an existing parameter cannot be changed".to_owned();
                return Err(refused("HierarchyTypeMismatchException", message));
            }
        }
        let mut former = Vec::new();
        let version = match existing {
            None => 1,
            Some(existing) => {
                let version = existing.latest.version + 1;
                if put.part == Part::Claim {
                    former = existing.former;
                    former.insert(0, existing.latest);
                    former.truncate(MAX_FORMER);
                }
                version
            }
        };
        let latest = StoredParameter {
            value: put.value.clone(),
            parameter_type: put.parameter_type,
            version,
        };
        let kept = Kept { latest, former };
        self.save(name, &kept).map_err(failed)?;
        Ok(version)
    }

    fn error(&self, action: StoreAction, name: &str, error: &io::Error) -> StoreError {
        StoreError::Unreachable {
            action,
            parameter: self.file(name).display().to_string(),
            message: error.to_string(),
        }
    }
}

impl ParameterStore for Folder {
    async fn read(&self, rack: &Rack, selectors: &[Selector]) -> Result<StoredSet, StoreError> {
        let mut stored = StoredSet::new();
        for Selector { part, version } in selectors {
            let name = rack.parameter_name(*part);
            let kept = self
                .load(&name)
                .map_err(|error| self.error(StoreAction::Get, &name, &error))?;
            let Some(Kept { latest, former }) = kept else {
                continue;
            };
            let mut versions = iter::once(latest).chain(former);
            let selected =
                versions.find(|found| version.is_none_or(|version| found.version == version));
            stored.extend(selected.map(|selected| (*part, selected)));
        }
        Ok(stored)
    }

    async fn put(&self, rack: &Rack, put: &Put<'_>) -> Result<i64, StoreError> {
        self.put_locked(&rack.parameter_name(put.part), put)
    }

    async fn delete(&self, rack: &Rack, deletion: Deletion) -> Result<(), StoreError> {
        for name in deletion.names(rack) {
            match fs::remove_file(self.file(&name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(self.error(StoreAction::Delete, &name, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
