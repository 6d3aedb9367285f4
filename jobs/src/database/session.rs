//! A session of its own, in which the database is changed, and a second one that watches it.
//!
//! What is done here must not be cut in two by a pooler, must end when its worker ends, and must stand in nobody's way: the
//! second session looks several times a second who waits for the first, and cancels it before anybody has waited long.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::time::Duration;

use brasa_shared::config::Config;
use brasa_shared::db::execute_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the second session looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a look may take: where none comes back, the network is gone, or the server.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long anybody may wait for the first one before it is cancelled.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What a pooler in statement mode says to a transaction.
const PROTOCOL_VIOLATION: &str = "08P01";
/// What our sessions are called in `pg_stat_activity`, before their token.
pub(super) const CALLED: &str = "brasa-care";

/// What holds for every session here, where the server knows it. Limits of a role or a database would cut in two what
/// must not be; an orphan is noticed within a second, whether its worker died or the network.
const SETTINGS: &[(&str, &str)] = &[
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("client_connection_check_interval", "500"),
    ("tcp_keepalives_idle", "1"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "2"),
    ("tcp_user_timeout", "3000"),
    // The application's own statements go first.
    ("vacuum_cost_delay", "2ms"),
    ("max_parallel_maintenance_workers", "0"),
    ("default_transaction_read_only", "off"),
];

const SET: &str = "/* brasa */ select set_config(name, $2, false) from pg_settings where name = $1";
const ABOUT: &str = "/* brasa */ select pg_backend_pid() as pid, pg_is_in_recovery() as is_in_recovery,
    current_setting('server_version_num')::int as version";

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No address was given.
    #[error("no address of Postgres: set DATABASE_URL, or write [postgres] url or [maintenance] url")]
    NoAddress,
    /// It cannot be understood.
    #[error("the address of Postgres cannot be understood")]
    Address(#[source] sqlx::Error),
    /// There is no connection to be had.
    #[error("could not get a connection to Postgres")]
    Connect(#[source] sqlx::Error),
    /// Two statements of one connection are done by two sessions.
    #[error(
        "a pooler in transaction mode is between us and Postgres, which would cut maintenance in two: write the address of \
         Postgres itself, or of a pool in session mode, as [maintenance] url"
    )]
    Pooled,
    /// The server is a replica.
    #[error(
        "this server is a replica, or still recovering: write the address of the primary as [maintenance] url"
    )]
    Recovering,
    /// Postgres refuses something.
    #[error("postgres did not answer as it should")]
    Database(#[from] sqlx::Error),
}

/// Two sessions: one that does something, and one that watches it.
#[derive(Debug)]
pub struct Session {
    work: PgConnection,
    watch: PgConnection,
    pid: i32,
    /// What tells this session from all others, also after it is gone.
    pub token: String,
    /// As `server_version_num` counts.
    pub version: i32,
}

/// What the second session sees of the first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// How long somebody has been waiting for it, as far as is known.
    pub waited: Duration,
    /// The phase of the build that it does, if it does one.
    pub phase: Option<String>,
    /// How much of the phase is done, between 0 and 1.
    pub share: f64,
    /// The number of the index that is at work in it.
    pub index: Option<i64>,
    /// How long the phase has been going on.
    pub phase_for: Duration,
}

impl Seen {
    /// Whether the new index has taken the place of the old one: from here on it is better to go on than to stop.
    pub fn is_swapped(&self) -> bool {
        self.phase.as_deref().is_some_and(|phase| phase.starts_with("waiting for readers"))
    }
}

/// How a statement ended.
#[derive(Debug)]
pub enum Ended {
    /// It is done.
    Done,
    /// Postgres refused it, or it was interrupted from elsewhere.
    Failed(sqlx::Error),
    /// It was cancelled, for this reason.
    Cancelled(String),
    /// Nobody can watch it any more. The session is of no use, and Postgres ends what runs in it when it is dropped.
    Lost(sqlx::Error),
}

/// Until when a statement may run.
#[derive(Debug, Clone)]
pub struct Until {
    /// Its time is over.
    pub deadline: Option<Instant>,
    /// Whoever asked for it wants it no more.
    pub stop: CancellationToken,
}

