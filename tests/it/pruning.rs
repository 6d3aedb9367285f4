//! Rows that have expired.

use brasa_jobs::catalog;
use brasa_jobs::database::{Batches, parts};
use brasa_tests::process::Brasa;
use brasa_tests::{Worker, World};
use serde_json::json;

const CONFIG: &str = r#"
[maintenance.prune.sessions]
table = "sessions"
where = "expires_at < now()"
order_by = "expires_at"
pause = "0s"
"#;

/// A world with so many sessions, every tenth of which has not expired.
async fn scene(count: u32) -> World {
    let world = World::new().await;
    world
        .execute(&format!(
            "create table sessions (id int, expires_at timestamptz not null);
             create index on sessions (expires_at);
             insert into sessions select n, now() + case when n % 10 = 0 then interval '1 day' else n * interval '-1 minute' end
             from generate_series(1, {count}) n"
        ))
        .await;
    world
}

async fn left(world: &World) -> serde_json::Value {
    world
        .rows("select count(*) as n, count(*) filter (where expires_at < now()) as expired from sessions")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_deletes_what_has_expired_and_nothing_else() {
    let world = scene(20_000).await;
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    let prune = world.enqueue("db.prune", json!({ "name": "sessions" })).await;
    let result = world.result(&prune).await;
    assert_eq!(result["rows"], 18_000);
    assert!(result["batches"].as_u64().unwrap() >= 4, "{result}");
    assert_eq!(left(&world).await, json!([{ "n": 2_000, "expired": 0 }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_somebody_holds_are_passed_over_and_gone_the_next_time() {
    let world = scene(1_000).await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("select * from sessions where id = 7 for update").execute(&mut *holder).await.unwrap();
    let config = world.config(CONFIG);
    let prune = &config.maintenance.prune["sessions"];
    let mut connection = world.pool.acquire().await.unwrap();
    let mut batches = Batches::new(prune);
    while batches.step(&mut connection, &prune.table).await.unwrap().is_some() {}
    assert_eq!(batches.done.rows, 899, "nobody was waited for");
    holder.rollback().await.unwrap();
    assert!(batches.step(&mut connection, &prune.table).await.unwrap().is_some());
    assert_eq!(left(&world).await, json!([{ "n": 100, "expired": 0 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_as_large_as_its_time_allows_and_the_oldest_go_first() {
    let world = scene(1_000).await;
    // Each row takes a millisecond to go.
    world
        .execute(
            "create function slowly() returns trigger language plpgsql as
                 $$ begin perform pg_sleep(0.001); return old; end $$;
             create trigger slowly before delete on sessions for each row execute function slowly()",
        )
        .await;
    let config = world.config(&CONFIG.replace("pause", "budget = \"20ms\"\npause"));
    let prune = &config.maintenance.prune["sessions"];
    let mut connection = world.pool.acquire().await.unwrap();
    let mut batches = Batches::new(prune);
    let mut sizes = Vec::new();
    for _ in 0..8 {
        batches.step(&mut connection, &prune.table).await.unwrap();
        sizes.push(batches.last);
    }
    assert_eq!(sizes[0], 100, "the first is a guess");
    assert!(sizes[5..].iter().all(|size| *size <= 25), "{sizes:?}");
    let oldest = world.rows("select max(id) as n from sessions where expires_at < now()").await;
    let gone: u64 = sizes.iter().sum();
    assert!(oldest[0]["n"].as_u64().unwrap() < 1_000 - gone, "{oldest} after {gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_table_are_pruned_each_by_itself() {
    let world = World::new().await;
    world
        .execute(
            "create table sessions (id int, expires_at timestamptz) partition by range (id);
             create table s1 partition of sessions for values from (0) to (500);
             create table s2 partition of sessions for values from (500) to (2000);
             insert into sessions select n, now() + case when n < 500 then interval '1 day' else interval '-1 day' end
             from generate_series(1, 999) n",
        )
        .await;
    let config = world.config(CONFIG);
    let prune = &config.maintenance.prune["sessions"];
    let mut connection = world.pool.acquire().await.unwrap();
    let mut batches = Batches::new(prune);
    for part in parts(&mut connection, prune).await.unwrap() {
        while batches.step(&mut connection, &part).await.unwrap().is_some() {}
    }
    // Rows of two parts have the same places in them.
    assert_eq!((batches.done.rows, left(&world).await), (500, json!([{ "n": 499, "expired": 0 }])));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_counts_and_deletes_only_when_it_is_told_to() {
    let world = scene(500).await;
    let brasa = Brasa::configured(&world, CONFIG);
    let counted = brasa.run(["db", "prune"]).await.with_code(0).stdout;
    assert!(counted.contains("sessions: 450 row(s)") && counted.contains("--yes deletes them"), "{counted}");
    assert_eq!(left(&world).await, json!([{ "n": 500, "expired": 450 }]));
    let gone = brasa.run(["db", "prune", "sessions", "--yes", "--json"]).await.with_code(0).json();
    assert_eq!(gone["prune"][0]["rows"], 450);
    let unknown = brasa.run(["db", "prune", "session"]).await.with_code(2).stderr;
    assert!(unknown.contains("did you mean `sessions`?"), "{unknown}");
    let broken = CONFIG.replace("expires_at < now()", "expired_at < now()");
    let found = Brasa::configured(&world, &broken).run(["check"]).await.with_code(2).stdout;
    assert!(found.contains("maintenance.prune.sessions.where") && found.contains("expired_at"), "{found}");
}
