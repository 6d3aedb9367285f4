//! Settings of the server that what Brasa does rests on.

use brasa_shared::finding::Finding;

use super::facts::Facts;

/// What is switched off and had better be on.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in &facts.switches {
        if value == "on" {
            continue;
        }
        let found = format!("{name} is off");
        let help = format!("alter system set {name} = on; select pg_reload_conf()");
        findings.push(match *name {
            "fsync" => {
                let why = "a power failure may destroy the whole database";
                Finding::warning("settings", found, why, help)
            }
            "track_counts" => {
                let why = "Postgres does not count what changes: autovacuum never runs, and db.analyze cannot \
                           tell which tables changed most";
                Finding::note("settings", found, why, help)
            }
            _ => {
                let why = "dead rows are never cleared away and statistics grow old, unless you see to it";
                Finding::note("settings", found, why, help)
            }
        });
    }
    if findings.is_empty() {
        findings.push(Finding::fine("settings", "track_counts, autovacuum and fsync are on"));
    }
    findings
}
