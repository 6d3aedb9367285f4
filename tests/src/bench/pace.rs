//! Pushing at a rate that does not depend on how the pushed are doing.

use std::thread;
use std::time::{Duration, Instant};

/// Calls `push` `count` times at `rate` per second, each time with its number and how long after the begin it was
/// meant to be. An open loop: it never waits for what was pushed, and who is late finds several due at once.
///
/// It blocks its thread, which sleeps to a few dozen µs; a runtime's timers are good for a ms.
pub(super) fn open_loop<E>(
    count: u64,
    rate: f64,
    mut push: impl FnMut(u64, Duration) -> Result<(), E>,
) -> Result<(), E> {
    let begun = Instant::now();
    let mut meant = Duration::ZERO;
    let step = Duration::from_secs_f64(1.0 / rate);
    for number in 0..count {
        while let Some(early) = meant.checked_sub(begun.elapsed()).filter(|early| !early.is_zero()) {
            thread::park_timeout(early);
        }
        push(number, meant)?;
        meant += step;
    }
    Ok(())
}
