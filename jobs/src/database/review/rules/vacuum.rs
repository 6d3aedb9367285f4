//! R18, R19 and R20: rows that VACUUM has to take away or to freeze, and what keeps it from that.

use brasa_shared::db::{literal, quoted};

use super::statistics::ago;
use crate::database::review::facts::{Facts, Holder, HolderKind, Table};
use crate::database::review::recommendation::{Recommendation, Severity};
use crate::database::review::words::{count, float, near, percent, seconds, share, unsigned};

/// How many numbers transactions can have between the oldest row and now.
const XIDS: i64 = 1 << 31;
/// From so many on autovacuum has had its chance: a person should look.
const XIDS_GRAVE: i64 = 1_000_000_000;
/// How much of what is left to autovacuum may be used up.
const FREEZE: f64 = 0.8;

/// Tables with many dead rows that autovacuum has not come for.
pub(super) fn dead(facts: &Facts) -> Vec<Recommendation> {
    let limits = &facts.limits;
    let mut found = Vec::new();
    for table in &facts.tables {
        let part = share(table.dead, table.dead + table.live);
        if table.dead < limits.dead_rows || part < limits.dead || !is_late(facts, table) {
            continue;
        }
        let title = format!(
            "{} of the rows of {} are dead, and nobody has vacuumed it: scans read them, and the table grows.",
            percent(part),
            table.name
        );
        let from = if table.is_vacuum_off {
            "never: it is switched off for this table".to_owned()
        } else {
            format!("{:.0} dead rows", table.vacuum_from)
        };
        let holder = facts.holders.first().filter(|holder| is_long(facts, holder)).map(describe);
        let found_one = Recommendation::new("R18", &table.name, Severity::Warning, title)
            .shows("Dead rows", count(table.dead))
            .shows("Live rows", count(table.live))
            .shows("Last vacuumed", ago(table.vacuumed))
            .shows("Autovacuum comes from", from)
            .may_show("What holds back VACUUM at present", holder)
            .applies(format!("VACUUM (ANALYZE) {};", table.name))
            .clears_when("It is vacuumed, and nothing keeps VACUUM from taking the rows away.");
        found.push(found_one);
    }
    found
}

/// Whether autovacuum has had its time. Where nobody ever vacuumed a table, it may be an hour old: then it has to be
/// known from elsewhere that it was there before.
fn is_late(facts: &Facts, table: &Table) -> bool {
    let late = facts.limits.vacuum_late;
    let is_old = || {
        let mut indexes = facts.indexes.iter().filter(|index| index.table_oid == table.oid);
        indexes.any(|index| {
            let seen =
                facts.index_uses.iter().find(|seen| seen.schema == index.schema && seen.index == index.bare);
            seen.is_some_and(|seen| {
                seen.signature == index.signature && f64::from(seen.days) * 86_400.0 >= late
            })
        })
    };
    match table.vacuumed {
        Some(since) => since >= late,
        None => table.analyzed.is_some_and(|since| since >= late) || is_old(),
    }
}

/// Whoever keeps VACUUM from taking rows away, for too long.
pub(super) fn held(facts: &Facts) -> Vec<Recommendation> {
    let mut found: Vec<Recommendation> = Vec::new();
    for holder in facts.holders.iter().filter(|holder| is_long(facts, holder)) {
        let object = format!("{} {}", word(holder), holder.name);
        if found.iter().any(|known| known.object == object) {
            continue;
        }
        let title = format!(
            "{} keeps VACUUM from taking away rows that died since then, in every table of this database.",
            describe(holder)
        );
        let recommendation = Recommendation::new("R19", &object, Severity::Warning, title)
            .may_show("For how long", holder.seconds.map(seconds))
            .shows("Transactions that began since", count(holder.xids))
            .may_show("Role", Some(&*holder.role).filter(|role| !role.is_empty()))
            .may_show("State", Some(&*holder.state).filter(|state| !state.is_empty()));
        let recommendation = match end(holder) {
            Some(statement) => recommendation.proposes(statement),
            None => recommendation,
        };
        found.push(recommendation.clears_when(match holder.kind {
            HolderKind::Session => "The transaction ends.",
            HolderKind::Prepared => "It is committed or rolled back.",
            HolderKind::Slot => {
                "The slot is used again, or dropped: whoever reads from it has to begin anew then."
            }
            HolderKind::Standby => "The long query on the standby ends.",
        }));
    }
    found
}

