//! Indexes that are mostly waste are rebuilt, and nobody is the worse for it.

mod agreeing;
mod choosing;
mod command;
mod recovering;
mod yielding;

use brasa_jobs::catalog;
use brasa_shared::db::migrate;
use brasa_shared::queue::{JobView, State};
use brasa_tests::{Worker, World, eventually};
use serde_json::{Value, json};

/// Everything is large enough to be rebuilt.
const CONFIG: &str = r#"
[maintenance.indexes]
min_size = "1KiB"
min_gain = "1KiB"
"#;

/// A table of which nine rows in ten are gone, and an index that is as large as before.
async fn scene() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world
        .execute(
            "create table items (id int, k int, note text) with (autovacuum_enabled = off);
             insert into items select n, n * 7919 % 40000 from generate_series(1, 40000) n;
             create index items_k on items (k); create index items_note on items (note) where note is not null;
             delete from items where id % 10 > 0; select pg_stat_force_next_flush()",
        )
        .await;
    world.execute("vacuum analyze items").await;
    world
}

/// Runs `db.reindex` to its end.
async fn run(world: &World, config: &str, args: Value) -> JobView {
    let worker = Worker::start(world.settings(catalog(), config));
    let mut job = world.job("db.reindex", &args);
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    let view = ended(world, &job.id).await;
    worker.drain().await;
    view
}

async fn ended(world: &World, id: &str) -> JobView {
    eventually("the job ends", async || matches!(world.state(id).await, Some(State::Done | State::Dead)))
        .await;
    world.show(id).await
}

/// What a job returned.
fn returned(view: &JobView) -> &Value {
    assert_eq!(view.state, State::Done, "{view:?}");
    view.outcome.as_ref().unwrap().result.as_ref().unwrap()
}

/// The first of what a job says of this kind.
fn first(view: &JobView, what: &str) -> Value {
    returned(view)[what][0].clone()
}

/// How large an index is.
async fn size(world: &World, index: &str) -> u64 {
    let rows = world.rows(&format!("select pg_relation_size('{index}') as n")).await;
    rows[0]["n"].as_u64().unwrap()
}

/// Notes of rebuilds: the state of each.
async fn notes(world: &World) -> Value {
    world.rows("select index_name, state from brasa.care_actions order by id").await
}

/// How many indexes of the database are not valid.
async fn invalid(world: &World) -> u64 {
    let rows = world.rows("select count(*) as n from pg_index where not indisvalid").await;
    rows[0]["n"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_mostly_waste_is_rebuilt_and_then_left_alone() {
    let world = scene().await;
    let before = size(&world, "items_k").await;
    let view = run(&world, CONFIG, json!({})).await;
    let rebuilt = first(&view, "rebuilt");
    assert_eq!(rebuilt["index"], "public.items_k");
    let after = size(&world, "items_k").await;
    assert!(after * 5 < before, "{before} became {after}");
    assert_eq!((rebuilt["before"].as_u64(), rebuilt["after"].as_u64()), (Some(before), Some(after)));
    assert_eq!(notes(&world).await, json!([{ "index_name": "items_k", "state": "done" }]));
    assert_eq!(invalid(&world).await, 0);
    let known = world
        .rows("select ratio_from, bytes_after, gained from brasa.care_indexes where index_name = 'items_k'")
        .await;
    assert_eq!(
        known,
        json!([{ "ratio_from": null, "bytes_after": after, "gained": before - after }]),
        "it is small"
    );
    // It grows to be as it was: that is no reason to do it all over again.
    world
        .execute("insert into items select n, n * 7919 % 40000 from generate_series(1, 40000) n; delete from items where id % 10 > 0; select pg_stat_force_next_flush()")
        .await;
    world.execute("vacuum analyze items").await;
    let view = run(&world, CONFIG, json!({})).await;
    assert_eq!(returned(&view)["rebuilt"], json!([]));
    let view = run(&world, "[maintenance]\nmode = \"plan\"", json!({ "indexes": ["items_k"] })).await;
    assert_eq!(
        first(&view, "would_rebuild")["statement"],
        "reindex index concurrently public.items_k",
        "but by name"
    );
}