impl Session {
    /// Opens both, where `[maintenance] url` says, or else where the pool leads, or `[postgres] url`.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn open(config: &Config, pool: Option<&PgPool>) -> Result<Self, SessionError> {
        let url = match pool {
            Some(_) => config.maintenance.url.as_ref(),
            None => config.maintenance.url.as_ref().or(config.postgres.url.as_ref()),
        };
        let options = match (url, pool) {
            (Some(url), _) => PgConnectOptions::from_str(url.expose()).map_err(SessionError::Address)?,
            (None, Some(pool)) => PgConnectOptions::clone(&pool.connect_options()),
            (None, None) => return Err(SessionError::NoAddress),
        };
        let token = format!("{:016x}", rand::random::<u64>());
        // A pooler is to say what it is, and not that it does not know a parameter.
        let options = options.application_name(&format!("{CALLED} {token}")).extra_float_digits(None);
        let options = options.disable_statement_logging();
        let (mut work, mut watch) = (connect(&options).await?, connect(&options).await?);
        // Until it is known that there is no pooler, nothing is prepared: that would be the first to be cut in two.
        let about = work.fetch_one(ABOUT).await?;
        let pid: i32 = about.try_get("pid")?;
        if is_pooled(&mut work, &mut watch, pid).await? {
            return Err(SessionError::Pooled);
        }
        if about.try_get("is_in_recovery")? {
            return Err(SessionError::Recovering);
        }
        for (name, value) in SETTINGS {
            for connection in [&mut work, &mut watch] {
                match sqlx::query(SET).bind(name).bind(value).execute(connection).await {
                    // Not every platform can look for its clients.
                    Err(sqlx::Error::Database(error)) => tracing::debug!(%error, name, "not set"),
                    Err(error) => return Err(error.into()),
                    Ok(_) => {}
                }
            }
        }
        Ok(Self { work, watch, pid, token, version: about.try_get("version")? })
    }

    /// The session that does something, for what is quick.
    pub fn work(&mut self) -> &mut PgConnection {
        &mut self.work
    }

    /// Sets something for what is done from now on.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn set(&mut self, name: &str, value: &str) -> Result<(), sqlx::Error> {
        sqlx::query(SET).bind(name).bind(value).execute(&mut self.work).await.map(drop)
    }

    /// Runs a statement that may take long. It is cancelled as soon as somebody has waited for it for a while, its time
    /// is over, or `judge`, which is told what is seen, says so with a reason.
    pub async fn run(
        &mut self,
        sql: &str,
        until: &Until,
        mut judge: impl FnMut(&Seen) -> Option<String>,
    ) -> Ended {
        let statement = [sql.to_owned()];
        let work = execute_all(&mut self.work, &statement);
        tokio::pin!(work);
        let mut watch =
            Watch { connection: &mut self.watch, pid: self.pid, waiting: HashMap::new(), phase: None };
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut cancelled: Option<String> = None;
        loop {
            tokio::select! {
                biased;
                ended = &mut work => return match (ended, cancelled) {
                    (Ok(()), _) => Ended::Done,
                    // It may as well have failed by itself just then: what it left behind is looked at in both cases.
                    (Err(_), Some(why)) => Ended::Cancelled(why),
                    (Err(error), None) => Ended::Failed(error),
                },
                _ = ticks.tick() => {}
            }
            // Nobody could tell any more whether it is in somebody's way: without `work` Postgres ends it.
            let seen = match tokio::time::timeout(LOOK_TIMEOUT, watch.look()).await {
                Ok(Ok(seen)) => seen,
                Ok(Err(error)) => return Ended::Lost(error),
                Err(_) => return Ended::Lost(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
            };
            let why = why(&seen, until).or_else(|| judge(&seen));
            if let Some(why) = why {
                // More than once: it may have come between two statements of the server's own.
                match tokio::time::timeout(LOOK_TIMEOUT, watch.cancel()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Ended::Lost(error),
                    Err(_) => return Ended::Lost(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
                }
                cancelled.get_or_insert(why);
            }
        }
    }

    /// Ends both, politely.
    pub async fn close(self) {
        for connection in [self.work, self.watch] {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a session of maintenance was gone already");
            }
        }
    }
}

