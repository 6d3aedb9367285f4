//! Figures of a table's rows, by span of time and by columns, kept as they change.
//!
//! ```text
//! look: definition + catalogue -> shape       sql/: shape -> statements
//! install: tables, triggers                   build: buckets from the source, newest first
//! fold: log -> groups, one transaction        check: groups + log = source, in one snapshot
//! publish: groups -> Redis                    kinds/: the same as jobs
//! status: how far each version is, for people
//! ```
//!
//! Triggers append what changed to a log, inside the transactions that change it. In every snapshot the groups and the log
//! together are what the source says; whatever is done here keeps that, and is one transaction. So it does not matter who
//! dies when, nor how late a row comes, nor that two do the same: the second finds nothing to do.

mod build;
mod check;
mod fault;
mod fold;
mod install;
mod kinds;
mod look;
mod publish;
mod shape;
mod sql;
mod status;

pub use build::{Built, Pace, build};
pub use check::{Checked, check};
pub use fault::Fault;
pub use fold::{Folded, Folding, fold, lag, waiting};
pub use install::{
    InstallError, Plan, PlanState, Watched, install, plan, remove, remove_old, switch, watched,
};
pub use kinds::{Backfill, Check, Refresh};
pub use look::{Look, Misfit, recomputed};
pub use publish::{PublishError, mark_all, publish, rows};
pub use shape::Shape;
pub use status::{Standing, standings};

use brasa_shared::db::aggregates::Version;

/// The shape of a version, as it was installed.
///
/// # Errors
/// A newer build of Brasa wrote it.
pub fn shape_of(version: &Version) -> Result<Shape, serde_json::Error> {
    let shape: Shape = serde_json::from_str(&version.spec)?;
    Ok(Shape { version: version.version, ..shape })
}
