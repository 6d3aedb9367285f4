//! Everything that one test needs, and nobody else touches.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs};

use brasa::servers::Scratch;
use brasa_shared::clock::{Clock, Manual};
use brasa_shared::config::Config;
use brasa_shared::queue::{Counts, Enqueued, Envelope, Fleet, JobView, Queue, State};
use brasa_shared::store::Store;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

use crate::database::{self, Database};
use crate::eventually;

/// Where a clock that a test moves begins: 2026-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Where the tests' Redis is said to be.
const REDIS: &str = "BRASA_TEST_REDIS_URL";
/// Where the tests' Postgres is said to be.
const POSTGRES: &str = "BRASA_TEST_DATABASE_URL";

/// One test's Redis prefix, database, clock and files. All of it is gone when it is dropped.
pub struct World {
    /// Begins every key of this test.
    pub prefix: String,
    /// The address of Redis.
    pub redis_url: String,
    /// A connection to Redis.
    pub store: Store,
    /// The address of this test's database.
    pub database_url: String,
    /// A pool for this test's database; connects when first used.
    pub pool: PgPool,
    /// The time in this world.
    pub clock: Clock,
    manual: Option<Manual>,
    files: OnceLock<Scratch>,
    files_count: AtomicU32,
    // Last: dropped when nothing above uses it any more.
    _database: Option<Database>,
}

impl World {
    /// A world on the machine's clock, with a database.
    ///
    /// # Panics
    /// There are no servers: the tests want to be run through `make test`.
    pub async fn new() -> Self {
        let prefix = fresh_prefix();
        let database = Database::create(&server(POSTGRES), &prefix).await;
        Self::on(server(REDIS), prefix, Some(database), None)
    }

