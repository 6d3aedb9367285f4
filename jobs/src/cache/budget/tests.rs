//! Budgets on a clock that stands still until everybody waits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Brake, Budget, Caps, Signs};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn budget(batches: u32) -> Budget {
    Budget::new(Caps { batches, others: 4, busy: 0.25, ..Caps::default() })
}

/// Runs one batch of a hundred keys.
async fn batch(budget: &Budget, took: Duration, signs: &Signs) {
    let permit = budget.enter().await;
    sleep(took).await;
    permit.done("flights", 100, took, signs);
}

/// Runs so many batches, as many at once as may.
async fn batches(budget: &Budget, count: usize, took: Duration) {
    let run = |_| {
        let budget = budget.clone();
        tokio::spawn(async move { batch(&budget, took, &Signs::default()).await })
    };
    for one in (0..count).map(run).collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

fn near(is: f64, should_be: f64) -> bool {
    (is - should_be).abs() <= should_be * 0.05
}

#[track_caller]
fn assert_window(budget: &Budget, should_be: f64) {
    assert!((budget.state().window - should_be).abs() < 1e-9, "{should_be}: {:?}", budget.state());
}

fn failed() -> Signs {
    Signs { failed: true, ..Signs::default() }
}

/// The share of the time in which batches of this length run, one by one.
async fn duty(budget: &Budget, count: u32, took: Duration, signs: &Signs) -> f64 {
    let before = Instant::now();
    for _ in 0..count {
        batch(budget, took, signs).await;
    }
    // The pause behind the last one belongs to it.
    budget.enter().await.unused();
    (took * count).div_duration_f64(before.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_budget_begins_with_one_batch() {
    let budget = budget(8);
    let first = budget.enter().await;
    assert!(timeout(ms(60_000), budget.enter()).await.is_err());
    let state = budget.state();
    assert_eq!((state.window, state.running, state.waiting, state.halvings), (1.0, 1, 0, 0));
    assert_eq!((state.busy_share, state.why), (1.0, None));
    first.done("flights", 100, ms(10), &Signs::default());
    assert_eq!(budget.state().running, 0);
}

#[tokio::test(start_paused = true)]
async fn it_grows_by_one_a_round_while_batches_take_no_longer() {
    let budget = budget(8);
    let before = Instant::now();
    batches(&budget, 1 + 2 + 3 + 4, ms(50)).await;
    // Nobody waited any more when the last of the four ended.
    assert!((4.0..=5.0).contains(&budget.state().window), "{:?}", budget.state());
    assert_eq!(before.elapsed(), ms(200));
    batches(&budget, 100, ms(60)).await;
    assert_window(&budget, 8.0);
    assert_eq!(budget.state().halvings, 0);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_grow_while_nobody_fills_it() {
    let budget = budget(8);
    for _ in 0..100 {
        batch(&budget, ms(50), &Signs::default()).await;
    }
    assert_window(&budget, 2.0);
}

#[tokio::test(start_paused = true)]
async fn batches_that_ran_at_once_halve_it_once() {
    let budget = budget(8);
    batches(&budget, 200, ms(50)).await;
    assert_window(&budget, 8.0);
    batches(&budget, 8, ms(150)).await;
    let state = budget.state();
    assert_eq!((state.window, state.halvings, state.why), (4.0, 1, Some(Brake::Slow)));
    batches(&budget, 4, ms(150)).await;
    assert_eq!((budget.state().window, budget.state().halvings), (2.0, 2));

    let permits = (budget.enter().await, budget.enter().await);
    drop(permits);
    assert_eq!((budget.state().window, budget.state().why), (1.0, Some(Brake::Failed)));
}

#[tokio::test(start_paused = true)]
async fn it_recovers_when_the_database_does() {
    let budget = budget(2);
    batches(&budget, 20, ms(50)).await;
    for _ in 0..4 {
        batches(&budget, 1, ms(150)).await;
    }
    assert!(budget.state().window <= 0.25, "{:?}", budget.state());
    batches(&budget, 20, ms(50)).await;
    assert_window(&budget, 2.0);
}

#[tokio::test(start_paused = true)]
async fn below_one_it_is_the_share_of_the_time() {
    for (busy, took) in [(0.5, ms(40)), (0.25, ms(100)), (0.05, ms(1_000))] {
        let budget = Budget::new(Caps { busy, ..Caps::default() });
        let signs = Signs { others_active: Some(5), ..Signs::default() };
        let share = duty(&budget, 20, took, &signs).await;
        assert!(near(share, busy), "{share} instead of {busy}");
        assert_eq!(budget.state().why, Some(Brake::Others));
    }
}

#[tokio::test(start_paused = true)]
async fn time_that_a_permit_is_held_for_longer_is_part_of_the_pause() {
    let budget = Budget::new(Caps { busy: 0.25, ..Caps::default() });
    let before = Instant::now();
    for _ in 0..10 {
        let permit = budget.enter().await;
        sleep(ms(200)).await;
        permit.done("flights", 100, ms(100), &Signs { others_active: Some(5), ..Signs::default() });
    }
    budget.enter().await.unused();
    let share = ms(1_000).div_duration_f64(before.elapsed());
    assert!(near(share, 0.25), "{share}");
}

#[tokio::test(start_paused = true)]
async fn while_others_are_active_it_stays_small() {
    let budget = budget(8);
    batches(&budget, 100, ms(50)).await;
    let others = |count| Signs { others_active: Some(count), ..Signs::default() };
    batch(&budget, ms(50), &others(5)).await;
    let state = budget.state();
    assert_eq!((state.window, state.halvings, state.why), (0.25, 0, Some(Brake::Others)));
    for _ in 0..10 {
        batch(&budget, ms(50), &others(5)).await;
    }
    assert_window(&budget, 0.25);
    // Those that do not count them change nothing about it, for half a minute.
    batch(&budget, ms(50), &Signs::default()).await;
    assert_window(&budget, 0.25);
    // Nor do those that see fewer: at the next instant there may be more again.
    batch(&budget, ms(50), &others(4)).await;
    assert_window(&budget, 0.25);

    sleep(ms(31_000)).await;
    batch(&budget, ms(50), &Signs::default()).await;
    assert_window(&budget, 0.35);
}

#[tokio::test(start_paused = true)]
async fn slowness_counts_only_in_company() {
    let others = |count| Signs { others_active: Some(count), ..Signs::default() };
    let budget = budget(2);
    batch(&budget, ms(50), &others(0)).await;
    batch(&budget, ms(200), &others(0)).await;
    assert_eq!(budget.state().why, None);

    batch(&budget, ms(50), &others(1)).await;
    sleep(ms(29_000)).await;
    batch(&budget, ms(200), &others(0)).await;
    assert_eq!((budget.state().why, budget.state().window), (Some(Brake::Slow), 1.0));

    sleep(ms(2_000)).await;
    batch(&budget, ms(200), &others(0)).await;
    assert_eq!(budget.state().halvings, 1);
    // Who may not see whether there is anybody takes care.
    batch(&budget, ms(200), &Signs::default()).await;
    assert_eq!(budget.state().halvings, 2);
}

#[tokio::test(start_paused = true)]
async fn each_sign_of_trouble_halves_it() {
    let late = |seconds| Signs { replica_lag: Some(Duration::from_secs(seconds)), ..Signs::default() };
    let waited = |millis| Signs { pool_waited: ms(millis), ..Signs::default() };
    for (signs, why) in [
        (failed(), Some(Brake::Failed)),
        (waited(101), Some(Brake::PoolWait)),
        (late(11), Some(Brake::ReplicaLag)),
        (waited(100), None),
        (late(10), None),
    ] {
        let budget = budget(2);
        batch(&budget, ms(50), &signs).await;
        assert_eq!(budget.state().why, why);
        assert_window(&budget, if why.is_some() { 0.5 } else { 2.0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_by_its_own_fault_costs_its_time_and_says_nothing_about_others() {
    let budget = budget(2);
    for _ in 0..20 {
        budget.enter().await.faulty(ms(1));
    }
    assert_window(&budget, 1.0);
    // Nor is what takes longer than a statement that fails at once too slow.
    batch(&budget, ms(50), &Signs::default()).await;
    assert_eq!(budget.state().why, None);

    batch(&budget, ms(50), &failed()).await;
    batch(&budget, ms(50), &failed()).await;
    assert_window(&budget, 0.5);
    let permit = budget.enter().await;
    sleep(ms(4_000)).await;
    permit.faulty(ms(4_000));
    let before = Instant::now();
    budget.enter().await.unused();
    assert!(before.elapsed() >= ms(3_000), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_worst_of_times_leave_the_least_share() {
    let budget = budget(2);
    for _ in 0..20 {
        batch(&budget, ms(100), &failed()).await;
    }
    assert_window(&budget, 0.01);
    let share = duty(&budget, 20, ms(100), &failed()).await;
    assert!(near(share, 0.01), "{share}");
    // However long a batch was, the next one runs within a minute.
    batch(&budget, ms(30_000), &failed()).await;
    let before = Instant::now();
    budget.enter().await.unused();
    assert!(before.elapsed() <= ms(60_001), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn caps_that_are_nonsense_let_batches_run_all_the_same() {
    let caps =
        Caps { batches: 0, keys_per_second: Some(0), share: Some(f64::NAN), busy: -1.0, ..Caps::default() };
    let budget = Budget::new(caps);
    let signs = Signs { others_active: Some(u32::MAX), ..Signs::default() };
    for _ in 0..20 {
        batch(&budget, ms(100), &signs).await;
    }
    assert_window(&budget, 0.01);
}

#[tokio::test(start_paused = true)]
async fn no_more_keys_are_loaded_in_a_second_than_allowed() {
    let budget = Budget::new(Caps { keys_per_second: Some(1_000), ..Caps::default() });
    let before = Instant::now();
    batches(&budget, 200, ms(10)).await;
    budget.enter().await.unused();
    let rate = 20_000.0 / before.elapsed().as_secs_f64();
    assert!(near(rate, 1_000.0), "{rate}");
    // Nothing is saved up for later.
    sleep(ms(60_000)).await;
    let before = Instant::now();
    batches(&budget, 20, ms(10)).await;
    assert!(before.elapsed() >= ms(1_800), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_more_of_the_databases_time_is_taken_than_allowed() {
    let budget = Budget::new(Caps { share: Some(0.5), ..Caps::default() });
    let mut most: f64 = 0.0;
    let before = Instant::now();
    while before.elapsed() < ms(60_000) {
        batch(&budget, ms(200), &Signs::default()).await;
        most = most.max(budget.state().busy_share);
    }
    // A batch more than that, and a step in which time is counted.
    assert!((0.5..=0.53).contains(&most), "{most}");
    assert!(budget.state().window > 1.0);
}

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_the_order_in_which_they_ask() {
    let budget = budget(2);
    let served = Arc::new(Mutex::new(Vec::new()));
    let caller = |name: &'static str| {
        let (budget, served) = (budget.clone(), Arc::clone(&served));
        tokio::spawn(async move {
            for _ in 0..10 {
                let permit = budget.enter().await;
                served.lock().unwrap().push(name);
                sleep(ms(50)).await;
                permit.done(name, 100, ms(50), &failed());
            }
        })
    };
    for one in ["a", "b", "c"].map(caller) {
        one.await.unwrap();
    }
    assert_eq!(served.lock().unwrap().concat(), "abc".repeat(10));
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_away_leaves_its_place_to_others() {
    let budget = budget(2);
    let permit = budget.enter().await;
    let waits = {
        let budget = budget.clone();
        tokio::spawn(async move { budget.enter().await })
    };
    let behind = {
        let budget = budget.clone();
        tokio::spawn(async move { budget.enter().await })
    };
    sleep(ms(1)).await;
    assert_eq!(budget.state().waiting, 2);
    waits.abort();
    assert!(waits.await.unwrap_err().is_cancelled());
    assert_eq!(budget.state().waiting, 1);
    // Dropped as a batch is that is cancelled, or panics.
    drop(permit);
    let permit = timeout(ms(10), behind).await.expect("its turn has come").unwrap();
    assert_eq!((budget.state().running, budget.state().waiting), (1, 0));
    assert_eq!((budget.state().why, budget.state().window), (Some(Brake::Failed), 0.5));
    drop(permit);
    assert_eq!(budget.state().running, 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_wait_is_kept_waiting_by_batches_and_by_no_pause() {
    let budget = Budget::new(Caps { batches: 2, ..Caps::default() });
    for _ in 0..8 {
        drop(budget.enter().await);
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    assert!(budget.state().window < 0.1);
    let began = Instant::now();

    let (one, other) = (budget.enter_soon().await, budget.enter_soon().await);

    assert_eq!(began.elapsed(), Duration::ZERO);
    let third = budget.enter_soon();
    tokio::pin!(third);
    assert!(futures_util::poll!(&mut third).is_pending());
    one.unused();
    let third = third.await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    other.unused();
    third.unused();
}
