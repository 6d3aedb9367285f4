//! Workers that are killed while jobs end and what became of them is written down.

use std::collections::BTreeSet;
use std::time::Duration;

use brasa_shared::queue::State;
use brasa_tests::ledger::{self, Ledger};
use brasa_tests::process::{Brasa, within};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{endings, rows, scene, waiting};

/// Repeats the moments of the kills.
const SEED: u64 = 20_261_130;
const JOBS: u32 = 1_500;
const KILLS: u64 = 8;
/// How long it may take until all is over when nobody is killed any more.
const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn however_often_workers_are_killed_no_end_that_was_accepted_is_missing_or_there_twice() {
    let world = scene().await;
    Ledger::create(&world.pool).await;
    let config = format!(
        "[worker]\nconcurrency = 20\nlease = \"1s\"\n\
         [queues.default]\nkeep_done = {{ count = {JOBS}, age = \"1h\" }}\n{}",
        ledger::STATEMENT
    );
    let brasa = Brasa::configured(&world, &config);
    let queue = world.queue("default");
    Ledger::enqueue(&queue, JOBS, 0.005).await.unwrap();
    let mut dice = StdRng::seed_from_u64(SEED);
    let mut workers = [brasa.start(["worker"]), brasa.start(["worker"])];
    let share = u64::from(JOBS) * 9 / 10 / KILLS;
    for kill in 0..KILLS {
        let due = share * kill + dice.random_range(0..share);
        within(LIMIT, "enough jobs are done for the next kill", async || {
            (queue.counts().await.unwrap().done >= due).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..40))).await;
        let victim = &mut workers[dice.random_range(0..2)];
        victim.kill().await;
        *victim = brasa.start(["worker"]);
    }
    within(LIMIT, "all jobs have ended", async || (queue.counts().await.unwrap().open() == 0).then_some(()))
        .await;
    within(LIMIT, "all is written down", async || (waiting(&queue).await == 0).then_some(())).await;

    let accepted = queue.list(State::Done, JOBS as usize).await.unwrap();
    let accepted: BTreeSet<String> = accepted.into_iter().map(|view| view.id).collect();
    let written = endings(&world).await;
    assert_eq!(accepted.len(), JOBS as usize);
    assert_eq!(written.keys().cloned().collect::<BTreeSet<_>>(), accepted);
    assert_eq!(rows(&world).await, i64::from(JOBS), "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_in_good_order_leaves_nothing_unwritten() {
    let world = scene().await;
    Ledger::create(&world.pool).await;
    let brasa = Brasa::configured(&world, ledger::STATEMENT);
    Ledger::enqueue(&world.queue("default"), 300, 0.0).await.unwrap();
    let _ended = brasa.run(["worker", "--drain"]).await.with_code(0);
    assert_eq!(rows(&world).await, 300);
}
