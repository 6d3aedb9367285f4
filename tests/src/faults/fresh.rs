//! Values that are read, written and invalidated all at once, from the primary or from a replica that lags, while Redis
//! forgets everything in the middle. What a plain cache would have made of the same is beside it, so that the case can
//! be seen to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brasa::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use brasa_jobs::Reach;
use brasa_shared::cache::{Asking, Caches, Entry, params_of};
use brasa_shared::db::changes::{ChangeLog, Dependency, triggers};
use brasa_shared::db::migrate;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::{LIMIT, Plan, Report};
use crate::process::within;
use crate::{Worker, World};

/// Keys of one round.
const KEYS: i32 = 1_000;
/// Keys that are read as soon as they were written for the last time.
const LAST: i32 = 20;
/// How long writers write.
const WRITING: Duration = Duration::from_secs(4);
/// How long readers go on reading after that.
const READING: Duration = Duration::from_secs(1);
/// How many write, and how many read of each cache.
const WRITERS: u64 = 10;
const READERS: u64 = 4;
/// How far the replica lags behind.
const LAG: &str = "150ms";

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let fast = PostgresOptions { fsync: false, ..PostgresOptions::default() };
    let primary = PostgresServer::start(fast.clone()).expect("a primary");
    let lag = vec![("recovery_min_apply_delay".to_owned(), LAG.to_owned())];
    let standby = primary.standby(PostgresOptions { extra: lag, ..fast }).expect("a standby");
    let redis = RedisServer::start(RedisOptions::default()).expect("a Redis");
    let world = Arc::new(World::on_servers(redis.url(), &primary.url("postgres")).await);
    let replica = world.pool_at(&standby.url(&world.prefix));
    prepare(&world).await;
    let (mut compared, mut stale, mut blind) = (0, 0, (0, 0));
    for round in 0..plan.rounds {
        let scene = Scene {
            world: Arc::clone(&world),
            replica: replica.clone(),
            from_replica: round % 2 == 0,
            first: i32::try_from(round).expect("few rounds") * KEYS,
            is_quiet: Arc::default(),
            is_over: Arc::default(),
        };
        let seed = plan.dice.random();
        let found = scene.play(seed).await;
        compared += found.cached;
        stale += found.stale;
        if scene.from_replica {
            blind = (blind.0 + found.blind_cached, blind.1 + found.blind_stale);
        }
        let enough = usize::try_from(KEYS / 5).expect("a number of keys");
        report.demand(found.cached > enough, format!("only {} keys were cached", found.cached));
        for example in found.examples {
            report.demand(false, example);
        }
    }
    report.demand(blind.1 > 0, "a plain cache left nothing stale: that proves nothing");
    report.note(format!("{stale} of {compared} cached values were stale once everything had settled"));
    report.note(format!("from a replica {LAG} behind, a plain cache left {} of {} stale", blind.1, blind.0));
    report
}

async fn prepare(world: &World) {
    migrate(&world.pool).await.expect("schema brasa");
    let table = "create table items (id int primary key, v int not null)";
    sqlx::query(table).execute(&world.pool).await.expect("a table");
    let rows = "insert into items select n, 0 from generate_series(0, 200000) n";
    sqlx::query(rows).execute(&world.pool).await.expect("rows");
    let mut connection = world.pool.acquire().await.expect("a connection");
    let dependency = Dependency::parse("items(id)").expect("a dependency");
    triggers::install(&mut connection, &[dependency], LIMIT).await.expect("triggers");
}

