//! The keys that are asked for most, kept where a lost cache does not take them along.

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};

/// Longer parameters, in bytes, have no place in an index of Postgres, and none among what is warmed first.
const PARAMS_MAX: usize = 2_000;

/// In one order, so that two that save at the same time wait for one another instead of deadlocking.
const SAVE: &str = "insert into brasa.cache_hot (warmer, params, hits, cost_us, bytes)
    select $1, array(select value from json_array_elements_text(key::json) with ordinality order by ordinality),
        hits, cost_us, bytes
    from (
        select distinct on (key) key, hits, cost_us, bytes
        from unnest($2::text[], $3::float8[], $4::int8[], $5::int8[]) as new (key, hits, cost_us, bytes)
        order by key, hits desc
    ) as once
    on conflict (warmer, params) do update
    set hits = excluded.hits, cost_us = excluded.cost_us, bytes = excluded.bytes, seen_at = excluded.seen_at";

/// All rows that were saved together have the time of their transaction.
const FORGET: &str = "delete from brasa.cache_hot where warmer = $1 and seen_at <> now()";

const LOAD: &str = "select params, hits, cost_us, bytes from brasa.cache_hot where warmer = $1
    order by hits * cost_us / greatest(bytes, 1) desc, params limit $2";

/// A key, and what it is worth to have it in the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct HotKey {
    /// The values of the warmer's parameters as text, in its order.
    pub params: Vec<String>,
    /// How often it is asked for, in whatever measure all keys of the warmer share.
    pub hits: f64,
    /// How long the value takes to be made, in microseconds.
    pub cost_us: i64,
    /// How large the value is, in bytes.
    pub bytes: i64,
}

/// Makes these the hot keys of a warmer, and forgets all others of it. Keys that are too long for an index,
/// or that no text of Postgres can be, are left out.
///
/// # Errors
/// What Postgres says; then the keys that were there are there still.
pub async fn save_hot(pool: &PgPool, warmer: &str, keys: &[HotKey]) -> Result<(), sqlx::Error> {
    let keys: Vec<&HotKey> = keys.iter().filter(|key| has_place(key)).collect();
    let params: Vec<String> = keys.iter().map(|key| serde_json::json!(key.params).to_string()).collect();
    let hits: Vec<f64> = keys.iter().map(|key| sane(key.hits)).collect();
    let costs: Vec<i64> = keys.iter().map(|key| key.cost_us).collect();
    let bytes: Vec<i64> = keys.iter().map(|key| key.bytes).collect();
    let mut transaction = pool.begin().await?;
    let save = sqlx::query(SAVE).bind(warmer).bind(params).bind(hits).bind(costs).bind(bytes);
    save.execute(&mut *transaction).await?;
    sqlx::query(FORGET).bind(warmer).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Up to `limit` hot keys of a warmer: first those that save most time for their size.
///
/// # Errors
/// What Postgres says.
pub async fn load_hot(pool: &PgPool, warmer: &str, limit: usize) -> Result<Vec<HotKey>, sqlx::Error> {
    let query = sqlx::query(LOAD).bind(warmer).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let read = |row: &PgRow| {
        Ok(HotKey {
            params: row.try_get("params")?,
            hits: row.try_get("hits")?,
            cost_us: row.try_get("cost_us")?,
            bytes: row.try_get("bytes")?,
        })
    };
    query.fetch_all(pool).await?.iter().map(read).collect()
}

fn has_place(key: &HotKey) -> bool {
    let bytes: usize = key.params.iter().map(String::len).sum();
    bytes <= PARAMS_MAX && !key.params.iter().any(|param| param.contains('\0'))
}

/// What is no number would stand before all that are, and a product must stay one.
fn sane(hits: f64) -> f64 {
    if hits.is_finite() { hits.clamp(0.0, 1e18) } else { 0.0 }
}
