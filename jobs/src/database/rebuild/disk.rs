//! How much room the disk has.

use sqlx::PgConnection;

/// A build takes up to 1.85 times the new index, for what it sorts lies on the disk as well (measured with the sort spilled
/// to disk); some is left for others.
const NEEDED: f64 = 2.1;

const LOCAL: &str = "/* brasa */ select case
        when inet_server_addr() is null or inet_server_addr() <<= inet '127.0.0.0/8'
        or inet_server_addr() = inet '::1' then current_setting('data_directory', true) end
    from pg_database where datname = current_database() and dattablespace = 1663
        and not exists (select from pg_class where reltablespace not in (0, 1663, 1664))";
/// Of all databases that this role may see.
const USED: &str = "/* brasa */ select (select sum(pg_database_size(oid)) from pg_database
        where has_database_privilege(oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage'))::bigint";

/// How many bytes are free where the database lies; none where nobody can tell. Where the server is on this machine, and this
/// role may see where, it is asked itself; else what is used is taken from what it was said to hold.
///
/// # Errors
/// What Postgres says.
pub(super) async fn free(
    connection: &mut PgConnection,
    holds: Option<u64>,
) -> Result<Option<u64>, sqlx::Error> {
    if let Some(holds) = holds {
        let used: Option<i64> = sqlx::query_scalar(USED).fetch_one(connection).await?;
        return Ok(Some(holds.saturating_sub(used.unwrap_or(0).unsigned_abs())));
    }
    // Where something lies on another disk, nobody knows which one matters.
    let folder: Option<Option<String>> = match sqlx::query_scalar(LOCAL).fetch_optional(connection).await {
        // Only some may see where it lies.
        Err(sqlx::Error::Database(_)) => None,
        folder => folder?,
    };
    let room = folder.flatten().and_then(|folder| rustix::fs::statvfs(folder.as_str()).ok());
    Ok(room.map(|room| room.f_bavail.saturating_mul(room.f_frsize)))
}

/// Whether there is room for an index that will have so many bytes.
pub(super) fn is_enough(free: u64, bytes: u64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a comparison of sizes")]
    let (free, needed) = (free as f64, bytes as f64 * NEEDED);
    free >= needed
}
