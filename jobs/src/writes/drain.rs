//! `writes.flush`: writes everything that waits now, and returns when it is written.

use std::time::Duration;

use brasa_shared::config::{Config, Write};
use brasa_shared::db::writes::{StreamOf, progress, release, take};
use brasa_shared::place::Place;
use brasa_shared::store::StoreError;
use brasa_shared::streams::Streams;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::absent;
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};
use crate::writes::flush::{FlushError, Flusher};
use crate::writes::gather::Gatherer;
use crate::writes::table::{Table, TableProblem};

/// How long a stream is the job's from each batch on.
const LEASE: Duration = Duration::from_secs(4);
/// How long it waits for whoever writes the stream already.
const WAIT: Duration = Duration::from_millis(50);

/// Writes everything that waits now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flush {
    name: String,
}

impl Job for Flush {
    const KIND: &'static str = "writes.flush";
    const ABOUT: &'static str =
        "Writes all rows of `[writes.NAME]` that wait now, and ends when they are written";
    const POLICY: Policy = Policy::new().attempts(5).backoff(Duration::from_secs(1), Duration::from_mins(1));

    fn check(&self, config: &Config) -> Result<(), String> {
        self.write(config).map(drop)
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let write = self.write(&ctx.reach.config).map_err(JobError::bury)?;
        let streams = Streams::new(ctx.reach.cache.clone(), &ctx.reach.config.redis.prefix);
        let mut connection = ctx.connection().await?;
        let mut rows = 0;
        for part in 0..i32::try_from(write.partitions).unwrap_or(1) {
            let stream = StreamOf { name: self.name.clone(), part };
            let last = streams.extent(&self.name, part).await.map_err(away)?.last;
            // Whoever writes it already will write these too; where nobody does, this job does.
            while !is_written(ctx, &stream, last).await? {
                ctx.go_on()?;
                match own(ctx, &mut connection, write, &stream, &streams, last).await? {
                    Some((written, true)) => {
                        rows += written;
                        break;
                    }
                    Some((written, false)) => rows += written,
                    None => tokio::time::sleep(WAIT).await,
                }
            }
        }
        connection.give_back();
        Ok(json!({ "rows": rows }))
    }
}

impl Flush {
    fn write<'c>(&self, config: &'c Config) -> Result<&'c Write, String> {
        config
            .writes
            .get(&self.name)
            .ok_or_else(|| absent("write", "writes", &self.name, config.writes.keys()))
    }
}

async fn is_written(ctx: &JobContext, stream: &StreamOf, last: Place) -> JobResult<bool> {
    let known =
        progress(ctx.db()?, Some(&stream.name)).await.map_err(|error| judge(error, "look how far it is"))?;
    let known = known.iter().find(|known| known.stream == *stream);
    if let Some((why, _)) = known.and_then(|known| known.paused.as_ref()) {
        return Err(JobError::retry(format!("{} is paused: {why}", stream.name)));
    }
    Ok(known.map_or(Place::default(), |known| known.place) >= last)
}

/// Owns a stream and writes it up to a place; none where somebody else owns it. Returns how many rows it wrote, and
/// whether that was all: the last entry may have been deleted.
async fn own(
    ctx: &JobContext,
    connection: &mut PgConnection,
    write: &Write,
    stream: &StreamOf,
    streams: &Streams,
    last: Place,
) -> JobResult<Option<(i64, bool)>> {
    let database = |error| judge(error, "own a stream of rows");
    let taken = take(connection, stream, &ctx.job.id, LEASE).await.map_err(database)?;
    let Some(mut standing) = taken else { return Ok(None) };
    let table = Table::look(connection, write).await.map_err(|problem| match problem {
        TableProblem::Unfit { message, help, .. } => JobError::bury(format!("{message}; {help}")),
        TableProblem::Database(error) => judge(error, "look at the table"),
    })?;
    let flusher = Flusher { write, table: &table, stream, lease: LEASE };
    let mut gatherer = Gatherer::new(streams, write, stream);
    let mut rows = 0;
    while standing.place < last && !ctx.stop.is_cancelled() {
        let batch = gatherer.gather(standing.place, standing.place, &table).await.map_err(away)?;
        if batch.is_empty() {
            break;
        }
        let (now, done) = match flusher.flush(connection, &standing, &batch).await {
            Ok(outcome) => outcome,
            // Somebody else writes on.
            Err(FlushError::Lost) => return Ok(Some((rows, false))),
            Err(error) => return Err(JobError::retry(anyhow::Error::new(error))),
        };
        (standing, rows) = (now, rows + done.rows);
    }
    gatherer.tidy(standing.place).await;
    release(connection, stream, standing.epoch).await.map_err(database)?;
    Ok(Some((rows, !ctx.stop.is_cancelled())))
}

fn away(error: StoreError) -> JobError {
    JobError::retry(anyhow::Error::new(error).context("could not look at the rows that wait"))
}
