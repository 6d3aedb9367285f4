//! The kinds of job that Brasa runs, by family.
//!
//! A kind is a payload, a policy and a handler in one file; [`catalog`] lists them all, in order.

pub mod aggregates;
pub mod alerts;
mod batch;
pub mod cache;
mod catalog;
mod connection;
mod context;
pub mod database;
mod enqueue;
pub mod history;
pub mod http;
mod job;
mod middleware;
mod reporter;
mod site;
pub mod sql;
pub mod testing;
mod verdict;
pub mod writes;

use brasa_shared::config::did_you_mean;

pub use batch::{BatchJob, Batching, Item, RawItem};
pub use brasa_shared::clock::Clock;
pub use brasa_shared::config::Config;
pub use brasa_shared::queue::{Enqueued, Envelope, Flow, Link, OnConflict, UniqueUntil};
pub use brasa_shared::seal::{Key, Keyring};
pub use brasa_shared::store::Store;
pub use catalog::{Catalog, Kind};
pub use connection::Connection;
pub use context::{JobContext, Reach, ThisJob};
pub use enqueue::{EnqueueError, Enqueuer, Queues, job_of};
pub use job::{Job, Policy};
pub use middleware::{Middleware, Next};
pub use reporter::Reporter;
pub use site::{Site, SiteError};
pub use verdict::{JobError, JobResult, OrElse, Verdict};

/// The kinds that every build of Brasa knows. A team's own binary adds its own with [`Catalog::with`].
pub fn catalog() -> Catalog {
    Catalog::default()
        .with::<aggregates::Refresh>()
        .with::<aggregates::Backfill>()
        .with::<aggregates::Check>()
        .with::<cache::Warm>()
        .with::<database::Analyze>()
        .with::<database::history::Observe>()
        .with::<database::PruneRows>()
        .with::<database::Reindex>()
        .with::<database::Vacuum>()
        .with::<database::ReviewDatabase>()
        .with::<http::Post>()
        .with::<sql::Run>()
        .with::<writes::Flush>()
}

/// Says that something named does not exist, and what was probably meant.
fn absent<'n>(what: &str, section: &str, name: &str, known: impl IntoIterator<Item = &'n String>) -> String {
    let help = did_you_mean(name, known.into_iter().map(String::as_str));
    let help = help.unwrap_or_else(|| format!("write [{section}.{name}] in the configuration"));
    format!("there is no {what} `{name}`: {help}")
}
