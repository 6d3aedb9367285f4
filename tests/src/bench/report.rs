//! What a family found out.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Row;

/// What stands over the columns.
const HEAD: [&str; 8] = ["", "ours", "", "beside", "its", "ratio", "bar", ""];
/// Figures stand at the right edge of their columns.
const IS_FIGURE: [bool; 8] = [false, true, false, false, true, true, false, false];

/// The rows of a family, in the order in which they are read.
#[derive(Debug, Default)]
pub struct Report(Vec<Row>);

impl Report {
    /// Takes a row.
    pub fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    /// Takes rows.
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.0.extend(rows);
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let cells: Vec<_> = self.0.iter().map(Row::cells).collect();
        let mut widths = HEAD.map(|head| head.chars().count());
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut table = line(&HEAD.map(ToOwned::to_owned), &widths);
        for (row, cells) in self.0.iter().zip(&cells) {
            table += &line(cells, &widths);
            for note in row.notes() {
                table += &["    ", note, "\n"].concat();
            }
        }
        let verdicts = self.0.iter().filter_map(Row::holds);
        let (held, missed): (Vec<_>, Vec<_>) = verdicts.partition(|holds| *holds);
        table + &format!("\nbars: {} hold, {} are missed\n", held.len(), missed.len())
    }

    /// Writes the rows as JSON into `folder`, and says where.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, folder: &Path, family: &str) -> io::Result<PathBuf> {
        let rows: Value = self.0.iter().map(Row::to_json).collect();
        let path = folder.join(format!("{family}.json"));
        fs::create_dir_all(folder)?;
        fs::write(&path, format!("{rows:#}\n"))?;
        Ok(path)
    }
}

fn line(cells: &[String; 8], widths: &[usize; 8]) -> String {
    let mut line = String::new();
    for ((cell, width), is_figure) in cells.iter().zip(widths).zip(IS_FIGURE) {
        let written =
            if is_figure { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        written.expect("a string takes everything");
    }
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Bar;

    #[test]
    fn a_table_has_a_line_per_row_and_one_per_note() {
        let mut report = Report::default();
        report.push(Row::new("no-op", "jobs/s").ours(&Ok(160_000.0)).bar(Bar::AtLeast(150_000.0)));
        report.push(Row::new("lost", "jobs").ours(&Err("no worker".to_owned())).bar(Bar::AtMost(0.0)));

        let table = report.table();

        assert!(table.contains("no-op  160.0 k  jobs/s"), "{table}");
        assert!(table.contains("\n    no worker\n"), "{table}");
        assert!(table.ends_with("bars: 1 hold, 0 are missed\n"), "{table}");
    }
}
