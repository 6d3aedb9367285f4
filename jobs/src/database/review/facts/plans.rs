//! The plans of the statements that cost the most, as the planner makes them for any values. No statement is run, and
//! none is planned that could make the planner run a function which somebody wrote.

use brasa_shared::db;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::harmless::is_harmless;
use super::scan::{Condition, Scan, scans};
use super::{Gap, Server, Subject};
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
    server: &Server,
    uses: &[StatementUse],
) -> Result<(Vec<Scan>, Vec<Gap>), sqlx::Error> {
    let mut wanted: Vec<&StatementUse> = uses.iter().filter(|one| is_planned(&one.text)).collect();
    wanted.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms));
    let (mut found, mut refused, mut unplanned) = (Vec::new(), 0, 0);
    for statement in wanted.into_iter().take(STATEMENTS_MAX) {
        match plan(connection, server, statement).await {
            Ok(None) => unplanned += 1,
            Ok(Some(plan)) => found.extend(scans(&plan).into_iter().map(|scan| Scan {
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
        let mut usable = Vec::new();
        for mut condition in std::mem::take(&mut scan.conditions) {
            if condition.is_cast && !is_text(connection, &scan.schema, &scan.table, &condition.column).await?
            {
                continue;
            }
            condition.distinct = distinct(connection, &scan.schema, &scan.table, &condition).await?;
            usable.push(condition);
        }
        scan.conditions = usable;
    }
    found.retain(|scan| !scan.conditions.is_empty());
    let gaps = [unreadable(server, refused), unsafe_to_plan(unplanned)];
    Ok((found, gaps.into_iter().flatten().collect()))
}

fn unreadable(server: &Server, refused: usize) -> Option<Gap> {
    (refused > 0).then(|| {
        let why =
            format!("{refused} of the statements that cost the most read tables that the role may not read.");
        let role = db::quoted(&server.role);
        let grant = if server.version >= 140_000 {
            format!("GRANT pg_read_all_data TO {role};")
        } else {
            format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};")
        };
        Gap::right(Subject::Plans, why, grant).in_part()
    })
}

fn unsafe_to_plan(unplanned: usize) -> Option<Gap> {
    (unplanned > 0).then(|| {
        let why = format!(
            "{unplanned} of the statements that cost the most are not planned: they may call functions that are not \
             of Postgres itself, which the planner could run, or it is not known which role runs them."
        );
        Gap::new(Subject::Unplanned, why)
    })
}

fn is_planned(text: &str) -> bool {
    let word: String = text.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    PLANNED.contains(&word.to_ascii_lowercase().as_str())
}

/// A role that runs a statement, and where it looks for names.
struct Runner {
    role: String,
    path: String,
}

/// Of several, one that may not do everything.
const RUNNER: &str = "
    /* brasa */ select r.rolname::text, coalesce((
        select substr(c, 13) from pg_db_role_setting s, unnest(s.setconfig) as c
        where starts_with(c, 'search_path=') and s.setrole in (0, r.oid)
            and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        order by s.setrole = 0, s.setdatabase = 0 limit 1), current_setting('search_path'))
    from brasa.care_statement_last l join pg_roles r on r.oid = l.userid
    where l.fingerprint = $1 order by r.rolsuper, r.rolname limit 1";

async fn runner(connection: &mut PgConnection, fingerprint: &str) -> Result<Option<Runner>, sqlx::Error> {
    let found = sqlx::query_as(RUNNER).bind(fingerprint).fetch_optional(connection).await;
    match found {
        Ok(found) => Ok(found.map(|(role, path)| Runner { role, path })),
        // Nothing was recorded, or the role may not see it.
        Err(sqlx::Error::Database(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The plan of a statement for any values; none where it is not asked for. All of it is undone, whatever comes of it.
async fn plan(
    connection: &mut PgConnection,
    server: &Server,
    statement: &StatementUse,
) -> Result<Option<Value>, sqlx::Error> {
    let runner = runner(connection, &statement.fingerprint).await?;
    if runner.is_none() && server.is_superuser {
        return Ok(None);
    }
    let mut transaction = connection.begin().await?;
    let plan = planned(&mut transaction, server, &statement.text, runner).await;
    transaction.rollback().await?;
    // What was prepared outlives the transaction.
    let is_there = "/* brasa */ select exists (select from pg_prepared_statements where name = $1)";
    if sqlx::query_scalar(is_there).bind(PREPARED).fetch_one(&mut *connection).await? {
        db::execute(connection, &format!("deallocate {PREPARED}"), &[]).await?;
    }
    plan
}

async fn planned(
    connection: &mut PgConnection,
    server: &Server,
    text: &str,
    runner: Option<Runner>,
) -> Result<Option<Value>, sqlx::Error> {
    // What decides whether it is planned must mean what it says, wherever others look for names.
    let set = "/* brasa */ select pg_catalog.set_config('transaction_read_only', 'on', true),
        pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true),
        pg_catalog.set_config('max_parallel_workers_per_gather', '0', true),
        pg_catalog.set_config('jit', 'off', true), pg_catalog.current_setting('search_path') as path,
        pg_catalog.set_config('search_path', 'pg_catalog', true)";
    let path: String = sqlx::query(set).fetch_one(&mut *connection).await?.try_get("path")?;
    if !is_harmless(connection, text).await? {
        return Ok(None);
    }
    let path = match take_role(connection, runner.as_ref()).await? {
        true => runner.map_or(path, |runner| runner.path),
        false if server.is_superuser => return Ok(None),
        false => path,
    };
    let set = "/* brasa */ select pg_catalog.set_config('search_path', $1, true)";
    sqlx::query(set).bind(path).execute(&mut *connection).await?;
    // Through the extended protocol, which takes one statement and no more.
    db::execute(connection, &format!("prepare {PREPARED} as {text}"), &[]).await?;
    let nulls = vec!["null"; usize::from(parameters(text))].join(", ");
    let values = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let explain = format!("/* brasa */ explain (verbose, format json) execute {PREPARED}{values}");
    let rows = db::fetch(connection, &explain, &[]).await?;
    let row = rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
    // It comes as `json`, for which nothing is there to decode it.
    let text: String = row.try_get_unchecked(0)?;
    let plan: Value = serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Some(plan.pointer("/0/Plan").cloned().unwrap_or_default()))
}

/// Goes on with the rights of the role that runs the statement, until the end of the transaction; says whether it may.
async fn take_role(connection: &mut PgConnection, runner: Option<&Runner>) -> Result<bool, sqlx::Error> {
    let Some(runner) = runner else { return Ok(false) };
    let mut inner = connection.begin().await?;
    let set = sqlx::query("/* brasa */ select pg_catalog.set_config('role', $1, true)").bind(&runner.role);
    match set.execute(&mut *inner).await {
        Ok(_) => inner.commit().await.map(|()| true),
        Err(sqlx::Error::Database(_)) => inner.rollback().await.map(|()| false),
        Err(error) => Err(error),
    }
}

/// How many parameters a statement has: the highest `$n`. Literals are no longer in it.
fn parameters(text: &str) -> u16 {
    let numbers = text.split('$').skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u16>().ok()
    });
    numbers.max().unwrap_or_default()
}

/// Whether an index on a column finds what it is compared with as a text: only of `varchar`, which is the same bytes.
/// Numbers, and texts that are filled up with blanks, are computed anew for it.
async fn is_text(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
    column: &str,
) -> Result<bool, sqlx::Error> {
    let query = "/* brasa */ select exists (select from pg_attribute a
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = $2 and a.attname = $3
            and a.atttypid = 'varchar'::regtype)";
    sqlx::query_scalar(query).bind(schema).bind(table).bind(column).fetch_one(connection).await
}

/// How many values a column has, as ANALYZE says; 0 where that is not known.
async fn distinct(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
    condition: &Condition,
) -> Result<f64, sqlx::Error> {
    let query =
        "/* brasa */ select n_distinct::float8 from pg_stats where schemaname = $1 and tablename = $2 and attname = $3
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
