//! What is known of the past: what was counted, and what was rebuilt.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_shared::telemetry::logs::chain;
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};

use super::facts::Rebuild;
use crate::context::Reach;
use crate::database::history::{
    IndexUse, Spell, StatementUse, TableUse, index_uses, is_kept, looked_at, spells, statement_uses,
    table_uses,
};

/// Over how many days it is said whether an index is used.
const INDEX_DAYS: u32 = 35;
/// Over how long a time statements and tables are judged.
const WINDOW: Duration = Duration::from_hours(24);

/// What is known beside what a look at the database gives: none where it is not known.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// How indexes were used, over all servers.
    pub index_uses: Option<Vec<IndexUse>>,
    /// The servers that this is known of.
    pub watched: Vec<String>,
    /// Since when counters are what they are.
    pub spells: Option<Vec<Spell>>,
    /// How tables were used.
    pub table_uses: Option<Vec<TableUse>>,
    /// What statements cost.
    pub statement_uses: Option<Vec<StatementUse>>,
    /// The fewest bytes that an entry of an index ever took, by schema and name.
    pub ratios: BTreeMap<(String, String), f64>,
    /// Invalid indexes that a rebuild of ours left behind, and rebuilds that ended well.
    pub ledger: Option<(Vec<u32>, Vec<Rebuild>)>,
}

impl Past {
    /// Reads what `db.observe` and `db.reindex` noted. What they did not is none.
    ///
    /// # Errors
    /// The database is out of reach.
    pub async fn of(connection: &mut PgConnection, reach: &Reach) -> Result<Self, sqlx::Error> {
        let mut past = Self { ledger: known(ledger(connection).await)?, ..Self::default() };
        past.ratios = known(ratios(connection).await)?.unwrap_or_default();
        if !is_kept(connection).await? || known(looked_at(connection).await)?.flatten().is_none() {
            return Ok(past);
        }
        let now: Timestamp = reach.clock.now();
        let nodes: &[&str] =
            if reach.config.postgres.replica_url.is_some() { &["primary", "replica"] } else { &["primary"] };
        past.index_uses = known(index_uses(connection, now, nodes, INDEX_DAYS).await)?;
        past.watched = nodes.iter().map(|node| (*node).to_owned()).collect();
        past.spells = known(spells(connection).await)?;
        past.table_uses = known(table_uses(connection, now, WINDOW).await)?;
        let ours = |statement: &StatementUse| statement.is_ours;
        past.statement_uses = known(statement_uses(connection, now, WINDOW).await)?
            .map(|all| all.into_iter().filter(|statement| !ours(statement)).collect());
        Ok(past)
    }
}

/// What the role may not see is not known, and is said to be so.
fn known<T>(found: Result<T, sqlx::Error>) -> Result<Option<T>, sqlx::Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error @ sqlx::Error::Database(_)) => {
            tracing::warn!(error = %chain(&error), "a part of the past could not be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

const LEFTOVERS: &str = "/* brasa */ select i.indexrelid::bigint from pg_index i join brasa.care_actions a
        on a.table_oid = i.indrelid::bigint and a.state = 'armed'
    join pg_class c on c.oid = i.indexrelid
    where not i.indisvalid and not i.indexrelid::bigint = any (a.strangers)
        and (i.indexrelid::bigint = a.old_oid or c.relname ~ '_cc(new|old)[0-9]*$' or c.relname like 'left_by_brasa_%') and c.relname <> a.index_name";
const REBUILDS: &str =
    "/* brasa */ select distinct on (schema_name, index_name) format('%I.%I', schema_name, index_name) as index,
        extract(epoch from clock_timestamp() - ended_at)::bigint as seconds_ago, bytes_before, bytes_after
    from brasa.care_actions
    where kind = 'reindex' and state in ('done', 'done_recovered') and bytes_before is not null
        and bytes_after is not null
    order by schema_name, index_name, ended_at desc";

async fn ledger(connection: &mut PgConnection) -> Result<(Vec<u32>, Vec<Rebuild>), sqlx::Error> {
    let leftovers: Vec<i64> = sqlx::query_scalar(LEFTOVERS).fetch_all(&mut *connection).await?;
    let rows = sqlx::query(REBUILDS).fetch_all(connection).await?;
    let rebuild = |row: &sqlx::postgres::PgRow| {
        Ok(Rebuild {
            index: row.try_get("index")?,
            seconds_ago: row.try_get::<i64, _>("seconds_ago")?.unsigned_abs(),
            before: row.try_get::<i64, _>("bytes_before")?.unsigned_abs(),
            after: row.try_get::<i64, _>("bytes_after")?.unsigned_abs(),
        })
    };
    let rebuilds = rows.iter().map(rebuild).collect::<Result<_, sqlx::Error>>()?;
    Ok((leftovers.into_iter().filter_map(|oid| u32::try_from(oid).ok()).collect(), rebuilds))
}

async fn ratios(connection: &mut PgConnection) -> Result<BTreeMap<(String, String), f64>, sqlx::Error> {
    let query =
        "/* brasa */ select schema_name, index_name, ratio from brasa.care_indexes where ratio is not null";
    let rows: Vec<(String, String, f64)> = sqlx::query_as(query).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(schema, index, ratio)| ((schema, index), ratio)).collect())
}
