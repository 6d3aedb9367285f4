//! From a commit to a job that runs.

use brasa_shared::queue::State;
use brasa_tests::eventually;
use brasa_tests::kinds::{at_the_gate, at_the_gate_now, open_the_gate};
use serde_json::json;
use sqlx::Acquire as _;
use tokio::task::JoinSet;

use super::{BUSY, DEAF_TO_TIME, Pace, Scene, count, enqueue, enqueue_in};

#[tokio::test]
async fn what_was_committed_runs_once_under_the_id_of_its_row_and_leaves_no_row() {
    let scene = Scene::new().await;
    let worker = scene.worker(BUSY);

    let id = enqueue(scene.pool(), "test.echo", &json!({ "who": "Ana" })).await;
    let result = scene.world.result(&id).await;

    scene.is_empty().await;
    assert_eq!((&result["args"]["who"], &result["attempt"]), (&json!("Ana"), &json!(1)));
    assert_eq!((scene.total("enqueued").await, scene.done().await), (1, 1));
    worker.drain().await;
}

#[tokio::test]
async fn what_was_rolled_back_never_runs() {
    let scene = Scene::new().await;
    let worker = scene.worker(BUSY);
    let mut transaction = scene.pool().begin().await.unwrap();
    let never = enqueue_in(&mut transaction, "test.echo").await;
    transaction.rollback().await.unwrap();

    let after = enqueue(scene.pool(), "test.echo", &json!({})).await;
    scene.world.is(&after, State::Done).await;

    scene.is_empty().await;
    assert_eq!(scene.world.state(&never).await, None);
    assert_eq!(scene.total("enqueued").await, 1);
    worker.drain().await;
}

#[tokio::test]
async fn what_was_rolled_back_to_a_savepoint_never_runs_and_the_rest_of_its_transaction_does() {
    let scene = Scene::new().await;
    let worker = scene.worker(BUSY);
    let mut transaction = scene.pool().begin().await.unwrap();
    let before = enqueue_in(&mut transaction, "test.echo").await;
    let mut inner = transaction.begin().await.unwrap();
    let never = enqueue_in(&mut inner, "test.echo").await;
    inner.rollback().await.unwrap();
    let behind = enqueue_in(&mut transaction, "test.echo").await;
    transaction.commit().await.unwrap();

    scene.world.is(&before, State::Done).await;
    scene.world.is(&behind, State::Done).await;

    scene.is_empty().await;
    assert_eq!((scene.world.state(&never).await, scene.total("enqueued").await), (None, 2));
    worker.drain().await;
}

