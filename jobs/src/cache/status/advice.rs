//! What to change about a warmer, from what was counted. Plain rules, and no server.

use std::collections::BTreeMap;
use std::time::Duration;

/// Fewer reads say nothing about how well a warmer serves.
const READS_MIN: u64 = 100;
/// Fewer fills say nothing about whether they were worth it.
const FILLS_MIN: u64 = 100;
/// Fewer reads are those of somebody who has only begun.
const UNREAD_MIN: u64 = 10;
/// Below this share of reads that find something, in hundredths, a warmer does not do its work.
const HITS_PERCENT: u64 = 80;
/// More refusals than this share of fills, in hundredths, are no accident.
const BEHIND_PERCENT: u64 = 5;

/// What was counted for a warmer, and how it is configured.
#[expect(clippy::struct_excessive_bools, reason = "keys of a warmer are written or not, each by itself")]
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Reads that found something.
    pub(super) hits: u64,
    /// Reads that found nothing, by why.
    pub(super) misses: BTreeMap<&'static str, u64>,
    /// Values that were loaded and taken.
    pub(super) fills: u64,
    /// Values that were refused, as what they were read from had not seen a change.
    pub(super) behind: u64,
    pub(super) ttl: Duration,
    pub(super) has_refresh_ahead: bool,
    pub(super) is_looped: bool,
    pub(super) is_hot: bool,
    pub(super) is_askable: bool,
    /// A table of which every change ends every value.
    pub(super) coarse: Option<String>,
    pub(super) from_replica: bool,
    /// What Redis does when its memory is full.
    pub(super) policy: String,
    /// How many keys Redis evicted.
    pub(super) evicted: u64,
}

/// What to change, each a sentence with the figure that it comes from.
pub(super) fn of(seen: &Seen) -> Vec<String> {
    let rules: [fn(&Seen) -> Option<String>; 3] = [misses, unread, behind];
    rules.iter().filter_map(|rule| rule(seen)).collect()
}

impl Seen {
    fn reads(&self) -> u64 {
        self.hits + self.misses.values().sum::<u64>()
    }
}

/// Too many reads find nothing, and most of them for the same reason.
fn misses(seen: &Seen) -> Option<String> {
    let reads = seen.reads();
    if reads < READS_MIN || percent(seen.hits, reads) >= HITS_PERCENT {
        return None;
    }
    let all = reads - seen.hits;
    let (why, count) = seen.misses.iter().max_by_key(|(_, count)| **count)?;
    if *count * 2 <= all {
        return None;
    }
    let figure = format!(
        "only {} % of {reads} reads found something, and {} % of the misses were {}",
        percent(seen.hits, reads),
        percent(*count, all),
        word(why)
    );
    Some(format!("{figure}: {}", remedy(why, seen)?))
}

fn remedy(why: &str, seen: &Seen) -> Option<String> {
    Some(match why {
        "expired" if seen.has_refresh_ahead => format!("raise `ttl`, which is {:?}", seen.ttl),
        "expired" => format!("raise `ttl`, which is {:?}, or write `refresh_ahead`", seen.ttl),
        "evicted" => format!(
            "give Redis more memory (it evicted {} key(s), maxmemory-policy is {})",
            seen.evicted, seen.policy
        ),
        "invalidated" => match &seen.coarse {
            Some(table) => format!(
                "let it depend on the columns that choose its rows, as in `{table}(…)`, instead of all of `{table}`"
            ),
            None => "its rows change more often than they are read, so caching them gains little".to_owned(),
        },
        "cold" if seen.is_looped => "readers ask for keys that `for_each` does not give".to_owned(),
        "cold" => "write `for_each`, so that its values are there before they are read".to_owned(),
        "refused" => "values are refused while their rows change; see the refusals".to_owned(),
        _ => return None,
    })
}

fn word(why: &str) -> &str {
    match why {
        "cold" => "of values that nobody had loaded (cold)",
        why => why,
    }
}

/// Much is loaded and little is read. A reader that does not count looks the same, so some must have counted.
fn unread(seen: &Seen) -> Option<String> {
    let reads = seen.reads();
    let is_idle = reads >= UNREAD_MIN && seen.fills >= FILLS_MIN && reads.saturating_mul(10) < seen.fills;
    if !is_idle || seen.is_hot {
        return None;
    }
    let help = if seen.is_askable {
        "write what = \"hot\", or leave it out"
    } else {
        "load it less often, or leave it out"
    };
    Some(format!("{} values were loaded and {reads} read: {help}", seen.fills))
}