fn is_long(facts: &Facts, holder: &Holder) -> bool {
    match holder.seconds {
        Some(seconds) => seconds >= facts.limits.holder,
        None => holder.xids >= facts.limits.holder_xids,
    }
}

fn word(holder: &Holder) -> &'static str {
    match holder.kind {
        HolderKind::Session => "session of",
        HolderKind::Prepared => "prepared transaction",
        HolderKind::Slot => "replication slot",
        HolderKind::Standby => "standby",
    }
}

fn describe(holder: &Holder) -> String {
    match holder.kind {
        HolderKind::Session => {
            let of = if holder.name.is_empty() { "an application without a name" } else { &holder.name };
            format!("A transaction of {of} (process {})", holder.pid)
        }
        HolderKind::Prepared => format!("The prepared transaction {}", holder.name),
        HolderKind::Slot => format!("The replication slot {}", holder.name),
        HolderKind::Standby => format!("A query on the standby {}", holder.name),
    }
}

fn end(holder: &Holder) -> Option<String> {
    match holder.kind {
        HolderKind::Session => {
            terminate(holder.pid, &holder.began, holder.transaction_began.as_deref(), false)
        }
        HolderKind::Prepared => Some(format!("ROLLBACK PREPARED {};", literal(&holder.name))),
        HolderKind::Slot if holder.state == "inactive" => {
            Some(format!("SELECT pg_drop_replication_slot({});", literal(&holder.name)))
        }
        HolderKind::Slot | HolderKind::Standby => None,
    }
}

/// Ends a session, and never another one whose process has the same number by now, nor another transaction of it: a
/// connection of a pool serves somebody else soon. None where it is not known which transaction it was.
pub(super) fn terminate(pid: i32, began: &str, transaction: Option<&str>, only_idle: bool) -> Option<String> {
    let idle = if only_idle { " AND state LIKE 'idle in transaction%'" } else { "" };
    Some(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {pid} AND backend_start = {} AND \
         xact_start = {}{idle};",
        literal(began),
        literal(transaction?)
    ))
}

/// How old the oldest row of a table is that is not frozen.
type AgeOf = fn(&Table) -> i64;

/// How near numbers of transactions are to their end.
pub(super) fn wraparound(facts: &Facts) -> Vec<Recommendation> {
    let server = &facts.server;
    let kinds: [(&str, i64, i64, AgeOf); 2] = [
        ("transactions", server.xid_age, server.freeze_max_age, |table| table.xid_age),
        ("multixacts", server.mxid_age, server.mxid_freeze_max_age, |table| table.mxid_age),
    ];
    let mut found = Vec::new();
    for (what, age, limit, of) in kinds {
        // Autovacuum begins at its limit by itself, so only what it does not manage is worth a word.
        if limit <= 0 || age < XIDS_GRAVE.min(limit + limit / 2) && share(age, limit) < 1.0 / FREEZE {
            continue;
        }
        let severity = if age >= XIDS_GRAVE { Severity::Critical } else { Severity::Warning };
        let title = format!(
            "The oldest row that is not frozen is {} {what} old: at {} the database takes no more writes.",
            count(age),
            count(XIDS)
        );
        let mut oldest: Vec<&Table> = facts.tables.iter().filter(|table| of(table) > 0).collect();
        oldest.sort_by_key(|table| std::cmp::Reverse(of(table)));
        let names: Vec<&str> = oldest.iter().take(3).map(|table| table.name.as_str()).collect();
        let statements: Vec<String> = names.iter().map(|name| format!("VACUUM (FREEZE) {name};")).collect();
        let recommendation = Recommendation::new("R20", what, severity, title)
            .shows("Head-room that is left", near(1.0 - float(unsigned(age)) / float(unsigned(XIDS))))
            .shows("Autovacuum freezes whatever else is set from", count(limit))
            .shows("The oldest tables", names.join(", "))
            .may_show("What holds back VACUUM at present", facts.holders.first().map(describe))
            .clears_when("VACUUM has frozen the oldest tables, and nothing holds it back.");
        found.push(if statements.is_empty() {
            recommendation
        } else {
            recommendation.proposes(statements.join("\n"))
        });
    }
    found
}

