//! Vacuuming a table, the proof that it was, and what keeps rows from going.

use std::time::Duration;

use sqlx::{PgConnection, Row as _};
use tokio::time::Instant;

use super::analyze::{LOCK_TIMEOUT, silent};
use super::debt::{Freezing, Vacuuming};
use super::look::{Table, look};
use crate::database::session::{Ended, Session, SessionError, Until};

/// How often to look for what became of it, and how long apart.
const LOOKS: (u32, Duration) = (20, Duration::from_millis(100));

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Vacuumed {
    /// It was done, after so long.
    Done(Duration),
    /// It was done, and rows could not go or be marked as old: for this reason.
    Held(String),
    /// It was not done, for this reason.
    Skipped(String),
}

const AT: &str = "/* brasa */
    select coalesce((extract(epoch from pg_stat_get_last_vacuum_time($1::bigint::oid)) * 1000000)::bigint, 0)";

/// Vacuums a table. It is never made shorter: that would need a lock for which the application would wait.
///
/// # Errors
/// The session is lost. What concerns the table alone is a reason why it was skipped.
pub async fn vacuum(
    session: &mut Session,
    table: &Table,
    why: Vacuuming,
    until: &Until,
) -> Result<Vacuumed, SessionError> {
    session.set("lock_timeout", LOCK_TIMEOUT).await?;
    // With little room left there is no time for rests.
    let is_urgent = matches!(why, Vacuuming::Freeze(Freezing::Late | Freezing::Critical));
    session.set("vacuum_cost_delay", if is_urgent { "0" } else { "2ms" }).await?;
    let freezes = matches!(why, Vacuuming::Freeze(_));
    let (began, before) = (Instant::now(), at(session.work(), table).await?);
    let options = if freezes { "freeze, analyze, truncate false" } else { "analyze, truncate false" };
    match session.run(&format!("vacuum ({options}) {}", table.name), until, |_| None).await {
        Ended::Done => {}
        Ended::Cancelled(why) => return Ok(Vacuumed::Skipped(format!("it was cancelled: {why}"))),
        Ended::Failed(sqlx::Error::Database(error)) => {
            return Ok(Vacuumed::Skipped(error.message().to_owned()));
        }
        Ended::Failed(error) | Ended::Lost(error) => return Err(error.into()),
    }
    let took = began.elapsed();
    for _ in 0..LOOKS.0 {
        if at(session.work(), table).await? > before {
            return Ok(match held(session.work(), table, freezes).await? {
                Some(why) => Vacuumed::Held(why),
                None => Vacuumed::Done(took),
            });
        }
        tokio::time::sleep(LOOKS.1).await;
    }
    Ok(Vacuumed::Skipped(silent(session.work(), table, "vacuum").await?))
}

async fn at(connection: &mut PgConnection, table: &Table) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(AT).bind(table.oid).fetch_one(connection).await
}

/// Whether what was to be gained was not, and who holds it.
async fn held(
    connection: &mut PgConnection,
    table: &Table,
    freezes: bool,
) -> Result<Option<String>, sqlx::Error> {
    let found = look(connection, Some(&table.name)).await?.0;
    let Some(now) = found.first() else { return Ok(None) };
    let what = if freezes && now.freezing().is_some() {
        "its rows are as old as before"
    } else if table.dead > 1_000 && now.dead > table.dead / 2 {
        "rows that are gone could not be taken away"
    } else {
        return Ok(None);
    };
    let holders = holders(connection, 1).await?;
    let who = holders.first().map_or("nobody knows by whom", |(who, _)| who.as_str());
    Ok(Some(format!("{what}: they are held by {who}")))
}

const HOLDERS: &str = "/* brasa */ select * from (
        select format('session %s of %s (%s), whose transaction is open for %s s', pid, coalesce(usename, '?'),
                coalesce(nullif(application_name, ''), 'no name'),
                coalesce(extract(epoch from clock_timestamp() - xact_start)::bigint::text, '?')) as who,
            greatest(age(backend_xmin), age(backend_xid))::bigint as age
        from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()
        union all
        select format('prepared transaction %L, for %s s', gid,
            extract(epoch from clock_timestamp() - prepared)::bigint), age(transaction)::bigint
        from pg_prepared_xacts where database = current_database()
        union all
        select format('replication slot %s', slot_name), greatest(age(xmin), age(catalog_xmin))::bigint
        from pg_replication_slots
        union all
        select format('standby %s, by hot_standby_feedback', coalesce(application_name, client_addr::text)),
            age(backend_xmin)::bigint
        from pg_stat_replication) as holders
    where age >= $1 order by age desc limit 5";

/// Who keeps rows from going that have been gone for so many transactions, or more: for people, with how many; the oldest
/// first. Sessions of other databases keep none of this one's. Those of other roles are seen only with the rights of
/// `pg_read_all_stats`.
///
/// # Errors
/// What Postgres says.
pub async fn holders(
    connection: &mut PgConnection,
    at_least: i64,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query(HOLDERS).bind(at_least).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("who")?, row.try_get("age")?))).collect()
}
