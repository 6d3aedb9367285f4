//! Searching what became of jobs.
//!
//! By queue, kind, ending and time there are indexes. A text is looked for in reasons alone, with `ilike`, inside of a time
//! range: an index for that would cost more than all others, for something that is looked for now and then.

use std::time::Duration;

use brasa_shared::jiff::Timestamp;
use brasa_shared::queue::Ending;
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};

use super::book::word;

/// How far back a text is looked for, where nothing else is said.
const TEXT_SINCE: Duration = Duration::from_hours(7 * 24);
/// How many ends of one job are shown at most.
const ENDS_MAX: u32 = 20;

/// Parameters that are NULL filter nothing. It is planned anew for each search (see [`search`]), so that those that are
/// given lead to their index.
const SEARCH: &str = "/* brasa */ select id, queue, kind, ending, worker, schedule, share, reason, trace, took_ms, attempt,
        result::text as result, args::text as args, (extract(epoch from enqueued_at) * 1000)::bigint as enqueued_ms,
        (extract(epoch from started_at) * 1000)::bigint as started_ms,
        (extract(epoch from ended_at) * 1000)::bigint as ended_ms
    from brasa.history
    where ($1::text is null or queue = $1) and ($2::text is null or kind = $2)
        and ($3::text is null or ending = $3) and ($4::text is null or id = $4)
        and ($5::bigint is null or ended_at >= to_timestamp($5 / 1000.0))
        and ($6::bigint is null or ended_at <= to_timestamp($6 / 1000.0))
        and ($7::text is null or reason ilike $7)
    order by ended_at desc, id limit $8 offset $9";

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Jobs of this queue.
    pub queue: Option<String>,
    /// Jobs of this kind.
    pub kind: Option<String>,
    /// Jobs that ended so.
    pub ending: Option<Ending>,
    /// The job of this id.
    pub id: Option<String>,
    /// Jobs that ended at this instant or after it.
    pub since: Option<Timestamp>,
    /// Jobs that ended at this instant or before it.
    pub until: Option<Timestamp>,
    /// Jobs in whose reason this stands, in large letters or small ones.
    pub text: Option<String>,
    /// At most so many, the latest first.
    pub limit: u32,
    /// How many of these are passed over.
    pub skip: u32,
}

impl Search {
    /// The same where a text is looked for in the last week only, or in the one before `until`, unless it is said since
    /// when.
    #[must_use]
    pub fn within_reason(mut self, now: Timestamp) -> Self {
        if self.text.is_some() && self.since.is_none() {
            self.since = self.until.unwrap_or(now).checked_sub(TEXT_SINCE).ok();
        }
        self
    }
}

/// How a job ended once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Past {
    /// Its id.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// Its kind; empty where it could not be read.
    pub kind: String,
    /// How: `done`, `cancelled`, `expired` or `dead`.
    pub ending: String,
    /// When it was enqueued, ms since 1970.
    pub enqueued_ms: Option<i64>,
    /// When its last attempt was handed out, ms since 1970.
    pub started_ms: Option<i64>,
    /// When it ended, ms since 1970.
    pub ended_ms: i64,
    /// How long the last attempt ran, ms.
    pub took_ms: i64,
    /// The attempt that decided it.
    pub attempt: i32,
    /// Who ran it last; empty where nobody did.
    pub worker: String,
    /// The schedule that fired it.
    pub schedule: Option<String>,
    /// Its share key.
    pub share: Option<String>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// What it returned.
    pub result: Option<Value>,
    /// What it was given, where that is kept.
    pub args: Option<Value>,
    /// The trace of whoever enqueued it.
    pub trace: Option<String>,
}

/// What is found, the latest end first.
///
/// # Errors
/// What Postgres says.
pub async fn search(pool: &PgPool, wanted: &Search) -> Result<Vec<Past>, sqlx::Error> {
    let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    // Not kept as a prepared statement: a plan for any values could use no index.
    let query = sqlx::query(SEARCH).persistent(false).bind(&wanted.queue).bind(&wanted.kind);
    let query = query.bind(wanted.ending.map(word)).bind(&wanted.id);
    let query = query.bind(ms(wanted.since)).bind(ms(wanted.until)).bind(wanted.text.as_deref().map(pattern));
    let rows = query.bind(i64::from(wanted.limit)).bind(i64::from(wanted.skip)).fetch_all(pool).await?;
    rows.iter().map(read).collect()
}

/// All ends of one job, the latest first.
///
/// # Errors
/// What Postgres says.
pub async fn find(pool: &PgPool, id: &str) -> Result<Vec<Past>, sqlx::Error> {
    search(pool, &Search { id: Some(id.to_owned()), limit: ENDS_MAX, ..Search::default() }).await
}

fn read(row: &PgRow) -> Result<Past, sqlx::Error> {
    let json = |column: &str| -> Result<Option<Value>, sqlx::Error> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    Ok(Past {
        id: row.try_get("id")?,
        queue: row.try_get("queue")?,
        kind: row.try_get("kind")?,
        ending: row.try_get("ending")?,
        enqueued_ms: row.try_get("enqueued_ms")?,
        started_ms: row.try_get("started_ms")?,
        ended_ms: row.try_get("ended_ms")?,
        took_ms: row.try_get("took_ms")?,
        attempt: row.try_get("attempt")?,
        worker: row.try_get("worker")?,
        schedule: row.try_get("schedule")?,
        share: row.try_get("share")?,
        reason: row.try_get("reason")?,
        result: json("result")?,
        args: json("args")?,
        trace: row.try_get("trace")?,
    })
}

/// A pattern that stands for texts with this in them.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
