//! Tables that are cut by time: parts are made ahead, and dropped when they are old enough.

use std::collections::BTreeSet;

use brasa_shared::db;
use brasa_shared::jiff::civil::Date;
use brasa_shared::jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::look::LOCK;

/// How many days the differences between two looks are kept.
pub const RAW_DAYS: i32 = 14;
/// How many days sums by the hour are kept; up to a month more, since they go by the month.
pub const HOURLY_DAYS: i32 = 90;
/// How many days sums by the day are kept; up to a month more, since they go by the month.
pub const DAILY_DAYS: i32 = 400;

/// How many days ahead parts are made, so that a table that somebody holds is no reason to lose anything.
const AHEAD_DAYS: i32 = 3;
/// How long to wait for one of our own tables: whoever reads it is let be, and asked again the next time.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms'";

/// How long a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Day,
    Month,
}

/// Where texts of statements are wanted for the longest.
const STATEMENTS: &str = "care_statement_hours";
/// Texts that nothing is known of any more: once a month, when the oldest month goes.
const FORGET_TEXTS: &str = "/* brasa */ delete from brasa.care_statement_texts t
    where not exists (select from brasa.care_statement_hours h where h.fingerprint = t.fingerprint)
        and not exists (select from brasa.care_statement_last l where l.fingerprint = t.fingerprint)";

/// Table, the length of its parts, how many days are kept.
const TABLES: [(&str, Span, i32); 6] = [
    ("care_looks", Span::Day, RAW_DAYS),
    ("care_statement_deltas", Span::Day, RAW_DAYS),
    (STATEMENTS, Span::Month, HOURLY_DAYS),
    ("care_table_hours", Span::Month, HOURLY_DAYS),
    ("care_table_days", Span::Month, DAILY_DAYS),
    ("care_index_days", Span::Month, DAILY_DAYS),
];

const LIST: &str =
    "/* brasa */ select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
    join pg_class p on p.oid = i.inhparent join pg_namespace n on n.oid = p.relnamespace
    where n.nspname = 'brasa' and p.relname = any($1)";
/// Whoever holds this makes and drops parts of the history of jobs.
const HISTORY_LOCK: &str = "/* brasa */ select pg_try_advisory_xact_lock(422825784167)";

/// What became of the parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) made: usize,
    pub(crate) dropped: usize,
    /// Somebody held a table; the next time, then.
    pub(crate) postponed: usize,
}

/// Makes the parts that are needed soon, and drops those that are too old.
pub(super) async fn keep(connection: &mut PgConnection, now: Timestamp) -> Result<Kept, sqlx::Error> {
    let today = day_of(now);
    let there = there(connection, &TABLES.map(|(table, ..)| table)).await?;
    let (mut kept, mut has_forgotten) = (Kept::default(), false);
    for (table, span, days) in TABLES {
        let cut = Cut { table, span, lock: LOCK };
        cut.make(connection, &there, &wanted(span, today), &mut kept).await?;
        let dropped = kept.dropped;
        cut.drop_before(connection, &there, today.saturating_sub(days.days()), &mut kept).await?;
        has_forgotten |= table == STATEMENTS && kept.dropped > dropped;
    }
    if has_forgotten {
        sqlx::query(FORGET_TEXTS).execute(connection).await?;
    }
    Ok(kept)
}

/// The same for a table of ours whose parts are days, of which `days` are kept, and with parts for `also`.
pub(crate) async fn keep_days(
    connection: &mut PgConnection,
    table: &'static str,
    days: i32,
    now: Timestamp,
    also: &BTreeSet<Date>,
) -> Result<Kept, sqlx::Error> {
    let cut = Cut { table, span: Span::Day, lock: HISTORY_LOCK };
    let (today, there) = (day_of(now), there(connection, &[table]).await?);
    let mut kept = Kept::default();
    let all: BTreeSet<Date> = wanted(Span::Day, today).union(also).copied().collect();
    cut.make(connection, &there, &all, &mut kept).await?;
    cut.drop_before(connection, &there, today.saturating_sub(days.days()), &mut kept).await?;
    Ok(kept)
}

