//! Statements say for which job they run, where that is wanted.

use std::time::Duration;

use brasa_jobs::catalog;
use brasa_shared::queue::Envelope;
use brasa_shared::trace::Trace;
use brasa_tests::process::within;
use brasa_tests::{Worker, World, over_pool};
use serde_json::{Value, json};

use super::GIVEN;

const CONFIG: &str = "
[sql.slow]
sql = \"select pg_sleep(0.7) -- ends with a comment\"
timeout = \"20s\"

[warm.thing]
sql = \"select id, id as value from things where id = any($1) and pg_sleep(0.7) is not null\"
for_each = { sql = \"select id from things\", params = [\"id\"] }
key = \"KEY:thing:{id}\"
ttl = \"10m\"
";

const WANTED: &str = "[telemetry]\nsql_comments = true\n";

/// Runs a job; returns the text of its statement that sleeps, as the database shows it.
async fn seen(world: &World, config: &str, job: &Envelope) -> String {
    let text = format!("{}{config}", CONFIG.replace("KEY", &world.prefix));
    let pool = world.another_pool(1, Duration::from_secs(10));
    let settings = over_pool(world.settings(catalog(), &text), Some(pool.clone()));
    world.queue("default").enqueue(job).await.unwrap();
    let worker = Worker::start(settings);
    let look =
        "select query from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
        and wait_event = 'PgSleep' and query like '%pg_sleep%'";
    let seen = within(Duration::from_secs(20), "the statement runs", async || {
        sqlx::query_scalar::<_, String>(look).fetch_optional(&world.pool).await.unwrap()
    })
    .await;
    let tally = worker.drain_when_idle(world).await;
    assert_eq!((tally.done, tally.failed), (1, 0));
    let kept = "select count(*) from pg_prepared_statements where statement like $1";
    let kept = sqlx::query_scalar(kept).bind("%/*application%").fetch_one(&pool);
    let kept: i64 = kept.await.unwrap();
    assert_eq!(kept, 0, "a statement that will never come again is kept prepared");
    seen
}

fn job(world: &World, id: &str, kind: &str, args: &Value, trace: &str) -> Envelope {
    let mut job = world.job(kind, args);
    (job.id, job.trace) = (id.to_owned(), Some(trace.to_owned()));
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_says_for_which_job_it_runs_and_nothing_that_ends_its_comment() {
    let world = World::new().await;
    let slow = json!({ "name": "slow" });
    let said = seen(&world, WANTED, &job(&world, "a'*/;--", "sql.run", &slow, GIVEN)).await;
    let (text, comment) = said.split_once("\n/*").unwrap();
    assert_eq!(text, "select pg_sleep(0.7) -- ends with a comment");
    let head = "application='brasa',job='a%27%2A%2F%3B--',kind='sql.run',traceparent='";
    let place = comment.strip_prefix(head).and_then(|rest| rest.strip_suffix("'*/")).unwrap();
    let (place, given): (Trace, Trace) = (place.parse().unwrap(), GIVEN.parse().unwrap());
    assert_eq!(place.trace_id(), given.trace_id());
    assert_ne!(place.span_id(), given.span_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_trace_is_not_in_a_comment() {
    let world = World::new().await;
    let evil = format!("{GIVEN}'*/; drop table x; --");
    let said = seen(&world, WANTED, &job(&world, "7", "sql.run", &json!({ "name": "slow" }), &evil)).await;
    assert!(said.ends_with("\n/*application='brasa',job='7',kind='sql.run'*/"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_says_for_which_job_it_runs() {
    let world = World::new().await;
    world.execute("create table things (id int primary key)").await;
    world.execute("insert into things values (1)").await;
    let said =
        seen(&world, WANTED, &job(&world, "w", "cache.warm", &json!({ "name": "thing" }), GIVEN)).await;
    // The database shows the first kilobyte of a statement.
    let comment = "\n/*application='brasa',job='w',kind='cache.warm',traceparent='00-4bf92f35";
    assert!(said.contains(comment) || said.len() > 1_000, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_as_they_are_written_unless_it_is_said_otherwise() {
    let world = World::new().await;
    let said = seen(&world, "", &job(&world, "7", "sql.run", &json!({ "name": "slow" }), GIVEN)).await;
    assert_eq!(said, "select pg_sleep(0.7) -- ends with a comment");
}
