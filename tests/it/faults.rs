//! What Redis may answer instead of an answer: what passes is waited out, what does not is told at once.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{Enqueued, State};
use brasa_shared::store::{Fault, Store, StoreError};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, World, eventually};
use redis::{Client, Cmd, cmd};
use serde_json::json;

/// How long a caller without much patience waits.
const IMPATIENCE: Duration = Duration::from_millis(300);

fn start(extra: &[(&str, &str)]) -> RedisServer {
    let extra = extra.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    RedisServer::start(RedisOptions { append_only: false, extra, ..RedisOptions::default() }).unwrap()
}

/// Says something to the server over a connection of its own, which waits for nothing and tries nothing again.
async fn say(redis: &RedisServer, command: &Cmd) {
    let client = Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: redis::Value = command.query_async(&mut connection).await.unwrap();
}

fn config(name: &str, value: &str) -> Cmd {
    cmd("CONFIG").arg("SET").arg(name).arg(value).to_owned()
}

/// A write over a store without much patience, and how long that took.
async fn write(url: &str) -> (Result<(), StoreError>, Duration) {
    let store = Store::open(url).unwrap().with_patience(IMPATIENCE);
    let begun = Instant::now();
    let answer = store.run::<()>("write", cmd("SET").arg("any").arg("thing")).await;
    (answer, begun.elapsed())
}

/// Brings a fault upon Redis, makes sure that it is known for what it is, takes it away, and expects a worker and a
/// producer that were there all the time to go on as if nothing had been.
async fn outlived(redis: &RedisServer, fault: Fault, begin: &Cmd, end: &Cmd) {
    let world = World::on_redis(redis.url());
    let worker = Worker::start(world.settings(kinds(), ""));
    let before = world.enqueue("test.echo", json!({})).await;
    world.is(&before, State::Done).await;

    say(redis, begin).await;
    let (refused, took) = write(redis.url()).await;
    assert_eq!(refused.unwrap_err().fault, fault);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let (queue, job) = (world.queue("default"), world.job("test.echo", &json!({})));
    let waiting = tokio::spawn({
        let (queue, job) = (queue.clone(), job.clone());
        async move { queue.enqueue(&job).await }
    });
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!waiting.is_finished());
    assert!(worker.lives());

    say(redis, end).await;
    assert_eq!(waiting.await.unwrap().unwrap(), Enqueued::New);
    world.is(&job.id, State::Done).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_became_a_replica_is_waited_for() {
    let redis = start(&[]);
    // Nothing listens there, so it keeps its data and waits.
    let begin = cmd("REPLICAOF").arg("127.0.0.1").arg(1).to_owned();
    let end = cmd("REPLICAOF").arg("NO").arg("ONE").to_owned();

    outlived(&redis, Fault::ReadOnly, &begin, &end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_replicas_is_waited_for() {
    let redis = start(&[]);

    let (begin, end) = (config("min-replicas-to-write", "1"), config("min-replicas-to-write", "0"));

    outlived(&redis, Fault::Unwritable, &begin, &end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_held_by_somebodys_script_is_waited_for() {
    let redis = start(&[("busy-reply-threshold", "50")]);
    let holder = Client::open(redis.url()).unwrap();
    let mut connection = holder.get_multiplexed_async_connection().await.unwrap();
    let world = World::on_redis(redis.url());
    let worker = Worker::start(world.settings(kinds(), ""));
    let before = world.enqueue("test.echo", json!({})).await;
    world.is(&before, State::Done).await;

    let held = tokio::spawn(async move {
        let forever = cmd("EVAL").arg("while true do end").arg(0).to_owned();
        forever.query_async::<redis::Value>(&mut connection).await
    });
    eventually("the server is busy", async || {
        write(redis.url()).await.0.is_err_and(|error| error.fault == Fault::Busy)
    })
    .await;
    let (queue, job) = (world.queue("default"), world.job("test.echo", &json!({})));
    let waiting = tokio::spawn({
        let (queue, job) = (queue.clone(), job.clone());
        async move { queue.enqueue(&job).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    say(&redis, cmd("SCRIPT").arg("KILL")).await;

    assert!(held.await.unwrap().is_err());
    assert_eq!(waiting.await.unwrap().unwrap(), Enqueued::New);
    world.is(&job.id, State::Done).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_password_that_is_missing_or_wrong_is_told_at_once() {
    let redis = start(&[("requirepass", "secret")]);
    let wrong = redis.url().replace("redis://", "redis://:guess@");
    for url in [redis.url(), &wrong] {
        let (refused, took) = write(url).await;

        let error = refused.unwrap_err();
        assert_eq!(error.fault, Fault::Denied);
        assert!(took < IMPATIENCE, "{took:?}");
        assert!(!error.to_string().contains("guess"), "{error}");
    }
    assert!(write(&redis.url().replace("redis://", "redis://:secret@")).await.0.is_ok());
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_at_once() {
    let redis = start(&[]);
    let user =
        cmd("ACL").arg("SETUSER").arg("reader").arg("on").arg(">pass").arg("~*").arg("+get").to_owned();
    say(&redis, &user).await;

    let (refused, took) = write(&redis.url().replace("redis://", "redis://reader:pass@")).await;

    assert_eq!(refused.unwrap_err().fault, Fault::Denied);
    assert!(took < IMPATIENCE, "{took:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for_no_longer_than_the_caller_has_patience() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

    let (refused, took) = write(&format!("redis://127.0.0.1:{port}/")).await;

    let error = refused.unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable);
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_key_that_is_something_else_is_told_at_once() {
    let world = World::of_queues();
    let queue = world.queue("default");
    world.redis::<()>(cmd("SET").arg(&queue.keys().jobs).arg("somebody's own")).await;

    let begun = Instant::now();
    let error = queue.enqueue(&world.job("sql.run", &json!({}))).await.unwrap_err();

    assert_eq!(error.fault(), Some(Fault::Other));
    assert!(begun.elapsed() < Duration::from_secs(2));
}
