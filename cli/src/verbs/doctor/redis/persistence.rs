//! What would be lost, and does writing to the disk work? The classes are those of `docs/operations.md`.

use brasa_shared::finding::Finding;

use super::facts::Facts;

const WHY: &str = "jobs that were enqueued since are gone, and jobs that were done since run again";
const HELP: &str = "CONFIG SET appendonly yes, CONFIG SET appendfsync everysec, and CONFIG REWRITE";

/// The class, by name, and what it loses.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let finding = match (facts.info.text("aof_enabled"), &facts.settings) {
        ("1", _) => appended(facts.setting("appendfsync")),
        (_, Err(refused)) => Finding::note(
            "persistence",
            "there is no append-only file; whether snapshots are saved could not be seen",
            format!(
                "CONFIG GET is refused ({refused}); without snapshots every job is gone with the process"
            ),
            "look at `save` yourself, or ACL SETUSER this user with +config|get",
        ),
        (_, Ok(_)) if facts.setting("save").is_empty() => Finding::warning(
            "persistence",
            "class `nothing`: no append-only file, no snapshots",
            "when Redis ends, for whatever reason, every job is gone",
            HELP,
        ),
        (_, Ok(_)) => Finding::warning(
            "persistence",
            format!("class `snapshots`: no append-only file, save \"{}\"", facts.setting("save")),
            format!("when Redis is killed it goes back to the last snapshot{}: {WHY}", last_save(facts)),
            HELP,
        ),
    };
    vec![finding]
}

fn appended(fsync: &str) -> Finding {
    match fsync {
        "always" => Finding::fine("persistence", "class `always`: loses nothing that was acknowledged"),
        "everysec" => Finding::fine(
            "persistence",
            "class `every second`: loses nothing when Redis is killed, and about the last second (two at \
             worst) when the power fails",
        ),
        "no" => Finding::warning(
            "persistence",
            "an append-only file that reaches the disk when the system likes (appendfsync no)",
            format!("a power failure loses some 30 seconds: {WHY}"),
            "CONFIG SET appendfsync everysec, and CONFIG REWRITE",
        ),
        _ => Finding::note(
            "persistence",
            "an append-only file; how often it is forced to the disk could not be seen",
            "CONFIG GET is refused; between `always` and `no` lie 30 seconds of jobs on a power failure",
            "look at `appendfsync` yourself, or ACL SETUSER this user with +config|get",
        ),
    }
}

fn last_save(facts: &Facts) -> String {
    let Some(at) = facts.info.number("rdb_last_save_time") else { return String::new() };
    let ago_ms = facts.now_ms - i64::try_from(at).unwrap_or_default() * 1_000;
    format!(" ({} ago)", super::super::timing::span(ago_ms.max(0)))
}

/// A disk that takes nothing more.
pub(super) fn errors(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let help = "look at Redis' log and at the disk (full? read-only? too little memory to fork?)";
    let failed = |field: &str| facts.info.text(field) == "err";
    if failed("aof_last_write_status") {
        let found = "the last write to the append-only file failed";
        let why = "Redis refuses every write until one succeeds";
        findings.push(Finding::problem("disk", found, why, help));
    }
    if failed("rdb_last_bgsave_status") {
        let found = "the last snapshot could not be saved";
        findings.push(match facts.setting("stop-writes-on-bgsave-error") {
            "no" => Finding::warning("disk", found, "a restart goes back to an older one", help),
            _ => Finding::problem("disk", found, "Redis refuses writes until one succeeds", help),
        });
    }
    if failed("aof_last_bgrewrite_status") {
        let found = "the last rewrite of the append-only file failed";
        let why = "the file grows until the disk is full, and takes longer and longer to load";
        findings.push(Finding::warning("disk", found, why, help));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use brasa_shared::finding::Level;
    use brasa_shared::telemetry::vitals::Info;

    fn facts(info: &str, settings: &[(&str, &str)]) -> Facts {
        let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let settings: BTreeMap<_, _> = settings.collect();
        Facts { info: Info::parse(info), settings: Ok(settings), ..Facts::default() }
    }

    #[test]
    fn a_disk_that_takes_nothing_more_is_a_problem() {
        let level = |info: &str, settings: &[(&str, &str)]| errors(&facts(info, settings))[0].level;

        assert_eq!(level("aof_last_write_status:err", &[]), Level::Problem);
        assert_eq!(level("rdb_last_bgsave_status:err", &[]), Level::Problem);
        let unheeded = [("stop-writes-on-bgsave-error", "no")];
        assert_eq!(level("rdb_last_bgsave_status:err", &unheeded), Level::Warning);
        assert_eq!(level("aof_last_bgrewrite_status:err", &[]), Level::Warning);
        assert_eq!(errors(&facts("aof_last_write_status:ok", &[])), []);
    }

    #[test]
    fn what_could_not_be_seen_is_noted_and_not_blamed() {
        for (info, said) in [("aof_enabled:0", "snapshots"), ("aof_enabled:1", "forced to the disk")] {
            let facts = Facts { settings: Err("NOPERM".to_owned()), ..facts(info, &[]) };
            let finding = &check(&facts)[0];
            assert_eq!(finding.level, Level::Note);
            assert!(finding.found.contains(said), "{finding:?}");
        }
    }
}
