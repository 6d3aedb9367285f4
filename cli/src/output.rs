//! What verbs print: JSON for machines, tables for people.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use brasa_shared::jiff::{SignedDuration, Timestamp};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// Where and how a verb prints.
pub(crate) struct Output {
    /// JSON is wanted.
    pub(crate) json: bool,
    to: Box<dyn Write + Send>,
    /// When it was said last how far something is.
    told: Instant,
}

/// How often it is said how far something is that takes long.
const TELL_EVERY: Duration = Duration::from_millis(500);

impl Output {
    /// Standard output.
    pub(crate) fn standard(json: bool) -> Self {
        Self { json, to: Box::new(std::io::stdout()), told: Instant::now() }
    }

    /// One line for people; nothing where JSON is wanted.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json { Ok(()) } else { Ok(writeln!(self.to, "{}", text.as_ref())?) }
    }

    /// One line for people on standard error, beside what was asked for; nothing where JSON is wanted.
    pub(crate) fn aside(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json { Ok(()) } else { Ok(writeln!(std::io::stderr(), "{}", text.as_ref())?) }
    }

    /// How far something is that takes long, now and then on standard error.
    pub(crate) fn progress(&mut self, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.told.elapsed() < TELL_EVERY {
            return Ok(());
        }
        self.told = Instant::now();
        self.aside(text())
    }

    /// Begins a new screen on a terminal, and a new paragraph elsewhere.
    pub(crate) fn clear(&mut self) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let begin = if std::io::stdout().is_terminal() { "\u{1b}[2J\u{1b}[H" } else { "\n" };
        Ok(write!(self.to, "{begin}")?)
    }

    /// One line, whoever reads it.
    pub(crate) fn raw(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        Ok(writeln!(self.to, "{}", text.as_ref())?)
    }

    /// A value as JSON where that is wanted.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let text =
            serde_json::to_string_pretty(value).map_err(|error| Failure::environment(error.to_string()))?;
        self.raw(text)
    }

    /// A table for people, or what to say where it is empty; nothing where JSON is wanted.
    pub(crate) fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: Vec<[String; N]>,
        empty: &str,
    ) -> Result<(), Failure> {
        self.table_of(&header, rows.into_iter().map(Vec::from).collect(), empty)
    }

    /// The same with as many columns as there are.
    pub(crate) fn table_of(
        &mut self,
        header: &[&str],
        rows: Vec<Vec<String>>,
        empty: &str,
    ) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        if rows.is_empty() {
            return self.line(empty);
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(header.to_vec());
        if std::io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        for row in rows {
            table.add_row(row.iter().map(|cell| plain(cell)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text = table.to_string();
        text.lines().try_for_each(|line| self.line(line.trim_end()))
    }
}

/// Text from a job or an error must not steer the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// An instant for people, with how far away it is.
pub(crate) fn when(ms: i64, now: Timestamp) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return "-".to_owned() };
    if ms == 0 { "-".to_owned() } else { distance(at.duration_since(now)) }
}

/// A distance in time for people: `in 5 min`, `3 s ago`.
pub(crate) fn distance(span: SignedDuration) -> String {
    let words = lasting(span);
    if span.is_positive() { format!("in {words}") } else { format!("{words} ago") }
}

/// How long something lasts, for people: `5 min`.
pub(crate) fn lasting(span: SignedDuration) -> String {
    match span.as_secs().unsigned_abs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A text cut to what a table can bear.
pub(crate) fn short(text: &str, most: usize) -> String {
    let one_line = text.replace(['\n', '\r'], " ");
    if one_line.chars().count() <= most {
        return one_line;
    }
    one_line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A size for people.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let place = (count.max(1).ilog2() / 10).min(4);
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let number = count as f64 / 1024_f64.powi(i32::try_from(place).unwrap_or(0));
    let unit = units.get(place as usize).copied().unwrap_or_default();
    if place == 0 { format!("{count} {unit}") } else { format!("{number:.1} {unit}") }
}

/// A short time in ms, from microseconds.
pub(crate) fn millis(micros: u64) -> String {
    format!("{:.1} ms", Duration::from_micros(micros).as_secs_f64() * 1_000.0)
}
