//! One look at all servers that are watched, in one transaction: it counts whole or not at all, and once.

use std::time::{Duration, Instant};

use brasa_shared::jiff::Timestamp;
use sqlx::{Connection as _, PgConnection, PgPool};

use super::moment::Moment;
use super::node::{Sample, sample};
use super::{counters, parts, spells, statements};

/// Whoever holds this is the one who looks. Only ever tried, since waiting for it would hold up rebuilds of indexes.
pub(super) const LOCK: &str = "/* brasa */ select pg_try_advisory_xact_lock(422825784166)";
/// What a look may cost: no lock is waited for, and no statement of it may run for long. Lists that the planner knows
/// nothing of are joined by hashes, not by looking up thousands of rows one by one.
const LIMITS: &str =
    "/* brasa */ select set_config('lock_timeout', '100ms', true), set_config('jit', 'off', true),
    set_config('statement_timeout', '10s', true), set_config('enable_nestloop', 'off', true)";
/// How long a replica may take to say what it counted.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(5);

/// What a look came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Looked {
    /// Somebody else looks at this moment, so nothing was done.
    pub is_somebody_elses: bool,
    /// Servers that were looked at.
    pub nodes: Vec<NodeLook>,
    /// Statements.
    pub statements: StatementLook,
    /// What could not be read, and what would mend that.
    pub problems: Vec<String>,
    /// Parts of tables that were made, and dropped.
    pub parts: (usize, usize),
    /// How long all of it took.
    pub took: Duration,
}

/// What was looked at on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLook {
    /// `primary` or `replica`.
    pub node: String,
    /// Its indexes.
    pub indexes: i64,
    /// Its tables.
    pub tables: i64,
    /// Why another spell of counting began, where one did.
    pub began: Option<String>,
}

/// What was read of statements.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatementLook {
    /// Statements that the extension knows of this database.
    pub known: i64,
    /// Calls since the last look.
    pub calls: i64,
    /// Statements whose counters had begun anew.
    pub restarts: i64,
    /// Statements whose text was read for the first time.
    pub texts: usize,
    /// How often the extension threw out statements since the last look, as it has room for so many only.
    pub evictions: Option<i64>,
}

/// Why there was no look.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// There is nowhere to keep it.
    #[error("this database has no tables for the history of its counters: run `brasa migrate`")]
    NoTables,
    /// Nothing can be written there.
    #[error("the address of the primary leads to a server that only reads: it is in recovery")]
    InRecovery,
    /// Postgres refused.
    #[error("could not {0}")]
    Postgres(&'static str, #[source] sqlx::Error),
}

/// Tries to be the one who does this, until the transaction ends.
pub(super) async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(LOCK).fetch_one(connection).await
}

/// Looks at the primary, and at the replica where there is one, and keeps what was counted since the last look.
///
/// # Errors
/// There is nowhere to keep it, or what Postgres says. A replica or statements that cannot be read are no error, but a
/// problem of the look.
pub async fn look(
    primary: &mut PgConnection,
    replica: Option<&PgPool>,
    now: Timestamp,
) -> Result<Looked, LookError> {
    let began = Instant::now();
    let failed = |doing| move |error| LookError::Postgres(doing, error);
    let query = "select to_regclass('brasa.care_spells') is not null, pg_is_in_recovery()";
    let (has_tables, in_recovery): (bool, bool) =
        sqlx::query_as(query).fetch_one(&mut *primary).await.map_err(failed("look for our tables"))?;
    if in_recovery {
        return Err(LookError::InRecovery);
    }
    if !has_tables {
        return Err(LookError::NoTables);
    }
    let kept = parts::keep(primary, now).await.map_err(failed("make and drop parts of our tables"))?;
    let mut looked = Looked { parts: (kept.made, kept.dropped), ..Looked::default() };
    let mut transaction = primary.begin().await.map_err(failed("begin"))?;
    match inside(&mut transaction, replica, Moment::of(now), &mut looked).await {
        Ok(()) => transaction.commit().await.map_err(failed("commit"))?,
        Err(error) => {
            // At once, and not when the connection is used next: whoever looks next must not find us at it.
            transaction.rollback().await.map_err(failed("take back what was added"))?;
            return Err(error);
        }
    }
    looked.took = began.elapsed();
    Ok(looked)
}

async fn inside(
    transaction: &mut PgConnection,
    replica: Option<&PgPool>,
    now: Moment,
    looked: &mut Looked,
) -> Result<(), LookError> {
    let failed = |doing| move |error| LookError::Postgres(doing, error);
    sqlx::query(LIMITS).execute(&mut *transaction).await.map_err(failed("set limits"))?;
    if !try_lock(transaction).await.map_err(failed("ask whether somebody else looks"))? {
        looked.is_somebody_elses = true;
        return Ok(());
    }
    // After the lock, so that nobody adds what is older than what was added before.
    let own = sample(transaction).await.map_err(failed("read the counters of the primary"))?;
    let relation = add(transaction, "primary", &own, now, looked).await;
    let relation = relation.map_err(failed("keep the counters of the primary"))?;
    if let Some(pool) = replica {
        match read(pool).await {
            Ok(theirs) => {
                let added = add(transaction, "replica", &theirs, now, looked).await;
                added.map_err(failed("keep the counters of the replica"))?;
            }
            Err(error) => looked.problems.push(format!("the replica was not looked at: {error}")),
        }
    }
    // By itself: what is wrong with an extension takes nothing away from the rest.
    let mut apart = transaction.begin().await.map_err(failed("set a savepoint"))?;
    match statements::add(&mut apart, relation, now, looked).await {
        Ok(()) => apart.commit().await.map_err(failed("release a savepoint")),
        Err(error @ sqlx::Error::Database(_)) => {
            apart.rollback().await.map_err(failed("go back to a savepoint"))?;
            looked.problems.push(format!("statements were not read: {error}"));
            Ok(())
        }
        Err(error) => Err(LookError::Postgres("keep what statements cost", error)),
    }
}

/// Reads the replica, within its time.
async fn read(pool: &PgPool) -> Result<Sample, sqlx::Error> {
    let reading = async {
        // Never given back, as a statement may be under way when the time is over.
        let mut connection = pool.acquire().await?.detach();
        sqlx::query(
            "/* brasa */ select set_config('lock_timeout', '100ms', false), set_config('jit', 'off', false)",
        )
        .execute(&mut connection)
        .await?;
        let read = sample(&mut connection).await?;
        connection.close().await?;
        Ok(read)
    };
    tokio::time::timeout(REPLICA_TIMEOUT, reading).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn add(
    connection: &mut PgConnection,
    node: &str,
    sample: &Sample,
    now: Moment,
    looked: &mut Looked,
) -> Result<spells::Relation, sqlx::Error> {
    let (relation, why, seconds) = spells::go_on(connection, node, &sample.marks, now).await?;
    counters::add(connection, node, sample, relation, now).await?;
    let query = "insert into brasa.care_looks as l (taken_at, node, seconds)
                 values (to_timestamp($1::bigint / 1000.0), $2, $3)
                 on conflict (taken_at, node) do update set seconds = l.seconds + excluded.seconds";
    sqlx::query(query).bind(now.ms).bind(node).bind(seconds).execute(connection).await?;
    looked.nodes.push(NodeLook {
        node: node.to_owned(),
        indexes: sample.indexes_count,
        tables: sample.tables_count,
        began: why.map(ToOwned::to_owned),
    });
    Ok(relation)
}