/// The day of an instant, in UTC.
pub(crate) fn day_of(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

/// A table that is cut by time, and what whoever changes its parts holds meanwhile.
struct Cut {
    table: &'static str,
    span: Span,
    lock: &'static str,
}

impl Cut {
    async fn make(
        &self,
        connection: &mut PgConnection,
        there: &BTreeSet<String>,
        wanted: &BTreeSet<Date>,
        kept: &mut Kept,
    ) -> Result<(), sqlx::Error> {
        for from in wanted {
            let part = name(self.table, *from);
            if !there.contains(&part) {
                let sql = make(self.table, &part, *from, next(self.span, *from));
                if alone(connection, self.lock, sql).await? { kept.made += 1 } else { kept.postponed += 1 }
            }
        }
        Ok(())
    }

    /// Drops the parts that end before a day.
    async fn drop_before(
        &self,
        connection: &mut PgConnection,
        there: &BTreeSet<String>,
        oldest: Date,
        kept: &mut Kept,
    ) -> Result<(), sqlx::Error> {
        let parts = there.iter().filter_map(|part| Some((part, began(self.table, part)?)));
        for (part, _) in parts.filter(|(_, from)| next(self.span, *from) <= oldest) {
            let sql = format!("drop table if exists brasa.{}", db::quoted(part));
            if alone(connection, self.lock, sql).await? { kept.dropped += 1 } else { kept.postponed += 1 }
        }
        Ok(())
    }
}

async fn there(connection: &mut PgConnection, tables: &[&str]) -> Result<BTreeSet<String>, sqlx::Error> {
    let rows = sqlx::query(LIST).bind(tables).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Runs one statement in a transaction of its own, unless somebody else does the like or holds the table.
async fn alone(connection: &mut PgConnection, lock: &'static str, sql: String) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if !sqlx::query_scalar(lock).fetch_one(&mut *transaction).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    match db::execute_all(&mut transaction, &[LOCK_TIMEOUT.to_owned(), sql]).await {
        Ok(()) => transaction.commit().await.map(|()| true),
        Err(error) => {
            transaction.rollback().await?;
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            // Lock not available; or somebody was faster.
            if code.is_some_and(|code| code == "55P03" || code == "42P07") { Ok(false) } else { Err(error) }
        }
    }
}

/// When the parts begin that are needed now and soon. What is looked at now may belong to yesterday, where clocks
/// differ.
fn wanted(span: Span, today: Date) -> BTreeSet<Date> {
    (-1..=AHEAD_DAYS).map(|ahead| start(span, today.saturating_add(ahead.days()))).collect()
}

fn start(span: Span, day: Date) -> Date {
    if span == Span::Month { day.first_of_month() } else { day }
}

fn next(span: Span, from: Date) -> Date {
    if span == Span::Month { from.saturating_add(1.month()) } else { from.saturating_add(1.day()) }
}

fn name(table: &str, from: Date) -> String {
    format!("{table}_p{:04}{:02}{:02}", from.year(), from.month(), from.day())
}

/// When a part of this table begins, as its name says.
fn began(table: &str, part: &str) -> Option<Date> {
    let digits = part.strip_prefix(table)?.strip_prefix("_p")?;
    Date::strptime("%Y%m%d", digits).ok()
}

fn make(table: &str, part: &str, from: Date, until: Date) -> String {
    // The bound of a table by instants is a text with its zone, which a date by itself has not.
    let zone = if table.ends_with("_days") { "" } else { " 00:00+00" };
    format!(
        "create table if not exists brasa.{part} partition of brasa.{table} for values
         from ('{from}{zone}') to ('{until}{zone}')"
    )
}

#[cfg(test)]
mod tests {
    use brasa_shared::jiff::civil::date;

    use super::*;

    #[test]
    fn parts_are_made_ahead_and_known_by_their_names() {
        let today = date(2026, 2, 27);
        let days: Vec<_> = wanted(Span::Day, today).into_iter().map(|day| name("t", day)).collect();
        assert_eq!(days, ["t_p20260226", "t_p20260227", "t_p20260228", "t_p20260301", "t_p20260302"]);
        let months: Vec<_> = wanted(Span::Month, today).into_iter().collect();
        assert_eq!(months, [date(2026, 2, 1), date(2026, 3, 1)]);
        assert_eq!(next(Span::Month, date(2026, 12, 1)), date(2027, 1, 1));
        assert_eq!(began("t", "t_p20260301"), Some(date(2026, 3, 1)));
        assert_eq!((began("t", "t_old"), began("t", "u_p20260301")), (None, None));
    }
}