    /// The same without a database, for what concerns Redis alone: making a database takes its time.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn of_queues() -> Self {
        Self::on(server(REDIS), fresh_prefix(), None, None)
    }

    /// The same with a time that stands still until [`Self::advance`] moves it.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn with_manual_clock() -> Self {
        Self::on(server(REDIS), fresh_prefix(), None, Some(Manual::at(NEW_YEAR)))
    }

    /// The same on another Redis, for tests that do to it what no neighbour would bear.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn on_redis(url: &str) -> Self {
        Self::on(url.to_owned(), fresh_prefix(), None, None)
    }

    /// The same with a database.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub async fn with_database_on_redis(url: &str) -> Self {
        let prefix = fresh_prefix();
        let database = Database::create(&server(POSTGRES), &prefix).await;
        Self::on(url.to_owned(), prefix, Some(database), None)
    }

    /// The same on another Postgres, too.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub async fn on_servers(redis_url: &str, postgres_url: &str) -> Self {
        let prefix = fresh_prefix();
        let database = Database::create(postgres_url, &prefix).await;
        Self::on(redis_url.to_owned(), prefix, Some(database), None)
    }

    /// A pool for another address.
    ///
    /// # Panics
    /// The address is none.
    pub fn pool_at(&self, url: &str) -> PgPool {
        database::pool(url, 16, Duration::from_secs(10))
    }

    fn on(redis_url: String, prefix: String, database: Option<Database>, manual: Option<Manual>) -> Self {
        // Whoever asks a world without a database for it is told by Postgres that there is none.
        let database_url = database
            .as_ref()
            .map_or_else(|| database::url(&server(POSTGRES), &prefix), |made| made.url.clone());
        Self {
            store: Store::open(&redis_url).expect("the address of the test's Redis"),
            pool: database::pool(&database_url, 8, Duration::from_secs(10)),
            clock: manual.clone().map_or(Clock::System, Clock::Manual),
            files: OnceLock::new(),
            files_count: AtomicU32::new(0),
            _database: database,
            database_url,
            prefix,
            redis_url,
            manual,
        }
    }

    /// Another pool for this test's database, with this many connections and this much patience. What was
    /// set for the database since the first one connected holds for this one.
    ///
    /// # Panics
    /// The address is none.
    pub fn another_pool(&self, connections_max: u32, acquire_timeout: Duration) -> PgPool {
        database::pool(&self.database_url, connections_max, acquire_timeout)
    }

    /// A queue of this world.
    pub fn queue(&self, name: &str) -> Queue {
        Queue::new(self.store.clone(), &self.prefix, name, self.clock.clone())
    }

    /// A queue of this world as it will look to everybody when `later` has passed. Scripts that are called
    /// through it believe in that time.
    pub fn queue_seen(&self, name: &str, later: Duration) -> Queue {
        let then = Manual::at(self.clock.now());
        then.advance(later);
        Queue::new(self.store.clone(), &self.prefix, name, Clock::Manual(then))
    }

    /// What the processes of this world know of one another.
    pub fn fleet(&self) -> Fleet {
        Fleet::new(self.store.clone(), &self.prefix, self.clock.clone())
    }

    /// Moves the time of this world on.
    ///
    /// # Panics
    /// It is the machine's time: make the world [`Self::with_manual_clock`].
    pub fn advance(&self, by: Duration) {
        self.manual.as_ref().expect("a world with a manual clock").advance(by);
    }

    /// A job that is not enqueued yet.
    ///
    /// # Panics
    /// `args` is not an object.
    pub fn job(&self, kind: &str, args: &Value) -> Envelope {
        Envelope::new(kind, args, self.clock.now()).expect("an envelope")
    }

    /// Enqueues a job into the queue `default`; returns its id.
    ///
    /// # Panics
    /// Redis does not take it.
    pub async fn enqueue(&self, kind: &str, args: Value) -> String {
        let job = self.job(kind, &args);
        let answer = self.queue("default").enqueue(&job).await.expect("a job is enqueued");
        assert_eq!(answer, Enqueued::New);
        job.id
    }

    /// Where a job of the queue `default` is, and everything else that is known about it.
    ///
    /// # Panics
    /// There is no such job.
    pub async fn show(&self, id: &str) -> JobView {
        let found = self.queue("default").show(id).await.expect("a look at a job");
        found.unwrap_or_else(|| panic!("there is no job `{id}`"))
    }

    /// In which state a job of the queue `default` is; none if there is no such job.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn state(&self, id: &str) -> Option<State> {
        self.queue("default").show(id).await.expect("a look at a job").map(|view| view.state)
    }

    /// Waits until a job of the queue `default` is in this state.
    ///
    /// # Panics
    /// It never is.
    pub async fn is(&self, id: &str, state: State) {
        let what = format!("the job is {state:?}");
        eventually(&what, async || self.state(id).await == Some(state)).await;
    }

    /// What a job's handler returned, once it is done.
    ///
    /// # Panics
    /// It never is.
    pub async fn result(&self, id: &str) -> Value {
        self.is(id, State::Done).await;
        self.show(id).await.outcome.and_then(|outcome| outcome.result).unwrap_or_default()
    }

    /// Why a job is in the dead letter, once it is.
    ///
    /// # Panics
    /// It never is.
    pub async fn buried(&self, id: &str) -> String {
        self.is(id, State::Dead).await;
        self.show(id).await.outcome.and_then(|outcome| outcome.reason).unwrap_or_default()
    }

    /// How many jobs of the queue `default` are where.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn counts(&self) -> Counts {
        self.queue("default").counts().await.expect("counts")
    }

    /// Says something to Redis that the engine has no word for.
    ///
    /// # Panics
    /// Redis does not do it.
    pub async fn redis<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        self.store.run("do as the test says", command).await.expect("Redis does as the test says")
    }

    /// Says something to this test's database.
    ///
    /// # Panics
    /// Postgres does not do it.
    pub async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .expect("Postgres does as the test says");
    }

    /// The same, and what it changed is counted by the server at once. By itself that may take ten seconds.
    ///
    /// # Panics
    /// As [`Self::execute`].
    pub async fn execute_counted(&self, sql: &str) {
        self.execute(&format!("{sql}; select pg_stat_force_next_flush()")).await;
    }

    /// What a query gives, as a list of JSON objects.
    ///
    /// # Panics
    /// Postgres does not answer.
    pub async fn rows(&self, query: &str) -> Value {
        let sql = format!("select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from ({query}) r");
        let text: String = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&self.pool)
            .await
            .expect("Postgres answers the test");
        serde_json::from_str(&text).expect("rows as JSON")
    }

    /// The configuration that `text` makes in this world: its prefix and its addresses are filled in.
    ///
    /// # Panics
    /// The text has problems; the message lists them.
    pub fn config(&self, text: &str) -> Config {
        let variable = |name: &str| match name {
            "REDIS_URL" => Some(self.redis_url.clone()),
            "DATABASE_URL" => Some(self.database_url.clone()),
            _ => None,
        };
        let parsed = Config::parse(&self.prefixed(text), Path::new("brasa.toml"), &variable);
        parsed.unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Writes the same text into a file for a process of this world, with the prefix filled in. The
    /// addresses belong into the process' environment: `REDIS_URL` and `DATABASE_URL`.
    ///
    /// # Panics
    /// The disk is full, or the like.
    pub fn write_config(&self, text: &str) -> PathBuf {
        let name = format!("brasa-{}.toml", self.files_count.fetch_add(1, Ordering::Relaxed));
        let path = self.folder().join(name);
        fs::write(&path, self.prefixed(text)).expect("a configuration is written");
        path
    }

    /// A folder for the files of this test.
    ///
    /// # Panics
    /// There is no place for one.
    pub fn folder(&self) -> &Path {
        self.files.get_or_init(|| Scratch::new().expect("a scratch folder")).path()
    }

    /// The text with `[redis] prefix`: in the section that it has, or in one behind everything else, where it
    /// moves no line.
    fn prefixed(&self, text: &str) -> String {
        let section = format!("[redis]\nprefix = \"{}\"", self.prefix);
        match text.split_once("[redis]") {
            Some((before, after)) => format!("{before}{section}{after}"),
            None => format!("{text}\n{section}\n"),
        }
    }
}

fn fresh_prefix() -> String {
    format!("t-{:016x}", rand::random::<u64>())
}

fn server(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!("these tests need a Redis and a Postgres of their own: run through `make test` ({variable} is not set)")
    })
}
