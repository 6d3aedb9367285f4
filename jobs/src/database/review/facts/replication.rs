//! Standbys and slots: how far behind, and how much is kept for them.

use sqlx::{PgConnection, Row as _};

use super::maybe_bytes;

/// Standbys and slots.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replication {
    /// Who follows this server.
    pub standbys: Vec<Standby>,
    /// What is kept for those who follow.
    pub slots: Vec<Slot>,
    /// Of a standby: how long ago what it has replayed last was committed, in seconds.
    pub behind: Option<f64>,
}

/// Who follows this server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standby {
    /// As it calls itself.
    pub name: String,
    /// How far it is behind, in seconds.
    pub seconds: Option<f64>,
    /// How far it is behind, in bytes.
    pub bytes: Option<u64>,
    /// Queries may run there: it is no subscriber of logical replication, and nothing that only copies WAL.
    pub may_read: bool,
}

/// What is kept for somebody who follows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slot {
    /// As it is called.
    pub name: String,
    /// Somebody uses it.
    pub is_active: bool,
    /// How much WAL is kept for it.
    pub bytes: Option<u64>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub state: String,
}

const STANDBYS: &str = "
    /* brasa */ select application_name as name, extract(epoch from replay_lag)::float8 as seconds,
        case when not pg_is_in_recovery()
            then greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint end as bytes,
        application_name <> 'pg_receivewal' and not exists (select from pg_replication_slots l
            where l.active_pid = r.pid and l.slot_type = 'logical') as may_read
    from pg_stat_replication r where application_name <> 'pg_basebackup'";
const SLOTS: &str = "
    /* brasa */ select slot_name::text as name, active as is_active, coalesce(wal_status, '') as state,
        case when not pg_is_in_recovery()
            then greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint end as bytes
    from pg_replication_slots where not temporary";
/// A primary that writes nothing leaves nothing to replay: then there is no lag, whatever the clock says.
const BEHIND: &str = "
    /* brasa */
    select case when pg_is_in_recovery() and pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn()
        then extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 end";

/// Standbys and slots.
pub(in crate::database::review) async fn replication(
    connection: &mut PgConnection,
) -> Result<Replication, sqlx::Error> {
    let mut found = Replication::default();
    for row in sqlx::query(STANDBYS).fetch_all(&mut *connection).await? {
        let (seconds, bytes) = (row.try_get("seconds")?, maybe_bytes(&row, "bytes")?);
        let (name, may_read) = (row.try_get("name")?, row.try_get("may_read")?);
        found.standbys.push(Standby { name, seconds, bytes, may_read });
    }
    for row in sqlx::query(SLOTS).fetch_all(&mut *connection).await? {
        found.slots.push(Slot {
            name: row.try_get("name")?,
            is_active: row.try_get("is_active")?,
            bytes: maybe_bytes(&row, "bytes")?,
            state: row.try_get("state")?,
        });
    }
    found.behind = sqlx::query_scalar(BEHIND).fetch_one(connection).await?;
    Ok(found)
}
