//! The cache beside what people do without it: on private servers, with the flights that left New York City in 2013.
//!
//! Workers and readers are processes of their own. Whatever is compared is measured in turns, at least seven times, and
//! the middle counts; the naive way of doing it is beside each figure.

use anyhow::Result;
use brasa_tests::bench::{Report, Row, Stage, say};

mod bytes;
mod changes;
mod foreground;
mod ground;
mod hits;
mod reading;
mod role;
mod stampede;
mod story;
mod tags;
mod warming;

pub(crate) use role::play;

use ground::Ground;

/// How often everything is measured.
const REPEATS: usize = 7;

/// A part of it: what it is about, and how it is measured.
type Part = (&'static str, fn(&Ground) -> Result<Vec<Row>>);

/// Measures all of it.
pub(super) fn measure(stage: &Stage) -> Result<Report> {
    let ground = Ground::new(stage)?;
    let parts: [Part; 9] = [
        ("stampedes", stampede::rows),
        ("reading beside refreshing", reading::rows),
        ("warming", warming::rows),
        ("what the database feels", foreground::rows),
        ("bytes", bytes::rows),
        ("tags", tags::rows),
        ("changes", changes::rows),
        ("the list and the dashboard", story::rows),
        ("hits", hits::rows),
    ];
    let mut report = Report::default();
    // One part of it, for whoever works on that: PART=warming make bench FAMILY=cache
    let wanted = std::env::var("PART").unwrap_or_default();
    for (what, rows) in parts.into_iter().filter(|(what, _)| what.contains(&wanted)) {
        say(what);
        match rows(&ground) {
            Ok(rows) => report.extend(rows),
            Err(error) => report.push(Row::new(what, "").ours(&Err(format!("{error:#}")))),
        }
    }
    Ok(report)
}
