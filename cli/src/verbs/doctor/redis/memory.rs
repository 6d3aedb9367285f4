//! What happens when memory is short, and is it?

use brasa_shared::finding::Finding;

use super::bytes;
use super::facts::Facts;

/// From here on memory is nearly, and as good as, used up; in percent.
const FULL_PERCENT: (u64, u64) = (80, 95);

/// Any policy but `noeviction` lets Redis delete what is not its own.
pub(super) fn eviction(facts: &Facts) -> Vec<Finding> {
    let policy = facts.info.text("maxmemory_policy");
    let max = facts.info.number("maxmemory").unwrap_or(0);
    let help = "CONFIG SET maxmemory-policy noeviction, and CONFIG REWRITE";
    let finding = match (policy, max) {
        ("noeviction", 0) => Finding::note(
            "eviction",
            "noeviction, without maxmemory",
            "Redis grows until the machine ends it, instead of refusing new jobs and being drained",
            "CONFIG SET maxmemory to what this machine can spare, such as 2gb, and CONFIG REWRITE",
        ),
        ("noeviction", max) => Finding::fine("eviction", format!("noeviction at {}", bytes(max))),
        (policy, 0) => Finding::note(
            "eviction",
            format!("{policy}, without maxmemory"),
            "nothing is deleted as long as there is no maxmemory; with one, this policy would",
            help,
        ),
        (policy, max) => {
            let why = if policy.starts_with("volatile") {
                "when memory is short Redis deletes what has an expiry: warm entries, and the leader's term"
            } else {
                "when memory is short Redis deletes queues to make room: jobs are gone, and nobody is told"
            };
            Finding::problem("eviction", format!("{policy} at {}", bytes(max)), why, help)
        }
    };
    vec![finding]
}

/// What is known about invalidations goes like anything else where Redis may evict.
pub(super) fn marks(facts: &Facts) -> Vec<Finding> {
    let policy = facts.info.text("maxmemory_policy");
    let may_evict = facts.info.number("maxmemory").unwrap_or(0) > 0 && policy != "noeviction";
    let evicted = facts.info.number("evicted_keys").unwrap_or(0);
    if facts.warmers == 0 || !(may_evict || evicted > 0) {
        return Vec::new();
    }
    let found = format!("{evicted} key(s) were evicted since Redis started; maxmemory-policy is {policy}");
    let why = "what is known about invalidations may be among them, so for 15 minutes after each eviction no replica is \
               read, and values are loaded from the primary";
    let help = "CONFIG SET maxmemory-policy noeviction, and CONFIG REWRITE";
    vec![Finding::warning("invalidations", found, why, help)]
}

/// How much of the memory is used.
pub(super) fn headroom(facts: &Facts) -> Vec<Finding> {
    let info = &facts.info;
    let number = |name: &str| info.number(name).unwrap_or(0);
    let (used, of, limit) = match number("maxmemory") {
        0 => (number("used_memory_rss"), number("total_system_memory"), "the machine's memory"),
        max => (number("used_memory"), max, "maxmemory"),
    };
    if of == 0 {
        return Vec::new();
    }
    let percent = used.saturating_mul(100) / of;
    let found = format!("{} of {} ({limit}) are used, {percent} %", bytes(used), bytes(of));
    let why = if limit == "maxmemory" {
        "at the limit Redis refuses new jobs and warm entries; workers still drain the queues"
    } else {
        "when it is used up the machine ends Redis, or something else"
    };
    let help = "raise maxmemory or give the machine more; see `brasa queues list` for what waits, and \
                `redis-cli --bigkeys` for what is large";
    vec![match percent {
        percent if percent > FULL_PERCENT.1 => Finding::problem("memory", found, why, help),
        percent if percent > FULL_PERCENT.0 => Finding::warning("memory", found, why, help),
        _ => Finding::fine("memory", found),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use brasa_shared::finding::Level;
    use brasa_shared::telemetry::vitals::Info;

    fn facts(info: &str) -> Facts {
        Facts { info: Info::parse(info), ..Facts::default() }
    }

    #[test]
    fn memory_is_measured_against_the_limit_or_else_the_machine() {
        for (info, level, said) in [
            ("maxmemory:100\r\nused_memory:80", Level::Ok, "80 %"),
            ("maxmemory:100\r\nused_memory:81", Level::Warning, "maxmemory"),
            ("maxmemory:100\r\nused_memory:96", Level::Problem, "96 %"),
            ("maxmemory:0\r\nused_memory_rss:900\r\ntotal_system_memory:1000", Level::Warning, "machine"),
        ] {
            let finding = &headroom(&facts(info))[0];
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.found.contains(said), "{finding:?}");
        }
    }

    #[test]
    fn what_is_known_about_invalidations_must_not_be_evicted_where_something_is_cached() {
        for (policy, max, evicted, warmers, count) in [
            ("noeviction", 100, 0, 1, 0),
            ("noeviction", 100, 3, 1, 1),
            ("allkeys-lru", 0, 0, 1, 0),
            ("allkeys-lru", 100, 0, 1, 1),
            ("volatile-ttl", 100, 0, 1, 1),
            ("allkeys-lru", 100, 3, 0, 0),
        ] {
            let info = format!("maxmemory_policy:{policy}\r\nmaxmemory:{max}\r\nevicted_keys:{evicted}\r\n");
            let facts = Facts { warmers, ..facts(&info) };
            assert_eq!(marks(&facts).len(), count, "{policy} at {max}, {evicted} evicted");
        }
    }

    #[test]
    fn a_policy_that_evicts_is_a_problem_once_there_is_a_limit() {
        for (policy, max, level) in [
            ("noeviction", 0, Level::Note),
            ("noeviction", 100, Level::Ok),
            ("allkeys-lru", 0, Level::Note),
            ("allkeys-lru", 100, Level::Problem),
            ("volatile-ttl", 100, Level::Problem),
        ] {
            let info = format!("maxmemory_policy:{policy}\r\nmaxmemory:{max}\r\n");
            assert_eq!(eviction(&facts(&info))[0].level, level, "{policy} at {max}");
        }
    }
}
