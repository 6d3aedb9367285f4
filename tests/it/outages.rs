//! What workers and jobs make of a Redis or a Postgres that goes away, stands still and comes back.
//!
//! Each test has a server of its own to be rough with. `BRASA_LONG=1` makes for as many restarts as the
//! project promises to survive; the suite makes do with fewer.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use brasa::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use brasa_shared::queue::Queue;
use brasa_shared::store::Store;
use brasa_tests::World;
use brasa_tests::ledger::{self, Ledger};
use brasa_tests::process::{Brasa, Signal, http_get, is_long, within};

/// How long anything here may take at most.
const LIMIT: Duration = Duration::from_mins(2);

/// A world whose Redis is its own.
struct Scene {
    redis: RedisServer,
    queue: Queue,
    brasa: Brasa,
    ledger: Ledger,
    _world: World,
}

impl Scene {
    async fn new(jobs: u32, options: RedisOptions) -> Self {
        let world = World::new().await;
        let redis = RedisServer::start(options).unwrap();
        let ledger = Ledger::create(&world.pool).await;
        let config = format!(
            "[worker]\nconcurrency = 10\nshutdown_grace = \"1s\"\n[queues.default]\nkeep_done = {{ count = {jobs}, age = \"1h\" }}\n{}",
            ledger::STATEMENT
        );
        let brasa = Brasa::configured(&world, &config).env("REDIS_URL", redis.url());
        let store = Store::open(redis.url()).unwrap();
        let queue = Queue::new(store, &world.prefix, "default", world.clock.clone());
        Ledger::enqueue(&queue, jobs, 0.02).await.unwrap();
        Self { redis, queue, brasa, ledger, _world: world }
    }

    /// Waits until as many jobs are done.
    async fn done(&self, count: u64) {
        within(LIMIT, "enough jobs are done", async || {
            (self.queue.counts().await.unwrap().done >= count).then_some(())
        })
        .await;
    }

    /// Waits until everything is done, and makes sure that nothing is lost.
    async fn nothing_is_lost(&self, jobs: u32) {
        self.done(jobs.into()).await;
        assert_eq!(self.ledger.missing(jobs).await, Vec::<i64>::new());
        let counts = self.queue.counts().await.unwrap();
        assert_eq!((counts.open(), counts.dead), (0, 0), "{counts:?}");
    }
}

#[tokio::test]
async fn no_job_is_lost_and_no_worker_ends_when_redis_is_killed_and_restarted_under_load() {
    let restarts: u32 = if is_long() { 20 } else { 3 };
    let jobs = 400 * restarts;
    let mut scene = Scene::new(jobs, RedisOptions::default()).await;
    let mut worker = scene.brasa.start(["worker"]);

    for restart in 0..restarts {
        scene.done(u64::from(400 * restart + rand::random_range(50..300))).await;
        scene.redis.kill().unwrap();
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..1_500))).await;
        assert!(worker.is_running(), "{}", worker.log());
        scene.redis.restart().unwrap();
    }

    scene.nothing_is_lost(jobs).await;
    assert!(worker.is_running(), "{}", worker.log());
    let repeated = scene.ledger.repeated().await.len();
    println!("{restarts} restarts of Redis over {jobs} jobs: none lost, {repeated} ran twice");
}

