//! `/api/v1`, for programs: a subject is a file, with what can be asked, and what is answered.
//!
//! Everything that comes is typed, and what nobody knows is refused. What is answered where something was not done is
//! of one form for all (`error.rs`, `guard/dress.rs`). The document of it all is made from this code (`document.rs`).

mod audit;
mod cache;
mod dead;
mod document;
mod enqueue;
mod hall;
mod job;
mod jobs;
mod overview;
mod parts;
mod queues;
mod recommendations;
mod schedules;
mod workers;

use brasa_shared::config::Role;

use crate::routes::{Need, Route};

pub(crate) use hall::Hall;

/// Whoever is known; what of it they may see or do is looked at for each job.
const KNOWN: Need = Need::Role(Role::Enqueue);

/// All that can be called by programs.
pub(crate) fn routes() -> Vec<Route> {
    [
        audit::routes(),
        cache::routes(),
        dead::routes(),
        document::routes(),
        enqueue::routes(),
        jobs::routes(),
        overview::routes(),
        queues::routes(),
        recommendations::routes(),
        schedules::routes(),
        workers::routes(),
    ]
    .concat()
}