fn why(seen: &Seen, until: &Until) -> Option<String> {
    if until.stop.is_cancelled() {
        return Some("it was told to stop".to_owned());
    }
    if until.deadline.is_some_and(|deadline| Instant::now() >= deadline) && !seen.is_swapped() {
        return Some("its time was over".to_owned());
    }
    (seen.waited >= PATIENCE).then(|| "somebody else had to wait for it".to_owned())
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, SessionError> {
    let connecting = PgConnection::connect_with(options);
    let timeout = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| SessionError::Connect(timeout()))?
        .map_err(SessionError::Connect)
}

/// Whether a pooler gives a connection away between two statements: then while one holds a transaction open, the other
/// meets its process, or another one than it met before.
async fn is_pooled(work: &mut PgConnection, watch: &mut PgConnection, pid: i32) -> Result<bool, sqlx::Error> {
    let ask = "/* brasa */ select pg_backend_pid() as pid";
    let mut transaction = match watch.begin().await {
        Ok(transaction) => transaction,
        // One that gives it away after each statement takes no transactions.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(PROTOCOL_VIOLATION) => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    let held: i32 = transaction.fetch_one(ask).await?.try_get("pid")?;
    let again: i32 = work.fetch_one(ask).await?.try_get("pid")?;
    transaction.rollback().await?;
    Ok(held == pid || again != pid)
}

struct Watch<'a> {
    connection: &'a mut PgConnection,
    pid: i32,
    /// Who has been waiting since when.
    waiting: HashMap<i32, Instant>,
    phase: Option<(String, Instant)>,
}

/// Who waits. Vacuuming of the server's own gives way by itself.
const WAITERS: &str =
    "/* brasa */ select distinct l.pid from pg_locks l left join pg_stat_activity a on a.pid = l.pid
    where not l.granted and l.pid <> $1 and coalesce(a.backend_type, '') <> 'autovacuum worker'
        and $1 = any (pg_blocking_pids(l.pid))";
const PROGRESS: &str = "/* brasa */ select phase,
        coalesce(case when phase like 'waiting%' then lockers_done::float8 / nullif(lockers_total, 0)
            when tuples_total > 0 then tuples_done::float8 / tuples_total
            else blocks_done::float8 / nullif(blocks_total, 0) end, 0) as share,
        nullif(index_relid::bigint, 0) as index
    from pg_stat_progress_create_index where pid = $1
    union all
    select phase, coalesce(heap_blks_scanned::float8 / nullif(heap_blks_total, 0), 0), null
    from pg_stat_progress_vacuum where pid = $1
    union all
    select phase, coalesce(sample_blks_scanned::float8 / nullif(sample_blks_total, 0), 0), null
    from pg_stat_progress_analyze where pid = $1
    limit 1";

impl Watch<'_> {
    async fn look(&mut self) -> Result<Seen, sqlx::Error> {
        let pids: Vec<i32> =
            sqlx::query_scalar(WAITERS).bind(self.pid).fetch_all(&mut *self.connection).await?;
        self.waiting.retain(|pid, _| pids.contains(pid));
        for pid in pids {
            self.waiting.entry(pid).or_insert_with(Instant::now);
        }
        let progress = sqlx::query(PROGRESS).bind(self.pid).fetch_optional(&mut *self.connection).await?;
        let (mut share, mut phase, mut index) = (0.0, None, None);
        if let Some(row) = progress {
            (phase, share) = (Some(row.try_get::<String, _>("phase")?), row.try_get("share")?);
            index = row.try_get("index")?;
        }
        if phase != self.phase.as_ref().map(|(phase, _)| phase.clone()) {
            self.phase = phase.clone().map(|phase| (phase, Instant::now()));
        }
        Ok(Seen {
            waited: self.waiting.values().map(Instant::elapsed).max().unwrap_or_default(),
            phase_for: self.phase.as_ref().map(|(_, since)| since.elapsed()).unwrap_or_default(),
            phase,
            share,
            index,
        })
    }

    async fn cancel(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("/* brasa */ select pg_cancel_backend($1)")
            .bind(self.pid)
            .execute(&mut *self.connection)
            .await
            .map(drop)
    }
}
