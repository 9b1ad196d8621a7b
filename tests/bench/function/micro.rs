//! What criterion measured of the core, for the table: `tests/bench/core.rs` must have run before.

use std::fs;
use std::path::Path;

use serde_json::Value;

use docker_tls_testing::table::Table;

use crate::figures::Figures;

/// The benchmarks of the core, by the name that it gives them.
const BENCHMARKS: [&str; 4] = [
    "decode and decide, deployed RSA set",
    "load its two RSA keys, which checks them",
    "issue a P-256 set",
    "rotation with an RSA-2048 anchor",
];

/// Adds a row for each benchmark.
pub fn add_rows(table: &mut Table) {
    for name in BENCHMARKS {
        let figures = Figures::of(&samples(name), |sample| sample / 1e6);
        table.add(name, vec![figures.show()]);
    }
}

/// Nanoseconds of one round, of each sample.
fn samples(name: &str) -> Vec<f64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/criterion")
        .join(name);
    let path = folder.join("new/sample.json");
    let text = fs::read_to_string(&path);
    let text =
        text.unwrap_or_else(|error| panic!("{}: {error}; `make bench` makes it", path.display()));
    let samples: Value = serde_json::from_str(&text).expect("criterion writes JSON");
    let list = |key: &str| {
        let list = samples[key].as_array().into_iter().flatten();
        list.filter_map(Value::as_f64).collect::<Vec<_>>()
    };
    let (rounds, times) = (list("iters"), list("times"));
    times
        .iter()
        .zip(rounds)
        .map(|(time, rounds)| time / rounds)
        .collect()
}
