//! What workers count for the charts of the overview: it is right, it is counted once, and there is only so much of it.

use std::time::Duration;

use brasa_jobs::catalog;
use brasa_shared::minutes::{
    BUCKETS, ERROR, Histogram, Minutes, PROCESSES_MAX, Span, Vitals, Work, bucket_of,
};
use brasa_shared::store::Store;
use brasa_tests::{Proxy, Worker, World, eventually};
use redis::cmd;
use serde_json::json;

/// Bytes that a step takes whose counters are all there, and one of a busy installation.
const STEP_MAX: u64 = 24 << 10;
const STEP_USUAL: u64 = 2 << 10;
/// Bytes that a minute takes in which as many processes tell as may.
const VITALS_MAX: u64 = 48 << 10;

/// All that was done in the last hour or day.
async fn whole(minutes: &Minutes, span: Span) -> Work {
    let mut whole = Work::default();
    for step in minutes.work(span).await.unwrap() {
        whole.done += step.done;
        whole.failed += step.failed;
        whole.ran.merge(&step.ran);
        whole.waited.merge(&step.waited);
    }
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_known_length_are_told_to_be_as_long() {
    let world = World::new().await;
    let config = "[sql.nap]\nsql = \"select pg_sleep(0.2)\"\n[sql.wrong]\nsql = \"select 1/0\"";
    for _ in 0..20 {
        world.enqueue("sql.run", json!({ "name": "nap" })).await;
    }
    world.enqueue("sql.run", json!({ "name": "wrong" })).await;
    let worker = Worker::start(world.settings(catalog(), config));
    eventually("all have ended", async || world.counts().await.totals.get("done") == Some(&20)).await;
    let failed = async || world.counts().await.dead + world.counts().await.delayed;
    eventually("the wrong one has failed", async || failed().await == 1).await;
    // A worker that ends tells the rest.
    worker.drain().await;

    let minutes = world.fleet().minutes();
    for span in [Span::Hour, Span::Day] {
        let whole = whole(&minutes, span).await;
        assert_eq!((whole.done, whole.failed), (20, 1));
        assert_eq!((whole.ran.total(), whole.waited.total()), (21, 21));
        let half = whole.ran.quantile_ms(0.5).unwrap();
        // It takes a little longer than its nap, and on a busy machine more than that.
        assert!((200.0 / ERROR..1_000.0).contains(&half), "{half}");
        // They ran four at a time: the last ones waited for the others.
        let (first, last) = (whole.waited.quantile_ms(0.05).unwrap(), whole.waited.quantile_ms(1.0).unwrap());
        assert!(last > first && last >= 700.0, "{first} {last}");
    }
}

#[tokio::test]
async fn what_many_workers_saw_is_added_up_minute_by_minute() {
    let world = World::with_manual_clock();
    let minutes = world.fleet().minutes();
    let mut work = Work { done: 2, failed: 1, ..Work::default() };
    work.ran.add(bucket_of(Duration::from_secs(3)), 3);
    for _ in 0..3 {
        minutes.count(&work).await.unwrap();
    }
    world.advance(Duration::from_mins(1));
    minutes.count(&work).await.unwrap();
    minutes.count(&Work::default()).await.unwrap();

    let hour = minutes.work(Span::Hour).await.unwrap();
    assert_eq!(hour.len(), 61);
    let done: Vec<u64> = hour.iter().map(|step| step.done).collect();
    assert_eq!(done[59..], [6, 2]);
    assert_eq!(hour[60].at_ms, world.clock.now().as_millisecond());
    let day = minutes.work(Span::Day).await.unwrap();
    assert_eq!((day.len(), day[96].done, day[96].failed), (97, 8, 4));

    // After an hour it is gone from the hour, and not from the day.
    world.advance(Duration::from_mins(61));
    assert_eq!(whole(&minutes, Span::Hour).await, Work::default());
    assert_eq!(whole(&minutes, Span::Day).await.done, 8);
}

#[tokio::test]
async fn what_was_counted_and_not_answered_is_not_counted_again() {
    let world = World::of_queues();
    let proxy = Proxy::to(&world.redis_url).await;
    let minutes = Minutes::new(Store::open(&proxy.url()).unwrap(), &world.prefix, world.clock.clone());
    let work = Work { done: 1, ..Work::default() };
    minutes.count(&work).await.unwrap();
    proxy.swallow_next_answer();
    let _lost = minutes.count(&work).await.unwrap_err();
    assert_eq!(proxy.swallowed(), 1);
    minutes.count(&work).await.unwrap();
    assert_eq!(whole(&minutes, Span::Hour).await.done, 3);
}

#[tokio::test]
async fn there_is_only_so_much_of_it_and_it_goes_by_itself() {
    let world = World::with_manual_clock();
    let minutes = world.fleet().minutes();
    let times = |buckets: std::ops::Range<usize>| {
        let mut times = Histogram::default();
        buckets.for_each(|bucket| times.add(bucket, 12_345));
        times
    };
    let usual = Work { done: 99_999, failed: 9, ran: times(5..35), waited: times(0..30), ..Work::default() };
    minutes.count(&usual).await.unwrap();
    for n in 0..PROCESSES_MAX + 50 {
        let pid = u32::try_from(n).unwrap();
        let (host, share) = ("h".repeat(200), Some(0.123));
        let (cpu, memory, disk, pool, own_cpu) = (share, share, share, share, share);
        let own_memory = Some(123_456_789);
        let (redis, redis_max) = (own_memory, own_memory);
        let vitals = Vitals { host, pid, cpu, memory, disk, pool, own_cpu, own_memory, redis, redis_max };
        minutes.tell(&vitals).await.unwrap();
        minutes.tell(&vitals).await.unwrap();
    }
    assert_eq!(minutes.vitals().await.unwrap().last().unwrap().1.len(), PROCESSES_MAX);

    let bytes = async |key: &str| {
        let key = format!("{}:{key}", world.prefix);
        let left_ms: i64 = world.redis(cmd("PTTL").arg(&key)).await;
        assert!((1..=98 * 900_000).contains(&left_ms), "{key}: {left_ms}");
        world.redis::<u64>(cmd("MEMORY").arg("USAGE").arg(&key).arg("SAMPLES").arg(0)).await
    };
    let minute = minutes.minute();
    let (hour, day) = (format!("work:60:{minute}"), format!("work:900:{}", minute / 15));
    let vitals = bytes(&format!("vitals:{minute}")).await;
    let usual = (bytes(&hour).await, bytes(&day).await);
    let all = Work { ran: times(0..BUCKETS), waited: times(0..BUCKETS), ..Work::default() };
    minutes.count(&all).await.unwrap();
    let most = bytes(&hour).await;
    assert!(usual.0 < STEP_USUAL && usual.1 < STEP_USUAL, "{usual:?}");
    assert!(most < STEP_MAX && vitals < VITALS_MAX, "{most} {vitals}");
}
