//! Jobs that are handed over to a worker that waits, instead of ringing a bell for it to come and claim them.

use std::time::Duration;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::queue::{
    Asking, Claimed, Enqueued, Envelope, HandedOver, Limit, LimitScope, OFFER, OnConflict, Queue, Settled,
    State, Wake, listen,
};
use brasa_tests::hand::{Hand, LEASE_OVER, done, reclaim};
use brasa_tests::kinds::{at_the_gate, at_the_gate_now, kinds, open_the_gate};
use brasa_tests::process::within;
use brasa_tests::recount::assert_exact;
use brasa_tests::{Proxy, Worker, World, eventually};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const KIND: &str = "mail.send";

/// A worker that has asked in vain and listens.
struct Waiting {
    hand: Hand,
    queue: Queue,
    asking: Asking,
    heard: UnboundedReceiver<HandedOver>,
    listening: tokio::task::JoinHandle<()>,
}

impl Waiting {
    /// It waits for up to `most` jobs of the queue `default`, in lanes that have been used before.
    async fn new(world: &World, most: usize) -> Self {
        Self::at(world.queue("default"), world, most).await
    }

    async fn at(queue: Queue, world: &World, most: usize) -> Self {
        let hand = Hand::new("w", &[KIND]);
        world.enqueue(KIND, json!({})).await;
        let first = hand.claim_one(&queue).await;
        queue.finish(&[done(&first)]).await.unwrap();
        let (tell, heard) = unbounded_channel();
        let (ready, mut is_ready) = unbounded_channel();
        let keys = vec![queue.keys().clone()];
        let told = move |wake| match wake {
            Wake::HandedOver(0, jobs) => drop(tell.send(jobs)),
            _ => drop(ready.send(())),
        };
        let store = world.store.apart();
        let listening = tokio::spawn(async move { listen(store, keys, "w", told).await });
        is_ready.recv().await.unwrap();
        let asking = hand.offer(&queue, most).await;
        Self { hand, queue, asking, heard, listening }
    }

