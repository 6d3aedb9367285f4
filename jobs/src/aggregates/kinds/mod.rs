//! What is done with aggregates, as jobs.

mod backfill;
mod check;
mod refresh;

pub use backfill::Backfill;
pub use check::Check;
pub use refresh::Refresh;

use brasa_shared::config::{Aggregate, Config};
use brasa_shared::db::aggregates::{State, Version, versions};
use sqlx::PgConnection;

use crate::absent;
use crate::aggregates::fault::Fault;
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

fn aggregate<'c>(config: &'c Config, name: &str) -> Result<&'c Aggregate, String> {
    config
        .aggregates
        .get(name)
        .ok_or_else(|| absent("aggregate", "aggregates", name, config.aggregates.keys()))
}

/// The versions that are kept, of which there is one at least.
async fn kept(connection: &mut PgConnection, name: &str) -> JobResult<Vec<Version>> {
    let found = versions(connection, Some(name)).await;
    let mut found = found.map_err(|error| judge(error, "look for the aggregate"))?;
    found.retain(|version| version.state != State::Old);
    if found.is_empty() {
        let why = format!("aggregate `{name}` is not installed: run `brasa aggregates install {name}`");
        return Err(JobError::bury(why));
    }
    Ok(found)
}

fn failed(fault: Fault) -> JobError {
    match fault {
        Fault::Broken(error) => {
            JobError::bury(anyhow::Error::new(error).context("the source is not what it was"))
        }
        fault @ Fault::Unreadable(_) => JobError::bury(fault.to_string()),
        fault => JobError::retry(anyhow::Error::new(fault)),
    }
}
