//! R24, R25 and R32: memory, caches, replication.

use brasa_shared::db::literal;

use crate::database::review::facts::{Facts, Slot, Standby};
use crate::database::review::recommendation::{Confidence, Recommendation, Severity};
use crate::database::review::words::{count, float, lasting, near, percent, seconds, share, signed, size};

/// Below this share of blocks that are found in memory there is too little of it.
const HITS: f64 = 0.98;
/// Fewer blocks say nothing.
const BLOCKS_MIN: i64 = 1_000_000;
/// Fewer reads of a cache say nothing.
const READS_MIN: u64 = 1_000;

/// Memory that is too small for what is read again and again.
pub(super) fn memory(facts: &Facts) -> Vec<Recommendation> {
    let server = &facts.server;
    let blocks = server.hit + server.read;
    let hits = share(server.hit, blocks);
    if blocks < BLOCKS_MIN || hits >= HITS || server.bytes.is_some_and(|bytes| bytes <= server.shared_buffers)
    {
        return Vec::new();
    }
    let title = format!(
        "Of the blocks that statements want only {} are in the server's own memory, where {} is usual.",
        near(hits),
        percent(HITS)
    );
    let found = Recommendation::new("R24", "shared_buffers", Severity::Info, title)
        .with(Confidence::Low)
        .shows("Blocks that were wanted", count(blocks))
        .shows("shared_buffers", size(server.shared_buffers))
        .may_show("Size of the database", server.bytes.map(size))
        .may_show("Counted for", server.counting.map(seconds))
        .clears_when(
            "More is found in memory: with indexes that read less, or higher shared_buffers. What the operating system \
             holds in memory is not counted here.",
        );
    vec![found]
}

/// Caches that miss too often.
pub(super) fn caches(facts: &Facts) -> Vec<Recommendation> {
    let mut found = Vec::new();
    for cache in &facts.caches {
        let reads = cache.reads();
        let hits = float(cache.hits) / float(reads.max(1));
        if reads < READS_MIN || hits >= facts.limits.cache_hits {
            continue;
        }
        let title = format!("Only {} of the reads of cache {} find something.", percent(hits), cache.name);
        let mut one = Recommendation::new("R25", &cache.name, Severity::Info, title)
            .shows("Reads", count(signed(usize::try_from(reads).unwrap_or(usize::MAX))))
            .shows("Values are kept for", lasting(cache.ttl));
        for (why, misses) in &cache.misses {
            one = one.shows(&format!("Misses: {why}"), percent(float(*misses) / float(reads.max(1))));
        }
        found.push(one.clears_when("More reads find something: `brasa cache status` says what helps."));
    }
    found
}

/// Standbys that lag, and slots that keep too much.
pub(super) fn replication(facts: &Facts) -> Vec<Recommendation> {
    let (lag_s, lag_bytes) = facts.limits.lag;
    let seen = &facts.replication;
    let late = seen.standbys.iter().filter(|standby| {
        standby.seconds.is_some_and(|seconds| seconds >= lag_s)
            && standby.bytes.is_some_and(|bytes| bytes >= lag_bytes)
    });
    let mut found: Vec<Recommendation> = late.map(standby).collect();
    if let Some(behind) = seen.behind.filter(|behind| *behind >= lag_s) {
        let title = format!("This server is a standby, and {} behind what it follows.", seconds(behind));
        found.push(
            Recommendation::new("R32", "this standby", Severity::Warning, title)
                .clears_when("It has caught up: look for long queries on it, and at its disk and network."),
        );
    }
    let kept = |slot: &&Slot| {
        slot.state == "lost" || slot.bytes.is_some_and(|bytes| bytes >= facts.limits.slot_bytes)
    };
    found.extend(seen.slots.iter().filter(kept).map(slot));
    found
}

fn standby(standby: &Standby) -> Recommendation {
    let title = format!(
        "The standby {} is {} behind: whoever reads from it sees what was so then.",
        standby.name,
        seconds(standby.seconds.unwrap_or_default())
    );
    Recommendation::new("R32", &format!("standby {}", standby.name), Severity::Warning, title)
        .may_show("Behind by", standby.bytes.map(size))
        .clears_when("It has caught up: look for long queries on it, and at its disk and network.")
}

fn slot(slot: &Slot) -> Recommendation {
    let title = if slot.state == "lost" {
        format!(
            "What the replication slot {} needs is gone: whoever reads from it has to begin anew.",
            slot.name
        )
    } else {
        format!(
            "The replication slot {} keeps {} of WAL, and more by the minute: in the end the disk is full.",
            slot.name,
            size(slot.bytes.unwrap_or_default())
        )
    };
    let severity = if slot.is_active { Severity::Warning } else { Severity::Critical };
    let found = Recommendation::new("R32", &format!("slot {}", slot.name), severity, title)
        .shows("Somebody reads from it", if slot.is_active { "yes" } else { "no" })
        .clears_when("Whoever reads from it catches up, or it is dropped.");
    if slot.is_active {
        return found;
    }
    found.proposes(format!("SELECT pg_drop_replication_slot({});", literal(&slot.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::review::facts::{CacheUse, Replication};

    #[test]
    fn memory_is_told_where_much_was_read_from_disk() {
        let told = |hit, read| {
            let mut facts = Facts::default();
            (facts.server.hit, facts.server.read) = (hit, read);
            facts.server.bytes = Some(1 << 40);
            memory(&facts).len()
        };
        assert_eq!([told(1_900_000, 100_000), told(1_990_000, 10_000), told(1_000, 1_000)], [1, 0, 0]);
    }

    #[test]
    fn a_cache_that_misses_is_told_with_why() {
        let told = |hits| {
            let cache = CacheUse {
                name: "pages".to_owned(),
                hits,
                misses: vec![("expired".to_owned(), 1_000)],
                ..CacheUse::default()
            };
            caches(&Facts { caches: vec![cache], ..Facts::default() })
        };
        assert!(told(3_000)[0].evidence.contains(&("Misses: expired".to_owned(), "25 %".to_owned())));
        assert_eq!((told(5_000), told(0).len()), (vec![], 1));
    }

    #[test]
    fn lag_is_told_by_time_and_size_both() {
        let told = |seconds, bytes| {
            let standby =
                Standby { name: "s".to_owned(), seconds: Some(seconds), bytes: Some(bytes), may_read: true };
            let replication = Replication { standbys: vec![standby], ..Replication::default() };
            super::replication(&Facts { replication, ..Facts::default() }).len()
        };
        assert_eq!([told(60.0, 32 << 20), told(60.0, 1 << 20), told(1.0, 32 << 20)], [1, 0, 0]);
    }

    #[test]
    fn a_slot_that_nobody_reads_from_is_critical_once_it_keeps_much() {
        let told = |is_active, bytes| {
            let slot = Slot { name: "s".to_owned(), is_active, bytes: Some(bytes), state: String::new() };
            let replication = Replication { slots: vec![slot], ..Replication::default() };
            let found = super::replication(&Facts { replication, ..Facts::default() });
            found.first().map(|one| (one.severity, one.statement.is_some()))
        };
        assert_eq!(told(false, 1 << 30), None);
        assert_eq!(told(false, 20 << 30), Some((Severity::Critical, true)));
        assert_eq!(told(true, 20 << 30), Some((Severity::Warning, false)));
    }
}
