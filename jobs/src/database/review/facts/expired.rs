//! How many rows have expired, as the planner estimates it: nothing is counted.

use brasa_shared::config::Prune;
use brasa_shared::db;
use serde_json::Value;
use sqlx::{PgConnection, Row as _};

/// How many rows have expired.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expired {
    /// The name of `[maintenance.prune.NAME]`.
    pub name: String,
    /// Its table, as it is written in SQL.
    pub table: String,
    /// Its condition.
    pub filter: String,
    /// About how many rows have expired.
    pub expired: f64,
    /// About how many there are.
    pub rows: f64,
}

/// How many rows of a table have expired.
pub(in crate::database::review) async fn expired(
    connection: &mut PgConnection,
    name: &str,
    prune: &Prune,
) -> Result<Expired, sqlx::Error> {
    let all = format!("/* brasa */ explain (format json) select 1 from {}", prune.table);
    let some = format!("{all} where ({})", prune.filter);
    Ok(Expired {
        name: name.to_owned(),
        table: prune.table.clone(),
        filter: prune.filter.clone(),
        rows: rows(connection, &all).await?,
        expired: rows(connection, &some).await?,
    })
}

/// How many rows the plan of a statement is expected to give.
async fn rows(connection: &mut PgConnection, explain: &str) -> Result<f64, sqlx::Error> {
    let row =
        db::fetch(connection, explain, &[]).await?.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
    // It comes as `json`, for which nothing is there to decode it.
    let text: String = row.try_get_unchecked(0)?;
    let plan: Value = serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(plan.pointer("/0/Plan/Plan Rows").and_then(Value::as_f64).unwrap_or_default())
}
