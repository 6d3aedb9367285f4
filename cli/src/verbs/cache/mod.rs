//! `brasa cache`: what is cached and why; warming, invalidating, and the triggers that tell of changes.

use std::collections::BTreeMap;

use brasa_jobs::cache::Shape;
use brasa_shared::config::Warmer;
use clap::Subcommand;

use crate::app::{App, unknown};
use crate::failure::Failure;
use crate::output::Output;

mod get;
mod hot;
mod invalidate;
mod status;
mod target;
mod triggers;
mod values;
mod warm;
mod why;

pub(crate) use triggers::dependents;

#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// Say what is cached, how well it serves, and what to change
    Status(status::Status),
    /// Enqueue a job that loads the values of a warmer
    Warm(warm::Warm),
    /// Print a value
    Get(get::Get),
    /// Say everything that is known about a value
    Why(why::Why),
    /// Make values invalid, by their keys, their tags or their warmer
    Invalidate(invalidate::Invalidate),
    /// List what is read most
    Hot(hot::Hot),
    /// Install, remove and check the triggers that tell of changes in tables
    #[command(subcommand)]
    Triggers(triggers::Triggers),
}

impl Cache {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if let Self::Triggers(verb) = self {
            return verb.obey(app, out).await;
        }
        app.greet_redis().await?;
        match self {
            Self::Status(verb) => verb.obey(app, out).await,
            Self::Warm(verb) => verb.obey(app, out).await,
            Self::Get(verb) => verb.obey(app, out).await,
            Self::Why(verb) => verb.obey(app, out).await,
            Self::Invalidate(verb) => verb.obey(app, out).await,
            Self::Hot(verb) => verb.obey(app, out).await,
            Self::Triggers(_) => Ok(()),
        }
    }
}

/// A warmer of the configuration.
fn warmer<'a>(app: &'a App, name: &str) -> Result<(&'a Warmer, Shape), Failure> {
    let warmer = app.config.warm.get(name);
    let warmer = warmer.ok_or_else(|| unknown("warmer", name, app.config.warm.keys()))?;
    Ok((warmer, Shape::of(name, warmer)))
}

/// All warmers of the configuration.
fn shapes(app: &App) -> BTreeMap<&str, Shape> {
    app.config.warm.iter().map(|(name, warmer)| (name.as_str(), Shape::of(name, warmer))).collect()
}