/// One round: its keys, and whether the replica is read.
struct Scene {
    world: Arc<World>,
    replica: PgPool,
    from_replica: bool,
    first: i32,
    /// Nobody writes any more.
    is_quiet: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

/// What was left at the end.
#[derive(Default)]
struct Found {
    cached: usize,
    stale: usize,
    blind_cached: usize,
    blind_stale: usize,
    examples: Vec<String>,
}

impl Scene {
    async fn play(&self, seed: u64) -> Found {
        let workers = [self.worker(), self.worker()];
        let mut tasks = JoinSet::new();
        for n in 0..WRITERS {
            tasks.spawn(self.actor(seed + n, &self.is_quiet).write());
        }
        for n in 0..READERS {
            tasks.spawn(self.actor(seed + 100 + n, &self.is_over).read());
            tasks.spawn(self.actor(seed + 200 + n, &self.is_over).read_blindly());
        }
        tokio::time::sleep(WRITING / 2).await;
        self.world.redis::<String>(&redis::cmd("FLUSHALL")).await;
        tokio::time::sleep(WRITING / 2).await;
        self.is_quiet.store(true, Ordering::Relaxed);
        self.write_and_read_at_once(seed + 300).await;
        // What nobody writes any more is read for a while: that is when a stale value would get stuck.
        tokio::time::sleep(READING).await;
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.expect("an actor ends in good order");
        }
        self.settled().await;
        for worker in workers {
            worker.drain().await;
        }
        self.compare().await
    }

    /// What chance brings about too seldom on a busy machine: a key is written for the last time, and read by both
    /// kinds of readers before the replica knows.
    async fn write_and_read_at_once(&self, seed: u64) {
        let mut last = self.actor(seed, &self.is_over);
        for id in self.first..self.first + LAST {
            last.write_one(id).await;
            last.read_one(id).await;
            last.read_one_blindly(id).await;
        }
    }

    /// A worker with the warmer, and no jobs to speak of.
    fn worker(&self) -> Worker {
        let from = if self.from_replica { "replica" } else { "primary" };
        let config = format!(
            "[warm.item]\nsql = \"select id, jsonb_build_object('v', v) as value from items where id = any($1)\"\n\
             params = [\"id\"]\nkey = \"{}:item:{{id}}\"\nttl = \"1h\"\ndepends_on = [\"items(id)\"]\n\
             fill_from = \"{from}\"\nwarm_on = []\n",
            self.world.prefix
        );
        let mut settings = self.world.settings(brasa_jobs::catalog(), &config);
        let reach = Reach::clone(&settings.reach).with_replica(Some(self.replica.clone()));
        settings.reach = Arc::new(reach);
        settings.cache = Some(brasa_worker::cache::Settings {
            queue: self.world.queue("default"),
            changes: ChangeLog::of(self.world.another_pool(2, LIMIT)),
        });
        Worker::start(settings)
    }

    fn actor(&self, seed: u64, until: &Arc<AtomicBool>) -> Actor {
        Actor {
            world: Arc::clone(&self.world),
            source: if self.from_replica { self.replica.clone() } else { self.world.pool.clone() },
            first: self.first,
            until: Arc::clone(until),
            dice: StdRng::seed_from_u64(seed),
        }
    }

    /// Waits until every change has been told, and nobody loads anything any more.
    async fn settled(&self) {
        let log = ChangeLog::of(self.world.pool.clone());
        within(LIMIT, "all changes are told", async || {
            log.is_empty().await.is_ok_and(|is_empty| is_empty).then_some(())
        })
        .await;
        let caches = caches(&self.world);
        let namespace = caches.namespace("item");
        within(LIMIT, "nothing is loaded any more", async || {
            let extent = namespace.extent().await.ok()?;
            let mut busy = extent.asked > 0;
            for id in self.first..self.first + KEYS {
                busy |= caches
                    .look(&entry(&self.world, id).key)
                    .await
                    .ok()?
                    .lease
                    .is_some_and(|(_, until)| until > self.world.clock.now().as_millisecond());
            }
            (!busy).then_some(())
        })
        .await;
    }

    async fn compare(&self) -> Found {
        let truth: Vec<(i32, i32)> =
            sqlx::query_as("select id, v from items where id >= $1 and id < $2 order by id")
                .bind(self.first)
                .bind(self.first + KEYS)
                .fetch_all(&self.world.pool)
                .await
                .expect("the truth");
        let mut found = Found::default();
        for (id, v) in truth {
            let ours: Option<String> =
                self.world.redis(redis::cmd("GET").arg(entry(&self.world, id).key)).await;
            let plain: Option<String> =
                self.world.redis(redis::cmd("GET").arg(blind_key(&self.world, id))).await;
            if let Some(text) = ours {
                found.cached += 1;
                if text != format!("{{\"v\": {v}}}") {
                    found.stale += 1;
                    let look = caches(&self.world).look(&entry(&self.world, id).key).await;
                    found.examples.push(format!("item {id} is {v} and the cache says {text}: {look:?}"));
                }
            }
            if let Some(text) = plain {
                found.blind_cached += 1;
                found.blind_stale += usize::from(text != v.to_string());
            }
        }
        found
    }
}

