//! R33 to R36: checkpoints, `pg_stat_statements`, versions and rights.

use brasa_shared::db::literal;

use crate::database::review::facts::Facts;
use crate::database::review::recommendation::{Confidence, Recommendation, Severity};
use crate::database::review::words::{count, float, percent, seconds, share, size, unsigned};

/// Fewer checkpoints say nothing.
const CHECKPOINTS_MIN: i64 = 10;
/// More of them than this share should come as their time has come.
const REQUESTED: f64 = 0.5;
/// Over a longer time each is a rare thing, in seconds.
const OFTEN_S: f64 = 1_800.0;
/// So often in a day statements may be thrown out.
const EVICTIONS_A_DAY: f64 = 24.0;

/// Checkpoints that come as there is too much WAL, and not as their time has come.
pub(super) fn checkpoints(facts: &Facts) -> Vec<Recommendation> {
    let seen = facts.server.checkpoints;
    let all = seen.timed + seen.requested;
    let forced = share(seen.requested, all);
    let each = seen.counting.map(|counting| counting / float(unsigned(seen.requested).max(1)));
    if all < CHECKPOINTS_MIN || forced <= REQUESTED || each.is_none_or(|each| each > OFTEN_S) {
        return Vec::new();
    }
    let wanted = facts.server.max_wal_size.saturating_mul(2) >> 20;
    let title = format!(
        "{} of all checkpoints come as `max_wal_size` is reached, so the same blocks are written again and again.",
        percent(forced)
    );
    let (found, before) =
        before(facts, "max_wal_size", Recommendation::new("R33", "max_wal_size", Severity::Info, title));
    let found = found
        .with(Confidence::Medium)
        .shows("Checkpoints that were forced", count(seen.requested))
        .shows("Checkpoints whose time had come", count(seen.timed))
        .may_show("Time between two forced ones", each.map(seconds))
        .shows("max_wal_size", size(facts.server.max_wal_size))
        .proposes(format!("ALTER SYSTEM SET max_wal_size = '{wanted}MB';\nSELECT pg_reload_conf();"))
        .undone_by(format!("{before}\nSELECT pg_reload_conf();"))
        .clears_when("Most checkpoints come as their time has come. The disk needs room for that much WAL.");
    vec![found]
}

/// What brings back a setting as it was, beside a recommendation that says so where that cannot be known.
fn before(facts: &Facts, name: &str, found: Recommendation) -> (Recommendation, String) {
    let Some(altered) = &facts.server.altered else {
        let why =
            "Whether ALTER SYSTEM has set it before cannot be seen: note its value, the undo only resets it.";
        return (found.shows("Before it is changed", why), format!("ALTER SYSTEM RESET {name};"));
    };
    let undo = match altered.iter().find(|(known, _)| known == name) {
        Some((_, value)) => format!("ALTER SYSTEM SET {name} = {};", literal(value)),
        None => format!("ALTER SYSTEM RESET {name};"),
    };
    (found, undo)
}

/// Statements that are not counted, or thrown out before anybody has looked.
pub(super) fn statements(facts: &Facts) -> Vec<Recommendation> {
    let module = facts.server.statements;
    if !module.is_installed || module.is_loaded == Some(false) {
        let title =
            "Nobody counts what statements cost here, so slow ones and missing indexes cannot be told.";
        let found = Recommendation::new("R34", "pg_stat_statements", Severity::Info, title);
        let found = match module.is_loaded {
            Some(false) => found
                .shows(
                    "What else it takes",
                    "pg_stat_statements in shared_preload_libraries, and a restart of the server",
                )
                .clears_when("The server loads the module, and the extension is there."),
            _ => found.clears_when("The extension is there."),
        };
        let found = if module.is_installed {
            found
        } else {
            found
                .proposes("CREATE EXTENSION pg_stat_statements;")
                .undone_by("DROP EXTENSION pg_stat_statements;")
        };
        return vec![found];
    }
    let (Some((evictions, counting)), Some((held, most))) = (module.evictions, module.held) else {
        return Vec::new();
    };
    let a_day = float(unsigned(evictions)) * 86_400.0 / counting.max(3_600.0);
    if a_day < EVICTIONS_A_DAY {
        return Vec::new();
    }
    let title = format!(
        "The rarest statements are thrown out {a_day:.0} times a day, and what they cost is lost: there are \
         more than {}.",
        count(most)
    );
    let name = "pg_stat_statements.max";
    let (found, before) = before(facts, name, Recommendation::new("R34", name, Severity::Info, title));
    let found = found
        .shows("Statements that are held", count(held))
        .proposes(format!("ALTER SYSTEM SET pg_stat_statements.max = {};", most.saturating_mul(2)))
        .undone_by(before)
        .clears_when("The server is restarted with the higher value, or statements have fewer forms.");
    vec![found]
}

/// Versions with faults that maintenance would run into.
pub(super) fn version(facts: &Facts) -> Vec<Recommendation> {
    let server = &facts.server;
    let mut found = Vec::new();
    if (140_000..140_004).contains(&server.version) {
        let title = format!(
            "Postgres {} may leave wrong indexes behind whenever one is built or rebuilt CONCURRENTLY (bug #17485): \
             Brasa rebuilds nothing on it.",
            server.version_text
        );
        found.push(
            Recommendation::new("R35", "bug #17485", Severity::Critical, title)
                .shows("Mended in", "14.4")
                .clears_when(
                    "The server is brought to the newest 14, and every index that was built so is rebuilt.",
                ),
        );
    }
    let mended = [(130_000, 130_007), (140_000, 140_003)];
    if let Some((_, safe)) = mended.iter().find(|(from, safe)| (*from..*safe).contains(&server.version)) {
        let title = format!(
            "On Postgres {} whoever may create an index can run anything as the role that maintains it \
             (CVE-2022-1552): Brasa maintains nothing there as a superuser.",
            server.version_text
        );
        found.push(
            Recommendation::new("R35", "CVE-2022-1552", Severity::Critical, title)
                .shows("Mended in", format!("{}.{}", safe / 10_000, safe % 10_000))
                .clears_when("The server is brought to the newest minor version."),
        );
    }
    found
}

