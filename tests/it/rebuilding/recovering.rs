//! Whose work an index is that is there after a rebuild of which nobody saw the end.

use brasa_tests::faults::rebuild::Blockers;
use brasa_tests::{Worker, World, eventually};
use serde_json::{Value, json};

use super::{CONFIG, catalog, first, invalid, run, scene};

const BUILDS: &str =
    "select count(*) as n from pg_stat_progress_create_index where datname = current_database()";
const END: &str =
    "select pg_terminate_backend(pid) from pg_stat_progress_create_index where datname = current_database()";

/// A rebuild that is cut off in a phase, see [`brasa_tests::faults::rebuild::PHASES`]; its note stays open.
async fn cut_off(world: &World, phase: usize) {
    let mut blockers = Blockers::of(&world.database_url, "items").await;
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    let mut job = world.job("db.reindex", &json!({ "indexes": ["items_k"] }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    blockers.lead_to(&world.pool, phase).await;
    if phase > 0 {
        eventually("the new one is noted", async || noted(world).await != Value::Null).await;
    }
    world.execute(END).await;
    eventually("it is cut off", async || world.rows(BUILDS).await[0]["n"] == 0).await;
    worker.drain().await;
    blockers.release().await;
    assert_eq!(super::notes(world).await, json!([{ "index_name": "items_k", "state": "armed" }]));
}

/// The number of the new index, as it was noted.
async fn noted(world: &World) -> Value {
    world.rows("select new_oid from brasa.care_actions").await[0]["new_oid"].clone()
}

/// What the ledger says in the end.
async fn ledger(world: &World) -> (Value, String) {
    let rows = world.rows("select state, error from brasa.care_actions order by id limit 1").await;
    (rows[0]["state"].clone(), rows[0]["error"].as_str().unwrap_or_default().to_owned())
}

/// The next run, which tidies up.
async fn next(world: &World) -> Value {
    let came_to = first(&run(world, CONFIG, json!({ "indexes": ["items_k"] })).await, "recovered");
    assert_eq!(invalid(world).await, 0);
    came_to["came_to"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_rebuilt_after_our_crash_is_not_taken_for_ours() {
    // Before the new one was seen, half of it says that it never took the place of the old one.
    for phase in [0, 1] {
        let world = scene().await;
        cut_off(&world, phase).await;
        assert_eq!(noted(&world).await == Value::Null, phase == 0);
        world.execute("reindex index concurrently items_k").await;
        assert_eq!(next(&world).await, "it had not been done, and somebody else has made it anew since");
        let (state, error) = ledger(&world).await;
        assert!(
            state == "void" && error.ends_with("somebody else has made it anew since"),
            "{state} {error}"
        );
        let gained =
            world.rows("select count(*) as n from brasa.care_indexes where gained is not null").await;
        assert_eq!(gained, json!([{ "n": 1 }]), "the run after that has rebuilt it by name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_took_its_place_before_the_crash_is_known_to_be_ours() {
    let world = scene().await;
    cut_off(&world, 3).await;
    let now = world.rows("select 'items_k'::regclass::oid::bigint as new_oid").await;
    assert_eq!(noted(&world).await, now[0]["new_oid"]);
    assert_eq!(next(&world).await, "it had been done");
    assert_eq!(ledger(&world).await, ("done_recovered".into(), "its end was not seen".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_knows_whose_it_is_the_ledger_says_so() {
    let world = scene().await;
    cut_off(&world, 0).await;
    // Somebody tidies up and rebuilds it before the next run.
    world.execute("drop index items_k_ccnew").await;
    world.execute("reindex index concurrently items_k").await;
    assert_eq!(next(&world).await, "it had been done");
    let (state, error) = ledger(&world).await;
    assert_eq!(state, "done_recovered");
    assert_eq!(error, "its end was not seen; it is new, by us or by somebody else since");
}
