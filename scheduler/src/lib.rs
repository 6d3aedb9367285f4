//! Decides when jobs are due and enqueues each tick once.
//!
//! Any number of schedulers may run. A tick's job has the id `schedule@instant`, and the script that fires
//! it compares the instant with the schedule's last one, so firing twice is firing once. The leader's lock
//! only saves the others the work; nothing that must be right rests on it.

mod due;
mod fire;
mod plan;
mod run;

pub use due::{Due, due};
pub use fire::{fire_now, job_for};
pub use plan::{Plan, PlanError, plans};
pub use run::{Settings, run};