#[tokio::test]
async fn a_redis_that_stands_still_for_a_moment_delays_jobs_and_repeats_none() {
    stand_still(Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_redis_that_stands_still_for_longer_than_a_command_may_take_repeats_none_either() {
    stand_still(Duration::from_millis(6_500)).await;
}

async fn stand_still(pause: Duration) {
    let scene = Scene::new(400, RedisOptions::default()).await;
    let mut worker = scene.brasa.start(["worker"]);
    scene.done(50).await;

    assert!(Signal::Stop.send(scene.redis.pid()));
    tokio::time::sleep(pause).await;
    assert!(worker.is_running(), "{}", worker.log());
    assert!(Signal::Continue.send(scene.redis.pid()));

    scene.nothing_is_lost(400).await;
    assert!(worker.is_running(), "{}", worker.log());
    assert!(scene.ledger.repeated().await.is_empty(), "leases outlast it");
}

#[tokio::test]
async fn jobs_are_tried_again_when_postgres_is_killed_and_restarted_under_load() {
    let mut postgres = PostgresServer::start(PostgresOptions { fsync: false, extra: Vec::new() }).unwrap();
    let mut scene = Scene::new(600, RedisOptions::default()).await;
    let pool = sqlx::PgPool::connect(&postgres.url("postgres")).await.unwrap();
    scene.ledger = Ledger::create(&pool).await;
    let mut worker = scene.brasa.clone().env("DATABASE_URL", postgres.url("postgres")).start(["worker"]);

    for done in [100, 300] {
        scene.done(done).await;
        postgres.kill().unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(worker.is_running(), "{}", worker.log());
        postgres.restart().unwrap();
    }

    scene.nothing_is_lost(600).await;
    assert!(worker.is_running(), "{}", worker.log());
    assert!(scene.queue.counts().await.unwrap().totals["retried"] > 0, "the outage hit jobs that ran");
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_waited_for() {
    // A millisecond for each command that it reads back makes longer than a person would wait.
    let extra = vec![("key-load-delay".to_owned(), "1200".to_owned())];
    let mut scene = Scene::new(1_600, RedisOptions { extra, ..RedisOptions::default() }).await;
    let mut early = scene.brasa.start(["worker"]);
    scene.done(100).await;

    scene.redis.kill().unwrap();
    let port = scene.redis.port();
    let mut redis = scene.redis;
    let restarting = tokio::task::spawn_blocking(move || redis.restart().map(|()| redis));
    within(LIMIT, "Redis says that it is loading", async || is_loading(port).then_some(())).await;
    let mut late = scene.brasa.start(["worker"]);
    scene.redis = restarting.await.unwrap().unwrap();

    scene.nothing_is_lost(1_600).await;
    assert!(early.is_running(), "{}", early.log());
    assert!(late.is_running(), "{}", late.log());
}

/// Whether the Redis on this port says that it is loading its data.
fn is_loading(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer == *b"-LOADING")
}

#[tokio::test]
async fn a_worker_is_ready_while_it_can_claim_and_not_ready_while_redis_is_away() {
    let mut scene = Scene::new(1, RedisOptions::default()).await;
    let worker = scene.brasa.start(["worker", "--listen", "127.0.0.1:0"]);
    let address = worker.address().await;
    let ready = async |status: u16| {
        within(LIMIT, "readiness turns", async || {
            http_get(address, "/ready").await.filter(|answer| answer.0 == status)
        })
        .await
        .1
    };
    let health = async || scene.brasa.run(["health", "--listen", &address.to_string()]).await;
    assert_eq!(ready(200).await, "ready\n");
    assert_eq!(health().await.with_code(0).stdout, "ready\n");

    scene.redis.kill().unwrap();
    let said = ready(503).await;
    assert!(said.contains("claiming"), "{said}");
    assert!(health().await.with_code(1).stderr.contains("is not ready: no progress lately: claiming"));
    assert_eq!(http_get(address, "/live").await.unwrap(), (200, "live\n".to_owned()));
    let (_, metrics) = http_get(address, "/metrics").await.unwrap();
    assert!(metrics.contains("brasa_redis_faults_total{at=\"claim\"}"), "{metrics}");

    scene.redis.restart().unwrap();
    assert_eq!(ready(200).await, "ready\n");
}

#[tokio::test]
async fn a_worker_can_be_ended_while_redis_is_away() {
    let mut scene = Scene::new(10, RedisOptions::default()).await;
    let worker = scene.brasa.start(["worker"]);
    scene.done(10).await;
    scene.redis.kill().unwrap();

    worker.signal(Signal::Terminate);
    let _ended = worker.ended(Duration::from_secs(15)).await.with_code(0);
}

#[tokio::test]
async fn jobs_whose_outcome_could_not_be_told_keep_a_worker_from_ending_for_a_moment_only() {
    let mut scene = Scene::new(1, RedisOptions::default()).await;
    scene.queue.enqueue_all(&Ledger::jobs(&scene.queue, 5, 5.0)).await.unwrap();
    let worker = scene.brasa.start(["worker"]);
    within(LIMIT, "the jobs run", async || (scene.queue.counts().await.unwrap().running == 5).then_some(()))
        .await;
    scene.redis.kill().unwrap();

    worker.signal(Signal::Terminate);
    let ended = worker.ended(Duration::from_secs(30)).await.with_code(0);

    assert!(ended.stderr.contains("are left to their leases"), "{ended:?}");
    scene.redis.restart().unwrap();
    assert_eq!(scene.queue.counts().await.unwrap().running, 5);
}
