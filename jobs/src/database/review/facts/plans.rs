//! The plans of the statements that cost the most, as the planner makes them for any values. No statement is run.

use brasa_shared::db;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::scan::{Condition, Scan, scans};
use super::{Gap, Subject};
use crate::database::history::StatementUse;

/// How many statements are planned.
const STATEMENTS_MAX: usize = 20;
/// What a statement is prepared as, so that its plan can be asked for without values. The same on every version.
const PREPARED: &str = "planned_by_brasa";
/// What a statement begins with that can be planned.
const PLANNED: [&str; 5] = ["select", "with", "update", "delete", "insert"];

/// Scans of whole tables in the plans of the statements that cost the most, and why some could not be planned.
pub(in crate::database::review) async fn plans(
    connection: &mut PgConnection,
    version: i32,
    uses: &[StatementUse],
    role: &str,
) -> Result<(Vec<Scan>, Vec<Gap>), sqlx::Error> {
    let mut wanted: Vec<&StatementUse> = uses.iter().filter(|one| is_planned(&one.text)).collect();
    wanted.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
    let (mut found, mut refused) = (Vec::new(), 0);
    for statement in wanted.into_iter().take(STATEMENTS_MAX) {
        match plan(connection, &statement.text).await {
            Ok(plan) => found.extend(scans(&plan).into_iter().map(|scan| Scan {
                statement: statement.fingerprint.clone(),
                share: statement.share,
                calls: statement.calls,
                mean_ms: statement.mean_ms,
                ..scan
            })),
            Err(error) => match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
                Some(code) if code == "42501" => refused += 1,
                // Its tables may be gone, or its text was cut: then there is nothing to advise.
                Some(code) => {
                    tracing::debug!(%code, fingerprint = statement.fingerprint, "a statement was not planned");
                }
                None => return Err(error),
            },
        }
    }
    for scan in &mut found {
        for condition in &mut scan.conditions {
            condition.distinct = distinct(connection, &scan.schema, &scan.table, condition).await?;
        }
    }
    let gap = (refused > 0).then(|| {
        let why =
            format!("{refused} of the statements that cost the most read tables that the role may not read.");
        let role = db::quoted(role);
        let grant = if version >= 140_000 {
            format!("GRANT pg_read_all_data TO {role};")
        } else {
            format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};")
        };
        Gap::right(Subject::Plans, why, grant).in_part()
    });
    Ok((found, gap.into_iter().collect()))
}

fn is_planned(text: &str) -> bool {
    let word: String = text.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    PLANNED.contains(&word.to_ascii_lowercase().as_str())
}

/// The plan of a statement for any values. All of it is undone, whatever comes of it.
async fn plan(connection: &mut PgConnection, text: &str) -> Result<Value, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let plan = planned(&mut transaction, text).await;
    transaction.rollback().await?;
    // What was prepared outlives the transaction.
    let is_there = "select exists (select from pg_prepared_statements where name = $1)";
    if sqlx::query_scalar(is_there).bind(PREPARED).fetch_one(&mut *connection).await? {
        db::execute(connection, &format!("deallocate {PREPARED}"), &[]).await?;
    }
    plan
}

async fn planned(connection: &mut PgConnection, text: &str) -> Result<Value, sqlx::Error> {
    let set = "select set_config('transaction_read_only', 'on', true),
        set_config('plan_cache_mode', 'force_generic_plan', true),
        set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)";
    sqlx::query(set).execute(&mut *connection).await?;
    // Through the extended protocol, which takes one statement and no more.
    db::execute(connection, &format!("prepare {PREPARED} as {text}"), &[]).await?;
    let nulls = vec!["null"; usize::from(parameters(text))].join(", ");
    let values = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let explain = format!("explain (verbose, format json) execute {PREPARED}{values}");
    let rows = db::fetch(connection, &explain, &[]).await?;
    let row = rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
    // It comes as `json`, for which nothing is there to decode it.
    let text: String = row.try_get_unchecked(0)?;
    let plan: Value = serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(plan.pointer("/0/Plan").cloned().unwrap_or_default())
}

/// How many parameters a statement has: the highest `$n`. Literals are no longer in it.
fn parameters(text: &str) -> u16 {
    let numbers = text.split('$').skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u16>().ok()
    });
    numbers.max().unwrap_or_default()
}

/// How many values a column has, as ANALYZE says; 0 where that is not known.
async fn distinct(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
    condition: &Condition,
) -> Result<f64, sqlx::Error> {
    let query =
        "select n_distinct::float8 from pg_stats where schemaname = $1 and tablename = $2 and attname = $3
        order by inherited limit 1";
    let query = sqlx::query_scalar(query).bind(schema).bind(table).bind(&condition.column);
    Ok(query.fetch_optional(connection).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_planned_is_and_its_parameters_are_counted() {
        assert!(is_planned("  SELECT 1") && is_planned("with x as (select 1) select $1"));
        assert!(!is_planned("vacuum t") && !is_planned("/* a */ select 1") && !is_planned("CREATE ROLE x"));
        assert_eq!(["select 1", "select $1, $12, $3"].map(parameters), [0, 12]);
    }
}
