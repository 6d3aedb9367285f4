//! The machine: its processors, its memory, its file systems.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use super::number;
use super::process::field;
use crate::telemetry::metrics;

/// Where a container reads what it may use and uses.
const LIMIT: &str = "/sys/fs/cgroup/memory.max";
const USED: &str = "/sys/fs/cgroup/memory.current";
const USED_BY: &str = "/sys/fs/cgroup/memory.stat";

/// How much of the machine's name is used, in characters.
const NAME_MAX: usize = 40;

/// What the machine is called, in a word of printable characters.
pub fn host_name() -> String {
    let name = read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(NAME_MAX).collect();
    if name.is_empty() { "host".to_owned() } else { name }
}

/// What was seen of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Host {
    pub(super) cpu: Cpu,
    pub(super) memory: Option<f64>,
    /// Of the fullest of the file systems that are looked at.
    pub(super) disk: Option<f64>,
}

/// What the processors have done since the machine began, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cpu {
    busy: u64,
    all: u64,
}

/// Looks, and tells; `before` is what the processors had done.
pub(super) fn look(before: Cpu, places: &[(&'static str, PathBuf)]) -> Host {
    let mut fullest = None::<f64>;
    for (of, path) in places {
        if let Some(share) = disk(path) {
            metrics::host_disk_share(of).set(share);
            fullest = Some(fullest.map_or(share, |fullest| fullest.max(share)));
        }
    }
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text));
    let shares = machine.into_iter().chain(container());
    let memory = shares.reduce(f64::max);
    if let Some(share) = memory {
        metrics::host_memory_share().set(share);
    }
    let Some(now) = read_to_string("/proc/stat").ok().and_then(|text| Cpu::read(&text)) else {
        return Host { cpu: before, memory, disk: fullest };
    };
    // The first look would tell of the whole time since the machine began.
    if before != Cpu::default()
        && let Some(share) = now.share_since(before)
    {
        metrics::host_cpu_share().set(share);
    }
    Host { cpu: now, memory, disk: fullest }
}

impl Cpu {
    pub(super) fn read(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let fields: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).take(8).collect();
        let [_, _, _, idle, waiting, ..] = *fields.as_slice() else { return None };
        let all: u64 = fields.iter().sum();
        Some(Self { busy: all - idle - waiting, all })
    }

    /// Which share of the time since then they were busy.
    pub(super) fn share_since(self, before: Self) -> Option<f64> {
        self.share_of(self.busy.saturating_sub(before.busy), before)
    }

    /// Which share of the time of all processors since then so many ticks are.
    pub(super) fn share_of(self, ticks: u64, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        Some((number(ticks) / number(all)).min(1.0))
    }
}

fn memory(text: &str) -> Option<f64> {
    let (all, free) = (field(text, "MemTotal:")?, field(text, "MemAvailable:")?);
    share(all.saturating_sub(free), all)
}

/// What a container uses of what it may, without what the system would take back at once; none outside of containers.
fn container() -> Option<f64> {
    let most: u64 = read_to_string(LIMIT).ok()?.trim().parse().ok()?;
    let used: u64 = read_to_string(USED).ok()?.trim().parse().ok()?;
    let given_back = read_to_string(USED_BY).ok().and_then(|text| field(&text, "inactive_file "));
    share(used.saturating_sub(given_back.unwrap_or(0)), most)
}

/// As `df` counts: what only the system may still fill is neither used nor free.
fn disk(path: &Path) -> Option<f64> {
    let found = rustix::fs::statvfs(path).ok()?;
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    share(used, used + found.f_bavail)
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| number(part) / number(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?} {expected}");
    }

    #[test]
    fn processors_that_wait_for_a_disk_are_not_busy() {
        let before = Cpu::read("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        let now = Cpu::read("cpu  130 0 60 850 60 0 0 0 0 0\n").unwrap();
        near(now.share_since(before), 0.4);
        assert_eq!(before.share_since(now), None, "counters do not go back");
        assert_eq!(Cpu::read("intr 1 2 3\n"), None);
    }

    #[test]
    fn memory_that_is_available_is_not_in_use() {
        near(memory("MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  250 kB\n"), 0.75);
        assert_eq!(memory("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
    }

    #[test]
    fn a_folder_that_there_is_has_a_share_and_one_that_there_is_not_has_none() {
        assert!(disk(Path::new("/")).is_some_and(|share| (0.0..=1.0).contains(&share)));
        assert_eq!(disk(Path::new("/nowhere/at/all")), None);
    }
}
