//! What people do, on pages and through the API: it is written down, and then it is done.

mod actor;
pub(crate) mod cache;
pub(crate) mod dead;
pub(crate) mod jobs;
pub(crate) mod queues;
pub(crate) mod recommendations;
pub(crate) mod schedules;
mod start;

pub(crate) use actor::{Actor, Reason};
pub(crate) use start::{Start, Started};
