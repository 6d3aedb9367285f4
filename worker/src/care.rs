//! How much is recommended about the database, as metrics: read where it is kept, so that every worker tells the same,
//! whoever reviewed last, and whatever a person has dismissed since.

use std::time::Duration;

use brasa_jobs::database::review::store::open_counts;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often the numbers are published.
const EVERY: Duration = Duration::from_secs(10);
/// How often a database without the table is looked at.
const LOOK_FOR_TABLE: Duration = Duration::from_mins(1);

/// Publishes the numbers until `stop`; nothing without a database.
pub(crate) fn start(pool: Option<PgPool>, stop: &CancellationToken) {
    let (Some(pool), stop) = (pool, stop.clone()) else { return };
    tokio::spawn(async move {
        tokio::select! {
            () = run(&pool) => {}
            () = stop.cancelled() => {}
        }
    });
}

async fn run(pool: &PgPool) {
    loop {
        let pause = match look(pool).await {
            Ok(true) => EVERY,
            Ok(false) => LOOK_FOR_TABLE,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "cannot count what is recommended about the database");
                EVERY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Publishes the numbers; says whether there are any.
async fn look(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let Some(counts) = open_counts(&mut connection).await? else { return Ok(false) };
    for (severity, count) in counts {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::care_recommendations(severity.word()).set(count as f64);
    }
    Ok(true)
}
