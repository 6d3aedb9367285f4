//! What users test their own handlers and applications with: `brasa_jobs::testing`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brasa_jobs::testing::{CancellationToken, Captured, DrainError, Ended, Inline, Manual, Sandbox};
use brasa_jobs::{
    Clock, EnqueueError, Enqueued, Enqueuer, Envelope, Job, JobContext, JobError, JobResult, OrElse as _,
    Policy, Verdict, job_of,
};
use brasa_shared::queue::State;
use brasa_tests::World;
use jiff::Timestamp;
use redis::cmd;
use serde::Deserialize;
use serde_json::{Value, json};

/// A kind of somebody's own: adds an order up, unless the test says what is to go wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Total {
    order: i64,
    #[serde(default)]
    trouble: Option<String>,
    /// The trouble is over from this attempt on.
    #[serde(default)]
    until: u32,
}

impl Job for Total {
    const KIND: &'static str = "order.total";
    const ABOUT: &'static str = "Adds an order up";
    const POLICY: Policy = Policy::new().attempts(3);

    fn check(&self, _: &brasa_jobs::Config) -> Result<(), String> {
        if self.order < 0 { Err("orders count from zero".to_owned()) } else { Ok(()) }
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        ctx.go_on()?;
        let trouble = self.trouble.as_deref().filter(|_| self.until == 0 || ctx.job.attempt < self.until);
        let minute = Duration::from_mins(1);
        match trouble {
            None => Ok(json!({
                "order": self.order, "attempt": ctx.job.attempt, "fence": ctx.job.fence,
                "id": ctx.job.id, "at": ctx.reach.clock.now().to_string(),
            })),
            Some("retry") => Err(JobError::retry("the bank is away")),
            Some("retry in") => Err(JobError::new(Verdict::RetryIn(minute), "the bank is busy")),
            Some("snooze") => Err(JobError::new(Verdict::Snooze(minute), "the bank is closed")),
            Some("again") => Err(JobError::new(Verdict::Snooze(Duration::ZERO), "not yet")),
            Some("discard") => Err(JobError::new(Verdict::Discard, "the order is gone")),
            Some(other) => Err(JobError::bury(other.to_owned())),
        }
    }
}

/// A part of somebody's application.
async fn place_order(jobs: &dyn Enqueuer, order: i64) -> Result<Enqueued, EnqueueError> {
    let mut job = job_of::<Total>(&json!({ "order": order }), &Clock::System)?;
    job.unique = Some(format!("total-{order}"));
    jobs.enqueue(Total::POLICY.queue, job).await
}

fn inline() -> Inline {
    Inline::of::<Total>()
}

/// A sandbox on the tests' Redis.
fn sandbox() -> Sandbox {
    Sandbox::on(&World::of_queues().redis_url).unwrap()
}

async fn enqueue(sandbox: &Sandbox, args: Value) -> Envelope {
    let job = job_of::<Total>(&args, &sandbox.clock()).unwrap();
    assert_eq!(sandbox.queues().enqueue("default", job.clone()).await.unwrap(), Enqueued::New);
    job
}

/// What a drain says of the only run that it had.
async fn drained(sandbox: &Sandbox) -> Option<Ended> {
    let mut drained = sandbox.drain("default", &inline()).await.unwrap();
    assert!(drained.runs.len() < 2, "{drained:?}");
    drained.runs.pop().map(|ran| ran.ended)
}

#[tokio::test]
async fn a_handler_runs_at_once_as_the_test_says() {
    let clock = Clock::Manual(Manual::at(Timestamp::UNIX_EPOCH));
    let inline = inline().attempt(2).fence(9).id("o-7").clock(clock);

    let done = inline.run("order.total", json!({ "order": 7 })).await.unwrap();

    let expected = json!({ "order": 7, "attempt": 2, "fence": 9, "id": "o-7", "at": "1970-01-01T00:00:00Z" });
    assert_eq!(done, expected);
}

