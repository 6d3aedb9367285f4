//! `brasa jobs list --history`, and `brasa jobs show` of a job that Redis no longer knows.

use brasa_jobs::history::{self, Past, Search};
use brasa_shared::queue::Ending;
use clap::ValueEnum;
use serde_json::json;
use sqlx::PgPool;

use super::{List, unknown};
use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::{Output, plain, short, when};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum How {
    Done,
    Cancelled,
    Expired,
    Dead,
}

impl From<How> for Ending {
    fn from(how: How) -> Self {
        match how {
            How::Done => Self::Done,
            How::Cancelled => Self::Cancelled,
            How::Expired => Self::Expired,
            How::Dead => Self::Dead,
        }
    }
}

/// Jobs of the history, the latest first.
pub(super) async fn list(app: &App, wanted: List, out: &mut Output) -> Result<(), Failure> {
    let now = app.clock.now();
    let search = Search {
        queue: wanted.filter.queue,
        kind: wanted.filter.kind,
        ending: wanted.ending.map(Into::into),
        since: wanted.filter.since.map(|since| since.before(now)),
        until: wanted.filter.until.map(|until| until.before(now)),
        text: wanted.filter.text,
        limit: u32::try_from(wanted.limit).unwrap_or(u32::MAX),
        ..Search::default()
    };
    let found = history::search(&table(app).await?, &search.within_reason(now))
        .await
        .map_err(|error| failed(&error))?;
    let rows = found.iter().map(|past| {
        let result = past.result.as_ref().map(ToString::to_string);
        [
            past.id.clone(),
            past.kind.clone(),
            past.queue.clone(),
            past.ending.clone(),
            past.attempt.to_string(),
            when(past.ended_ms, now),
            format!("{} ms", past.took_ms),
            short(&past.reason.clone().or(result).unwrap_or_default(), 60),
        ]
    });
    let header = ["ID", "KIND", "QUEUE", "ENDING", "ATTEMPT", "ENDED", "TOOK", "DETAIL"];
    out.table(header, rows.collect(), "no such jobs in the history")?;
    out.value(&found)
}

/// A job that no queue knows any more.
pub(super) async fn show(app: &App, id: &str, out: &mut Output) -> Result<(), Failure> {
    let ends = ends(app, id).await?;
    let Some((last, before)) = ends.split_first() else { return Err(unknown(id)) };
    tell(last, app, out)?;
    let now = app.clock.now();
    for past in before {
        let reason = past.reason.as_deref().unwrap_or_default();
        out.line(format!(
            "{:<10} {}: {} {}",
            "before",
            when(past.ended_ms, now),
            past.ending,
            plain(reason)
        ))?;
    }
    out.value(last)
}

/// Why a job is not running that no queue knows any more: it has ended.
pub(super) async fn why(app: &App, id: &str, out: &mut Output) -> Result<(), Failure> {
    let ends = ends(app, id).await?;
    let Some(last) = ends.first() else { return Err(unknown(id)) };
    let (reason, help) =
        (last.reason.as_deref().unwrap_or_default(), "`brasa jobs show` has all that is known");
    let ended = when(last.ended_ms, app.clock.now());
    out.line(
        format!("{} ({}): it ended {ended}: {} {}", last.id, last.kind, last.ending, plain(reason))
            .trim_end(),
    )?;
    out.line(format!("  help: no queue knows it any more; {help}"))?;
    out.value(&json!({ "id": last.id, "queue": last.queue, "state": last.ending, "reason": "ended",
        "text": reason, "help": help, "state_ms": last.ended_ms }))
}

/// How a job ended, of the history, the last time first.
async fn ends(app: &App, id: &str) -> Result<Vec<Past>, Failure> {
    let Some(pool) = app.pool()? else { return Ok(Vec::new()) };
    if !history::exists(&pool).await.unwrap_or(false) {
        return Ok(Vec::new());
    }
    history::find(&pool, id).await.map_err(|error| failed(&error))
}

fn tell(past: &Past, app: &App, out: &mut Output) -> Result<(), Failure> {
    let now = app.clock.now();
    let mut line = |name: &str, value: &str| match value {
        "" => Ok(()),
        value => out.line(format!("{name:<10} {}", plain(value))),
    };
    let json_of =
        |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    line("id", &past.id)?;
    line("kind", &past.kind)?;
    line("queue", &past.queue)?;
    line("state", &format!("{} (of the history: no queue knows it any more)", past.ending))?;
    line("args", &json_of(&past.args))?;
    line("enqueued", &past.enqueued_ms.map(|ms| when(ms, now)).unwrap_or_default())?;
    line("started", &past.started_ms.map(|ms| when(ms, now)).unwrap_or_default())?;
    line("ended", &format!("{} after {} ms", when(past.ended_ms, now), past.took_ms))?;
    line("attempt", &past.attempt.to_string())?;
    line("worker", &past.worker)?;
    line("schedule", past.schedule.as_deref().unwrap_or_default())?;
    line("share", past.share.as_deref().unwrap_or_default())?;
    line("reason", past.reason.as_deref().unwrap_or_default())?;
    line("result", &json_of(&past.result))?;
    line("trace", past.trace.as_deref().unwrap_or_default())
}

/// The database that has the history.
async fn table(app: &App) -> Result<PgPool, Failure> {
    let pool = app.pool_needed()?;
    greet_postgres(&pool).await?;
    if history::exists(&pool).await.map_err(|error| failed(&error))? {
        return Ok(pool);
    }
    Err(Failure::environment("there is no table `brasa.history`\n  help: brasa migrate"))
}

fn failed(error: &sqlx::Error) -> Failure {
    let denied = error.as_database_error().is_some_and(|said| said.code().as_deref() == Some("42501"));
    let help = if denied {
        "\n  help: grant usage on schema brasa, and select on brasa.history, to the role"
    } else {
        ""
    };
    Failure::environment(format!("could not search the history: {error}{help}"))
}
