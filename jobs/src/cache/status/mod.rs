//! What is cached, how well it serves, and what to change: for `brasa cache status` and the dashboard.

mod advice;
mod facts;
mod sample;

use brasa_shared::cache::{Caches, Epoch, Server};
use brasa_shared::db::changes::{ChangeLog, Waiting};
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::logs::chain;
use sqlx::PgPool;

pub use facts::{Facts, gather, listed};
pub use sample::Sample;

/// What concerns the whole cache.
#[derive(Debug)]
pub struct Whole {
    /// What Redis says about itself.
    pub server: Server,
    /// For how long the memory of the server holds; without one it takes no values.
    pub epoch: Option<Epoch>,
    /// The worker that carries changes, sweeps, and begins epochs.
    pub attendant: Option<String>,
    /// What waits in the change log; or why nobody knows; none where there is no log.
    pub waiting: Option<Result<Waiting, String>>,
}

/// Looks at what concerns the whole cache.
///
/// # Errors
/// Redis is out of reach. A Postgres that is away does not keep what Redis says from being told.
pub async fn whole(caches: &Caches, pool: Option<&PgPool>) -> Result<Whole, StoreError> {
    Ok(Whole {
        server: caches.server().await?,
        epoch: caches.epoch().await?,
        attendant: caches.attendant().await?,
        waiting: match pool {
            Some(pool) => waiting(pool).await,
            None => None,
        },
    })
}

impl Whole {
    /// Whether the epoch is that of the server which runs now; none where there is no epoch.
    pub fn goes_on(&self) -> Option<bool> {
        self.epoch.as_ref().map(|epoch| epoch.run_id == self.server.run_id)
    }
}

/// What waits in the change log; or why nobody knows; none where there is no log.
pub async fn waiting(pool: &PgPool) -> Option<Result<Waiting, String>> {
    let log = ChangeLog::of(pool.clone());
    match log.exists().await {
        Ok(true) => Some(log.waiting().await.map_err(|error| chain(&error))),
        Ok(false) => None,
        Err(error) => Some(Err(chain(&error))),
    }
}