#[tokio::test]
async fn a_handler_that_fails_gives_its_verdict() {
    for (trouble, verdict) in [
        ("retry", Verdict::Retry),
        ("snooze", Verdict::Snooze(Duration::from_mins(1))),
        ("no such customer", Verdict::Bury),
    ] {
        let failed = inline().run("order.total", json!({ "order": 7, "trouble": trouble })).await;
        assert_eq!(failed.unwrap_err().verdict, verdict, "{trouble}");
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_buried_and_told_by_a_check() {
    let buried = inline().run("order.total", json!({ "ordre": 7 })).await.unwrap_err();
    assert_eq!(buried.verdict, Verdict::Bury);
    assert!(buried.to_string().contains("unknown field `ordre`"), "{buried}");

    assert_eq!(inline().check("order.total", &json!({ "order": 7 })), Ok(()));
    assert_eq!(
        inline().check("order.total", &json!({ "order": -7 })),
        Err("orders count from zero".to_owned())
    );
    let unknown = inline().run("order.totle", json!({})).await.unwrap_err();
    assert!(unknown.to_string().contains("order.totle"), "{unknown}");
}

#[tokio::test]
async fn a_handler_is_told_to_stop_by_the_test() {
    let stop = CancellationToken::new();
    stop.cancel();

    let stopped = inline().stop(stop).run("order.total", json!({ "order": 7 })).await.unwrap_err();

    assert_eq!(stopped.to_string(), "stopped before it was through");
}

/// A kind that needs Postgres.
#[derive(Deserialize)]
struct Count {}

impl Job for Count {
    const KIND: &'static str = "order.count";
    const ABOUT: &'static str = "Counts to two";
    const POLICY: Policy = Policy::new();

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let mut connection = ctx.connection().await?;
        let two: i32 =
            sqlx::query_scalar("select 1 + 1").fetch_one(&mut *connection).await.or_retry("count")?;
        connection.give_back();
        Ok(json!(two))
    }
}

#[tokio::test]
async fn a_handler_reaches_the_postgres_of_the_test_and_no_other() {
    let world = World::new().await;
    let inline = Inline::of::<Count>();

    let without = inline.run("order.count", json!({})).await.unwrap_err();
    assert_eq!(without.verdict, Verdict::Bury);
    assert_eq!(inline.db(world.pool.clone()).run("order.count", json!({})).await.unwrap(), json!(2));
}

#[tokio::test]
async fn what_an_application_enqueues_is_captured() {
    let jobs = Captured::default();
    jobs.assert_nothing_enqueued();

    assert_eq!(place_order(&jobs, 7).await.unwrap(), Enqueued::New);

    jobs.assert_enqueued::<Total>(&json!({ "order": 7 }));
    jobs.assert_enqueued::<Total>(&json!({}));
    jobs.refute_enqueued::<Total>(&json!({ "order": 8 }));
    jobs.refute_enqueued::<Count>(&json!({}));
    assert_eq!((jobs.all().len(), jobs.of::<Count>().len()), (1, 0));
    // And each of them can be run.
    for captured in jobs.take() {
        let done = inline().run(&captured.job.kind, captured.args()).await.unwrap();
        assert_eq!((captured.queue.as_str(), &done["order"]), ("default", &json!(7)));
    }
    jobs.assert_nothing_enqueued();
}

#[tokio::test]
async fn captured_jobs_are_answered_as_by_a_queue() {
    let world = World::of_queues();
    let real = brasa_jobs::Queues::new(world.store.clone(), &world.prefix, Clock::System);
    let captured = Captured::default();
    for jobs in [&real as &dyn Enqueuer, &captured] {
        let job = job_of::<Total>(&json!({ "order": 1 }), &Clock::System).unwrap();
        assert_eq!(jobs.enqueue("default", job.clone()).await.unwrap(), Enqueued::New);
        assert_eq!(jobs.enqueue("default", job.clone()).await.unwrap(), Enqueued::Known);
        assert_eq!(place_order(jobs, 7).await.unwrap(), Enqueued::New);
        assert!(matches!(place_order(jobs, 7).await.unwrap(), Enqueued::Held { .. }));
        let nameless = Envelope { id: String::new(), ..job };
        assert!(jobs.enqueue("default", nameless).await.is_err());
    }
    assert_eq!((captured.all().len(), world.counts().await.waiting), (2, 2));
    assert_eq!(world.fleet().queues().await.unwrap(), ["default"]);
}

#[tokio::test]
async fn arguments_that_no_worker_could_read_are_refused_where_they_are_made() {
    let refused = job_of::<Total>(&json!({ "order": "seven" }), &Clock::System).unwrap_err();
    assert!(refused.to_string().starts_with("the arguments do not fit the kind `order.total`"), "{refused}");
}

#[tokio::test]
async fn an_assertion_that_fails_lists_what_was_enqueued() {
    let jobs = Captured::default();
    place_order(&jobs, 7).await.unwrap();

    let asserted = jobs.clone();
    let failed = tokio::spawn(async move { asserted.assert_enqueued::<Total>(&json!({ "order": 8 })) }).await;

    let said = *failed.unwrap_err().into_panic().downcast::<String>().unwrap();
    assert!(said.contains("no `order.total` with {\"order\":8} was enqueued"), "{said}");
    assert!(said.contains("order.total into default: {\"order\":7}"), "{said}");
}

#[tokio::test]
async fn everything_that_is_due_is_run_in_order_and_tallied() {
    let sandbox = sandbox();
    for trouble in [None, Some("retry"), Some("snooze"), Some("discard"), Some("no such customer")] {
        enqueue(&sandbox, json!({ "order": 1, "trouble": trouble })).await;
        sandbox.advance(Duration::from_millis(1));
    }
    let pushed = json!({ "id": "pushed", "kind": "order.total", "args": { "order": 2 } }).to_string();
    let queue = sandbox.queue("default");
    let _: u64 = queue.store().run("push", cmd("RPUSH").arg(&queue.keys().inbox).arg(pushed)).await.unwrap();

    let drained = sandbox.drain("default", &inline()).await.unwrap();

    let tally = [drained.done(), drained.retried(), drained.snoozed(), drained.cancelled(), drained.dead()];
    assert_eq!(tally, [2, 1, 1, 1, 1]);
    assert!(matches!(&drained.runs[0].ended, Ended::Done(result) if result["order"] == 1), "{drained:?}");
    assert_eq!(drained.runs[1].ended, Ended::Retried("the bank is away".to_owned()));
    assert_eq!(drained.runs[4].ended, Ended::Dead("no such customer".to_owned()));
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.delayed, counts.running, counts.done, counts.dead), (0, 2, 0, 3, 1));
    sandbox.clear().await.unwrap();
}

