//! Waking the relay when a transaction with rows has committed. Nothing rests on it: the relay looks by itself.

use std::convert::Infallible;
use std::time::Duration;

use brasa_shared::db::outbox::OutboxTable;
use brasa_shared::telemetry::logs::chain;
use tokio::sync::Notify;

use crate::outbox::Trouble;

/// How long to wait before listening again after the connection broke.
const AGAIN: Duration = Duration::from_secs(1);
/// How long to leave it at polling where notifications do not arrive.
const DEAF_FOR: Duration = Duration::from_mins(1);

/// Listens for ever, and wakes.
pub(super) async fn run(table: &OutboxTable, wake: &Notify) {
    let mut told = false;
    loop {
        let pause = match listen(table, wake, &mut told).await {
            Ok(Deaf) => DEAF_FOR,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "not listening to the outbox; polling meanwhile");
                AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Notifications do not arrive here.
struct Deaf;

async fn listen(table: &OutboxTable, wake: &Notify, told: &mut bool) -> Result<Deaf, Trouble> {
    let mut ears = table.listen().await?;
    if !table.is_heard_by(&mut ears).await? {
        if !*told {
            *told = true;
            tracing::warn!(
                "notifications of Postgres do not arrive, as behind a pooler in transaction mode; the outbox is polled \
                 instead, and its jobs start up to a second later"
            );
        }
        return Ok(Deaf);
    }
    *told = false;
    let hearing = async {
        loop {
            // The first time for what may have been missed before.
            wake.notify_one();
            ears.hear().await?;
        }
    };
    let lost: Result<Infallible, sqlx::Error> = hearing.await;
    lost.map(|_| Deaf).map_err(Trouble::from)
}
