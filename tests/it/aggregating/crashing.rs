//! Storms of changes while workers are killed: in no snapshot is anything lost or doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brasa_tests::process::Brasa;
use brasa_tests::{World, eventually};
use rand::RngExt as _;
use sqlx::AssertSqlSafe;

use super::{CONFIG, NAMES, differences, installed, is_exact, scene, settled, version};

/// One who writes: transactions of some statements, some of which are taken back, in whole or in part.
async fn storm(pool: sqlx::PgPool, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let (sql, ends) = {
            let mut random = rand::rng();
            let mut sql = "begin".to_owned();
            for _ in 0..random.random_range(1..4) {
                let (day, branch, n) =
                    (random.random_range(0..40), random.random_range(0..5), random.random_range(1..30));
                let at = format!("timestamptz '2026-03-01Z' + interval '1 hour' * {}", day * 24 + n);
                let id = random.random_range(1..4_000);
                let statement = match random.random_range(0..7) {
                    0..=2 => format!(
                        "insert into sales (at, shop, kind, units, total) select {at}, 'shop{branch}', x % 2, x, x / 7.0 from \
                         generate_series(1, {n}) x"
                    ),
                    3 => format!(
                        "update sales set units = units + 1, total = total - 0.01 where id between {id} and {id} + {n}"
                    ),
                    4 => format!(
                        "update sales set shop = 'moved', at = {at} where id between {id} and {id} + 3"
                    ),
                    5 => format!("delete from sales where id between {id} and {id} + 2"),
                    _ => format!(
                        "savepoint s; insert into sales (at, shop) values ({at}, 'never'); rollback to savepoint s"
                    ),
                };
                sql = format!("{sql}; {statement}");
            }
            let ends = random.random_range(0..20) > 0;
            (sql, ends)
        };
        let end = if ends { "commit" } else { "rollback" };
        let outcome = sqlx::raw_sql(AssertSqlSafe(format!("{sql}; {end}"))).execute(&pool).await;
        // Two of them may lock rows in a circle; one of them is told to go.
        if outcome.is_err() {
            let _taken_back = sqlx::raw_sql("rollback").execute(&pool).await;
        }
        done.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_workers_are_killed_every_snapshot_is_exact() {
    let world = scene().await;
    let config = world.config(CONFIG);
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let storms: Vec<_> = (0..4)
        .map(|_| {
            let pool = world.another_pool(1, Duration::from_secs(10));
            tokio::spawn(storm(pool, Arc::clone(&stop), Arc::clone(&done)))
        })
        .collect();
    for name in NAMES {
        installed(&world, &config, name).await;
    }
    let brasa = Brasa::configured(&world, CONFIG);
    for round in 0..5 {
        let mut worker = brasa.start(["worker"]);
        let life = Duration::from_millis(rand::rng().random_range(500..1_500));
        let until = tokio::time::Instant::now() + life;
        while tokio::time::Instant::now() < until {
            look(&world, round).await;
        }
        worker.kill().await;
    }
    let _worker = brasa.start(["worker"]);
    for name in NAMES {
        eventually(&format!("{name} is shown"), async || {
            version(&world, name).await.state == brasa_shared::db::aggregates::State::Live
        })
        .await;
    }
    look(&world, 5).await;
    stop.store(true, Ordering::Relaxed);
    for storm in storms {
        storm.await.unwrap();
    }
    for name in NAMES {
        settled(&world, name).await;
        is_exact(&world, name).await;
    }
    assert!(done.load(Ordering::Relaxed) > 100, "there was a storm");
    assert!(version(&world, "daily").await.done.rows > 100, "and it was moved");
}

/// While it is built, what is shown is exact as far as it is built.
async fn look(world: &World, round: u32) {
    let mut connection = world.pool.acquire().await.unwrap();
    for name in NAMES {
        if version(world, name).await.state == brasa_shared::db::aggregates::State::Live {
            let found = differences(&mut connection, name).await;
            assert!(found.is_empty(), "round {round}: {found:#?}");
        }
    }
}
