//! `brasa db`: care of the database.

use clap::Subcommand;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

mod indexes;
mod prune;

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Show how large indexes are, and how large they would be if they were made anew
    Indexes(indexes::Indexes),
    /// Delete rows that have expired, a few at a time; without --yes, only count them
    Prune(prune::Prune),
}

impl Db {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Indexes(verb) => verb.obey(app, out).await,
            Self::Prune(verb) => verb.obey(app, out).await,
        }
    }
}
