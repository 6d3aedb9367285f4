//! Writing down what became of jobs, a batch at a time, and seeing to the parts of the table.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use brasa_shared::jiff::civil::Date;
use brasa_shared::jiff::{Timestamp, ToSpan as _};
use brasa_shared::queue::{Ended, Ending};
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use super::rights::HELP;
use crate::database::history::{day_of, keep_days};

const TABLE: &str = "history";
/// How often parts that are too old are looked for.
const TEND_EVERY: Duration = Duration::from_mins(30);
/// How far into the future an end may lie: clocks of hosts differ, and parts are not made for whatever they say.
const AHEAD_DAYS: i32 = 2;
/// Not enough rights.
const DENIED: &str = "42501";
/// What the table says where somebody has dropped the part that a row belongs into.
const NO_PART: &str = "23514";
/// Classes of SQLSTATE that are about a row: its data, and what the table demands of it.
const OF_ROWS: [&str; 2] = ["22", "23"];

const INSERT: &str = "/* brasa */ insert into brasa.history
    (queue, id, kind, ending, enqueued_at, started_at, ended_at, took_ms, attempt, worker, schedule, share, reason,
        result, args, trace)
    select $1, id, kind, ending, to_timestamp(nullif(enqueued, 0) / 1000.0), to_timestamp(nullif(started, 0) / 1000.0),
        to_timestamp(ended / 1000.0), took, attempt, worker, schedule, share, reason, result::jsonb, args::jsonb, trace
    from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::int[],
        $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
        as e (id, kind, ending, enqueued, started, ended, took, attempt, worker, schedule, share, reason, result, args,
            trace)
    on conflict do nothing";

/// What came of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows that are new.
    pub rows: u64,
    /// Jobs that the database would not take.
    pub refused: u64,
    /// Jobs that ended longer ago than is kept, or later than tomorrow.
    pub untimely: u64,
}

