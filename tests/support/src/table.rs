//! Results as a person wants to see them.

use std::io::{self, Write as _};

/// A table with a title and a heading for each column.
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One without rows.
    pub fn new(title: &str, corner: &str, columns: &[String]) -> Self {
        let heading = [&[corner.to_owned()], columns].concat();
        Self {
            title: title.to_owned(),
            rows: vec![heading],
        }
    }

    /// Adds a row.
    pub fn add(&mut self, heading: &str, cells: Vec<String>) {
        let mut row = vec![heading.to_owned()];
        row.extend(cells);
        self.rows.push(row);
    }

    /// Prints it.
    pub fn print(&self) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths);
            let padded = cells.map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let lines: Vec<String> = self.rows.iter().map(line).collect();
        print(&format!("{}\n\n{}", self.title, lines.join("\n")));
    }
}

/// Prints a text past the test harness, which would keep it to itself. In one piece, for tests run side by side.
pub fn print(text: &str) {
    let text = format!("\n{}\n\n", text.trim_end());
    // Results that cannot be shown are no reason to fail: they are asserted.
    drop(io::stdout().lock().write_all(text.as_bytes()));
}
