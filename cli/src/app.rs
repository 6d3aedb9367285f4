//! What verbs work with: the configuration, the servers, the queues.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brasa_jobs::cache::Warm;
use brasa_jobs::history::rights;
use brasa_jobs::{Catalog, Job as _, Reach, Site};
use brasa_shared::config::{Config, did_you_mean};
use brasa_shared::db;
use brasa_shared::db::changes::ChangeLog;
use brasa_shared::db::outbox::OutboxTable;
use brasa_shared::queue::{Queue, Telling};
use brasa_shared::telemetry::spans::Spans;
use sqlx::{PgPool, Row};

use crate::failure::{Failure, chain};
use crate::output::{plain, short};

/// The oldest Redis that has everything the scripts use.
pub(crate) const REDIS_MIN: (u32, u32) = (7, 0);
/// The oldest Valkey.
pub(crate) const VALKEY_MIN: (u32, u32) = (7, 2);
/// The oldest Postgres, as `server_version_num` counts.
pub(crate) const POSTGRES_MIN: i32 = 130_000;
/// How many connections the outbox of a worker holds at most, beside the one on which it listens: one to relay, one
/// to record ends, and one for what looks around.
const OUTBOX_CONNECTIONS: u32 = 3;
/// How many connections a worker holds at most to carry changes of tables into the cache: one that takes them, and one
/// that looks.
const CHANGES_CONNECTIONS: u32 = 2;
/// How many connections keepers of aggregates use at most.
const KEEPERS_CONNECTIONS: u32 = 2;
/// How many connections are used to write down what became of jobs.
const HISTORY_CONNECTIONS: u32 = 1;
/// How many connections writers of batches use at most.
const WRITERS_CONNECTIONS: u32 = 4;
/// What verbs work with: the installation, and how it was named.
#[derive(Clone)]
pub(crate) struct App {
    site: Site,
    /// Where the configuration was read, if it was named.
    pub(crate) config_path: Option<PathBuf>,
    /// Where the process begins spans of traces.
    pub(crate) spans: Spans,
}

/// A verb works with the installation as if it were its own.
impl Deref for App {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

/// Where the configuration is: as told, as the environment says, or here.
pub(crate) fn config_path(told: Option<&Path>) -> PathBuf {
    let told = told.map(Path::to_path_buf);
    told.or_else(|| env("BRASA_CONFIG").map(PathBuf::from)).unwrap_or_else(|| PathBuf::from("brasa.toml"))
}

/// A variable of the environment, if it is set and not empty.
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the configuration. Where none was named and none is here, the addresses in the environment are
/// enough for much, so an empty one stands in.
pub(crate) fn read_config(told: Option<&Path>) -> Result<Config, Failure> {
    let path = config_path(told);
    let named = told.is_some() || env("BRASA_CONFIG").is_some();
    if !named && !path.exists() && env("REDIS_URL").is_some() {
        return Ok(Config::without_file(&env)?);
    }
    Ok(Config::read(&path, &env)?)
}

impl App {
    /// Reads the configuration; connects to nothing yet.
    pub(crate) fn open(told: Option<&Path>, catalog: Catalog) -> Result<Self, Failure> {
        let app = Self::with(read_config(told)?, catalog)?;
        Ok(Self { config_path: told.map(Path::to_path_buf), ..app })
    }

    /// The same with a configuration that has been read.
    pub(crate) fn with(config: Config, catalog: Catalog) -> Result<Self, Failure> {
        Ok(Self { site: Site::open(config, catalog)?, config_path: None, spans: Spans::default() })
    }

    /// The installation, for whoever is not a verb.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Makes sure that Redis answers and is new enough; returns what it is.
    pub(crate) async fn greet_redis(&self) -> Result<String, Failure> {
        let info: String = self.store.run("be asked what it is", redis::cmd("INFO").arg("server")).await?;
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let (called, version, least) = match field("valkey_version") {
            Some(version) => ("Valkey", version, VALKEY_MIN),
            None => ("Redis", field("redis_version").unwrap_or("0.0"), REDIS_MIN),
        };
        if parse_version(version) < least {
            return Err(Failure::environment(format!(
                "{called} {version} at {} is too old: Brasa needs {}.{} or newer\n  help: upgrade it, or give another address in REDIS_URL",
                self.store.address(),
                least.0,
                least.1
            )));
        }
        Ok(format!("{called} {version}"))
    }

    /// A pool for Postgres, if an address was given.
    pub(crate) fn pool(&self) -> Result<Option<PgPool>, Failure> {
        Ok(self.pool_for("jobs", self.config.postgres.pool.max)?)
    }

    /// The outbox of Postgres, over connections of its own, where it is to be relayed.
    pub(crate) fn outbox(&self) -> Result<Option<OutboxTable>, Failure> {
        let pool =
            if self.config.outbox.enabled { self.pool_for("outbox", OUTBOX_CONNECTIONS)? } else { None };
        Ok(pool.map(OutboxTable::of))
    }

    /// What workers need to look after the cache, where they are to: the change log over connections of its own.
    pub(crate) fn cache(
        &self,
        queues: &BTreeMap<String, Queue>,
    ) -> Result<Option<brasa_worker::cache::Settings>, Failure> {
        if !self.config.cache.enabled || self.config.warm.is_empty() {
            return Ok(None);
        }
        let queue = queues.get(Warm::POLICY.queue).cloned();
        let pool = self.pool_for("cache", CHANGES_CONNECTIONS)?;
        let settings = |(queue, pool)| brasa_worker::cache::Settings { queue, changes: ChangeLog::of(pool) };
        Ok(queue.zip(pool).map(settings))
    }

