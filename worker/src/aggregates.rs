//! The keepers of aggregates: one task for each, in every worker.
//!
//! A keeper moves what changed into the groups, builds what is from before, and publishes. Whatever it does is one
//! transaction that finds out for itself what is to be done, so keepers of different workers need not know of one another.

mod removal;

use std::sync::Arc;
use std::time::Duration;

use brasa_jobs::Reach;
use brasa_jobs::aggregates::{
    Fault, Folding, Pace, PublishError, build, fold, lag, mark_all, publish, remove_old, shape_of, switch,
    watched,
};
use brasa_shared::boards::Boards;
use brasa_shared::config::{Aggregate, Publish};
use brasa_shared::db;
use brasa_shared::db::aggregates::{State, Version, pause, versions};
use brasa_shared::store::Store;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use removal::Removal;

/// How often a keeper looks which versions there are, how far behind they are, and whether Redis forgot them.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it looks whether parts of a source are not watched, and tries to take old versions away.
const TIDY_EVERY: Duration = Duration::from_mins(1);
/// How much longer than it takes to look how far behind a version is nobody looks again.
const LAG_REST: u32 = 20;
/// How often it tries to show a version for which readers would have to wait.
const SWITCH_EVERY: Duration = Duration::from_secs(2);
/// How long it leaves a version alone that a person has to look at.
const BROKEN_PAUSE: Duration = Duration::from_secs(30);
/// The first and the longest pause after a fault.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How many rows of a log go into the groups in one transaction, at first, at least and at most.
const ROWS: (usize, usize, usize) = (5_000, 50, 50_000);
/// How long such a transaction is to take.
const FOLD: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(300));

/// What keepers need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Redis that figures are published in.
    pub store: Store,
    /// The application's Postgres, through a pool of its own.
    pub pool: PgPool,
}

/// The tasks of a worker's keepers.
#[derive(Debug, Default)]
pub(crate) struct Tasks(JoinSet<()>);

impl Tasks {
    /// Starts to keep all aggregates, until `stop`.
    pub(crate) fn start(settings: Option<Settings>, reach: &Arc<Reach>, stop: &CancellationToken) -> Self {
        let mut tasks = JoinSet::new();
        let Some(settings) = settings else { return Self(tasks) };
        for (name, aggregate) in &reach.config.aggregates {
            let keeper = Keeper {
                name: name.clone(),
                aggregate: aggregate.clone(),
                boards: Boards::new(settings.store.clone(), &reach.config.redis.prefix),
                pool: settings.pool.clone(),
                stop: stop.clone(),
                versions: Vec::new(),
                rows: ROWS.0,
                pace: Pace::default(),
                looked: None,
                measures: None,
                removal: Removal::default(),
                watches: None,
                is_told: false,
                unswitched: None,
            };
            tasks.spawn(keeper.run());
        }
        Self(tasks)
    }