fn caches(world: &World) -> Caches {
    Caches::new(world.store.clone(), &world.prefix, world.clock.clone())
}

fn entry(world: &World, id: i32) -> Entry {
    Entry { key: format!("{}:item:{id}", world.prefix), params: params_of(&[id.to_string()]) }
}

fn blind_key(world: &World, id: i32) -> String {
    format!("{}:blind:{id}", world.prefix)
}

/// Somebody who does one thing again and again until it is over.
struct Actor {
    world: Arc<World>,
    source: PgPool,
    first: i32,
    until: Arc<AtomicBool>,
    dice: StdRng,
}

impl Actor {
    fn goes_on(&self) -> bool {
        !self.until.load(Ordering::Relaxed)
    }

    fn any(&mut self) -> i32 {
        self.first + self.dice.random_range(0..KEYS)
    }

    /// Writes in transactions of all kinds, and tells the plain cache, as applications do, after the commit.
    async fn write(mut self) {
        while self.goes_on() {
            let (id, other) = (self.any(), self.any());
            let mut transaction = self.world.pool.begin().await.expect("a transaction");
            let update = "update items set v = v + 1 where id = $1";
            sqlx::query(update).bind(id).execute(&mut *transaction).await.expect("a row is written");
            if self.dice.random_bool(0.2) {
                // What happens below a savepoint that is given up did not happen.
                sqlx::query("savepoint s").execute(&mut *transaction).await.expect("a savepoint");
                let never = "update items set v = -1
                    where id = (select id from items where id = $1 for update skip locked)";
                sqlx::query(never).bind(other).execute(&mut *transaction).await.expect("a row is written");
                sqlx::query("rollback to savepoint s").execute(&mut *transaction).await.expect("rolled back");
            }
            if self.dice.random_bool(0.2) {
                tokio::time::sleep(Duration::from_millis(self.dice.random_range(0..30))).await;
            }
            if self.dice.random_bool(0.1) {
                transaction.rollback().await.expect("rolled back");
                continue;
            }
            transaction.commit().await.expect("committed");
            self.world.redis::<i64>(redis::cmd("DEL").arg(blind_key(&self.world, id))).await;
            tokio::time::sleep(Duration::from_millis(self.dice.random_range(0..20))).await;
        }
    }

    /// Writes one row, and tells the plain cache.
    async fn write_one(&self, id: i32) {
        let update = sqlx::query("update items set v = v + 1 where id = $1").bind(id);
        update.execute(&self.world.pool).await.expect("a row is written");
        self.world.redis::<i64>(redis::cmd("DEL").arg(blind_key(&self.world, id))).await;
    }

    /// Reads with the whole protocol.
    async fn read(mut self) {
        while self.goes_on() {
            let id = self.any();
            self.read_one(id).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn read_one(&mut self, id: i32) {
        let namespace = caches(&self.world).namespace("item");
        let token = format!("r{}", self.dice.random::<u64>());
        let asking = Asking { token: Some(&token), lease: Duration::from_secs(3), is_counted: false, hot: 0 };
        namespace.read(&entry(&self.world, id), asking).await.expect("a read");
    }

    /// Reads as a plain cache is read: what is missing is loaded and put there.
    async fn read_blindly(mut self) {
        while self.goes_on() {
            let id = self.any();
            self.read_one_blindly(id).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn read_one_blindly(&mut self, id: i32) {
        let key = blind_key(&self.world, id);
        let there: Option<String> = self.world.redis(redis::cmd("GET").arg(&key)).await;
        if there.is_some() {
            return;
        }
        // A replica may not have heard of it yet.
        let found = sqlx::query_scalar("select v from items where id = $1").bind(id);
        let found: Option<i32> = found.fetch_optional(&self.source).await.expect("an answer");
        let Some(v) = found else { return };
        tokio::time::sleep(Duration::from_millis(self.dice.random_range(0..10))).await;
        self.world.redis::<String>(redis::cmd("SET").arg(&key).arg(v)).await;
    }
}
