//! What cargo and make build, found from the program that runs this: cargo puts tests into a folder beside it.

use std::path::{Path, PathBuf};

/// A program of the package, built as the tests are.
pub fn program(name: &str) -> PathBuf {
    above(2).join(name)
}

/// The folder that everything is built in.
pub fn target_folder() -> PathBuf {
    above(3)
}

fn above(levels: usize) -> PathBuf {
    let tests = std::env::current_exe().expect("a running program has a path");
    let folder = tests.ancestors().nth(levels).map(Path::to_owned);
    folder.expect("tests are at <target>/<profile>/deps")
}