/// What is read lags behind what is told.
fn behind(seen: &Seen) -> Option<String> {
    let tried = seen.fills + seen.behind;
    if seen.behind < 10 || percent(seen.behind, tried) < BEHIND_PERCENT {
        return None;
    }
    let figure =
        format!("{} of {tried} loaded values had not seen the change that they were loaded for", seen.behind);
    let help = if seen.from_replica {
        "the replica lags: look at `brasa doctor`, or write fill_from = \"primary\""
    } else {
        "its rows change while they are read: a smaller `batch` reads for a shorter time"
    };
    Some(format!("{figure}: {help}"))
}

fn percent(part: u64, of: u64) -> u64 {
    part.saturating_mul(100) / of.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hits: u64, misses: &[(&'static str, u64)]) -> Seen {
        Seen {
            hits,
            misses: misses.iter().copied().collect(),
            ttl: Duration::from_secs(30),
            is_askable: true,
            policy: "allkeys-lru".to_owned(),
            evicted: 7,
            ..Seen::default()
        }
    }

    fn only(seen: &Seen) -> String {
        let mut all = of(seen);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn a_warmer_that_serves_well_or_is_hardly_read_is_left_alone() {
        assert_eq!(of(&seen(80, &[("expired", 20)])), Vec::<String>::new());
        assert_eq!(of(&seen(0, &[("expired", 99)])), Vec::<String>::new());
        assert_eq!(of(&Seen::default()), Vec::<String>::new());
    }

    #[test]
    fn misses_of_one_kind_are_told_with_their_figure_and_what_helps() {
        for (why, help) in [
            ("expired", "raise `ttl`, which is 30s, or write `refresh_ahead`"),
            ("evicted", "give Redis more memory (it evicted 7 key(s), maxmemory-policy is allkeys-lru)"),
            ("invalidated", "caching them gains little"),
            ("cold", "write `for_each`"),
        ] {
            let said = only(&seen(70, &[(why, 20), ("refused", 10)]));
            assert!(
                said.starts_with("only 70 % of 100 reads found something, and 66 % of the misses were "),
                "{said}"
            );
            assert!(said.contains(help), "{said}");
        }
    }

    #[test]
    fn misses_of_many_kinds_have_no_one_remedy() {
        assert_eq!(of(&seen(50, &[("expired", 25), ("cold", 25)])), Vec::<String>::new());
    }

    #[test]
    fn what_is_configured_decides_what_helps() {
        let looped = Seen { is_looped: true, ..seen(10, &[("cold", 90)]) };
        assert!(only(&looped).contains("keys that `for_each` does not give"));
        let ahead = Seen { has_refresh_ahead: true, ..seen(10, &[("expired", 90)]) };
        assert!(only(&ahead).ends_with("raise `ttl`, which is 30s"));
        let coarse = Seen { coarse: Some("flights".to_owned()), ..seen(10, &[("invalidated", 90)]) };
        assert!(only(&coarse).contains("as in `flights(…)`"));
    }

    #[test]
    fn loads_that_nobody_reads_are_told_where_reads_are_counted_at_all() {
        let idle = Seen { fills: 1_000, ..seen(99, &[]) };
        assert_eq!(only(&idle), "1000 values were loaded and 99 read: write what = \"hot\", or leave it out");
        for reads in [0, 9] {
            assert_eq!(of(&Seen { fills: 1_000, ..seen(reads, &[]) }), Vec::<String>::new());
        }
        assert_eq!(of(&Seen { is_hot: true, ..idle.clone() }), Vec::<String>::new());
        assert!(only(&Seen { is_askable: false, ..idle }).ends_with("load it less often, or leave it out"));
    }

    #[test]
    fn refusals_point_at_the_replica_where_one_is_read() {
        let behind = Seen { fills: 90, behind: 10, from_replica: true, ..Seen::default() };
        assert!(only(&behind).starts_with("10 of 100 loaded values had not seen"), "{:?}", of(&behind));
        assert!(only(&behind).contains("the replica lags"));
        assert!(only(&Seen { from_replica: false, ..behind.clone() }).contains("smaller `batch`"));
        assert_eq!(of(&Seen { fills: 900, ..behind }), Vec::<String>::new());
    }
}