    async fn handed(&mut self) -> Claimed {
        let told = tokio::time::timeout(Duration::from_secs(5), self.heard.recv()).await;
        told.expect("a message").unwrap().to(&self.asking).expect("jobs for this asking")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[tokio::test]
async fn a_job_that_nobody_stands_before_is_handed_over_to_a_worker_that_waits() {
    let world = World::of_queues();
    let mut worker = Waiting::new(&world, 4).await;
    let job = world.job(KIND, &json!({ "to": "ana\nand\u{1f525}" }));
    worker.queue.enqueue(&job).await.unwrap();

    let jobs = worker.handed().await.jobs;

    assert_eq!((jobs.len(), jobs[0].id.as_str(), jobs[0].attempt), (1, job.id.as_str(), 1));
    assert_eq!(jobs[0].envelope, job.to_record().unwrap());
    assert!(jobs[0].fence > 0 && jobs[0].claimed_ms > 0);
    assert_eq!(world.state(&job.id).await, Some(State::Running));
    assert_eq!(world.show(&job.id).await.worker, "w");
    assert_exact(&worker.queue, "handed over").await;
    assert_eq!(worker.queue.finish(&[done(&jobs[0])]).await.unwrap(), [Settled::Accepted]);
    assert_exact(&worker.queue, "done").await;
}

#[tokio::test]
async fn jobs_that_come_together_are_handed_over_together_with_fences_that_grow() {
    let world = World::of_queues();
    let mut worker = Waiting::new(&world, 4).await;
    let sent: Vec<_> = (0..3).map(|n| world.job(KIND, &json!({ "n": n }))).collect();
    worker.queue.enqueue_all(&sent).await.unwrap();

    let jobs = worker.handed().await.jobs;

    let ids: Vec<_> = jobs.iter().map(|job| &job.id).collect();
    assert_eq!(ids, sent.iter().map(|job| &job.id).collect::<Vec<_>>());
    assert!(jobs.windows(2).all(|pair| pair[0].fence < pair[1].fence));
}

#[tokio::test]
async fn a_message_that_is_lost_is_made_good_by_asking_again() {
    let world = World::of_queues();
    let mut worker = Waiting::new(&world, 4).await;
    let id = world.enqueue(KIND, json!({})).await;
    let lost = worker.handed().await.jobs;

    let again = worker.hand.ask_again(&worker.queue, 4, &worker.asking).await;

    assert!(again.is_spent);
    assert_eq!((again.jobs.len(), &again.jobs[0].id), (1, &id));
    assert_eq!((&again.jobs[0].nonce, again.jobs[0].fence), (&lost[0].nonce, lost[0].fence));
    assert_eq!(again.jobs[0].envelope, lost[0].envelope);
}

#[tokio::test]
async fn an_offer_brings_jobs_once() {
    let world = World::of_queues();
    let mut worker = Waiting::new(&world, 4).await;
    world.enqueue(KIND, json!({})).await;
    worker.handed().await;

    let second = world.enqueue(KIND, json!({})).await;

    assert_eq!(world.state(&second).await, Some(State::Waiting));
}

#[tokio::test]
async fn a_message_under_another_asking_is_not_for_this_one() {
    let world = World::of_queues();
    let mut worker = Waiting::new(&world, 4).await;
    worker.asking = Asking::default();
    world.enqueue(KIND, json!({})).await;

    let told = worker.heard.recv().await.unwrap();

    assert!(told.to(&worker.asking).is_none());
}

/// Enqueues a job in some way; returns its id.
async fn enqueued(world: &World, change: impl FnOnce(&mut Envelope)) -> String {
    let mut job = world.job(KIND, &json!({}));
    change(&mut job);
    world.queue("default").enqueue(&job).await.unwrap();
    job.id
}

#[tokio::test]
async fn what_has_to_be_looked_at_first_waits_in_its_lane() {
    let world = World::of_queues();
    let worker = Waiting::new(&world, 2).await;
    let another_kind = world.enqueue("sql.run", json!({})).await;
    let another_lane = enqueued(&world, |job| job.priority = 3).await;
    let frees_a_key = enqueued(&world, |job| {
        job.unique = Some("k".to_owned());
        job.unique_until = brasa_shared::queue::UniqueUntil::Started;
    })
    .await;
    let behind_it = world.enqueue(KIND, json!({})).await;

    for id in [another_kind, another_lane, frees_a_key, behind_it] {
        assert_eq!(world.state(&id).await, Some(State::Waiting));
    }
    assert_exact(&worker.queue, "waiting").await;
}

#[tokio::test]
async fn a_job_that_another_of_the_same_call_replaces_is_not_handed_over_as_it_was() {
    let world = World::of_queues();
    let worker = Waiting::new(&world, 4).await;
    let [first, second] = ["first", "second"].map(|text| {
        let mut job = world.job(KIND, &json!({ "text": text }));
        job.unique = Some("k".to_owned());
        job.on_conflict = OnConflict::Replace;
        job
    });
    let answers = worker.queue.enqueue_all(&[first.clone(), second]).await.unwrap();
    assert_eq!(answers, [Enqueued::New, Enqueued::Merged { into: first.id.clone() }]);

    eventually("it is due", async || worker.queue.promote_due().await.unwrap() == 1).await;
    let claimed = worker.hand.claim_one(&worker.queue).await;

    let args = Envelope::from_record(&claimed.id, &claimed.envelope).unwrap().args;
    assert_eq!((claimed.id, args.get()), (first.id, r#"{"text":"second"}"#));
}

#[tokio::test]
async fn an_asking_that_comes_late_brings_nothing_and_takes_no_offer_away() {
    let world = World::of_queues();
    let mut worker = Waiting::new(&world, 4).await;
    let late = Asking::default().offering(4);
    worker.asking = worker.hand.offer(&worker.queue, 4).await;

    assert!(worker.hand.ask_again(&worker.queue, 4, &late).await.is_spent);

    let first = world.enqueue(KIND, json!({})).await;
    assert_eq!(worker.handed().await.jobs[0].id, first);
    let second = world.enqueue(KIND, json!({})).await;
    assert!(worker.hand.ask_again(&worker.queue, 4, &late).await.jobs.is_empty());
    assert_eq!(world.state(&second).await, Some(State::Waiting));
}

#[tokio::test]
async fn more_jobs_than_were_offered_to_take_wait_in_their_lane() {
    let world = World::of_queues();
    let worker = Waiting::new(&world, 2).await;
    let jobs: Vec<_> = (0..3).map(|_| world.job(KIND, &json!({}))).collect();
    worker.queue.enqueue_all(&jobs).await.unwrap();

    assert_eq!(world.counts().await.waiting, 3);
}

#[tokio::test]
async fn a_queue_that_is_paused_hands_nothing_over() {
    let world = World::of_queues();
    let worker = Waiting::new(&world, 4).await;
    worker.queue.pause("ana", "repairs").await.unwrap();

    let id = world.enqueue(KIND, json!({})).await;

    assert_eq!(world.state(&id).await, Some(State::Waiting));
}

#[tokio::test]
async fn where_there_are_limits_only_claims_hand_out() {
    let world = World::of_queues();
    let limit = Limit { scope: LimitScope::Queue, at_once: 9, rate: None };
    let _worker = Waiting::at(world.queue("default").limited(vec![limit]), &world, 4).await;

    let id = world.enqueue(KIND, json!({})).await;

    assert_eq!(world.state(&id).await, Some(State::Waiting));
}

#[tokio::test]
async fn nothing_is_handed_over_to_a_worker_that_is_gone() {
    let world = World::of_queues();
    let worker = Waiting::new(&world, 4).await;
    let mut listeners = redis::cmd("PUBSUB");
    listeners.arg("NUMSUB").arg(worker.queue.keys().hand("w"));
    worker.listening.abort();
    eventually("nobody listens", async || world.redis::<(String, u32)>(&listeners).await.1 == 0).await;

    let id = world.enqueue(KIND, json!({})).await;

    assert_eq!(world.state(&id).await, Some(State::Waiting));
}

#[tokio::test]
async fn an_offer_is_over_after_a_while_and_when_it_is_withdrawn() {
    let world = World::with_manual_clock();
    let worker = Waiting::new(&world, 4).await;
    world.advance(OFFER + Duration::from_millis(1));
    let late = world.enqueue(KIND, json!({})).await;
    assert_eq!(world.state(&late).await, Some(State::Waiting));
    worker.queue.finish(&[done(&worker.hand.claim_one(&worker.queue).await)]).await.unwrap();

    let asking = worker.hand.offer(&worker.queue, 4).await;
    assert!(worker.hand.ask_again(&worker.queue, 0, &asking.offering(0)).await.jobs.is_empty());
    let after = world.enqueue(KIND, json!({})).await;

    assert_eq!(world.state(&after).await, Some(State::Waiting));
}

#[tokio::test]
async fn an_asking_whose_jobs_were_taken_back_meanwhile_says_that_it_is_spent() {
    let world = World::with_manual_clock();
    let mut worker = Waiting::new(&world, 4).await;
    let id = world.enqueue(KIND, json!({})).await;
    let stale = worker.handed().await.jobs.remove(0);
    world.advance(LEASE_OVER);
    reclaim(&worker.queue).await;

    let again = worker.hand.ask_again(&worker.queue, 4, &worker.asking).await;

    assert!(again.jobs.is_empty() && again.is_spent);
    assert_eq!(worker.queue.finish(&[done(&stale)]).await.unwrap(), [Settled::Refused]);
    assert_ne!(world.state(&id).await, Some(State::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hears_nothing_finds_what_was_handed_over() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let proxy = Proxy::to(redis.url()).await;
    let (near, far) = (World::on_redis(redis.url()), World::on_redis(&proxy.url()));
    let mut settings = near.settings(kinds(), "");
    settings.queues = vec![(far.queue("default"), 1)];
    let worker = Worker::start(settings);
    let queue = far.queue("default").over(near.store.apart());
    for _ in 0..10 {
        let job = far.job("test.echo", &json!({}));
        // Subscriptions break with all other connections, and whoever published knows nothing of it.
        proxy.sever();
        queue.enqueue(&job).await.unwrap();
        eventually("the job is done", async || {
            queue.show(&job.id).await.unwrap().is_some_and(|view| view.state == State::Done)
        })
        .await;
    }
    assert_eq!(worker.drain().await.done, 10);
}

/// A worker of several queues, over one connection.
fn serving<const N: usize>(world: &World, queues: [Queue; N]) -> brasa_worker::Settings {
    let mut settings = world.settings(kinds(), "");
    let store = settings.queues[0].0.store().clone();
    settings.queues = queues.map(|queue| (queue.over(store.clone()), 1)).to_vec();
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn several_queues_never_hand_over_more_than_there_are_slots() {
    for concurrency in [1, 2, 3, 5] {
        let world = World::of_queues();
        let names = ["default", "mail", "reports"];
        let mut settings = serving(&world, names.map(|name| world.queue(name)));
        settings.concurrency = concurrency;
        let worker = Worker::start(settings);
        let mut sent = Vec::new();
        for round in 0..4 {
            for name in names {
                let job = world.job("test.gate", &at_the_gate(&world));
                world.queue(name).enqueue(&job).await.unwrap();
                sent.push((name, job.id, round));
            }
        }
        let at_once = i64::try_from(concurrency).unwrap();
        eventually("all slots are taken", async || at_the_gate_now(&world).await == at_once).await;
        let mut held = 0;
        for name in names {
            held += world.queue(name).counts().await.unwrap().running;
        }
        assert_eq!(held, concurrency as u64, "{concurrency}");

        open_the_gate(&world).await;
        for (name, id, round) in sent {
            let what = format!("job {round} of {name} is done");
            let queue = world.queue(name);
            eventually(&what, async || {
                queue.show(&id).await.unwrap().is_some_and(|view| view.state == State::Done)
            })
            .await;
        }
        worker.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_hands_over_all_the_time_keeps_no_other_queue_waiting() {
    let world = World::of_queues();
    let rate = Limit { scope: LimitScope::Queue, at_once: 0, rate: Some((10, Duration::from_secs(1))) };
    let slow = world.queue("slow").limited(vec![rate]);
    let jobs: Vec<_> = (0..25).map(|_| world.job("test.echo", &json!({}))).collect();
    world.queue("slow").enqueue_all(&jobs).await.unwrap();
    let worker = Worker::start(serving(&world, [world.queue("default"), slow]));

    // Faster than a worker looks by itself.
    within(Duration::from_secs(8), "the slow queue is empty", async || {
        world.enqueue("test.echo", json!({})).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        (world.queue("slow").counts().await.unwrap().open() == 0).then_some(())
    })
    .await;

    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_asked_keeps_no_other_queue_waiting() {
    let world = World::of_queues();
    let broken = world.queue("broken");
    world.redis::<()>(redis::cmd("SET").arg(&broken.keys().calls).arg("somebody's")).await;
    let mut settings = serving(&world, [broken, world.queue("default")]);
    settings.order = brasa_worker::Order::Strict;
    let worker = Worker::start(settings);

    for _ in 0..5 {
        let id = world.enqueue("test.echo", json!({})).await;
        world.is(&id, State::Done).await;
    }

    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_to_a_worker_that_ends_goes_back_at_once() {
    for _ in 0..20 {
        let (world, worker) = Worker::in_a_world();
        let first = world.enqueue("test.echo", json!({})).await;
        world.is(&first, State::Done).await;
        worker.shutdown.drain.cancel();
        let late = world.enqueue("test.echo", json!({})).await;

        worker.ended().await;

        let view = world.show(&late).await;
        let is_done = view.state == State::Done;
        assert!(is_done || (view.state, view.attempt) == (State::Waiting, 0), "{:?}", view.state);
    }
}