/// Why a batch was not written down. It may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The role may not.
    #[error("the role may not write down what became of jobs\n  help: {HELP}")]
    Denied(#[source] sqlx::Error),
    /// Somebody holds the table, or has dropped a part of it.
    #[error("somebody holds the table `brasa.history`, or has dropped a part of it")]
    Held,
    /// Postgres.
    #[error("could not write down what became of jobs")]
    Postgres(#[source] sqlx::Error),
}

impl From<sqlx::Error> for BookError {
    fn from(error: sqlx::Error) -> Self {
        if code_of(&error).as_deref() == Some(DENIED) { Self::Denied(error) } else { Self::Postgres(error) }
    }
}

/// Writes down what became of jobs.
#[derive(Debug)]
pub struct Book {
    keep_days: i32,
    /// The days that have a part.
    days: BTreeSet<Date>,
    tended: Option<Instant>,
}

impl Book {
    /// A book that keeps what it has for so long, counted in whole days.
    pub fn keeping(keep: Duration) -> Self {
        let days = keep.as_secs().div_ceil(86_400);
        Self { keep_days: i32::try_from(days).unwrap_or(i32::MAX), days: BTreeSet::new(), tended: None }
    }

    /// Makes the parts that are needed soon, and drops those that are too old, now and then.
    ///
    /// # Errors
    /// See [`BookError`].
    pub async fn tend(&mut self, connection: &mut PgConnection, now: Timestamp) -> Result<(), BookError> {
        if self.is_to_tend() { self.make(connection, now, BTreeSet::new()).await } else { Ok(()) }
    }

    /// Whether it is time for that.
    pub fn is_to_tend(&self) -> bool {
        self.tended.is_none_or(|tended| tended.elapsed() >= TEND_EVERY)
    }

    /// Writes down jobs of a queue. What is there already is left as it is.
    ///
    /// # Errors
    /// See [`BookError`]; then it may be that some of them are written.
    pub async fn write(
        &mut self,
        connection: &mut PgConnection,
        queue: &str,
        ended: &[Ended],
        now: Timestamp,
    ) -> Result<Written, BookError> {
        let today = day_of(now);
        let (first, last) =
            (today.saturating_sub(self.keep_days.days()), today.saturating_add(AHEAD_DAYS.days()));
        let day = |job: &Ended| Timestamp::from_millisecond(job.ended_ms).ok().map(day_of);
        let (timely, untimely): (Vec<&Ended>, Vec<&Ended>) =
            ended.iter().partition(|job| day(job).is_some_and(|day| (first..=last).contains(&day)));
        let wanted: BTreeSet<Date> = timely.iter().filter_map(|job| day(job)).collect();
        if !wanted.is_subset(&self.days) {
            self.make(connection, now, wanted).await?;
        }
        let mut written = Written { untimely: untimely.len() as u64, ..Written::default() };
        if timely.is_empty() {
            return Ok(written);
        }
        match insert(connection, queue, &timely).await {
            Ok(rows) => written.rows = rows,
            Err(error) if code_of(&error).as_deref() == Some(NO_PART) => {
                self.days.clear();
                return Err(BookError::Held);
            }
            Err(error) if is_about_rows(&error) => {
                one_by_one(connection, queue, &timely, &mut written).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(written)
    }

    async fn make(
        &mut self,
        connection: &mut PgConnection,
        now: Timestamp,
        wanted: BTreeSet<Date>,
    ) -> Result<(), BookError> {
        let kept = keep_days(connection, TABLE, self.keep_days, now, &wanted).await?;
        if kept.dropped > 0 {
            tracing::info!(parts = kept.dropped, "what became of jobs long ago was forgotten");
        }
        if kept.postponed > 0 {
            return Err(BookError::Held);
        }
        self.days.extend(wanted);
        self.tended = Some(Instant::now());
        Ok(())
    }
}

/// So that one row that the database does not take keeps no other back.
async fn one_by_one(
    connection: &mut PgConnection,
    queue: &str,
    ended: &[&Ended],
    written: &mut Written,
) -> Result<(), BookError> {
    for job in ended {
        match insert(connection, queue, &[job]).await {
            Ok(rows) => written.rows += rows,
            Err(error) if is_about_rows(&error) => {
                written.refused += 1;
                let job = job.id.as_str();
                tracing::warn!(job.id = job, %error, "what became of a job could not be written down");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn insert(connection: &mut PgConnection, queue: &str, ended: &[&Ended]) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(INSERT).bind(queue.to_owned());
    let query = texts(query, ended, |job| Some(&job.id));
    let query = texts(query, ended, |job| Some(&job.kind));
    let query = query.bind(ended.iter().map(|job| word(job.ending)).collect::<Vec<_>>());
    let query = query.bind(ended.iter().map(|job| job.enqueued_ms).collect::<Vec<_>>());
    let query = query.bind(ended.iter().map(|job| job.started_ms).collect::<Vec<_>>());
    let query = query.bind(ended.iter().map(|job| job.ended_ms).collect::<Vec<_>>());
    let took = ended.iter().map(|job| i64::try_from(job.took_ms).unwrap_or(i64::MAX));
    let query = query.bind(took.collect::<Vec<_>>());
    let attempts = ended.iter().map(|job| i32::try_from(job.attempt).unwrap_or(i32::MAX));
    let query = query.bind(attempts.collect::<Vec<_>>());
    let query = texts(query, ended, |job| Some(&job.worker));
    let query = texts(query, ended, |job| job.schedule.as_ref());
    let query = texts(query, ended, |job| job.share.as_ref());
    let query = texts(query, ended, |job| job.reason.as_ref());
    let query = query.bind(ended.iter().map(|job| json(job.result.as_deref())).collect::<Vec<_>>());
    let query = query.bind(ended.iter().map(|job| json(job.args.as_deref())).collect::<Vec<_>>());
    let query = texts(query, ended, |job| job.trace.as_ref());
    Ok(query.execute(connection).await?.rows_affected())
}

type Inserting<'q> = Query<'q, sqlx::Postgres, PgArguments>;

/// A column of texts. Postgres has no zero byte in any.
fn texts<'q>(
    query: Inserting<'q>,
    ended: &[&Ended],
    text: impl Fn(&Ended) -> Option<&String>,
) -> Inserting<'q> {
    let texts = ended.iter().map(|job| text(job).map(|text| text.replace('\0', "\u{fffd}")));
    query.bind(texts.collect::<Vec<_>>())
}

/// JSON as Postgres takes it: without zero bytes and halves of characters, and with numbers that a double can hold. What
/// that cannot be said of is left out.
fn json(text: Option<&str>) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text?).ok()?;
    Some(value.to_string().replace("\\u0000", "\\ufffd"))
}

pub(super) fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::Cancelled => "cancelled",
        Ending::Expired => "expired",
        Ending::Dead => "dead",
    }
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

fn is_about_rows(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| OF_ROWS.iter().any(|class| code.starts_with(class)))
}
