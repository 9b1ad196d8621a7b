//! Figures of several runs, as people read them.

use std::fmt::Display;
use std::time::Duration;

/// Values of one figure, at least one.
pub struct Figures(Vec<f64>);

impl Figures {
    /// Takes them from the runs.
    pub fn of<T>(runs: &[T], figure: impl Fn(&T) -> f64) -> Self {
        let mut values: Vec<f64> = runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value in the middle.
    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// The least.
    pub fn least(&self) -> f64 {
        self.0[0]
    }

    /// The most.
    pub fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// Median, least and most.
    pub fn show(&self) -> String {
        let (least, most) = (self.least(), self.most());
        format!("{:.2} ({least:.2}–{most:.2})", self.median())
    }
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// A number of bytes in millions.
#[expect(
    clippy::cast_precision_loss,
    reason = "files and processes are smaller than that"
)]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A number of things, each with how many there are of it.
pub fn counted(things: &[String]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for thing in things {
        match counts.iter_mut().find(|(known, _)| known == thing) {
            Some((_, count)) => *count += 1,
            None => counts.push((thing, 1)),
        }
    }
    let words = counts
        .iter()
        .map(|(thing, count)| format!("{count} {thing}"));
    words.collect::<Vec<_>>().join(", ")
}

/// A whole number with its digits in groups of three.
pub fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups = groups.map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}
