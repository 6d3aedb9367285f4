//! Others go first: whoever waits for us, whoever builds beside us, and the end of a window.

use std::time::{Duration, Instant};

use brasa_tests::faults::rebuild::{Blockers, PHASES};
use brasa_tests::{Worker, eventually};
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::{CONFIG, catalog, ended, first, invalid, notes, returned, scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_table_does_not_wait_for_us_and_nothing_is_left() {
    let world = scene().await;
    let mut blockers = Blockers::of(&world.database_url, "items").await;
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    let id = world.enqueue("db.reindex", json!({ "indexes": ["items_k"] })).await;
    // Whoever has an old snapshot has no lock: only we stand in the way.
    blockers.lead_to(&world.pool, 2).await;
    let began = Instant::now();
    world.execute("alter table items add column more int").await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let view = ended(&world, &id).await;
    blockers.release().await;
    assert_eq!(first(&view, "failed")["why"], "somebody else had to wait for it", "{:?}", returned(&view));
    assert_eq!(invalid(&world).await, 0);
    assert_eq!(notes(&world).await, json!([{ "index_name": "items_k", "state": "failed_clean" }]));
    let resting = world.rows("select fails, not_before > now() + interval '23 hours' as rests from brasa.care_indexes where index_name = 'items_k'").await;
    assert_eq!(resting, json!([{ "fails": 1, "rests": true }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_time_is_over_before_the_swap_it_is_given_up() {
    let world = scene().await;
    world.execute("create index items_id on items (id)").await;
    let mut blockers = Blockers::of(&world.database_url, "items").await;
    let worker = Worker::start(world.settings(catalog(), &format!("[maintenance]\nbudget = \"4s\"{CONFIG}")));
    let mut job = world.job("db.reindex", &json!({ "indexes": ["items_k"] }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    blockers.lead_to(&world.pool, 0).await;
    // Whoever writes keeps us from taking away what was begun: that is said, and not forgotten.
    let view = ended(&world, &job.id).await;
    let reason = view.outcome.as_ref().unwrap().reason.clone().unwrap();
    assert!(
        reason.contains("something is left of a rebuild") && reason.contains("its time was over"),
        "{reason}"
    );
    assert_eq!(notes(&world).await, json!([{ "index_name": "items_k", "state": "armed" }]));
    blockers.release().await;
    let next = world.enqueue("db.reindex", json!({ "indexes": ["items_id"] })).await;
    let view = ended(&world, &next).await;
    assert_eq!(first(&view, "recovered")["came_to"], "it had not been done, and nothing is left of it");
    assert_eq!(notes(&world).await[0], json!({ "index_name": "items_k", "state": "failed_clean" }));
    assert_eq!(invalid(&world).await, 0);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_time_is_over_after_the_swap_it_is_ended() {
    let world = scene().await;
    let mut blockers = Blockers::of(&world.database_url, "items").await;
    let worker = Worker::start(world.settings(catalog(), &format!("[maintenance]\nbudget = \"5s\"{CONFIG}")));
    let id = world.enqueue("db.reindex", json!({ "indexes": ["items_k"] })).await;
    blockers.lead_to(&world.pool, 3).await;
    // Longer than its time, and it is not cancelled.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let seen = world
        .rows("select phase from pg_stat_progress_create_index where datname = current_database()")
        .await;
    assert_eq!(seen, json!([{ "phase": PHASES[3] }]));
    blockers.release().await;
    ended(&world, &id).await;
    assert_eq!(notes(&world).await, json!([{ "index_name": "items_k", "state": "done" }]));
    assert_eq!(invalid(&world).await, 0);
    worker.drain().await;
}

/// What is left is dropped only when nobody builds beside it: a builder that is waited for loses.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_builds_an_index_beside_us_never_loses_it_to_our_tidying() {
    let world = scene().await;
    // A rebuild of ours was interrupted, and its worker is gone.
    let mut blockers = Blockers::of(&world.database_url, "items").await;
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    // Once: trying again, it could be the one that tidies, and not the job that is looked at below.
    let mut job = world.job("db.reindex", &json!({ "indexes": ["items_k"] }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    blockers.lead_to(&world.pool, 1).await;
    world.execute("select pg_terminate_backend(pid) from pg_stat_progress_create_index where datname = current_database()").await;
    eventually("it is interrupted", async || {
        world
            .rows(
                "select count(*) as n from pg_stat_progress_create_index where datname = current_database()",
            )
            .await[0]["n"]
            == 0
    })
    .await;
    worker.drain().await;
    assert_eq!(invalid(&world).await, 1);
    // Somebody else builds an index on the table meanwhile, and waits for whoever writes.
    let url = world.database_url.clone();
    let builder = tokio::spawn(async move {
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("create index concurrently theirs on items (id)").execute(&mut connection).await
    });
    eventually("it is built", async || {
        world
            .rows(
                "select count(*) as n from pg_stat_progress_create_index where datname = current_database()",
            )
            .await[0]["n"]
            == 1
    })
    .await;
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    let mut job = world.job("db.reindex", &json!({ "indexes": ["items_k"] }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    let view = ended(&world, &job.id).await;
    let reason = view.outcome.as_ref().unwrap().reason.clone().unwrap();
    assert!(reason.contains("could not be dropped") && reason.contains("at work on its table"), "{reason}");
    blockers.release().await;
    builder.await.unwrap().expect("the builder was not disturbed");
    // Now there is nobody.
    let last = world.enqueue("db.reindex", json!({ "indexes": ["items_k"] })).await;
    let view = ended(&world, &last).await;
    assert_eq!(first(&view, "recovered")["came_to"], "it had not been done, and nothing is left of it");
    assert_eq!(invalid(&world).await, 0);
    let valid: Value =
        world.rows("select indisvalid from pg_index where indexrelid = 'theirs'::regclass").await;
    assert_eq!(valid, json!([{ "indisvalid": true }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_that_came_with_a_dump_of_another_server_take_nothing_away() {
    let world = scene().await;
    world
        .execute(
            "create index items_k_ccnew on items (k);
             update pg_index set indisvalid = false where indexrelid = 'items_k_ccnew'::regclass;
             insert into brasa.care_actions (kind, schema_name, table_name, index_name, why, actor, state, signature,
                 table_oid, old_oid, token, server)
             values ('reindex', 'public', 'items', 'items_k', '', '', 'armed', '', 'items'::regclass::oid::bigint,
                 'items_k_ccnew'::regclass::oid::bigint, 'x', 'another')",
        )
        .await;
    let view = super::run(&world, CONFIG, json!({})).await;
    assert_eq!(first(&view, "recovered")["came_to"], "it was on another server");
    assert_eq!(invalid(&world).await, 1, "it is somebody else's");
    let states =
        world.rows("select state, count(*) as n from brasa.care_actions group by 1 order by 1").await;
    assert_eq!(states, json!([{ "state": "done", "n": 1 }, { "state": "void", "n": 1 }]));
}
