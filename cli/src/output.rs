//! What verbs print: JSON for machines, tables for people.

use std::io::{IsTerminal, Write};

use brasa_shared::jiff::{SignedDuration, Timestamp};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// Where and how a verb prints.
pub(crate) struct Output {
    /// JSON is wanted.
    pub(crate) json: bool,
    to: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output.
    pub(crate) fn standard(json: bool) -> Self {
        Self { json, to: Box::new(std::io::stdout()) }
    }

    /// One line for people; nothing where JSON is wanted.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json { Ok(()) } else { Ok(writeln!(self.to, "{}", text.as_ref())?) }
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
        if self.json {
            return Ok(());
        }
        if rows.is_empty() {
            return self.line(empty);
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(header);
        if std::io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        for row in rows {
            table.add_row(row.map(|cell| plain(&cell)));
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
    let seconds = span.as_secs().unsigned_abs();
    let words = match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    };
    if span.is_positive() { format!("in {words}") } else { format!("{words} ago") }
}

/// A text cut to what a table can bear.
pub(crate) fn short(text: &str, most: usize) -> String {
    let one_line = text.replace(['\n', '\r'], " ");
    if one_line.chars().count() <= most {
        return one_line;
    }
    one_line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
