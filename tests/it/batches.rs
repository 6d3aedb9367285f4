//! Kinds whose handler takes many jobs in one call, and what is done around every handler.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brasa_jobs::{
    BatchJob, Catalog, Item, Job, JobContext, JobError, JobResult, Middleware, Next, Policy, Verdict,
};
use brasa_shared::queue::State;
use brasa_tests::{Worker, World, eventually};
use serde::Deserialize;
use serde_json::{Value, json};

const FAST: Policy = Policy::new().attempts(2).backoff(Duration::from_millis(10), Duration::from_millis(20));

/// Returns how many were in its batch, and does with each as it is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    #[serde(default)]
    does: String,
}

impl BatchJob for Many {
    const KIND: &'static str = "test.many";
    const ABOUT: &'static str = "Takes many at once";
    const POLICY: Policy = FAST;
    const SIZE_MAX: usize = 10;
    const WAIT_MAX: Duration = Duration::from_millis(150);

    async fn run(items: Vec<Item<Self>>) -> Vec<JobResult<Value>> {
        assert!(!items.iter().any(|item| item.payload.does == "panic"), "the roof is on fire");
        let size = items.len();
        let few = items.iter().any(|item| item.payload.does == "forget");
        let results = items.into_iter().map(|item| match item.payload.does.as_str() {
            "bury" => Err(JobError::bury("hopeless")),
            "retry" if item.ctx.job.attempt == 1 => Err(JobError::new(Verdict::Retry, "once more")),
            _ => Ok(json!({ "size": size, "attempt": item.ctx.job.attempt })),
        });
        results.take(if few { 1 } else { usize::MAX }).collect()
    }
}

fn worker(world: &World, catalog: Catalog, concurrency: usize) -> Worker {
    let mut settings = world.settings(catalog, "");
    settings.concurrency = concurrency;
    Worker::start(settings)
}

fn many() -> Catalog {
    Catalog::default().with_batch::<Many>()
}