    /// Waits until all have ended. They were told to stop by then.
    pub(crate) async fn end(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// Why a keeper does not get on.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("postgres did not answer")]
    Database(#[from] sqlx::Error),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Publish(fault.into())
    }
}

struct Keeper {
    name: String,
    aggregate: Aggregate,
    boards: Boards,
    pool: PgPool,
    stop: CancellationToken,
    versions: Vec<Version>,
    rows: usize,
    pace: Pace,
    looked: Option<Instant>,
    /// When to look next how far behind it is, if not with everything else.
    measures: Option<Instant>,
    removal: Removal,
    /// When to look next whether all parts of the source are watched, if not at once.
    watches: Option<Instant>,
    /// Whether it has been said that nobody installed it.
    is_told: bool,
    /// When a version that is built could not be shown, because somebody was reading.
    unswitched: Option<Instant>,
}

impl Keeper {
    async fn run(mut self) {
        let mut wait = PAUSE.0;
        while !self.stop.is_cancelled() {
            let pause = match self.round().await {
                Ok(pause) => {
                    wait = PAUSE.0;
                    pause
                }
                Err(trouble) => {
                    tracing::warn!(aggregate = self.name, error = %chain(&trouble), "changes wait: they could not be moved");
                    wait = (wait * 2).min(PAUSE.1);
                    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Does what there is to be done, a step of each; says after how long there may be more.
    async fn round(&mut self) -> Result<Duration, Trouble> {
        let mut connection = self.pool.acquire().await?;
        let looks = self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        if looks {
            self.versions = versions(&mut connection, Some(&self.name)).await?;
            self.looked = Some(Instant::now());
            self.tell_where_missing();
            self.tell_wrong_groups();
        }
        let mut pause = if self.versions.is_empty() { LOOK_EVERY } else { self.aggregate.every };
        if looks && self.measures.is_none_or(|at| at <= Instant::now()) {
            self.measure(&mut connection).await?;
        }
        for version in self.versions.clone() {
            let kept = match version.state {
                State::Old => continue,
                State::Building | State::Live => self.keep(&mut connection, &version, looks).await,
            };
            match kept {
                Ok(next) => pause = pause.min(next),
                Err(Trouble::Publish(PublishError::Database(Fault::Busy))) => {}
                // There is another version, or none.
                Err(Trouble::Publish(PublishError::Database(Fault::Gone))) => self.looked = None,
                Err(Trouble::Publish(PublishError::Database(
                    fault @ (Fault::Broken(_) | Fault::Unreadable(_)),
                ))) => {
                    self.note_broken(&mut connection, &version, &fault).await?;
                    pause = BROKEN_PAUSE;
                }
                Err(trouble) => return Err(trouble),
            }
        }
        if self.removal.is_due(Instant::now()) {
            let is_busy = self.remove_old(&mut connection).await;
            self.removal.tried(is_busy, Instant::now());
        }
        if self.watches.is_none_or(|at| at <= Instant::now()) {
            self.watches = Some(Instant::now() + TIDY_EVERY);
            self.look_at_parts(&mut connection).await?;
        }
        Ok(pause)
    }

    /// Says how far behind it is: the version that is further behind, where there are two.
    async fn measure(&mut self, connection: &mut sqlx::PgConnection) -> Result<(), Trouble> {
        let began = Instant::now();
        let mut longest = None;
        for version in self.versions.iter().filter(|version| version.state != State::Old) {
            match lag(connection, version).await {
                Ok(lag) => longest = longest.max(Some(lag)),
                Err(Fault::Passing(error)) => return Err(error.into()),
                // What is wrong with it is said where it is folded.
                Err(_) => {}
            }
        }
        if let Some(lag) = longest {
            metrics::aggregate_lag_seconds(&self.name).set(lag.as_secs_f64());
        }
        // All of the log is read for it, and a long one is not to be read all the time.
        self.measures = Some(Instant::now() + began.elapsed() * LAG_REST);
        Ok(())
    }

    /// Keeps a version; says after how long there may be more.
    async fn keep(
        &mut self,
        connection: &mut sqlx::PgConnection,
        version: &Version,
        looks: bool,
    ) -> Result<Duration, Trouble> {
        let mut pause = self.aggregate.every;
        let folding = Folding {
            most: self.rows,
            publish: self.aggregate.publish.as_ref(),
            frozen_after: self.aggregate.frozen_after,
        };
        let began = Instant::now();
        let folded = fold(connection, version, folding).await?;
        if folded.rows > 0 {
            let took = began.elapsed();
            metrics::aggregate_rows_total(&self.name).increment(folded.rows.unsigned_abs());
            metrics::aggregate_late_total(&self.name).increment(folded.late.unsigned_abs());
            metrics::aggregate_fold_seconds(&self.name).record(took);
            let is_full = usize::try_from(folded.rows).is_ok_and(|rows| rows >= self.rows);
            self.rows = match took {
                took if took > FOLD.1 => (self.rows / 2).max(ROWS.1),
                took if took < FOLD.0 && is_full => (self.rows * 2).min(ROWS.2),
                _ => self.rows,
            };
            if is_full {
                pause = Duration::ZERO;
            }
        }
        if version.state == State::Building {
            return Ok(pause.min(self.build(connection, version).await?));
        }
        if let Some(what) = &self.aggregate.publish {
            match self.publish(connection, version, what, looks).await {
                // Redis may be away for a while: what changed is moved all the same, and published then.
                Err(Trouble::Publish(PublishError::Store(error))) => {
                    metrics::redis_faults_total("boards").increment(1);
                    tracing::debug!(aggregate = self.name, error = %chain(&error), "not published yet");
                    pause = pause.max(PAUSE.0);
                }
                other => other?,
            }
        }
        Ok(pause)
    }

    async fn publish(
        &self,
        connection: &mut sqlx::PgConnection,
        version: &Version,
        what: &Publish,
        looks: bool,
    ) -> Result<(), Trouble> {
        if looks && self.is_forgotten(&what.key.to_string()).await? {
            mark_all(connection, version, what).await?;
        }
        let published = publish(connection, &self.boards, version, what).await?;
        metrics::aggregate_published_total(&self.name).increment(published as u64);
        Ok(())
    }

    async fn is_forgotten(&self, template: &str) -> Result<bool, Trouble> {
        Ok(self.boards.is_forgotten(&self.name, template).await.map_err(PublishError::from)?)
    }

    /// A step of building. It rests for as long as it worked: the application's own statements go first.
    async fn build(
        &mut self,
        connection: &mut sqlx::PgConnection,
        version: &Version,
    ) -> Result<Duration, Trouble> {
        let built = build(connection, version, self.pace).await?;
        if !built.is_done {
            self.pace = self.pace.after(built.computing);
            return Ok(built.took);
        }
        if self.unswitched.is_some_and(|at| at.elapsed() < SWITCH_EVERY) {
            return Ok(SWITCH_EVERY);
        }
        match switch(connection, version, self.aggregate.publish.as_ref()).await {
            // Somebody reads the view in a transaction that goes on.
            Err(Fault::Busy) => {
                self.unswitched = Some(Instant::now());
                return Ok(SWITCH_EVERY);
            }
            other => other?,
        }
        tracing::info!(
            aggregate = self.name,
            version = version.version,
            "everything is in it: it is shown from now on"
        );
        (self.looked, self.removal, self.watches) = (None, Removal::default(), None);
        Ok(Duration::ZERO)
    }

    /// Takes old versions away; gives whether somebody was at one.
    async fn remove_old(&self, connection: &mut sqlx::PgConnection) -> bool {
        let mut is_busy = false;
        for version in self.versions.iter().filter(|version| version.state == State::Old) {
            let Err(fault) = remove_old(connection, version).await else { continue };
            is_busy |= matches!(fault, Fault::Busy);
            tracing::info!(aggregate = self.name, version = version.version, error = %chain(&fault), "an old version is still there; trying again later");
        }
        is_busy
    }

    /// Says which parts of the source are not watched.
    async fn look_at_parts(&self, connection: &mut sqlx::PgConnection) -> Result<(), Trouble> {
        for version in self.versions.iter().filter(|version| version.state != State::Old) {
            let Ok(shape) = shape_of(version) else { continue };
            let parts = db::parts_of(connection, &shape.source).await?;
            let watched = watched(connection, &shape, &parts).await?;
            if !watched.is_well() {
                tracing::error!(
                    aggregate = self.name,
                    ?watched,
                    "not all that changes in the source is noted, or more than that: run `brasa aggregates install {}`",
                    self.name
                );
            }
        }
        Ok(())
    }

    async fn note_broken(
        &self,
        connection: &mut sqlx::PgConnection,
        version: &Version,
        fault: &Fault,
    ) -> Result<(), Trouble> {
        let why = chain(fault);
        tracing::error!(aggregate = self.name, why, "changes wait until a person has looked at it");
        pause(connection, &self.name, version.version, Some(&why)).await?;
        Ok(())
    }

    /// From where it is noted, so that every worker tells the same, whoever compared last.
    fn tell_wrong_groups(&self) {
        let live = self.versions.iter().rfind(|version| version.state == State::Live);
        let wrong = live.map_or(0, |version| version.done.wrong);
        metrics::aggregate_wrong_groups(&self.name).set(f64::from(i32::try_from(wrong).unwrap_or(i32::MAX)));
    }

    fn tell_where_missing(&mut self) {
        if self.versions.is_empty() && !self.is_told {
            tracing::warn!(
                aggregate = self.name,
                "nobody installed it: run `brasa aggregates install {}`",
                self.name
            );
        }
        self.is_told = self.versions.is_empty();
    }
}
