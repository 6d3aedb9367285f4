//! The writers of batched writes: one task for each stream, of which one in the whole fleet owns it.
//!
//! The owner reads what stands behind the last entry that is written, writes it, and trims the stream. While a batch is
//! written the next one is read and taken apart; where nothing waits, a row is written as soon as it is seen.

use std::sync::Arc;
use std::time::Duration;

use brasa_jobs::Reach;
use brasa_jobs::writes::{FlushError, Flusher, Gathered, Gatherer, Table, TableProblem};
use brasa_shared::config::Write;
use brasa_shared::db::writes::{
    Standing, StreamOf, forget_producers, note_server, pause, release, renew, take,
};
use brasa_shared::place::Place;
use brasa_shared::store::{Store, StoreError};
use brasa_shared::streams::Streams;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use sqlx::PgPool;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a stream is somebody's at most, unless he says so again.
const LEASE_MAX: Duration = Duration::from_secs(4);
/// An owner that has nothing to write says so again so often in a lease; and others look whether he is gone.
const RENEWALS: u32 = 4;
/// How far the clocks of two servers of Redis may be apart, and one may be behind the other in what it has.
const RECENT: Duration = Duration::from_secs(10);
/// The first and the longest pause after a fault.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What writers need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Redis that the streams are in, over a connection of its own.
    pub store: Store,
    /// The application's Postgres, through a pool of its own: jobs that hold all connections must not hold up rows.
    pub pool: PgPool,
}

/// The tasks of a worker's writers.
#[derive(Debug, Default)]
pub(crate) struct Tasks(JoinSet<()>);

impl Tasks {
    /// Starts to write what is handed over, until `stop`.
    pub(crate) fn start(
        settings: Option<Settings>,
        reach: &Arc<Reach>,
        (worker, lease): (&str, Duration),
        stop: &CancellationToken,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let Some(settings) = settings else { return Self(tasks) };
        for (name, write) in &reach.config.writes {
            for part in 0..i32::try_from(write.partitions).unwrap_or(1) {
                let writer = Writer {
                    streams: Streams::new(settings.store.clone(), &reach.config.redis.prefix),
                    pool: settings.pool.clone(),
                    write: write.clone(),
                    stream: StreamOf { name: name.clone(), part },
                    worker: worker.to_owned(),
                    lease: lease.min(LEASE_MAX),
                    stop: stop.clone(),
                };
                tasks.spawn(writer.run());
            }
        }
        Self(tasks)
    }

