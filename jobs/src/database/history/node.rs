//! What one server counts: read from its catalogue and its counters, without a lock on anything of anybody's.

use brasa_shared::db;
use sqlx::{PgConnection, Row as _};

use super::spells::Marks;
use crate::database::indexes::signature;

/// What shows whether counters began anew.
const MARKS: &str = "/* brasa */ select jsonb_build_object(
        'in_recovery', pg_is_in_recovery(),
        'shared_reset', (select (extract(epoch from least(b.stats_reset, a.stats_reset)) * 1000000)::bigint
                         from pg_stat_bgwriter b, pg_stat_archiver a),
        'database_reset', (extract(epoch from d.stats_reset) * 1000000)::bigint,
        'started', (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint,
        'now', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
        'commits', d.xact_commit, 'hits', d.blks_hit, 'returned', d.tup_returned)::text,
        has_function_privilege('pg_control_system()', 'execute')
            and has_function_privilege('pg_control_checkpoint()', 'execute'),
        current_setting('server_version_num')::int
    from pg_stat_database d where d.datname = current_database()";

/// Which cluster, and which of its histories. Apart, since a role may not be allowed to ask. What the control file says
/// is of the last checkpoint, and too old right after a failover.
const CLUSTER: &str = "/* brasa */ select system_identifier::text,
        case when pg_is_in_recovery() then (select timeline_id::bigint from pg_control_checkpoint())
             else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint end
    from pg_control_system()";

/// Indexes that can be used: schema, table, name, signature, scans, when it was scanned last in µs.
const INDEXES: &str =
    "/* brasa */ select coalesce(json_agg(json_build_array(n.nspname, t.relname, i.relname, {signature},
        coalesce(pg_stat_get_numscans(i.oid), 0), {last})), '[]')::text, count(*)
    from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
    join pg_namespace n on n.oid = t.relnamespace join pg_am a on a.oid = i.relam
    where i.relkind = 'i' and x.indisvalid and {ours}";

/// Tables: schema, name, and their counters.
const TABLES: &str = "/* brasa */ select coalesce(json_agg(json_build_array(n.nspname, t.relname,
        coalesce(pg_stat_get_numscans(t.oid), 0), coalesce(pg_stat_get_tuples_returned(t.oid), 0),
        coalesce((select sum(pg_stat_get_numscans(x.indexrelid)) from pg_index x where x.indrelid = t.oid), 0),
        coalesce(pg_stat_get_tuples_inserted(t.oid), 0), coalesce(pg_stat_get_tuples_updated(t.oid), 0),
        coalesce(pg_stat_get_tuples_hot_updated(t.oid), 0), coalesce(pg_stat_get_tuples_deleted(t.oid), 0))),
        '[]')::text, count(*)
    from pg_class t join pg_namespace n on n.oid = t.relnamespace where {ours}";

/// The application's tables: not the system's, not our own, nobody's temporary ones.
const APPLICATION: &str = "t.relkind in ('r', 'm') and t.relpersistence <> 't'
    and n.nspname not in ('information_schema', 'brasa') and n.nspname !~ '^pg_'";

/// What a server said. Lists are JSON as it was built there, for the primary to take apart.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) marks: Marks,
    pub(super) indexes: String,
    pub(super) indexes_count: i64,
    pub(super) tables: String,
    pub(super) tables_count: i64,
}

/// Reads a server. Marks go first: should it forget in between, its counters are smaller than expected, and not larger.
pub(super) async fn sample(connection: &mut PgConnection) -> Result<Sample, sqlx::Error> {
    let row = sqlx::query(MARKS).fetch_one(&mut *connection).await?;
    let text: String = row.try_get(0)?;
    let mut marks: Marks = serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    if row.try_get(1)? {
        let cluster = sqlx::query(CLUSTER).fetch_one(&mut *connection).await?;
        (marks.system, marks.timeline) = (cluster.try_get(0)?, cluster.try_get(1)?);
    }
    let version: i32 = row.try_get(2)?;
    let indexes = db::fetch(connection, &indexes_sql(version), &[]).await?;
    let tables = db::fetch(connection, &TABLES.replace("{ours}", APPLICATION), &[]).await?;
    let missing = || sqlx::Error::RowNotFound;
    let (indexes, tables) = (indexes.first().ok_or_else(missing)?, tables.first().ok_or_else(missing)?);
    Ok(Sample {
        marks,
        indexes: indexes.try_get(0)?,
        indexes_count: indexes.try_get(1)?,
        tables: tables.try_get(0)?,
        tables_count: tables.try_get(1)?,
    })
}

fn indexes_sql(version: i32) -> String {
    let last = if version >= 160_000 {
        "(extract(epoch from pg_stat_get_lastscan(i.oid)) * 1000000)::bigint"
    } else {
        "null::bigint"
    };
    INDEXES
        .replace("{signature}", signature!("x", "a.amname", "i.reloptions"))
        .replace("{last}", last)
        .replace("{ours}", APPLICATION)
}
