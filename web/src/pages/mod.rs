//! The pages: a page is a file, with what it shows and what can be done there.
//!
//! Everything works without scripts: a form is sent, the act is written down and done, and the page is shown again.
//! The script only draws pages again as things change, and asks before what cannot be undone.

mod about;
mod aggregates;
mod assets;
mod audit;
mod cache;
mod database;
mod dead;
pub(crate) mod events;
mod job;
mod jobs;
mod lately;
mod login;
mod overview;
mod past;
mod queues;
mod recommendations;
mod schedules;
mod workers;
mod writes;

use crate::acts as act;
use crate::routes::Route;

/// All that can be called by people.
pub(crate) fn routes() -> Vec<Route> {
    [
        about::routes(),
        aggregates::routes(),
        assets::routes(),
        audit::routes(),
        cache::routes(),
        database::routes(),
        dead::routes(),
        events::routes(),
        job::routes(),
        jobs::routes(),
        login::routes(),
        overview::routes(),
        queues::routes(),
        recommendations::routes(),
        schedules::routes(),
        workers::routes(),
        writes::routes(),
    ]
    .concat()
}
