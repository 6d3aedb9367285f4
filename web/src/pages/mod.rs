//! The pages: a page is a file, with what it shows and what can be done there.
//!
//! Everything works without scripts: a form is sent, the act is written down and done, and the page is shown again.
//! The script only draws pages again as things change, and asks before what cannot be undone.

mod about;
mod assets;
mod audit;
mod dead;
pub(crate) mod events;
mod job;
mod jobs;
mod login;
mod overview;
mod past;
mod queues;
mod schedules;
mod workers;

use crate::acts as act;
use crate::routes::Route;

/// All that can be called by people.
pub(crate) fn routes() -> Vec<Route> {
    [
        about::routes(),
        assets::routes(),
        audit::routes(),
        dead::routes(),
        events::routes(),
        job::routes(),
        jobs::routes(),
        login::routes(),
        overview::routes(),
        queues::routes(),
        schedules::routes(),
        workers::routes(),
    ]
    .concat()
}