/// Rights that are missing, or that nobody needs.
pub(super) fn rights(facts: &Facts) -> Vec<Recommendation> {
    let server = &facts.server;
    let mut found = Vec::new();
    if server.is_superuser {
        let title = format!(
            "Brasa connects as {}, who may do anything: a mistake of its configuration may, too.",
            server.role
        );
        found.push(
            Recommendation::new("R36", "too many rights", Severity::Info, title)
                .shows(
                    "What is enough to look",
                    "a role with pg_monitor, and SELECT on what is cached or aggregated",
                )
                .shows(
                    "What is enough to maintain",
                    "the role that owns the tables, or MAINTAIN from Postgres 17 on",
                )
                .clears_when("It connects as a role that is no superuser."),
        );
    }
    let mut grants: Vec<&str> = facts.gaps.iter().filter_map(|gap| gap.grant.as_deref()).collect();
    grants.sort_unstable();
    grants.dedup();
    if !grants.is_empty() {
        let title = format!(
            "{} may not look at all that is to be reviewed, so some problems cannot be told.",
            server.role
        );
        let mut one = Recommendation::new("R36", "missing rights", Severity::Info, title);
        for gap in facts.gaps.iter().filter(|gap| gap.grant.is_some()) {
            one = one.shows(gap.subject.words(), &*gap.why);
        }
        found.push(one.proposes(grants.join("\n")).clears_when("The role has these rights."));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::review::facts::{Checkpoints, Gap, StatementsModule, Subject};

    #[test]
    fn checkpoints_are_told_where_most_are_forced_and_often() {
        let told = |timed, requested, counting| {
            let mut facts = Facts::default();
            facts.server.checkpoints = Checkpoints { timed, requested, counting: Some(counting) };
            facts.server.max_wal_size = 1 << 30;
            checkpoints(&facts)
        };
        let found = told(10, 90, 9_000.0);
        assert!(found[0].statement.as_ref().unwrap().contains("'2048MB'"), "{found:?}");
        assert_eq!((told(90, 10, 9_000.0), told(0, 5, 60.0), told(10, 90, 9e6)), (vec![], vec![], vec![]));
    }

    #[test]
    fn a_setting_comes_back_as_somebody_had_set_it() {
        let undo = |altered| {
            let mut facts = Facts::default();
            facts.server.checkpoints = Checkpoints { timed: 10, requested: 90, counting: Some(9_000.0) };
            facts.server.altered = altered;
            let found = checkpoints(&facts).pop().unwrap();
            let is_doubtful = found.evidence.iter().any(|(name, _)| name == "Before it is changed");
            (found.undo.unwrap().lines().next().unwrap().to_owned(), is_doubtful)
        };
        let reset = "ALTER SYSTEM RESET max_wal_size;".to_owned();
        assert_eq!(undo(Some(vec![])), (reset.clone(), false));
        assert_eq!(undo(None), (reset, true));
        let set = Some(vec![("max_wal_size".to_owned(), "512MB".to_owned())]);
        assert_eq!(undo(set), ("ALTER SYSTEM SET max_wal_size = '512MB';".to_owned(), false));
    }

    #[test]
    fn statements_are_told_where_nobody_counts_them_or_they_are_thrown_out() {
        let told = |module| {
            let mut facts = Facts::default();
            facts.server.statements = module;
            statements(&facts).first().map(|one| one.object.clone())
        };
        let fine = StatementsModule {
            is_installed: true,
            is_loaded: Some(true),
            held: Some((5_000, 5_000)),
            evictions: Some((10, 86_400.0)),
        };
        assert_eq!(told(fine), None);
        assert_eq!(told(StatementsModule::default()).as_deref(), Some("pg_stat_statements"));
        let thrown = StatementsModule { evictions: Some((100, 86_400.0)), ..fine };
        assert_eq!(told(thrown).as_deref(), Some("pg_stat_statements.max"));
    }

    #[test]
    fn minors_with_known_faults_are_told() {
        let told = |version| {
            let mut facts = Facts::default();
            facts.server.version = version;
            super::version(&facts).into_iter().map(|one| one.object).collect::<Vec<_>>()
        };
        assert_eq!(told(140_003), ["bug #17485"]);
        assert_eq!(told(140_002), ["bug #17485", "CVE-2022-1552"]);
        assert_eq!(told(130_006), ["CVE-2022-1552"]);
        assert_eq!((told(130_007), told(140_004), told(150_000)), (vec![], vec![], vec![]));
    }

    #[test]
    fn missing_rights_are_told_together_with_the_statement_for_each() {
        let gaps = vec![
            Gap::monitor(Subject::Activity, "It may not see them.", "app"),
            Gap::monitor(Subject::Replication, "It may not see them.", "app"),
            Gap::new(Subject::Tables, "Somebody holds a lock."),
        ];
        let mut facts = Facts { gaps, ..Facts::default() };
        let found = rights(&facts);
        assert_eq!(found[0].statement.as_deref(), Some("GRANT pg_monitor TO \"app\";"));
        facts.gaps.clear();
        assert_eq!(rights(&facts), []);
    }
}
