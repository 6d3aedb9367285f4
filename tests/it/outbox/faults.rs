//! Workers that are killed, a Redis that is away, connections that break.
//!
//! `BRASA_LONG=1` makes for as many kills as the project promises to survive; the suite makes do with fewer.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_jobs::Catalog;
use brasa_shared::queue::{Keep, Queue, State};
use brasa_shared::store::Store;
use brasa_tests::ledger::{self, Ledger};
use brasa_tests::process::{Brasa, is_long, within};
use brasa_tests::{Proxy, Worker, eventually};
use serde_json::json;

use super::{BUSY, DEAF_TO_TIME, Scene, enqueue};

/// How long anything here may take at most.
const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn every_committed_row_runs_and_no_other_when_workers_are_killed_while_they_relay() {
    let rounds: u32 = if is_long() { 500 } else { 30 };
    let scene = Scene::new().await;
    let ledger = Ledger::create(scene.pool()).await;
    let config = format!(
        "[worker]\nconcurrency = 10\nlease = \"1s\"\ncrashes_max = 100\n[queues.default]\nkeep_done = {{ count = 100000, age = \"1h\" }}\n{}",
        ledger::STATEMENT
    );
    let brasa = Brasa::configured(&scene.world, &config);
    let args = |n: u32| json!({ "name": "ledger", "n": n, "seconds": 0 });

    for round in 0..rounds {
        let mut worker = brasa.start(["worker"]);
        // Some are there when it begins, and the others come while it relays.
        for n in 0..10 {
            enqueue(scene.pool(), "sql.run", &args(round * 10 + n)).await;
            let mut transaction = scene.pool().begin().await.unwrap();
            let call = "select brasa.enqueue('sql.run', $1::text::jsonb)";
            let undone = args(rounds * 10 + n).to_string();
            sqlx::query(call).bind(undone).execute(&mut *transaction).await.unwrap();
            transaction.rollback().await.unwrap();
            let pause = Duration::from_micros(rand::random_range(0..20_000));
            tokio::time::sleep(pause).await;
        }
        worker.kill().await;
    }

    let _worker = brasa.start(["worker"]);
    within(LIMIT, "every committed row has run", async || {
        ledger.missing(rounds * 10).await.is_empty().then_some(())
    })
    .await;
    // What a killed worker did not record is found by looking, while Redis remembers how the job ended: it is to
    // keep as many as the others do.
    let keep = Keep { count: 100_000, age_ms: 3_600_000, bytes: 0 };
    let mut settings = scene.settings(Catalog::default(), BUSY);
    settings.queues = vec![(scene.queue.clone().keeping(keep, keep), 1)];
    let reconciler = Worker::start(settings);
    within(LIMIT, "the outbox is empty", async || (scene.rows().await == 0).then_some(())).await;
    // A connection that is just being made would keep the database from being dropped.
    reconciler.drain().await;
    let runs = ledger.runs().await;
    assert!(runs.iter().all(|run| run.n < i64::from(rounds * 10)), "what was rolled back never runs");
    let total = u64::from(rounds * 10);
    assert_eq!(scene.total("enqueued").await, total, "no row became two jobs");
    let repeated = ledger.repeated().await.len();
    println!("{rounds} kills over {total} rows: none lost, {repeated} ran twice");
}

#[tokio::test]
async fn writers_write_while_redis_is_away_and_everything_runs_when_it_is_back() {
    let mut redis = RedisServer::start(RedisOptions::default()).unwrap();
    let scene = Scene::on_redis(redis.url()).await;
    let worker = scene.worker(BUSY);
    let first = enqueue(scene.pool(), "test.echo", &json!({})).await;
    eventually("the first is done", async || scene.queue.show(&first).await.unwrap().is_some()).await;
    redis.kill().unwrap();

    for _ in 0..200 {
        enqueue(scene.pool(), "test.echo", &json!({})).await;
    }
    assert!(scene.rows().await >= 200);
    assert!(worker.lives());
    redis.restart().unwrap();

    within(LIMIT, "everything has run", async || (scene.rows().await == 0).then_some(())).await;
    assert_eq!(scene.total("enqueued").await, 201);
    worker.drain().await;
}

#[tokio::test]
async fn rows_wait_while_redis_is_full() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let scene = Scene::on_redis(redis.url()).await;
    let limit = async |bytes: &str| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory").arg(bytes);
        scene.queue.store().run::<()>("be limited", &command).await.unwrap();
    };
    limit("1").await;
    let worker = scene.worker(BUSY);
    let id = enqueue(scene.pool(), "test.echo", &json!({})).await;
    let refused = "an attempt was refused";
    eventually(refused, async || {
        let mut info = redis::cmd("INFO");
        let stats: String = scene.queue.store().run("say", info.arg("errorstats")).await.unwrap();
        stats.contains("errorstat_OOM")
    })
    .await;
    assert_eq!(scene.rows().await, 1);

    limit("0").await;

    scene.is_empty().await;
    assert_eq!(scene.queue.show(&id).await.unwrap().unwrap().state, State::Done);
    worker.drain().await;
}

#[tokio::test]
async fn a_relay_that_hangs_on_redis_keeps_no_rows_from_the_others() {
    let scene = Scene::new().await;
    let proxy = Proxy::to(&scene.world.redis_url).await;
    let store = Store::open(&proxy.url()).unwrap();
    let mut settings = scene.settings(Catalog::default(), BUSY);
    let queue = Queue::new(store, &scene.world.prefix, "default", scene.world.clock.clone());
    settings.outbox.as_mut().unwrap().queues = vec![queue];
    let hanging = Worker::start(settings);
    let id = enqueue(scene.pool(), "test.echo", &json!({})).await;
    scene.world.is(&id, State::Waiting).await;
    proxy.freeze();
    let stuck = enqueue(scene.pool(), "test.echo", &json!({})).await;
    let held = "select count(*) from (select from brasa.outbox for update skip locked) as free";
    eventually("the hanging relay holds a row", async || super::count(scene.pool(), held).await < 2).await;

    let worker = scene.worker(BUSY);
    let other = enqueue(scene.pool(), "test.echo", &json!({})).await;
    scene.world.is(&other, State::Done).await;
    scene.world.is(&stuck, State::Done).await;

    proxy.thaw();
    scene.is_empty().await;
    assert_eq!(scene.total("enqueued").await, 3);
    worker.drain().await;
    hanging.drain().await;
}

#[tokio::test]
async fn a_worker_whose_connections_to_postgres_are_cut_relays_and_listens_again() {
    let scene = Scene::new().await;
    let worker = scene.worker(DEAF_TO_TIME);
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    for _ in 0..3 {
        let id = enqueue(scene.pool(), "test.echo", &json!({})).await;
        scene.world.is(&id, State::Done).await;
        let mut connection = scene.pool().acquire().await.unwrap();
        sqlx::query(cut).execute(&mut *connection).await.unwrap();
    }

    let id = enqueue(scene.pool(), "test.echo", &json!({})).await;
    scene.world.is(&id, State::Done).await;

    assert!(worker.lives());
    worker.drain().await;
}