    /// Waits until all have ended, with what they had in their hands written. They were told to stop by then.
    pub(crate) async fn end(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Why a stream is not written at the moment.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Flush(#[from] FlushError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("postgres did not answer")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Table(#[from] TableProblem),
}

struct Writer {
    streams: Streams,
    pool: PgPool,
    write: Write,
    stream: StreamOf,
    worker: String,
    lease: Duration,
    stop: CancellationToken,
}

impl Writer {
    async fn run(self) {
        let mut wait = PAUSE.0;
        while !self.stop.is_cancelled() {
            let begun = Instant::now();
            let Err(trouble) = self.own().await else { continue };
            if begun.elapsed() > PAUSE.1 {
                wait = PAUSE.0;
            }
            self.tell(&trouble).await;
            self.sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            wait = (wait * 2).min(PAUSE.1);
        }
    }

    /// Owns the stream for as long as it can, or waits until it might.
    async fn own(&self) -> Result<(), Trouble> {
        let mut connection = self.pool.acquire().await?;
        let taken = take(&mut connection, &self.stream, &self.worker, self.lease).await?;
        if taken.is_some() {
            forget_producers(&mut connection, &self.stream).await?;
        }
        drop(connection);
        let Some(mut standing) = taken else {
            self.sleep(self.renew_every()).await;
            return Ok(());
        };
        self.look_at_stream(&standing).await?;
        let served = self.serve(&mut standing).await;
        if !matches!(served, Err(Trouble::Flush(FlushError::Lost))) {
            let mut connection = self.pool.acquire().await?;
            release(&mut connection, &self.stream, standing.epoch).await?;
        }
        match served {
            // Somebody else has it, or somebody paused it: nothing is wrong.
            Err(Trouble::Flush(FlushError::Lost)) => Ok(()),
            other => other,
        }
    }

    /// A stream that was lost, or is on another server, gives new entries ids that may count as written: it goes on
    /// behind them, and what it has before is looked at.
    async fn look_at_stream(&self, standing: &Standing) -> Result<(), Trouble> {
        let (name, part) = (&self.stream.name, self.stream.part);
        if let Some((message, help)) = self.streams.safety().await?.falls_short(self.write.durability) {
            tracing::error!(
                write = name,
                part,
                help,
                "rows that wait are less safe than they should be: {message}"
            );
        }
        let extent = self.streams.extent(name, part).await?;
        if extent.last < standing.place {
            tracing::warn!(write = name, part, last = %extent.last, written = %standing.place, "the stream is behind what is written: Redis lost its memory, or is another one; what it had and was not written is lost");
            self.streams.begin_behind(name, part, standing.place).await?;
        }
        let server = self.streams.server().await?;
        if standing.server.as_ref() == Some(&server.id) {
            return Ok(());
        }
        // One that has only restarted gives no place again: its clock goes on.
        if standing.server.is_some() && server.was_replica {
            self.recover(standing).await?;
        }
        let mut connection = self.pool.acquire().await?;
        Ok(note_server(&mut connection, &self.stream, standing.epoch, &server.id).await?)
    }

    /// Looks at what stands where everything is written already, after Redis has failed over.
    async fn recover(&self, standing: &Standing) -> Result<(), Trouble> {
        let (name, part) = (&self.stream.name, self.stream.part);
        let mut connection = self.pool.acquire().await?;
        let (mut after, mut table) = (Place::default(), None);
        let mut gatherer = Gatherer::new(&self.streams, &self.write, &self.stream);
        loop {
            // Nothing is taken away before all of it was looked at.
            let mut entries = gatherer.next(after, Place::default()).await?;
            entries.retain(|entry| entry.place <= standing.place);
            let Some(last) = entries.last() else { return Ok(()) };
            after = last.place;
            let known = match &mut table {
                Some(table) => table,
                None => table.insert(Table::look(&mut connection, &self.write).await?),
            };
            let batch = Gathered::read(entries, &self.write, known).await;
            let done = self.flusher(known).recover(&mut connection, standing, &batch, RECENT).await?;
            if done.entries > 0 {
                tracing::warn!(
                    write = name,
                    part,
                    rows = done.rows,
                    dead = done.dead,
                    "Redis failed over: rows were found that were not written, or of which nobody knows"
                );
            }
        }
    }

    async fn serve(&self, standing: &mut Standing) -> Result<(), Trouble> {
        let mut gatherer = Gatherer::new(&self.streams, &self.write, &self.stream);
        let served = self.write_all(standing, &mut gatherer).await;
        // Where Redis is away it was waited for long enough.
        if !matches!(served, Err(Trouble::Store(_))) {
            gatherer.tidy(standing.place).await;
        }
        served
    }

    async fn write_all(&self, standing: &mut Standing, gatherer: &mut Gatherer<'_>) -> Result<(), Trouble> {
        let (table, mut batch) = (OnceCell::new(), Gathered::default());
        let mut kept = Instant::now();
        while !self.stop.is_cancelled() {
            if kept.elapsed() >= self.renew_every() || standing.is_paused {
                let mut connection = self.pool.acquire().await?;
                let renewed = renew(&mut connection, &self.stream, standing.epoch, self.lease).await?;
                let Some(renewed) = renewed else { return Err(FlushError::Lost.into()) };
                (*standing, kept) = (renewed, Instant::now());
                if standing.is_paused {
                    drop(connection);
                    self.sleep(self.renew_every()).await;
                    continue;
                }
            }
            if batch.is_empty() {
                batch = self.look_for_rows(gatherer, standing.place, &table).await?;
            }
            let Some(last) = batch.last() else {
                self.sleep(self.write.wait).await;
                continue;
            };
            let (known, written) = (self.look_at_table(&table).await?, standing.place);
            let flush = self.flush(standing, &batch, known);
            let (flushed, next) = tokio::join!(flush, gatherer.gather(last, written, known));
            flushed?;
            // What has come meanwhile. Nothing, or a fault of Redis, is looked at again.
            batch = next.unwrap_or_default();
            kept = Instant::now();
        }
        Ok(())
    }

    /// What is to be written where nothing is known to wait. The table is looked at when there is something.
    async fn look_for_rows(
        &self,
        gatherer: &mut Gatherer<'_>,
        written: Place,
        table: &OnceCell<Table>,
    ) -> Result<Gathered, Trouble> {
        let entries = gatherer.next(written, written).await?;
        if entries.is_empty() {
            return Ok(Gathered::default());
        }
        Ok(Gathered::read(entries, &self.write, self.look_at_table(table).await?).await)
    }

    async fn look_at_table<'t>(&self, table: &'t OnceCell<Table>) -> Result<&'t Table, Trouble> {
        let look = async || {
            let mut connection = self.pool.acquire().await?;
            Ok(Table::look(&mut connection, &self.write).await?)
        };
        table.get_or_try_init(look).await
    }

    fn flusher<'a>(&'a self, table: &'a Table) -> Flusher<'a> {
        Flusher { write: &self.write, table, stream: &self.stream, lease: self.lease }
    }

    async fn flush(&self, standing: &mut Standing, batch: &Gathered, table: &Table) -> Result<(), Trouble> {
        let begun = Instant::now();
        let mut connection = self.pool.acquire().await?;
        let (now, done) = self.flusher(table).flush(&mut connection, standing, batch).await?;
        *standing = now;
        let name = &self.stream.name;
        metrics::write_rows_total(name).increment(done.rows.unsigned_abs());
        metrics::write_dead_total(name).increment(done.dead.unsigned_abs());
        metrics::write_doubled_total(name).increment(done.doubled.unsigned_abs());
        metrics::write_flush_seconds(name).record(begun.elapsed());
        if done.dead > 0 {
            tracing::warn!(
                write = name,
                dead = done.dead,
                "rows could not be written; see `brasa writes dead`"
            );
        }
        Ok(())
    }

    async fn tell(&self, trouble: &Trouble) {
        let (name, part) = (&self.stream.name, self.stream.part);
        let why = match trouble {
            Trouble::Table(TableProblem::Unfit { message, help, .. }) => format!("{message}; {help}"),
            Trouble::Flush(error @ (FlushError::Table(_) | FlushError::Refused(_))) => chain(error),
            trouble => {
                tracing::warn!(write = name, part, error = %chain(trouble), "rows wait: they could not be written");
                return;
            }
        };
        tracing::error!(write = name, part, why, "rows wait until a person resumes their writing");
        let paused = async { pause(&mut *self.pool.acquire().await?, &self.stream, &why, None).await };
        if let Err(error) = paused.await {
            tracing::debug!(write = name, error = %chain(&error), "could not note why");
        }
    }

    fn renew_every(&self) -> Duration {
        self.lease / RENEWALS
    }

    async fn sleep(&self, span: Duration) {
        tokio::select! {
            () = tokio::time::sleep(span) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
