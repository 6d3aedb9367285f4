//! What processes cost, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs;

/// µs per tick of `/proc/PID/stat`.
const TICK_US: f64 = 10_000.0;

/// The counters of `/proc/stat` that are no work: idle, and waiting for a disk.
const IDLE: [usize; 2] = [3, 4];

/// Memory of a process.
#[derive(Debug, Clone, Copy)]
pub enum Memory {
    /// What it holds now.
    Now,
    /// The most that it ever held.
    Peak,
}

/// These processes and all that they started.
pub fn trees(roots: &[u32]) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(parent) = stat_field(&format!("/proc/{pid}/stat"), 1) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut place) = (roots.to_vec(), 0);
    while let Some(pid) = found.get(place) {
        found.extend(children.get(pid).into_iter().flatten().copied().collect::<Vec<_>>());
        place += 1;
    }
    found
}

/// Processor time of these processes so far, user and system, in µs.
pub fn cpu_us(pids: &[u32]) -> f64 {
    pids.iter().map(|&pid| process_cpu_us(pid)).sum()
}

/// Memory of these processes in MB; what they share is counted for each.
#[expect(clippy::cast_precision_loss, reason = "kilobytes of memory fit")]
pub fn memory_mb(pids: &[u32], which: Memory) -> f64 {
    let key = match which {
        Memory::Now => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let kilobytes = pids.iter().filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    kilobytes.sum::<u64>() as f64 / 1024.0
}

/// Processor time that the machine has spent on anything so far, in µs.
pub fn machine_cpu_us() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let counters = stat.lines().next().into_iter().flat_map(|line| line.split_whitespace().skip(1).take(8));
    let busy = counters.enumerate().filter(|(place, _)| !IDLE.contains(place));
    busy.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() * TICK_US
}

/// Processor time of this process and of all children of it that have ended, in µs.
pub fn own_cpu_us() -> f64 {
    let ticks = [11, 12, 13, 14].into_iter().filter_map(|place| stat_field::<f64>("/proc/self/stat", place));
    ticks.sum::<f64>() * TICK_US
}

/// The scheduler counts nanoseconds per thread, but forgets threads that ended; the process' own counter has them
/// all, in ticks. Neither ever says too much, so the larger one is nearer to the truth.
fn process_cpu_us(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let counters = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        counters.split(' ').next()?.parse::<f64>().ok()
    });
    let stat = format!("/proc/{pid}/stat");
    let ticks: f64 = [11, 12].into_iter().filter_map(|place| stat_field::<f64>(&stat, place)).sum();
    (nanoseconds.sum::<f64>() / 1_000.0).max(ticks * TICK_US)
}

/// A field of a `stat` file, counted from the one after the name, which may hold anything.
fn stat_field<T: std::str::FromStr>(path: &str, place: usize) -> Option<T> {
    let stat = fs::read_to_string(path).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_tree_and_costs_something() {
        let ours = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();

        let tree = trees(&[ours]);
        child.kill().unwrap();
        child.wait().unwrap();

        assert!(tree.contains(&ours) && tree.contains(&child.id()));
        assert!(cpu_us(&[ours]) > 0.0);
        assert!(memory_mb(&[ours], Memory::Peak) >= memory_mb(&[ours], Memory::Now));
    }
}
