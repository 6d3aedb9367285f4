//! Loads what a review has to know. What cannot be had is said, with the reason, and never taken for nothing.

use brasa_shared::db::quoted;
use sqlx::PgConnection;

use super::facts::{self, Facts, Gap, Limits, PoolUse, Server, Subject, TableKind};
use super::past::Past;
use super::words::many;
use crate::context::Reach;
use crate::database::indexes::{Scope, Size, look_closer};

/// A look waits this long for a lock: the next one may have it.
const LOCK_TIMEOUT_MS: &str = "100";
/// A look takes no longer than this.
const STATEMENT_TIMEOUT_MS: &str = "15000";
/// How often a look is tried that met a lock or a table that had just gone.
const TRIES: u32 = 3;

/// Sets the time limits of a look. They stay with the connection, so it is closed and never given back.
///
/// # Errors
/// What Postgres says.
pub async fn limit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let query = "/* brasa */ select set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false),
        set_config('application_name', 'brasa review', false)";
    sqlx::query(query).bind(LOCK_TIMEOUT_MS).bind(STATEMENT_TIMEOUT_MS).execute(connection).await.map(drop)
}

/// Loads a subject: once more where a lock or a table that had just gone was in the way, and with a gap in the end.
macro_rules! load {
    ($gaps:expr, $role:expr, $subject:expr, $look:expr) => {{
        let mut tries = 1;
        loop {
            match $look.await {
                Ok(found) => break found,
                Err(error @ sqlx::Error::Database(_)) if is_passing(&error) && tries < TRIES => tries += 1,
                Err(error @ sqlx::Error::Database(_)) => {
                    $gaps.push(Gap::failed($subject, &error, $role));
                    break Default::default();
                }
                Err(error) => return Err(error),
            }
        }
    }};
}

/// Loads what a review has to know. The connection must have its [`limit`]s.
///
/// # Errors
/// The database is out of reach, or does not even say what it is.
pub async fn gather(
    connection: &mut PgConnection,
    reach: &Reach,
    past: Past,
    limits: Limits,
) -> Result<Facts, sqlx::Error> {
    let server = facts::server(connection).await?;
    let at = sqlx::query_scalar("/* brasa */ select extract(epoch from clock_timestamp())::float8");
    let mut facts = Facts { at: at.fetch_one(&mut *connection).await?, limits, ..Facts::default() };
    let (mut gaps, role) = (hidden(&server), server.role.clone());
    facts.indexes = load!(gaps, &role, Subject::Indexes, look_closer(connection, Scope::All));
    facts.indexes.retain(|index| !index.is_of_system && index.schema != "brasa");
    let looked = facts::metapages(connection, &server, &facts).await?;
    facts.unshared = looked.0;
    gaps.extend(looked.1);
    facts.upserts = load!(gaps, &role, Subject::StatementUses, facts::upserts(connection, &facts));
    facts.relations = load!(gaps, &role, Subject::Indexes, facts::relations(connection));
    facts.foreign_keys = load!(gaps, &role, Subject::ForeignKeys, facts::foreign_keys(connection));
    facts.tables = load!(gaps, &role, Subject::Tables, facts::tables(connection));
    facts.holders = load!(gaps, &role, Subject::Holders, facts::horizon(connection));
    facts.activity = load!(gaps, &role, Subject::Activity, facts::activity(connection));
    facts.sequences = load!(gaps, &role, Subject::Sequences, facts::sequences(connection));
    facts.replication = load!(gaps, &role, Subject::Replication, facts::replication(connection));
    for (name, prune) in &reach.config.maintenance.prune {
        match facts::expired(connection, name, prune).await {
            Ok(found) => facts.expired.push(found),
            Err(error @ sqlx::Error::Database(_)) => gaps.push(unread(&error, &prune.table, name, &role)),
            Err(error) => return Err(error),
        }
    }
    match facts::caches(reach).await {
        Ok(found) => facts.caches = found,
        Err(error) => gaps.push(Gap::new(Subject::Caches, format!("Redis did not answer: {error}."))),
    }
    facts.pool = reach.db.as_ref().map(|pool| PoolUse {
        open: pool.size(),
        idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
        max: pool.options().get_max_connections(),
    });
    recall(&mut facts, past, &mut gaps);
    let planned = facts::plans(connection, &server, &facts.statement_uses).await?;
    facts.scans = planned.0;
    gaps.extend(planned.1);
    facts.server = server;
    gaps.extend(partly(&facts));
    facts.gaps = gaps;
    Ok(facts)
}