    /// What workers need to keep aggregates, where there are some.
    pub(crate) fn aggregates(&self) -> Result<Option<brasa_worker::aggregates::Settings>, Failure> {
        let pool = if self.config.aggregates.is_empty() {
            None
        } else {
            self.pool_for("aggregates", KEEPERS_CONNECTIONS)?
        };
        Ok(pool.map(|pool| brasa_worker::aggregates::Settings { store: self.store.apart(), pool }))
    }

    /// What workers need to write rows that were handed over, where there are to be any.
    pub(crate) fn writes(&self) -> Result<Option<brasa_worker::writes::Settings>, Failure> {
        let streams: u32 = self.config.writes.values().map(|write| write.partitions).sum();
        let pool =
            if streams == 0 { None } else { self.pool_for("writes", streams.min(WRITERS_CONNECTIONS))? };
        Ok(pool.map(|pool| brasa_worker::writes::Settings { store: self.store.apart(), pool }))
    }

    /// What workers need to write down what became of jobs, where that is to be done and there is a table for it.
    pub(crate) async fn history(&self) -> Result<Option<brasa_worker::history::Settings>, Failure> {
        let wanted = &self.config.history;
        let pool = if wanted.enabled == Some(false) { None } else { self.pool_of(HISTORY_CONNECTIONS)? };
        let Some(pool) = pool else { return Ok(None) };
        let rights = async { rights(&mut *pool.acquire().await?).await }.await;
        let why = match &rights {
            Ok(Some(rights)) if rights.may_write => None,
            Ok(Some(rights)) => Some(("the role may not write there".to_owned(), rights.help())),
            Ok(None) => Some(("there is no table `brasa.history`".to_owned(), "brasa migrate".to_owned())),
            Err(error) => Some((chain(error), "brasa doctor".to_owned())),
        };
        // What somebody asked for is tried on and on, and told of each time that it fails.
        let is_on = why.is_none() || (wanted.enabled == Some(true) && matches!(rights, Ok(Some(_))));
        if let Some((why, help)) = why {
            tracing::warn!(why, help, "what became of jobs is not kept; see [history]");
        }
        let (keep, room) = (wanted.keep, wanted.max_bytes);
        Ok(is_on.then_some(brasa_worker::history::Settings { pool, keep, room }))
    }

    /// What the history is told of jobs.
    pub(crate) fn telling(&self) -> Telling {
        Telling { args: self.config.history.args, leave_out: self.config.history.leave_out.clone() }
    }

    /// A pool for a replica of Postgres, if an address was given.
    pub(crate) fn replica(&self) -> Result<Option<PgPool>, Failure> {
        Ok(self.pool_at(
            self.config.postgres.replica_url.as_ref(),
            "replica",
            self.config.postgres.pool.max,
        )?)
    }

    /// The same, where the verb cannot do without.
    pub(crate) fn pool_needed(&self) -> Result<PgPool, Failure> {
        let help =
            "no address of Postgres\n  help: set DATABASE_URL, or write [postgres] url = \"${DATABASE_URL}\"";
        self.pool()?.ok_or_else(|| Failure::usage(help))
    }

    /// What handlers can reach. Cache entries have a connection of their own, for they may be large.
    pub(crate) fn reach(&self, db: Option<PgPool>) -> Result<Arc<Reach>, Failure> {
        let cache = self.store.apart();
        let reach = Reach::new(Arc::clone(&self.config), db, cache, self.clock.clone());
        Ok(Arc::new(reach.with_replica(self.replica()?).with_spans(self.spans.clone())))
    }

    /// One queue, if it is known; else all.
    pub(crate) async fn chosen_queues(
        &self,
        chosen: Option<&str>,
    ) -> Result<BTreeMap<String, Queue>, Failure> {
        let mut queues = self.all_queues().await?;
        let Some(name) = chosen else { return Ok(queues) };
        match queues.remove(name) {
            Some(queue) => Ok(BTreeMap::from([(name.to_owned(), queue)])),
            None => Err(unknown("queue", name, queues.keys())),
        }
    }
}

/// Makes sure that Postgres answers and is new enough; returns what it is.
pub(crate) async fn greet_postgres(pool: &PgPool) -> Result<String, Failure> {
    db::ping(pool).await?;
    let query = "select current_setting('server_version_num')::int, current_setting('server_version')";
    let refused = |source| DbErrorAt(db::address(pool), source).into_failure();
    let row = sqlx::query(query).fetch_one(pool).await.map_err(refused)?;
    let (number, text): (i32, String) = (row.get(0), row.get(1));
    let text = text.split(' ').next().unwrap_or_default().to_owned();
    if number < POSTGRES_MIN {
        let help = "help: upgrade it; Brasa needs 13 or newer";
        return Err(Failure::environment(format!(
            "Postgres {text} at {} is too old\n  {help}",
            db::address(pool)
        )));
    }
    Ok(format!("Postgres {text}"))
}

struct DbErrorAt(String, sqlx::Error);

impl DbErrorAt {
    fn into_failure(self) -> Failure {
        Failure::from(db::DbError::Connect { address: self.0, source: self.1 })
    }
}

/// Says that something named does not exist, and what was probably meant.
pub(crate) fn unknown<'n>(what: &str, name: &str, known: impl IntoIterator<Item = &'n String>) -> Failure {
    let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
    let help = did_you_mean(name, known.iter().copied()).unwrap_or_else(|| match known.as_slice() {
        [] => "there are none".to_owned(),
        some => format!("there are: {}", some.join(", ")),
    });
    let name = plain(&short(name, 128));
    Failure::usage(format!("there is no {what} `{name}`\n  help: {}", plain(&help)))
}

fn parse_version(text: &str) -> (u32, u32) {
    let mut parts = text.trim().split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
