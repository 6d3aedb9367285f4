//! What can be wrong with Postgres, and with a replica of it.
//!
//! Everything is asked in the simple protocol and nothing is set, so that a pooler in between is neither
//! confused nor left with something of ours.

use std::time::Duration;

use brasa_shared::db::{self, PoolLimits};
use brasa_shared::finding::{Finding, Section};
use sqlx::{Connection as _, PgConnection, PgPool};

use super::timing;
use crate::app::App;
use crate::failure::{Failure, chain};

mod cache;
mod connections;
mod facts;
mod history;
mod pooler;
mod replica;
mod role;
mod schema;
mod settings;
mod version;

use facts::Facts;

/// How long one question may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The checks of a primary, in the order in which they are told. One more is one more line.
const CHECKS: &[fn(&Facts) -> Vec<Finding>] = &[
    version::check,
    role_of_the_server,
    role::check,
    role::namesake,
    schema::check,
    schema::owner,
    history::check,
    connections::check,
    pooler::check,
    clock,
    settings::check,
    cache::triggers,
    cache::changes,
];

/// Looks at the primary; nothing where no address of one was given. `has_jobs` says that the role is to do what workers do.
pub(super) async fn examine(app: &App, pool: Option<&PgPool>, has_jobs: bool) -> Option<Section> {
    let pool = pool?;
    let findings = match facts::gather(pool, app, has_jobs).await {
        Ok(facts) => {
            let mut findings = vec![timing::answers(facts.answers)];
            findings.extend(CHECKS.iter().flat_map(|check| check(&facts)));
            findings
        }
        Err(error) => vec![away(&error, "statements and warmers cannot run", "DATABASE_URL")],
    };
    Some(Section { server: "postgres", address: db::address(pool), findings })
}

/// Looks at the replica; nothing where no address of one was given.
pub(super) async fn examine_replica(pool: Option<&PgPool>) -> Option<Section> {
    let pool = pool?;
    let findings = match replica::gather(pool).await {
        Ok(facts) => {
            let mut findings = vec![timing::answers(facts.answers)];
            findings.extend(replica::check(&facts));
            findings
        }
        Err(error) => vec![away(&error, "nothing can be read from it", "[postgres] replica_url")],
    };
    Some(Section { server: "replica", address: db::address(pool), findings })
}

/// A pool for the replica, if an address was given.
pub(super) fn replica_pool(app: &App) -> Result<Option<PgPool>, Failure> {
    let postgres = &app.config.postgres;
    let Some(url) = &postgres.replica_url else { return Ok(None) };
    let limits = PoolLimits { connections_max: 1, acquire_timeout: TIMEOUT, statement_timeout: TIMEOUT };
    let misread = |error| Failure::usage(format!("{}: {}", url.source(), chain(&error)));
    db::pool(url.expose(), limits).map(Some).map_err(misread)
}

/// A connection of its own: a pool tries again for as long as it may, and then only says that the time is over.
async fn connect(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    within(PgConnection::connect_with(&pool.connect_options())).await
}

/// The answer, if it comes in time.
async fn within<T>(question: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(TIMEOUT, question).await.unwrap_or_else(late)
}

fn away(error: &sqlx::Error, why: &str, address: &str) -> Finding {
    let help = format!("is Postgres running there, and are {address} and its password right?");
    Finding::problem("answers", format!("cannot be looked at: {}", chain(error)), why, help)
}

fn clock(facts: &Facts) -> Vec<Finding> {
    vec![facts.skew.judge()]
}

/// Writes need the primary.
fn role_of_the_server(facts: &Facts) -> Vec<Finding> {
    if !facts.is_in_recovery {
        return vec![Finding::fine("role", "primary")];
    }
    let why = "a server in recovery takes no writes: statements that change something fail there";
    let help = "give the address of the primary in DATABASE_URL, and this one in [postgres] replica_url";
    vec![Finding::problem("role", "this server is in recovery: a replica, or on its way up", why, help)]
}