/// A role, in quotes.
pub(super) fn role_timeout(role: &str) -> String {
    format!("ALTER ROLE {} SET idle_in_transaction_session_timeout = '5min';", quoted(role))
}

#[cfg(test)]
mod tests {
    use super::super::cover::tests::index;
    use super::*;

    #[test]
    fn dead_rows_are_told_where_vacuum_is_late() {
        let table = Table {
            name: "public.t".to_owned(),
            live: 60_000,
            dead: 40_000,
            vacuumed: Some(100_000.0),
            ..Table::default()
        };
        let found = |table| dead(&Facts { tables: vec![table], ..Facts::default() });
        assert_eq!(found(table.clone())[0].statement.as_deref(), Some("VACUUM (ANALYZE) public.t;"));
        assert_eq!(found(Table { vacuumed: Some(3_600.0), ..table.clone() }), []);
        let never = Table { oid: 1, vacuumed: None, ..table.clone() };
        assert_eq!(found(never.clone()), [], "it may be new");
        assert_eq!(found(Table { analyzed: Some(3_600.0), ..never.clone() }), []);
        assert_eq!(found(Table { analyzed: Some(90_000.0), ..never.clone() }).len(), 1);
        let index = index("t_pkey", &["a"]);
        let seen = |days| crate::database::history::IndexUse {
            schema: index.schema.clone(),
            table: "t".to_owned(),
            index: index.bare.clone(),
            signature: index.signature.clone(),
            scans: 0,
            days,
            unknown_on: Vec::new(),
            scanned_at: None,
        };
        for (days, told) in [(0, 0), (1, 1)] {
            let (tables, indexes, index_uses) = (vec![never.clone()], vec![index.clone()], vec![seen(days)]);
            let facts = Facts { indexes, tables, index_uses, ..Facts::default() };
            assert_eq!(dead(&facts).len(), told, "its index has been watched for {days} days");
        }
        assert_eq!(found(Table { dead: 9_000, live: 10, ..table.clone() }), []);
        assert_eq!(found(Table { live: 1_000_000, ..table }), []);
    }

    #[test]
    fn each_kind_of_holder_is_ended_in_its_own_way() {
        let holder = |kind, state: &str, seconds| Holder {
            kind,
            name: "o'x".to_owned(),
            state: state.to_owned(),
            pid: 7,
            began: "2026-01-01 00:00:00+00".to_owned(),
            transaction_began: Some("2026-01-02 00:00:00+00".to_owned()),
            seconds,
            xids: 2_000_000,
            ..Holder::default()
        };
        let statement = |holder| {
            held(&Facts { holders: vec![holder], ..Facts::default() }).pop().map(|one| one.statement)
        };
        let long = Some(7_200.0);
        let ended = statement(holder(HolderKind::Session, "active", long)).unwrap().unwrap();
        let guards =
            "pid = 7 AND backend_start = '2026-01-01 00:00:00+00' AND xact_start = '2026-01-02 00:00:00+00';";
        assert!(ended.contains(guards), "{ended}");
        let unknown = Holder { transaction_began: None, ..holder(HolderKind::Session, "active", long) };
        assert_eq!(statement(unknown), Some(None), "it is not known what would be ended");
        let prepared = statement(holder(HolderKind::Prepared, "", long));
        assert_eq!(prepared, Some(Some("ROLLBACK PREPARED 'o''x';".to_owned())));
        let slot = statement(holder(HolderKind::Slot, "inactive", None));
        assert_eq!(slot, Some(Some("SELECT pg_drop_replication_slot('o''x');".to_owned())));
        assert_eq!(statement(holder(HolderKind::Slot, "active", None)), Some(None));
        assert_eq!(statement(holder(HolderKind::Session, "active", Some(60.0))), None);
    }

    #[test]
    fn wraparound_is_told_once_autovacuum_does_not_manage() {
        let told = |xid_age| {
            let mut facts = Facts::default();
            facts.server.freeze_max_age = 200_000_000;
            facts.server.xid_age = xid_age;
            wraparound(&facts).first().map(|one| one.severity)
        };
        assert_eq!(told(190_000_000), None);
        assert_eq!(told(260_000_000), Some(Severity::Warning));
        assert_eq!(told(1_200_000_000), Some(Severity::Critical));
    }
}
