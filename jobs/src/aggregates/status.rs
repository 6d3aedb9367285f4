//! How far each aggregate is, and how far behind: for `brasa aggregates status` and the dashboard.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_shared::config::Aggregate;
use brasa_shared::db::aggregates::{Version, versions};
use sqlx::PgConnection;

use super::fault::Fault;
use super::fold::waiting;

/// How far a version of an aggregate is.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What is known about it.
    pub version: Version,
    /// Rows of the log that are not in its groups yet.
    pub waiting: i64,
    /// For how long the first of them has been there; zero where there is none.
    pub lag: Duration,
    /// Whether it is what the configuration says.
    pub is_current: bool,
}

/// How far all versions of an aggregate are, or of all of the database, by name, the newest last; those of the
/// configuration that are not installed have none.
///
/// # Errors
/// See [`Fault`].
pub async fn standings(
    connection: &mut PgConnection,
    configured: &BTreeMap<String, Aggregate>,
    only: Option<&str>,
) -> Result<BTreeMap<String, Vec<Standing>>, Fault> {
    let wanted = configured.keys().filter(|name| only.is_none_or(|only| only == name.as_str()));
    let mut all: BTreeMap<String, Vec<Standing>> = wanted.map(|name| (name.clone(), Vec::new())).collect();
    for version in versions(connection, only).await? {
        let (waiting, lag) = waiting(connection, &version).await?;
        let defined = configured.get(&version.name).map(|known| known.definition.version());
        let is_current = defined.as_ref() == Some(&version.definition);
        let standing = Standing { version, waiting, lag, is_current };
        all.entry(standing.version.name.clone()).or_default().push(standing);
    }
    Ok(all)
}