#[tokio::test]
async fn a_failed_job_runs_again_when_its_pause_is_over_until_no_attempts_are_left() {
    let sandbox = sandbox();
    let job = enqueue(&sandbox, json!({ "order": 1, "trouble": "retry" })).await;
    let recovering = json!({ "order": 2, "trouble": "retry in", "until": 2 });

    for attempt in 1..=2 {
        assert!(matches!(drained(&sandbox).await, Some(Ended::Retried(_))));
        assert_eq!(drained(&sandbox).await, None);
        sandbox.advance(Total::POLICY.pause_max(attempt));
    }
    let last = drained(&sandbox).await.unwrap();

    assert_eq!(last, Ended::Dead("the bank is away (no attempts left)".to_owned()));
    let view = sandbox.queue("default").show(&job.id).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempt, view.trail.len()), (State::Dead, 3, 2));

    enqueue(&sandbox, recovering).await;
    assert_eq!(drained(&sandbox).await, Some(Ended::Retried("the bank is busy".to_owned())));
    sandbox.advance(Duration::from_mins(1));
    sandbox.drain("default", &inline()).await.unwrap().assert_all_done();
    sandbox.clear().await.unwrap();
}

#[tokio::test]
async fn a_delayed_job_is_due_once_time_has_moved_and_its_handler_sees_that_time() {
    let sandbox = sandbox();
    let mut job = job_of::<Total>(&json!({ "order": 1 }), &sandbox.clock()).unwrap();
    job.due = Some((sandbox.clock().now() + Duration::from_hours(24)).as_millisecond());
    sandbox.queues().enqueue("default", job).await.unwrap();

    assert_eq!(drained(&sandbox).await, None);
    sandbox.advance(Duration::from_hours(24));

    let Some(Ended::Done(result)) = drained(&sandbox).await else { panic!("it is done") };
    assert_eq!(result["at"], "2026-01-02T00:00:00Z");
    sandbox.clear().await.unwrap();
}