async fn put(world: &World, does: &[&str]) -> Vec<String> {
    let jobs: Vec<_> = does.iter().map(|does| world.job("test.many", &json!({ "does": does }))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

async fn all_ended(world: &World) {
    eventually("all have ended", async || world.counts().await.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_kind_go_to_its_handler_together_and_not_too_many_at_once() {
    let world = World::of_queues();
    let ids = put(&world, &[""; 25]).await;
    let worker = worker(&world, many(), 25);
    all_ended(&world).await;

    let mut sizes = Vec::new();
    for id in &ids {
        sizes.push(world.result(id).await["size"].as_u64().unwrap());
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [[5; 5].as_slice(), &[10; 20]].concat());
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_joins_does_not_wait_for_long() {
    let world = World::of_queues();
    let worker = worker(&world, many(), 25);
    let id = put(&world, &[""]).await.remove(0);

    assert_eq!(world.result(&id).await, json!({ "size": 1, "attempt": 1 }));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_of_a_batch_has_its_own_outcome() {
    let world = World::of_queues();
    let ids = put(&world, &["", "bury", "retry", ""]).await;
    let worker = worker(&world, many(), 4);
    all_ended(&world).await;

    assert_eq!(world.result(&ids[0]).await, json!({ "size": 4, "attempt": 1 }));
    assert_eq!(world.buried(&ids[1]).await, "hopeless");
    assert_eq!(world.result(&ids[2]).await, json!({ "size": 1, "attempt": 2 }));
    assert_eq!(world.state(&ids[3]).await, Some(State::Done));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failed_attempt_of_all_in_the_batch_and_no_crash() {
    let world = World::of_queues();
    let ids = put(&world, &["", "panic", ""]).await;
    let worker = worker(&world, many(), 3);
    all_ended(&world).await;

    for id in &ids {
        let view = world.show(id).await;
        assert!(view.trail.is_empty() || view.trail[0].contains("panicked"), "{:?}", view.trail);
        assert!(view.attempt == 2 || view.state == State::Dead);
        assert_eq!(view.lost, 0);
    }
    assert!(world.buried(&ids[1]).await.contains("panicked"));
    assert!(worker.lives());
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_read_fail_alone() {
    let world = World::of_queues();
    let good = put(&world, &["", ""]).await;
    let bad = world.enqueue("test.many", json!({ "does": 7 })).await;
    let worker = worker(&world, many(), 3);
    all_ended(&world).await;

    assert!(world.buried(&bad).await.contains("could not read the arguments"));
    for id in &good {
        assert_eq!(world.result(id).await["size"], json!(2));
    }
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_forgets_a_job_has_not_done_it() {
    let world = World::of_queues();
    let ids = put(&world, &["forget", "", ""]).await;
    let worker = worker(&world, many(), 3);
    all_ended(&world).await;

    let counts = world.counts().await;
    assert_eq!((counts.done, counts.dead), (1, 2));
    let dead = world.queue("default").list(State::Dead, 1).await.unwrap().remove(0);
    assert!(ids.contains(&dead.id));
    assert!(dead.outcome.unwrap().reason.unwrap().contains("fewer results"));
    worker.drain().await;
}

type Around<'m> = Pin<Box<dyn Future<Output = JobResult<Value>> + Send + 'm>>;

/// Tells what it saw, and ends jobs by itself that ask for it.
struct Witness(&'static str, Arc<Mutex<Vec<String>>>);

impl Witness {
    fn say(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{} {what}", self.0));
    }
}

impl Middleware for Witness {
    fn around<'m>(&'m self, ctx: Arc<JobContext>, next: Next<'m>) -> Around<'m> {
        Box::pin(async move {
            self.say(&format!("before {}", next.kind().name));
            if next.payload().contains(&format!("stop at {}", self.0)) {
                return Ok(json!("stopped"));
            }
            assert!(!next.payload().contains(&format!("panic at {}", self.0)), "a roof of my own");
            let result = next.run(ctx).await;
            self.say("after");
            result.map(|value| json!({ self.0: value }))
        })
    }
}

/// Returns a number.
#[derive(Debug, Deserialize)]
struct Seven {}

impl Job for Seven {
    const KIND: &'static str = "test.seven";
    const ABOUT: &'static str = "Returns seven";
    const POLICY: Policy = FAST;

    async fn run(&self, _: &JobContext) -> JobResult<Value> {
        Ok(json!(7))
    }
}

fn witnessed(saw: &Arc<Mutex<Vec<String>>>) -> Catalog {
    many().with::<Seven>().around(Witness("outer", Arc::clone(saw))).around(Witness("inner", Arc::clone(saw)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_that_is_around_is_the_outermost() {
    let (world, saw) = (World::of_queues(), Arc::<Mutex<Vec<String>>>::default());
    let worker = worker(&world, witnessed(&saw), 1);
    let id = world.enqueue("test.seven", json!({})).await;

    assert_eq!(world.result(&id).await, json!({ "outer": { "inner": 7 } }));
    let saw = saw.lock().unwrap().clone();
    assert_eq!(saw, ["outer before test.seven", "inner before test.seven", "inner after", "outer after"]);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_around_may_end_a_job_without_its_handler() {
    let (world, saw) = (World::of_queues(), Arc::<Mutex<Vec<String>>>::default());
    let worker = worker(&world, witnessed(&saw), 1);
    let outer = world.enqueue("test.seven", json!({ "do": "stop at outer" })).await;
    let inner = world.enqueue("test.seven", json!({ "do": "stop at inner" })).await;

    assert_eq!(world.result(&outer).await, json!("stopped"));
    assert_eq!(world.result(&inner).await, json!({ "outer": "stopped" }));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_around_a_handler_is_the_jobs_failure() {
    let (world, saw) = (World::of_queues(), Arc::<Mutex<Vec<String>>>::default());
    let worker = worker(&world, witnessed(&saw), 1);
    let id = world.enqueue("test.seven", json!({ "do": "panic at inner" })).await;

    assert!(world.buried(&id).await.contains("a roof of my own"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_of_a_batch_has_its_own_around_it() {
    let (world, saw) = (World::of_queues(), Arc::<Mutex<Vec<String>>>::default());
    let ids = put(&world, &["", "", "stop at outer"]).await;
    let worker = worker(&world, witnessed(&saw), 3);

    for id in &ids[..2] {
        assert_eq!(world.result(id).await["outer"]["inner"]["size"], json!(2));
    }
    assert_eq!(world.result(&ids[2]).await, json!("stopped"));
    worker.drain().await;
}
