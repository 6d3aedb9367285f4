//! The kinds that Brasa comes with, on a real Postgres.

mod analyze;
mod binding;
mod owing;
mod skipping;
mod statements;
mod warming;

use brasa_jobs::catalog;
use brasa_shared::queue::{JobView, State};
use brasa_tests::{Worker, World, eventually};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

/// Runs statements of the test itself.
async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

/// One text from the database, or none.
async fn text(pool: &PgPool, sql: &str) -> Option<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
}

/// A worker with the kinds that Brasa comes with.
fn start(world: &World, config: &str) -> Worker {
    Worker::start(world.settings(catalog(), config))
}

/// Waits until a job has ended one way or the other.
async fn ended(world: &World, id: &str) -> JobView {
    eventually("the job ends", async || matches!(world.state(id).await, Some(State::Done | State::Dead)))
        .await;
    world.show(id).await
}

/// Runs one job, which has a single attempt, to its end.
async fn run_once(world: &World, config: &str, kind: &str, args: &Value) -> JobView {
    let worker = start(world, config);
    let mut job = world.job(kind, args);
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    let view = ended(world, &job.id).await;
    worker.drain().await;
    view
}

/// Why a job is in the dead letter; panics if it is not.
fn reason(view: &JobView) -> &str {
    assert_eq!(view.state, State::Dead, "{view:?}");
    view.outcome.as_ref().unwrap().reason.as_deref().unwrap()
}

/// What a job returned; panics if it did not.
fn returned(view: &JobView) -> &Value {
    assert_eq!(view.state, State::Done, "{view:?}");
    view.outcome.as_ref().unwrap().result.as_ref().unwrap()
}

/// The mark that trying again would have been of use, had there been attempts left.
const MIGHT_HAVE_PASSED: &str = "(no attempts left)";