#[tokio::test]
async fn a_kind_that_the_test_does_not_know_is_left_alone() {
    let sandbox = sandbox();
    let other = job_of::<Count>(&json!({}), &sandbox.clock()).unwrap();
    sandbox.queues().enqueue("default", other).await.unwrap();

    assert_eq!(drained(&sandbox).await, None);
    assert_eq!(sandbox.queue("default").counts().await.unwrap().waiting, 1);
    sandbox.clear().await.unwrap();
}

#[tokio::test]
async fn a_queue_without_an_end_is_told_and_not_run_for_ever() {
    let sandbox = sandbox();
    let job = enqueue(&sandbox, json!({ "order": 1, "trouble": "again" })).await;

    let endless = sandbox.drain("default", &inline()).await.unwrap_err();

    assert!(matches!(&endless, DrainError::Endless { id, .. } if *id == job.id), "{endless}");
    sandbox.clear().await.unwrap();
}

/// Cancels its own job while it runs, as somebody at the command line may.
#[derive(Deserialize)]
struct Regret {}

static REGRETTED: Mutex<Option<Arc<Sandbox>>> = Mutex::new(None);

impl Job for Regret {
    const KIND: &'static str = "order.regret";
    const ABOUT: &'static str = "Is cancelled while it runs";
    const POLICY: Policy = Policy::new();

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let sandbox = REGRETTED.lock().unwrap().clone().unwrap();
        sandbox.queue("default").cancel(&ctx.job.id, "ana", "wrong month").await.unwrap();
        Err(JobError::retry("stopped"))
    }
}

#[tokio::test]
async fn a_job_that_is_cancelled_while_it_runs_does_not_come_back() {
    let sandbox = Arc::new(sandbox());
    *REGRETTED.lock().unwrap() = Some(Arc::clone(&sandbox));
    let job = job_of::<Regret>(&json!({}), &sandbox.clock()).unwrap();
    sandbox.queues().enqueue("default", job.clone()).await.unwrap();

    let drained = sandbox.drain("default", &Inline::of::<Regret>()).await.unwrap();
    assert_eq!((drained.cancelled(), drained.runs.len()), (1, 1), "{drained:?}");

    let view = sandbox.queue("default").show(&job.id).await.unwrap().unwrap();
    assert_eq!(view.state, State::Done);
    *REGRETTED.lock().unwrap() = None;
    Arc::into_inner(sandbox).unwrap().clear().await.unwrap();
}

#[tokio::test]
async fn sandboxes_see_nothing_of_each_other_and_leave_nothing_behind() {
    let world = World::of_queues();
    let (one, other) = (Sandbox::on(&world.redis_url).unwrap(), Sandbox::on(&world.redis_url).unwrap());
    enqueue(&one, json!({ "order": 1 })).await;

    assert_eq!(drained(&other).await, None);
    let pattern = format!("{}:*", one.prefix());
    one.clear().await.unwrap();

    let left: Vec<String> = world.redis(cmd("KEYS").arg(pattern)).await;
    assert_eq!(left, Vec::<String>::new());
}
