//! `brasa db`: care of the database.

use clap::Subcommand;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

mod prune;

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Delete rows that have expired, a few at a time; without --yes, only count them
    Prune(prune::Prune),
}

impl Db {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Prune(verb) => verb.obey(app, out).await,
        }
    }
}
