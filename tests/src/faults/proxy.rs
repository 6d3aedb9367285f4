//! The network between Redis and everybody who speaks to it breaks, stalls, freezes and loses answers.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::Proxy;
use crate::process::within;

/// Jobs that come in one round.
const JOBS: usize = 20;
/// Open jobs at which no more come.
const BACKLOG: u64 = 60;
/// How slow a slow network is.
const DELAY_MS: std::ops::Range<u64> = 20..200;
/// How long it is slow or frozen: most of the time for a moment, and now and then for longer than the lease of 3 s.
const SPELL_MS: std::ops::Range<u64> = 100..1_000;
const LONG_SPELL_MS: std::ops::Range<u64> = 3_500..5_000;
/// How often a spell is a long one.
const LONG: f64 = 0.25;
/// How often each kind of fault came.
type Tally = [u32; 4];

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::new("concurrency = 8\nlease = \"3s\"\ncrashes_max = 100");
    // Workers and producers have ways of their own. Nothing is between Redis and the one who judges, nor one more
    // worker, who takes back what the others cannot keep.
    let (to_workers, to_producer) = (Proxy::to(stage.redis.url()).await, Proxy::to(stage.redis.url()).await);
    let mut crew = Crew::start(stage.team_through(&to_workers.url()), 2);
    let mut near = Crew::start(stage.team(), 1);
    let producer = stage.queue_through(&to_producer.url());
    // Who finds no Redis when it starts says so and ends, as it should: what is here is about those that run.
    within(LIMIT, "the workers are there", async || {
        (stage.world.fleet().live_workers().await.ok()?.len() == 3).then_some(())
    })
    .await;
    let mut tally = Tally::default();
    for _ in 0..plan.rounds {
        stage.open_at_most(BACKLOG).await;
        let jobs = stage.notes(|| plan.dice.random_range(0..200), JOBS);
        let proxy = if plan.dice.random_bool(0.7) { &to_workers } else { &to_producer };
        let fault = plan.dice.random_range(0..tally.len());
        let spell_ms = if plan.dice.random_bool(LONG) { LONG_SPELL_MS } else { SPELL_MS };
        let spell = Duration::from_millis(plan.dice.random_range(spell_ms));
        let delay = Duration::from_millis(plan.dice.random_range(DELAY_MS));
        // By then there are jobs in the hands of workers.
        let later = Duration::from_millis(plan.dice.random_range(0..150));
        let faults = async {
            tokio::time::sleep(later).await;
            match fault {
                0 => proxy.sever(),
                1 => proxy.delay(delay),
                2 => proxy.freeze(),
                _ => proxy.swallow_next_answer(),
            }
            tokio::time::sleep(spell).await;
            proxy.delay(Duration::ZERO);
            proxy.thaw();
        };
        tokio::join!(stage.enqueue_through(&producer, &jobs), faults);
        tally[fault] += 1;
    }
    let last = Instant::now();
    stage.drained(&mut report, last).await;
    crew.fallen().into_iter().chain(near.fallen()).for_each(|fallen| report.demand(false, fallen));
    stage.judge(&mut report).await;
    crew.dismiss().await;
    near.dismiss().await;
    let counts = stage.queue.counts().await.expect("counts");
    report.demand(counts.dead == 0, format!("{} good jobs are in the dead letter", counts.dead));
    let unheard = to_workers.swallowed() + to_producer.swallowed();
    let [severed, slow, frozen, _] = tally;
    let back = counts.totals.get("reclaimed").copied().unwrap_or(0);
    report.note(format!("{back} jobs were taken back from workers that nobody heard from"));
    report.note(format!("severed {severed}, slow {slow}, frozen {frozen}, answers lost {unheard} times"));
    report
}
