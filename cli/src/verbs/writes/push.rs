//! `brasa writes push`: the rows of a file.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use brasa_jobs::writes::{Row, Table};
use brasa_shared::config::{WhenFull, Write};
use brasa_shared::streams::{ADD_MAX, Added, Room, Streams, part_of};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{acquire, open, streams, table, write};
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain};

/// How long it waits for room before it looks again.
const WAIT: Duration = Duration::from_millis(100);
/// How many lines are shown that cannot be written.
const BROKEN_SHOWN: usize = 10;

/// Hand over the rows of a file: all of them are checked first, and where one cannot be written, none is handed over
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The name of `[writes.NAME]`
    name: String,
    /// A file with a line of column names; an empty value is left out. `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "jsonl", conflicts_with = "jsonl")]
    csv: Option<String>,
    /// A file with a JSON object of columns in each line. `-` is standard input
    #[arg(long, value_name = "FILE")]
    jsonl: Option<String>,
}

impl Push {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let write = write(app, &self.name)?;
        app.greet_redis().await?;
        let pool = open(app).await?;
        let table = table(&mut *acquire(&pool).await?, write).await?;
        let rows = match (&self.csv, &self.jsonl) {
            (Some(file), _) => csv_rows(file)?,
            (_, Some(file)) => json_rows(file)?,
            _ => Vec::new(),
        };
        let parts = parted(write, &table, &rows)?;
        let (all, mut done, mut dropped) = (rows.len(), 0, 0);
        for (part, rows) in parts.iter().enumerate() {
            let part = i32::try_from(part).unwrap_or(0);
            for rows in rows.chunks(ADD_MAX) {
                dropped += add(&streams(app), write, &self.name, part, rows).await?;
                done += rows.len();
                out.progress(|| bar(done, all))?;
            }
        }
        out.line(format!("{done} row(s) handed over to {}", self.name))?;
        if dropped > 0 {
            out.line(format!("{dropped} older row(s) had to go: there was no room"))?;
        }
        out.value(&json!({ "name": self.name, "rows": done, "dropped": dropped }))
    }
}

fn bar(done: usize, all: usize) -> String {
    let share = done * 20 / all.max(1);
    format!("[{}{}] {done} of {all} rows", "#".repeat(share), ".".repeat(20 - share))
}

/// Adds rows; where there is no room for them, waits until there is. Returns how many older ones had to go.
async fn add(
    streams: &Streams,
    write: &Write,
    name: &str,
    part: i32,
    rows: &[&[u8]],
) -> Result<u64, Failure> {
    let room = Room { entries: write.rows_max, drops_oldest: write.when_full == WhenFull::DropOldest };
    loop {
        match streams.add(name, part, rows, room).await? {
            Added::Done { dropped } => return Ok(dropped),
            Added::Full => tokio::time::sleep(WAIT).await,
        }
    }
}

/// The rows by their streams, if all of them can be written as far as can be told.
fn parted<'r>(
    write: &Write,
    table: &Table,
    rows: &'r [(usize, Vec<u8>)],
) -> Result<Vec<Vec<&'r [u8]>>, Failure> {
    let mut parts = vec![Vec::new(); write.partitions as usize];
    let order_by = table.places(&write.order_by).unwrap_or_default();
    let mut broken = Vec::new();
    for (line, row) in rows {
        match Row::read(row, table) {
            Ok(read) => {
                let key = read.key(&order_by).unwrap_or_default();
                parts[part_of(&key, write.partitions)].push(row.as_slice());
            }
            Err(poison) => broken.push(format!("  line {line}: {}", plain(&poison.message))),
        }
    }
    if broken.is_empty() {
        return Ok(parts);
    }
    let count = broken.len();
    broken.truncate(BROKEN_SHOWN);
    let help = "mend them, and push the file again";
    Err(Failure::usage(format!(
        "{count} row(s) cannot be written; nothing was handed over\n{}\n  help: {help}",
        broken.join("\n")
    )))
}

fn open_file(file: &str) -> Result<Box<dyn Read>, Failure> {
    if file == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    let opened = std::fs::File::open(file);
    Ok(Box::new(opened.map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?))
}

fn json_rows(file: &str) -> Result<Vec<(usize, Vec<u8>)>, Failure> {
    let mut rows = Vec::new();
    for (place, line) in BufReader::new(open_file(file)?).split(b'\n').enumerate() {
        let line = line.map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
        if !line.trim_ascii().is_empty() {
            rows.push((place + 1, line.trim_ascii().to_vec()));
        }
    }
    Ok(rows)
}

fn csv_rows(file: &str) -> Result<Vec<(usize, Vec<u8>)>, Failure> {
    let misread = |error: csv::Error| Failure::usage(format!("{file} is not CSV: {error}"));
    let mut reader = csv::Reader::from_reader(open_file(file)?);
    let names = reader.headers().map_err(misread)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(misread)?;
        let line = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        let pairs = names.iter().zip(&record).filter(|(_, value)| !value.is_empty());
        let row: Map<String, Value> = pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
        rows.push((line, Value::Object(row).to_string().into_bytes()));
    }
    Ok(rows)
}
