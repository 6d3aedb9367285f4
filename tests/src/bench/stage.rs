//! Where a family is measured.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, Result};
use brasa::servers::Scratch;

use super::{Figure, Peer};

/// Where a family is measured: how long it may take, where its files go, and who else is there.
#[derive(Debug)]
pub struct Stage {
    /// Whether an answer of a few minutes is wanted instead of a steady one.
    pub is_quick: bool,
    /// Whatever outlives the run: reports, and programs of peers.
    pub folder: PathBuf,
    scratch: Scratch,
    runs: AtomicU32,
}

impl Stage {
    /// A stage whose lasting things are in `folder`.
    ///
    /// # Errors
    /// There is no place for files.
    pub fn new(folder: &Path, is_quick: bool) -> Result<Self> {
        let scratch = Scratch::new().context("make a folder for the runs")?;
        Ok(Self { is_quick, folder: folder.to_owned(), scratch, runs: AtomicU32::new(0) })
    }

    /// Sets peers up, one after the other, and says what is missing.
    pub fn peers(&self, set_ups: &[fn(&Self) -> Peer]) -> Vec<Peer> {
        let peers: Vec<_> = set_ups.iter().map(|set_up| set_up(self)).collect();
        for peer in &peers {
            match &peer.who {
                Ok(_) => say(&format!("{} is there", peer.name)),
                Err(why) => say(&format!("{} is not there: {why}", peer.name)),
            }
        }
        peers
    }

    /// A new folder for one run.
    pub(super) fn run_folder(&self) -> Result<PathBuf> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let folder = self.scratch.path().join(format!("run-{number}"));
        fs::create_dir(&folder).context("make the folder of a run")?;
        Ok(folder)
    }
}

/// The middle of the values, or of the middle two.
///
/// # Panics
/// There are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
    f64::midpoint(values[low], values[high])
}

/// The middle of what was measured, or why there is none.
pub fn middle(values: &[f64]) -> Figure {
    if values.is_empty() {
        Err("nothing was measured".to_owned())
    } else {
        Ok(median(values.iter().copied()))
    }
}

/// The middle of the ratios of pairs, with the least and the most of them in words.
pub fn ratios(ours: &[f64], beside: &[f64]) -> (Figure, String) {
    let mut ratios: Vec<f64> = ours.iter().zip(beside).map(|(ours, beside)| ours / beside).collect();
    ratios.sort_by(f64::total_cmp);
    let words = match (ratios.first(), ratios.last()) {
        (Some(least), Some(most)) => format!("ratios of {} pairs: {least:.2} to {most:.2}", ratios.len()),
        _ => String::new(),
    };
    (middle(&ratios), words)
}

/// One figure of a measurement that may have failed.
pub fn figure<T>(measured: &Result<T, String>, pick: impl Fn(&T) -> f64) -> Figure {
    measured.as_ref().map(pick).map_err(Clone::clone)
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "who drives a bench has no runtime that a sleep would hold up")]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

/// Tells whoever waits for the report what is going on.
#[expect(clippy::print_stderr, reason = "a bench runs for minutes in a terminal, and somebody waits for it")]
pub fn say(what: &str) {
    eprintln!("bench: {what}");
}
