//! Jobs that wait for something else: how much of that time is lost between them.

use anyhow::Result;
use brasa_tests::bench::protocol::Mode;
use brasa_tests::bench::{Bar, Contestant, Row, Run};

use super::field::Field;

/// Jobs at once, for everybody.
const AT_ONCE: u32 = 100;
/// How long each sleeps, in s.
const SLEEP_S: f64 = 0.010;

pub(super) fn rows(field: &Field) -> Vec<Row> {
    let all = field.everybody("jobs that sleep", 1, |who| times_ideal(field, who));
    all.rows("10 ms sleeps, 100 at once", "x ideal", Bar::AtMost(1.10), |times| *times)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of jobs fit")]
fn times_ideal(field: &Field, who: &Contestant) -> Result<f64> {
    let jobs = field.plan.sleeps;
    let run = Run::new(field.stage, &field.redis, who)?;
    run.enqueue(jobs, None)?;
    let mut workers = run.start(Mode::Sleep, 1, usize::try_from(AT_ONCE)?)?;
    let took = workers.until(jobs)?.took().as_secs_f64();
    Ok(took / (jobs as f64 * SLEEP_S / f64::from(AT_ONCE)))
}
