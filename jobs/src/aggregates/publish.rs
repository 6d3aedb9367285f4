//! Putting the newest buckets of an aggregate into Redis.

use brasa_shared::boards::Boards;
use brasa_shared::config::{MissingColumn, Publish};
use brasa_shared::db::aggregates::{Version, due, told};
use brasa_shared::db::{execute_all, fetch, fetch_for_job};
use brasa_shared::store::StoreError;
use sqlx::{PgConnection, Row as _};

use crate::aggregates::fault::Fault;
use crate::aggregates::fold::columns;
use crate::aggregates::shape::Shape;
use crate::aggregates::shape_of;
use crate::aggregates::sql;

/// How many keys are published in one go.
pub(super) const MOST: usize = 200;

/// Why something was not published. It stays due.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The database did not say.
    #[error(transparent)]
    Database(#[from] Fault),
    /// Redis did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key cannot be made.
    #[error(transparent)]
    Key(#[from] MissingColumn),
}

impl From<sqlx::Error> for PublishError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Publishes what is due of the version that is shown; returns how many keys.
///
/// # Errors
/// See [`PublishError`].
pub async fn publish(
    connection: &mut PgConnection,
    boards: &Boards,
    version: &Version,
    publish: &Publish,
) -> Result<usize, PublishError> {
    let shape = shape_of(version).map_err(Fault::from)?;
    let Some(columns) = columns(publish, &shape) else { return Ok(0) };
    let template = publish.key.to_string();
    let found = due(connection, &version.name, i64::try_from(MOST).unwrap_or(i64::MAX)).await?;
    for due in &found {
        // Another configuration may have named other columns.
        if due.params.len() == columns.len() {
            let figures = fetch_for_job(
                connection,
                "publish",
                &sql::board(&shape, &columns, &due.params, publish.buckets),
                &[],
            )
            .await?;
            let figures: Option<String> = figures.first().map(|row| row.try_get("figures")).transpose()?;
            let value_of = |column: &str| {
                let place = columns.iter().position(|known| known == column)?;
                due.params.get(place).map(String::as_str)
            };
            let key = publish.key.render(&value_of)?;
            boards
                .publish((&version.name, &template), &key, due.version, &figures.unwrap_or_default())
                .await?;
        }
        told(connection, &version.name, due).await?;
    }
    Ok(found.len())
}

/// Has everything published again.
///
/// # Errors
/// See [`Fault`].
pub async fn mark_all(
    connection: &mut PgConnection,
    version: &Version,
    publish: &Publish,
) -> Result<(), Fault> {
    let shape = shape_of(version)?;
    let Some(columns) = columns(publish, &shape) else { return Ok(()) };
    let statement = sql::board_all(&shape, &columns);
    Ok(execute_all(connection, &[statement]).await?)
}

/// The newest groups of the version that is shown, or those of the bucket that a time is in, as JSON objects, exact as of
/// now.
///
/// # Errors
/// See [`Fault`].
pub async fn rows(
    connection: &mut PgConnection,
    shape: &Shape,
    bucket: Option<&str>,
    most: u32,
) -> Result<Vec<String>, Fault> {
    let condition =
        bucket.map_or_else(String::new, |bucket| format!("where bucket = {}", shape.buckets().named(bucket)));
    let sql = format!(
        "select row_to_json(shown)::text as shown from {} as shown {condition} order by bucket desc limit {most}",
        shape.view()
    );
    let found = fetch(connection, &sql, &[]).await?;
    found.iter().map(|row| Ok(row.try_get("shown")?)).collect()
}
