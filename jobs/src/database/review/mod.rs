//! `db.review`: facts, rules, recommendations, report.
//!
//! [`gather`] loads facts, each with the subject that it belongs to; [`rules::RULES`] are plain functions over them;
//! what they recommend is kept until its evidence goes ([`store`]); [`report`] shows it. Nothing here changes
//! anything of the application's: whoever reads a report decides.

pub mod facts;
mod gather;
mod kind;
mod past;
mod recommendation;
pub mod report;
pub mod rules;
pub mod store;
mod words;

pub use facts::{Facts, Limits};
pub use gather::{gather, limit};
pub use kind::{ReviewDatabase, Reviewed, review};
pub use past::Past;
pub use recommendation::{Confidence, Does, Recommendation, Severity};
