//! The server and this database: version, settings, counters, how far from wraparound.

use brasa_shared::db::{self, quoted};
use sqlx::{PgConnection, Row as _};

use super::maybe_bytes;

/// The server and this database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    /// As `server_version_num` counts.
    pub version: i32,
    /// As people say it.
    pub version_text: String,
    /// This database.
    pub database: String,
    /// The role that looks.
    pub role: String,
    /// It may do everything.
    pub is_superuser: bool,
    /// It may see what other roles do.
    pub is_monitor: bool,
    /// It is a standby.
    pub is_in_recovery: bool,
    /// How large the database is.
    pub bytes: Option<u64>,
    /// `shared_buffers`, `work_mem` and `max_wal_size`.
    pub shared_buffers: u64,
    /// How much memory a sort may take.
    pub work_mem: u64,
    /// How much WAL there may be between two checkpoints.
    pub max_wal_size: u64,
    /// Blocks that were found in memory, since counters began.
    pub hit: i64,
    /// Blocks that were read, since counters began.
    pub read: i64,
    /// Bytes that went to temporary files, since counters began.
    pub temp_bytes: i64,
    /// Transactions that were committed, since counters began.
    pub commits: i64,
    /// Transactions that were rolled back, since counters began.
    pub rollbacks: i64,
    /// Deadlocks, since counters began.
    pub deadlocks: i64,
    /// For how long counters have been counting, where that is known, in seconds.
    pub counting: Option<f64>,
    /// How many transactions ago the oldest row that is not frozen was written.
    pub xid_age: i64,
    /// The same of multixacts.
    pub mxid_age: i64,
    /// When autovacuum begins to freeze whatever else is set, in transactions.
    pub freeze_max_age: i64,
    /// The same of multixacts.
    pub mxid_freeze_max_age: i64,
    /// Checkpoints, since they are counted.
    pub checkpoints: Checkpoints,
    /// `pg_stat_statements`.
    pub statements: StatementsModule,
    /// Settings that are recommended and that somebody has set by ALTER SYSTEM, and their values; none where the role
    /// may not see where values come from.
    pub altered: Option<Vec<(String, String)>>,
}

/// Checkpoints, since they are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Checkpoints {
    /// As their time had come.
    pub timed: i64,
    /// As there was too much WAL, or somebody asked.
    pub requested: i64,
    /// For how long they have been counted, in seconds.
    pub counting: Option<f64>,
}

/// `pg_stat_statements`: whether it is there, and holds what is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StatementsModule {
    /// It is among the extensions of this database.
    pub is_installed: bool,
    /// It is loaded by the server; none where that cannot be seen.
    pub is_loaded: Option<bool>,
    /// How many statements it holds, and how many it may.
    pub held: Option<(i64, i64)>,
    /// How often it threw out the rarest ones since it counts, and for how many seconds that has been.
    pub evictions: Option<(i64, f64)>,
}

