//! `db.analyze`: fresh statistics for the planner, one statement per table.
//!
//! Postgres skips a table in silence where the role may not analyze it or somebody holds a lock. So nothing
//! counts as done unless the table's `last_analyze` has moved.

use std::time::Duration;

use brasa_shared::db;
use brasa_shared::telemetry::metrics;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};

use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

/// How long to wait for a table's lock: longer, and the application's own statements would queue behind us.
const LOCK_TIMEOUT_MS: u32 = 2_000;
/// How long one table may take.
const TABLE_TIMEOUT_MS: u32 = 30 * 60 * 1_000;
/// How often to look for the new `last_analyze`, and how long apart: before version 15 it arrives late.
const LOOKS: (u32, Duration) = (20, Duration::from_millis(100));

/// Every table, the most changed first. What we may not analyze is left out, and reported.
const ALL_TABLES: &str = "
    select format('%I.%I', n.nspname, c.relname) as name, c.oid,
           pg_has_role(c.relowner, 'usage') or pg_has_role(d.datdba, 'usage') as ours
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_database d on d.datname = current_database()
    left join pg_stat_all_tables s on s.relid = c.oid
    where c.relkind in ('r', 'm') and c.relpersistence <> 't'
      and n.nspname not in ('information_schema', 'brasa') and n.nspname !~ '^pg_'
    order by coalesce(s.n_mod_since_analyze, 0) desc, c.oid";

/// Analyzes the tables named, or all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analyze {
    /// `table` or `schema.table`; all where it is left out.
    #[serde(default)]
    tables: Vec<String>,
}

struct Table {
    name: String,
    oid: i64,
}

impl Job for Analyze {
    const KIND: &'static str = "db.analyze";
    const ABOUT: &'static str = "Runs ANALYZE on all or some tables, one by one, and proves that it worked";
    const POLICY: Policy = Policy::new()
        .attempts(3)
        .timeout(Duration::from_hours(4))
        .backoff(Duration::from_mins(1), Duration::from_mins(15));

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let mut connection = ctx.connection().await?;
        // Its time limits are not those of other jobs, so it is never given back, and closed at the end.
        limit(&mut connection).await.map_err(|error| judge(error, "set time limits"))?;
        let mut skipped = Vec::new();
        let tables = self.find(&mut connection, &mut skipped).await?;
        let (mut analyzed, mut busy) = (Vec::new(), 0);
        for table in tables {
            ctx.go_on()?;
            match analyze(&mut connection, &table).await? {
                None => analyzed.push(table.name),
                Some(why) => {
                    busy += 1;
                    skipped.push(json!({ "table": table.name, "why": why }));
                }
            }
        }
        metrics::tables_analyzed_total("analyzed").increment(analyzed.len() as u64);
        metrics::tables_analyzed_total("skipped").increment(skipped.len() as u64);
        let result = json!({ "analyzed": analyzed, "skipped": skipped });
        // Somebody else's table is a fact to report; one that was locked may be free the next time.
        if busy > 0 {
            Err(JobError::retry(format!("{busy} tables were not analyzed: {result}")))
        } else {
            Ok(result)
        }
    }
}

impl Analyze {
    async fn find(&self, connection: &mut PgConnection, skipped: &mut Vec<Value>) -> JobResult<Vec<Table>> {
        let mut found = Vec::new();
        if self.tables.is_empty() {
            let rows = sqlx::query(ALL_TABLES).fetch_all(&mut *connection).await;
            for row in rows.map_err(|error| judge(error, "list tables"))? {
                let oid: sqlx::postgres::types::Oid = row.try_get("oid")?;
                let table = Table { name: row.try_get("name")?, oid: i64::from(oid.0) };
                if row.try_get("ours")? {
                    found.push(table);
                } else {
                    skipped.push(json!({ "table": table.name, "why": "it belongs to another role" }));
                }
            }
            return Ok(found);
        }
        for name in &self.tables {
            let query = "select format('%I.%I', n.nspname, c.relname), c.oid::bigint
                         from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)";
            let row = sqlx::query(query).bind(name).fetch_optional(&mut *connection).await;
            match row.map_err(|error| judge(error, "find a table"))? {
                Some(row) => found.push(Table { name: row.try_get(0)?, oid: row.try_get(1)? }),
                None => {
                    return Err(JobError::bury(format!("there is no table `{name}` that this role can see")));
                }
            }
        }
        Ok(found)
    }
}

async fn limit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let query = "select set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)";
    let query = sqlx::query(query).bind(LOCK_TIMEOUT_MS.to_string()).bind(TABLE_TIMEOUT_MS.to_string());
    query.execute(connection).await.map(drop)
}

/// Analyzes one table; returns why it did not work, where that is no failure of the whole job.
async fn analyze(connection: &mut PgConnection, table: &Table) -> JobResult<Option<String>> {
    let before = last_analyze(connection, table).await?;
    // The name was quoted by the database itself.
    match db::execute(connection, &format!("analyze {}", table.name), &[]).await {
        Ok(_) => {}
        Err(sqlx::Error::Database(error)) => return Ok(Some(error.message().to_owned())),
        Err(error) => return Err(judge(error, "analyze a table")),
    }
    for _ in 0..LOOKS.0 {
        if last_analyze(connection, table).await? > before {
            return Ok(None);
        }
        tokio::time::sleep(LOOKS.1).await;
    }
    Ok(Some("Postgres skipped it without an error: may this role analyze it?".to_owned()))
}

/// When the table was last analyzed, in microseconds since 1970; 0 for never.
async fn last_analyze(connection: &mut PgConnection, table: &Table) -> JobResult<i64> {
    let query = "select coalesce((extract(epoch from pg_stat_get_last_analyze_time($1::bigint::oid)) * 1000000)::bigint, 0)";
    let row = sqlx::query(query).bind(table.oid).fetch_one(connection).await;
    Ok(row.map_err(|error| judge(error, "read when a table was analyzed"))?.try_get(0)?)
}