#[tokio::test]
async fn nothing_is_relayed_before_its_transaction_commits() {
    let scene = Scene::new().await;
    let worker = scene.worker(BUSY);
    let mut transaction = scene.pool().begin().await.unwrap();
    let id = enqueue_in(&mut transaction, "test.echo").await;

    // Another one that came later goes through meanwhile: the relay has looked, and waits for nobody.
    let other = enqueue(scene.pool(), "test.echo", &json!({})).await;
    scene.world.is(&other, State::Done).await;
    assert_eq!(scene.world.state(&id).await, None);
    transaction.commit().await.unwrap();

    scene.world.is(&id, State::Done).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_thousand_rows_of_ten_writers_run_once_each_however_many_relays_there_are() {
    let scene = Scene::new().await;
    let workers = [(); 3].map(|()| scene.worker(BUSY));
    let mut writers = JoinSet::new();
    for _ in 0..10 {
        let pool = scene.pool().clone();
        writers.spawn(async move {
            for _ in 0..20 {
                let mut transaction = pool.begin().await.unwrap();
                for _ in 0..5 {
                    enqueue_in(&mut transaction, "test.echo").await;
                }
                transaction.commit().await.unwrap();
            }
        });
    }
    writers.join_all().await;

    scene.is_empty().await;

    assert_eq!((scene.total("enqueued").await, scene.done().await), (1_000, 1_000));
    for worker in workers {
        worker.drain().await;
    }
}

#[tokio::test]
async fn a_row_that_was_pushed_and_not_marked_is_no_second_job() {
    let scene = Scene::new().await;
    let relay = scene.relay(BUSY);
    let id = enqueue(scene.pool(), "test.echo", &json!({})).await;
    let marked = "select count(*) from brasa.outbox where pushed_at is not null";
    eventually("it is marked", async || count(scene.pool(), marked).await == 1).await;

    // As a relay leaves it that dies between the two.
    let unmark = "update brasa.outbox set pushed_at = null, pushes = 0";
    sqlx::query(unmark).execute(scene.pool()).await.unwrap();
    eventually("it is marked again", async || count(scene.pool(), marked).await == 1).await;
    let worker = scene.worker(BUSY);
    scene.is_empty().await;

    assert_eq!(scene.world.result(&id).await["attempt"], 1);
    assert_eq!((scene.total("enqueued").await, scene.done().await), (1, 1));
    relay.drain().await;
    worker.drain().await;
}

#[tokio::test]
async fn a_commit_wakes_the_relay_by_a_notification() {
    let scene = Scene::new().await;
    let worker = scene.worker(DEAF_TO_TIME);

    // Several, one after the other: the first may be found by the look with which a relay begins.
    for _ in 0..5 {
        let id = enqueue(scene.pool(), "test.echo", &json!({})).await;
        scene.world.is(&id, State::Done).await;
    }

    worker.drain().await;
}

#[tokio::test]
async fn what_nobody_was_notified_of_is_found_by_looking() {
    let scene = Scene::new().await;
    let worker = scene.worker(Pace { poll: BUSY.poll, ..DEAF_TO_TIME });

    for _ in 0..3 {
        let mut transaction = scene.pool().begin().await.unwrap();
        sqlx::query("set local brasa.notify = 'off'").execute(&mut *transaction).await.unwrap();
        let id = enqueue_in(&mut transaction, "test.echo").await;
        transaction.commit().await.unwrap();
        scene.world.is(&id, State::Done).await;
    }

    worker.drain().await;
}

#[tokio::test]
async fn a_job_for_later_waits_in_redis_and_its_row_with_it() {
    let scene = Scene::new().await;
    let worker = scene.worker(DEAF_TO_TIME);
    let call = "select brasa.enqueue('test.echo', run_at => '2100-01-01Z')";

    let id: String = sqlx::query_scalar(call).fetch_one(scene.pool()).await.unwrap();
    scene.world.is(&id, State::Delayed).await;

    assert_eq!(scene.world.show(&id).await.state_ms, 4_102_444_800_000);
    eventually("the row is marked", async || {
        count(scene.pool(), "select count(*) from brasa.outbox where pushed_at is not null").await == 1
    })
    .await;
    worker.drain().await;
}

#[tokio::test]
async fn a_row_whose_unique_key_another_job_has_is_not_run_and_does_not_stay() {
    let scene = Scene::new().await;
    let worker = scene.worker(DEAF_TO_TIME);
    let call = "select brasa.enqueue('test.gate', $1::text::jsonb, unique_key => 'one')";
    let args = at_the_gate(&scene.world).to_string();
    let put =
        async || -> String { sqlx::query_scalar(call).bind(&args).fetch_one(scene.pool()).await.unwrap() };
    let first = put().await;
    scene.world.is(&first, State::Running).await;

    let second = put().await;
    eventually("its row is gone", async || scene.rows().await == 1).await;

    assert_eq!((scene.world.state(&second).await, at_the_gate_now(&scene.world).await), (None, 1));
    open_the_gate(&scene.world).await;
    scene.is_empty().await;
    worker.drain().await;
}

#[tokio::test]
async fn the_row_of_a_job_that_dies_or_is_discarded_goes_too() {
    let scene = Scene::new().await;
    let worker = scene.worker(DEAF_TO_TIME);

    let dead = enqueue(scene.pool(), "test.fail", &json!({ "how": "bury" })).await;
    let discarded = enqueue(scene.pool(), "test.fail", &json!({ "how": "discard" })).await;
    let retried = enqueue(scene.pool(), "test.fail", &json!({ "how": "retry", "times": 2 })).await;

    scene.is_empty().await;
    assert_eq!(scene.world.state(&dead).await, Some(State::Dead));
    assert_eq!(scene.world.state(&discarded).await, Some(State::Done));
    assert_eq!(scene.world.result(&retried).await["attempt"], 3);
    worker.drain().await;
}

#[tokio::test]
async fn rows_for_a_queue_that_nobody_knows_wait_and_hold_up_nobody() {
    let scene = Scene::new().await;
    let strange = "select count(brasa.enqueue('test.echo', queue => 'strange')) from generate_series(1, 200)";
    assert_eq!(count(scene.pool(), strange).await, 200);

    let worker = scene.worker(BUSY);
    let id = enqueue(scene.pool(), "test.echo", &json!({})).await;
    scene.world.is(&id, State::Done).await;

    assert_eq!(count(scene.pool(), "select count(*) from brasa.outbox where pushes = 0").await, 200);
    worker.drain().await;
}
