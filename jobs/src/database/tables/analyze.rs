//! Analyzing a table, and the proof that it was.
//!
//! Postgres skips a table without an error where the role may not analyze it, and a wrapper of foreign tables may not know
//! how. So nothing counts as done unless the time of the last ANALYZE has moved, of the table and of all its parts.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::look::Table;
use crate::database::session::{Ended, Session, SessionError, Until};

/// How long to wait for a table's lock: longer, and the application's own statements would queue behind us.
pub(super) const LOCK_TIMEOUT: &str = "2s";
/// How often to look for the new time, and how long apart: before version 15 it arrives late.
const LOOKS: (u32, Duration) = (20, Duration::from_millis(100));

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Analyzed {
    /// It has fresh statistics, after so long.
    Done(Duration),
    /// It does not, for this reason.
    Skipped(String),
    /// It does, and some of its parts do not: each with the reason.
    Partly(Vec<(String, String)>),
}

const AT: &str = "/* brasa */
    select coalesce((extract(epoch from pg_stat_get_last_analyze_time($1::bigint::oid)) * 1000000)::bigint, 0)";
/// Parts which statistics are made of and that have none since: in one statement with the name.
const PARTS_BEFORE: &str = "/* brasa */ with recursive tree as (
        select inhrelid as oid from pg_inherits where inhparent = $1::bigint::oid union
        select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid)
    select format('%I.%I', n.nspname, c.relname), c.relkind = 'f' from tree join pg_class c on c.oid = tree.oid
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'f') and coalesce(extract(epoch from pg_stat_get_last_analyze_time(c.oid)), 0) < $2";
const NOW: &str = "/* brasa */ select extract(epoch from clock_timestamp())::float8";
/// Before version 14 nobody notes when a parent was analyzed: then it must have statistics of all its parts, at least.
const HAS_INHERITED: &str =
    "/* brasa */ select exists (select from pg_stats s join pg_class c on c.relname = s.tablename
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = s.schemaname
    where c.oid = $1::bigint::oid and s.inherited)";

/// Analyzes a table.
///
/// # Errors
/// The session is lost. What concerns the table alone is a reason why it was skipped.
pub async fn analyze(session: &mut Session, table: &Table, until: &Until) -> Result<Analyzed, SessionError> {
    session.set("lock_timeout", LOCK_TIMEOUT).await?;
    let (began, version) = (Instant::now(), session.version);
    let before = at(session.work(), table).await?;
    let now: f64 = sqlx::query_scalar(NOW).fetch_one(session.work()).await?;
    // The name was quoted by the database itself.
    match session.run(&format!("analyze {}", table.name), until, |_| None).await {
        Ended::Done => {}
        Ended::Cancelled(why) => return Ok(Analyzed::Skipped(format!("it was cancelled: {why}"))),
        Ended::Failed(sqlx::Error::Database(error)) => {
            return Ok(Analyzed::Skipped(error.message().to_owned()));
        }
        Ended::Failed(error) | Ended::Lost(error) => return Err(error.into()),
    }
    let took = began.elapsed();
    for _ in 0..LOOKS.0 {
        let is_proven = if table.kind == "p" && version < 140_000 {
            sqlx::query_scalar(HAS_INHERITED).bind(table.oid).fetch_one(session.work()).await?
        } else {
            at(session.work(), table).await? > before
        };
        if is_proven {
            // ANALYZE goes into the parts of a partitioned table, and not into tables that inherit.
            let skipped =
                if table.kind == "p" { parts(session.work(), table, now).await? } else { Vec::new() };
            return Ok(if skipped.is_empty() { Analyzed::Done(took) } else { Analyzed::Partly(skipped) });
        }
        tokio::time::sleep(LOOKS.1).await;
    }
    Ok(Analyzed::Skipped(silent(session.work(), table, "analyze").await?))
}

/// When the table was last analyzed, in microseconds since 1970; 0 for never.
async fn at(connection: &mut PgConnection, table: &Table) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(AT).bind(table.oid).fetch_one(connection).await
}

async fn parts(
    connection: &mut PgConnection,
    table: &Table,
    since: f64,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let mut left: Vec<(String, bool)> = Vec::new();
    for _ in 0..LOOKS.0 {
        let query = sqlx::query_as(PARTS_BEFORE).bind(table.oid).bind(since);
        left = query.fetch_all(&mut *connection).await?;
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(LOOKS.1).await;
    }
    let why = |is_foreign| {
        if is_foreign {
            "its foreign data wrapper does not analyze"
        } else {
            "Postgres skipped it without an error"
        }
    };
    Ok(left.into_iter().map(|(name, is_foreign)| (name, why(is_foreign).to_owned())).collect())
}

/// Why Postgres skipped a table without an error, as far as that can be found out.
pub(super) async fn silent(
    connection: &mut PgConnection,
    table: &Table,
    doing: &str,
) -> Result<String, sqlx::Error> {
    let counts: String = sqlx::query_scalar("/* brasa */ select current_setting('track_counts')")
        .fetch_one(&mut *connection)
        .await?;
    if counts == "off" {
        return Ok("nobody can tell whether it was done: track_counts is off".to_owned());
    }
    if table.kind == "f" && table.is_ours {
        return Ok(format!(
            "Postgres skipped it without an error: its foreign data wrapper does not {doing}"
        ));
    }
    let sentence = format!("Postgres skipped it without an error: may this role {doing} it?");
    if table.is_ours {
        return Ok(sentence);
    }
    Ok(format!("{sentence} {}", grant(connection, table).await?))
}

/// What would give this role the right.
pub(super) async fn grant(connection: &mut PgConnection, table: &Table) -> Result<String, sqlx::Error> {
    let ask = "/* brasa */ select case when current_setting('server_version_num')::int >= 170000
        then format('grant maintain on %s to %I', $1, current_user)
        else format('grant %s to %I', quote_ident($2), current_user) end";
    sqlx::query_scalar(ask).bind(&table.name).bind(&table.owner).fetch_one(connection).await
}