/// Whether it may work the next time: a lock was in the way, or something had gone since it was listed.
fn is_passing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "55P03" | "42P01" | "42704" | "XX000" | "40001" | "40P01"))
}

/// What belongs to the past, as far as it is known.
fn recall(facts: &mut Facts, past: Past, gaps: &mut Vec<Gap>) {
    facts.ratios = past.ratios;
    facts.watched = past.watched;
    let mut missing = |subject| gaps.push(Gap::new(subject, "Nothing has been recorded yet."));
    facts.index_uses = past.index_uses.unwrap_or_else(|| {
        missing(Subject::IndexUses);
        Vec::new()
    });
    facts.spells = past.spells.unwrap_or_else(|| {
        missing(Subject::Spells);
        Vec::new()
    });
    facts.table_uses = past.table_uses.unwrap_or_else(|| {
        missing(Subject::TableUses);
        Vec::new()
    });
    facts.statement_uses = past.statement_uses.unwrap_or_else(|| {
        missing(Subject::StatementUses);
        Vec::new()
    });
    (facts.leftovers, facts.rebuilds) = past.ledger.unwrap_or_else(|| {
        missing(Subject::Ledger);
        (Vec::new(), Vec::new())
    });
}

/// What a role that is no monitor does not see.
fn hidden(server: &Server) -> Vec<Gap> {
    if server.is_monitor {
        return Vec::new();
    }
    let hidden = [
        (Subject::Holders, "The role does not see since when transactions of other roles have been open."),
        (Subject::Activity, "The role does not see what sessions of other roles are at."),
        (Subject::Replication, "The role does not see how far standbys are behind."),
    ];
    hidden.map(|(subject, why)| Gap::monitor(subject, why, &server.role).in_part()).into()
}

/// What was to be had in part only.
fn partly(facts: &Facts) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let locked = facts.tables.iter().filter(|table| table.bytes.is_none()).count();
    if locked > 0 {
        let why = format!(
            "Somebody has locked {} or waits to: sizes are not known.",
            many(locked, "table", "tables")
        );
        gaps.push(Gap::new(Subject::Tables, why).in_part());
    }
    let locked = facts.indexes.iter().filter(|index| index.size == Size::Locked).count();
    if locked > 0 {
        let why = format!(
            "Somebody has locked {} or waits to: sizes are not known.",
            many(locked, "index", "indexes")
        );
        gaps.push(Gap::new(Subject::Indexes, why).in_part());
    }
    let unread: Vec<&str> =
        facts.tables.iter().filter(|table| !table.is_readable).map(|table| table.name.as_str()).collect();
    if !unread.is_empty() {
        let tables = many(unread.len(), "table", "tables");
        let why = format!("The role does not see the statistics of {tables}: bloat there is not estimated.");
        gaps.push(Gap::right(Subject::Statistics, why, read_all(&facts.server, "TABLE", &unread)).in_part());
    }
    let unseen: Vec<&str> =
        facts.sequences.iter().filter(|one| one.is_hidden).map(|one| one.name.as_str()).collect();
    if !unseen.is_empty() {
        let why =
            format!("The role does not see how far {} are.", many(unseen.len(), "sequence", "sequences"));
        gaps.push(
            Gap::right(Subject::Sequences, why, read_all(&facts.server, "SEQUENCE", &unseen)).in_part(),
        );
    }
    let blind = facts
        .tables
        .iter()
        .any(|table| table.kind == TableKind::Partitioned && table.has_statistics.is_none());
    if blind && unread.is_empty() {
        let why = "Whether partitioned tables have statistics cannot be seen.";
        gaps.push(Gap::new(Subject::Statistics, why).in_part());
    }
    gaps
}

/// The right to read: everything, where there is a role for that.
fn read_all(server: &Server, what: &str, names: &[&str]) -> String {
    let role = quoted(&server.role);
    if server.version >= 140_000 {
        format!("GRANT pg_read_all_data TO {role};")
    } else {
        format!("GRANT SELECT ON {what} {} TO {role};", names.join(", "))
    }
}

/// Why it is not known how many rows of a table have expired.
fn unread(error: &sqlx::Error, table: &str, name: &str, role: &str) -> Gap {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if code.as_deref() == Some("42501") {
        let why = format!("The role may not read {table}, whose rows [maintenance.prune.{name}] deletes.");
        return Gap::right(Subject::Expired, why, format!("GRANT SELECT ON {table} TO {};", quoted(role)))
            .in_part();
    }
    let why = format!("How many rows of {table} have expired could not be estimated: {error}.");
    Gap::new(Subject::Expired, why).in_part()
}
