//! Random operations on the queue, held against a model of it after each: claims that are lost, late outcomes, limits,
//! cancellations, retention, time that passes.

use rand::RngExt as _;

use super::{Plan, Report};
use crate::model::{STEPS_PER_RUN, try_steps};

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let (steps, seed) = (plan.rounds * STEPS_PER_RUN, plan.dice.random());
    // It has a runtime of its own for each run.
    let tried = tokio::task::spawn_blocking(move || try_steps(steps, &seed)).await;
    if let Err(reason) = tried.expect("the model does not panic") {
        report.demand(false, reason);
    }
    report.note(format!("{steps} operations"));
    report
}
