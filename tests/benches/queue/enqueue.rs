//! How many jobs one client can enqueue, one by one.

use brasa_tests::bench::{Bar, Row, Run};

use super::field::Field;

/// Callers at once, all over one client.
const CALLERS: usize = 50;

#[expect(clippy::cast_precision_loss, reason = "numbers of jobs fit")]
pub(super) fn rows(field: &Field) -> Vec<Row> {
    let jobs = field.plan.singles;
    let all = field.everybody("enqueue one by one", field.plan.repeats, |who| {
        let run = Run::new(field.stage, &field.redis, who)?;
        Ok(jobs as f64 / run.enqueue(jobs, Some(CALLERS))?)
    });
    let what = "enqueue one by one, 50 callers of one client";
    all.rows(what, "jobs/s", Bar::AtLeast(50_000.0), |rate| *rate)
}
