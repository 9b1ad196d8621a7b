//! The files of the repository, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// Every file below a folder, with its path.
#[track_caller]
pub fn read_all(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let read = |path: PathBuf| {
        if path.is_dir() {
            read_all(&path)
        } else {
            let text = fs::read_to_string(&path).expect("a source file");
            vec![(path, text)]
        }
    };
    paths.flat_map(read).collect()
}
