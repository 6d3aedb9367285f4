//! This process, as Linux tells; elsewhere nothing is told.

use std::fs::{read_dir, read_to_string};

use super::number;
use crate::telemetry::metrics::process as told;

/// How Linux counts time in these files, in ticks a second; the same on all that we run on.
const TICKS: u64 = 100;

/// What `/proc/self/stat` says that is of interest.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    /// Since the machine began.
    began_ticks: u64,
}

/// What was seen of this process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own {
    /// Time of processors that it has used.
    pub(super) ticks: Option<u64>,
    /// Bytes of memory that it holds.
    pub(super) memory: Option<u64>,
}

/// Looks, and tells.
pub(super) fn look() -> Own {
    let mut own = Own::default();
    if let Some(stat) = read_to_string("/proc/self/stat").ok().and_then(|text| Stat::read(&text)) {
        own.ticks = Some(stat.cpu_ticks);
        told::cpu_seconds_total().absolute(stat.cpu_ticks / TICKS);
        told::threads().set(number(stat.threads));
        if let Some(booted_s) = read_to_string("/proc/stat").ok().and_then(|text| booted(&text)) {
            told::start_time_seconds().set(number(booted_s + stat.began_ticks / TICKS));
        }
    }
    if let Some(bytes) = read_to_string("/proc/self/status").ok().and_then(|text| field(&text, "VmRSS:")) {
        own.memory = Some(bytes << 10);
        told::resident_memory_bytes().set(number(bytes << 10));
    }
    if let Ok(open) = read_dir("/proc/self/fd") {
        // Not the one that we read the folder with.
        told::open_fds().set(number(u64::try_from(open.count()).unwrap_or(u64::MAX).saturating_sub(1)));
    }
    if let Some(most) = read_to_string("/proc/self/limits").ok().and_then(|text| limit(&text)) {
        told::max_fds().set(number(most));
    }
    own
}

impl Stat {
    /// The second field is the program's name in brackets, which may hold blanks and brackets.
    fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let at = |place: usize| fields.get(place - 3)?.parse::<u64>().ok();
        Some(Self { cpu_ticks: at(14)? + at(15)?, threads: at(20)?, began_ticks: at(22)? })
    }
}

/// When the machine began, in seconds since 1970.
fn booted(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The number behind a word.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn limit(text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 123456 1000 200 …";
        let expected = Stat { cpu_ticks: 300, threads: 7, began_ticks: 123_456 };
        assert_eq!(Stat::read(text), Some(expected));
        assert_eq!(Stat::read(""), None);
    }

    #[test]
    fn numbers_are_found_by_their_names() {
        assert_eq!(field("VmPeak:  9 kB\nVmRSS:\t  2048 kB\n", "VmRSS:"), Some(2_048));
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   524288   files\n";
        assert_eq!(limit(limits), Some(1_024));
        assert_eq!(limit("Max open files   unlimited   unlimited   files\n"), None);
        assert_eq!(booted("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000));
    }
}
