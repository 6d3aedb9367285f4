//! A great many jobs become due at the same instant.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use brasa::servers::RedisOptions;
use redis::{Value, cmd};

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::process::within;

/// Jobs per round.
const JOBS: usize = 1_000;
/// How many are enqueued by one call.
const CHUNK: usize = 10_000;
/// How much later they are due than it takes to enqueue them.
const HEAD_START: Duration = Duration::from_secs(2);
/// No script may hold Redis up for longer, in µs.
const SCRIPT_US_MAX: i64 = 5_000;
/// Of so many calls one may: the machine itself stands still now and then, in the middle of whatever runs.
const OF_CALLS: u64 = 5_000;
/// From so many rounds on.
const TELLING: u32 = 100;
/// What is written down as slow, in µs.
const SLOW_US: i64 = 1_000;
/// How long no job may be done while there are some.
const STILL_MAX: Duration = Duration::from_secs(3);

/// One call that Redis took long for.
#[derive(Debug)]
struct Slow {
    us: i64,
    script: String,
}

pub(super) async fn run(plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let extra = [("slowlog-log-slower-than", SLOW_US.to_string()), ("slowlog-max-len", "10000".to_owned())]
        .map(|(name, value)| (name.to_owned(), value));
    let options = RedisOptions { append_only: false, extra: extra.into(), ..RedisOptions::default() };
    let mut stage = Stage::on("concurrency = 100\nlease = \"30s\"", options);
    let count = plan.rounds as usize * JOBS;
    // Far off at first: how long it takes to enqueue them is not known.
    let due_ms = stage.world.clock.now().as_millisecond() + estimate(count);
    for first in (0..count).step_by(CHUNK) {
        let mut jobs = stage.notes(|| 0, CHUNK.min(count - first));
        for job in &mut jobs {
            job.due = Some(due_ms);
        }
        stage.enqueue(&jobs).await;
    }
    let late_ms = stage.world.clock.now().as_millisecond() - due_ms;
    report.demand(late_ms < 0, format!("they were enqueued {late_ms} ms after they were due"));
    let mut crew = Crew::start(stage.team(), 2);
    let ahead = Duration::from_millis(late_ms.min(0).unsigned_abs());
    within(ahead + LIMIT, "they are due", async || {
        (stage.world.clock.now().as_millisecond() >= due_ms).then_some(())
    })
    .await;
    let due = Instant::now();
    let still = drain(&stage, count as u64).await;
    stage.drained(&mut report, due).await;
    crew.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
    let slow = slow_calls(&stage).await;
    stage.judge_by_counts(&mut report).await;
    crew.dismiss().await;
    report.demand(still < STILL_MAX, format!("nothing was done for {still:?}"));
    for (script, us) in slowest(&slow) {
        report.note(format!("the slowest call of {script} took {us} µs"));
    }
    let (calls, over) =
        (script_calls(&stage).await, slow.iter().filter(|call| call.us > SCRIPT_US_MAX).count());
    let words = format!(
        "of {calls} script calls {} took longer than {SLOW_US} µs, {over} longer than {SCRIPT_US_MAX} µs; Redis waited {:?} for a processor",
        slow.len(),
        waited(stage.redis.pid())
    );
    // A few calls beside everything else that a test run does say little about a script.
    report.demand(plan.rounds < TELLING || over as u64 <= calls / OF_CALLS, words.clone());
    report.note(words);
    report.note(format!("{count} jobs due at once; the longest time without one done was {still:?}"));
    report
}

/// How long it may take to enqueue so many, in ms.
fn estimate(count: usize) -> i64 {
    let per_job = Duration::from_micros(100) * u32::try_from(count).expect("a number of jobs");
    i64::try_from((HEAD_START + per_job).as_millis()).expect("a time")
}

/// Waits until as many are done; returns the longest time in which none was.
async fn drain(stage: &Stage, count: u64) -> Duration {
    let (mut done, mut since, mut still) = (0, Instant::now(), Duration::ZERO);
    let begun = Instant::now();
    while done < count {
        assert!(begun.elapsed() < 10 * LIMIT, "only {done} jobs of {count} are done");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let counts = stage.queue.counts().await.expect("counts");
        let now = counts.totals.get("done").copied().unwrap_or(0);
        still = still.max(since.elapsed());
        if now > done {
            (done, since) = (now, Instant::now());
        }
    }
    still
}

/// The longest that each of these scripts took, in µs.
fn slowest(calls: &[Slow]) -> BTreeMap<&str, i64> {
    let mut slowest = BTreeMap::new();
    for call in calls {
        let longest = slowest.entry(call.script.as_str()).or_insert(call.us);
        *longest = call.us.max(*longest);
    }
    slowest
}

/// How long a process that wanted to run had to wait for others, as calls that it was in the middle of did too.
fn waited(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split(' ').nth(1).and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// How many scripts were called.
async fn script_calls(stage: &Stage) -> u64 {
    let info: String = stage.world.redis(cmd("INFO").arg("commandstats")).await;
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

/// The calls of scripts that took long.
async fn slow_calls(stage: &Stage) -> Vec<Slow> {
    let entries: Vec<Vec<Value>> = stage.world.redis(cmd("SLOWLOG").arg("GET").arg(-1)).await;
    let calls = entries.into_iter().filter_map(|entry| {
        let us: i64 = redis::from_redis_value_ref(entry.get(2)?).ok()?;
        let words: Vec<String> = redis::from_redis_value_ref(entry.get(3)?).ok()?;
        let hash = words.first().filter(|word| word.starts_with("EVAL")).and(words.get(1))?;
        Some(Slow { us, script: brasa_shared::queue::script_named(hash).unwrap_or(hash).to_owned() })
    });
    calls.collect()
}