const SERVER: &str = "
    /* brasa */
    select current_setting('server_version_num')::int as version, current_setting('server_version') as version_text,
        current_database()::text as database, current_user::text as role,
        (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
        pg_has_role(current_user, 'pg_read_all_stats', 'usage') as is_monitor,
        pg_is_in_recovery() as is_in_recovery,
        case when has_database_privilege(d.oid, 'connect') then pg_database_size(d.oid) end as bytes,
        pg_size_bytes(current_setting('shared_buffers')) as shared_buffers,
        pg_size_bytes(current_setting('work_mem')) as work_mem,
        pg_size_bytes(current_setting('max_wal_size')) as max_wal_size,
        s.blks_hit as hit, s.blks_read as read, s.temp_bytes, s.xact_commit as commits, s.xact_rollback as rollbacks,
        s.deadlocks, extract(epoch from now() - s.stats_reset)::float8 as counting,
        age(d.datfrozenxid)::bigint as xid_age, mxid_age(d.datminmxid)::bigint as mxid_age,
        current_setting('autovacuum_freeze_max_age')::bigint as freeze_max_age,
        current_setting('autovacuum_multixact_freeze_max_age')::bigint as mxid_freeze_max_age
    from pg_database d join pg_stat_database s on s.datid = d.oid where d.datname = current_database()";

/// Until Postgres 16.
const CHECKPOINTS: &str = "/* brasa */ select checkpoints_timed as timed, checkpoints_req as requested,
    extract(epoch from now() - stats_reset)::float8 as counting from pg_stat_bgwriter";
/// From Postgres 17 on.
const CHECKPOINTS_17: &str = "/* brasa */ select num_timed as timed, num_requested as requested,
    extract(epoch from now() - stats_reset)::float8 as counting from pg_stat_checkpointer";

/// What is known of the server and this database.
pub(in crate::database::review) async fn server(
    connection: &mut PgConnection,
) -> Result<Server, sqlx::Error> {
    let row = sqlx::query(SERVER).fetch_one(&mut *connection).await?;
    let version: i32 = row.try_get("version")?;
    let query = if version >= 170_000 { CHECKPOINTS_17 } else { CHECKPOINTS };
    let points = sqlx::query(query).fetch_one(&mut *connection).await?;
    Ok(Server {
        version,
        version_text: row.try_get("version_text")?,
        database: row.try_get("database")?,
        role: row.try_get("role")?,
        is_superuser: row.try_get("is_superuser")?,
        is_monitor: row.try_get("is_monitor")?,
        is_in_recovery: row.try_get("is_in_recovery")?,
        bytes: maybe_bytes(&row, "bytes")?,
        shared_buffers: maybe_bytes(&row, "shared_buffers")?.unwrap_or_default(),
        work_mem: maybe_bytes(&row, "work_mem")?.unwrap_or_default(),
        max_wal_size: maybe_bytes(&row, "max_wal_size")?.unwrap_or_default(),
        hit: row.try_get("hit")?,
        read: row.try_get("read")?,
        temp_bytes: row.try_get("temp_bytes")?,
        commits: row.try_get("commits")?,
        rollbacks: row.try_get("rollbacks")?,
        deadlocks: row.try_get("deadlocks")?,
        counting: row.try_get("counting")?,
        xid_age: row.try_get("xid_age")?,
        mxid_age: row.try_get("mxid_age")?,
        freeze_max_age: row.try_get("freeze_max_age")?,
        mxid_freeze_max_age: row.try_get("mxid_freeze_max_age")?,
        checkpoints: Checkpoints {
            timed: points.try_get("timed")?,
            requested: points.try_get("requested")?,
            counting: points.try_get("counting")?,
        },
        statements: statements(connection).await?,
        altered: altered(connection).await?,
    })
}

/// What somebody has set by ALTER SYSTEM: without the right, no file is named.
async fn altered(connection: &mut PgConnection) -> Result<Option<Vec<(String, String)>>, sqlx::Error> {
    let query = "/* brasa */ select pg_has_role(current_user, 'pg_read_all_settings', 'usage')";
    if !sqlx::query_scalar::<_, bool>(query).fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    let query = "/* brasa */ select name, setting || coalesce(unit, '') from pg_settings
        where name in ('max_wal_size', 'pg_stat_statements.max') and sourcefile like '%postgresql.auto.conf'";
    sqlx::query_as(query).fetch_all(connection).await.map(Some)
}

async fn statements(connection: &mut PgConnection) -> Result<StatementsModule, sqlx::Error> {
    // Without the right the setting is not shown as empty, but not shown at all.
    let query =
        "/* brasa */ select nullif(current_setting('pg_stat_statements.max', true), '')::bigint as most,
            exists (select from pg_settings where name = 'pg_stat_statements.max') as is_loaded,
            (select n.nspname::text from pg_extension e join pg_namespace n on n.oid = e.extnamespace
             where e.extname = 'pg_stat_statements') as schema,
            to_regclass((select format('%I.pg_stat_statements_info', n.nspname) from pg_extension e
             join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'))
             is not null as tells";
    let row = sqlx::query(query).fetch_one(&mut *connection).await?;
    let most: Option<i64> = row.try_get("most")?;
    let is_loaded: bool = row.try_get("is_loaded")?;
    let Some(schema) = row.try_get::<Option<String>, _>("schema")? else {
        return Ok(StatementsModule { is_loaded: Some(is_loaded), ..StatementsModule::default() });
    };
    let mut module =
        StatementsModule { is_installed: true, is_loaded: Some(is_loaded), held: None, evictions: None };
    if !is_loaded {
        return Ok(module);
    }
    let schema = quoted(&schema);
    // Without the texts: to read them takes a hundred times as long.
    let count = format!("/* brasa */ select count(*) from {schema}.pg_stat_statements(false)");
    let held: i64 = first(connection, &count).await?.try_get(0)?;
    module.held = most.map(|most| (held, most));
    if row.try_get("tells")? {
        let query = format!(
            "/* brasa */ select dealloc, coalesce(extract(epoch from now() - stats_reset), 0)::float8
                from {schema}.pg_stat_statements_info"
        );
        let row = first(connection, &query).await?;
        module.evictions = Some((row.try_get(0)?, row.try_get(1)?));
    }
    Ok(module)
}

async fn first(connection: &mut PgConnection, query: &str) -> Result<sqlx::postgres::PgRow, sqlx::Error> {
    db::fetch(connection, query, &[]).await?.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}
