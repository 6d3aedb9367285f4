//! What must hold before an index is rebuilt. Each thing that does not has a sentence.

use brasa_shared::config::Indexes;
use sqlx::{PgConnection, Row as _};

use super::disk;
use crate::database::indexes::{Index, Scope, look};

/// A transaction that is open for longer than this would be waited for, in seconds.
const OLD_S: f64 = 60.0;
/// Nor for one that has been writing to the table for longer than this, in seconds.
const WRITING_S: f64 = 5.0;
/// A replica may be so many bytes behind.
const LAG_MAX: i64 = 10 << 20;

/// Minors in which an index that is built beside others may be wrong: BUG #17485, mended in 14.4.
const WRONG_BUILDS: std::ops::Range<i32> = 140_000..140_004;
/// The first minors of each major in which a superuser may build what others defined: CVE-2022-1552.
const SAFE_FOR_SUPERUSERS: &[(i32, i32)] = &[(13, 7), (14, 3)];

const AROUND: &str = "/* brasa */ select
    (select format('session %s (%s) has a transaction open for %s s', pid, coalesce(nullif(application_name, ''), '?'),
            extract(epoch from clock_timestamp() - xact_start)::bigint)
        from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and (backend_xmin is not null or backend_xid is not null)
            and extract(epoch from clock_timestamp() - xact_start) > $3
            and backend_type <> 'autovacuum worker' and pid not in (select pid from pg_stat_progress_vacuum)
        order by xact_start limit 1) as old,
    (select format('transaction %L is prepared and waits for its end', gid) from pg_prepared_xacts
        where database = current_database() limit 1) as prepared,
    (select format('session %s waits for an advisory lock', pid) from pg_locks
        where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database()) limit 1) as advisory,
    (select format('session %s is building an index on the table', pid) from pg_stat_progress_create_index
        where relid = $1::bigint::oid and datname = current_database() limit 1) as building,
    (select format('session %s is vacuuming the table', pid) from pg_stat_progress_vacuum
        where relid = $1::bigint::oid and datname = current_database() limit 1) as vacuuming,
    (select format('session %s is at work on the table (%s)', pid, mode) from pg_locks
        where locktype = 'relation' and relation = $1::bigint::oid and pid <> pg_backend_pid()
            and database = (select oid from pg_database where datname = current_database())
            and mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                'AccessExclusiveLock') limit 1) as working,
    (select format('session %s has been writing to the table for %s s', l.pid,
            extract(epoch from clock_timestamp() - a.xact_start)::bigint)
        from pg_locks l join pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'relation' and l.relation = $1::bigint::oid and l.mode = 'RowExclusiveLock'
            and l.database = (select oid from pg_database where datname = current_database())
            and extract(epoch from clock_timestamp() - a.xact_start) > $5 limit 1) as writing,
    (select format('replica %s is %s MB behind', coalesce(nullif(application_name, ''), client_addr::text, '?'),
            pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint / 1048576)
        from pg_stat_replication where pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > $4 limit 1) as lagging,
    (select case when not pg_has_role(c.relowner, 'usage')
            then format('it belongs to %I: grant %I to %I', pg_get_userbyid(c.relowner), pg_get_userbyid(c.relowner),
                current_user) end
        from pg_class c where c.oid = $2::bigint::oid) as foreign_owner,
    case when not pg_has_role('pg_read_all_stats', 'usage')
        then format('this role does not see for whom it would have to wait: grant pg_monitor to %I', current_user)
        end as blind,
    (select rolsuper from pg_roles where rolname = current_user) as is_super";

/// The present state of the index, and the numbers of the invalid indexes of its table; or what does not hold.
///
/// # Errors
/// What Postgres says.
pub(super) async fn check(
    connection: &mut PgConnection,
    wanted: &Index,
    rules: &Indexes,
    version: i32,
) -> Result<Result<(Index, Vec<i64>), String>, sqlx::Error> {
    let mut all = look(connection, Scope::Tables(&[wanted.table_oid])).await?;
    let strangers = all.iter().filter(|index| !index.is_valid).map(|index| i64::from(index.oid)).collect();
    let Some(place) = all.iter().position(|index| index.oid == wanted.oid) else {
        return Ok(Err("it is not there any more, or was made anew".to_owned()));
    };
    let index = all.swap_remove(place);
    if index.signature != wanted.signature || index.bare != wanted.bare || index.schema != wanted.schema {
        return Ok(Err("it is not what it was when that was planned".to_owned()));
    }
    if !index.is_valid {
        return Ok(Err("it is not valid".to_owned()));
    }
    let query = sqlx::query(AROUND).bind(i64::from(index.table_oid)).bind(i64::from(index.oid));
    let row = query.bind(OLD_S).bind(LAG_MAX).bind(WRITING_S).fetch_one(&mut *connection).await?;
    if let Some(why) = unsafe_server(version, row.try_get("is_super")?) {
        return Ok(Err(why));
    }
    for column in [
        "foreign_owner",
        "blind",
        "old",
        "prepared",
        "advisory",
        "building",
        "vacuuming",
        "working",
        "writing",
        "lagging",
    ] {
        if let Some(why) = row.try_get::<Option<String>, _>(column)? {
            return Ok(Err(why));
        }
    }
    let needed = index.estimate.map_or_else(|_| index.bytes().unwrap_or(0), |estimate| estimate.bytes);
    match disk::free(connection, rules.disk).await? {
        Some(free) if !disk::is_enough(free, needed) => {
            Ok(Err(format!("the disk has {} MB, which is too little", free / 1_000_000)))
        }
        _ => Ok(Ok((index, strangers))),
    }
}

/// Why nothing is rebuilt on this server, whatever it is; the version is as `server_version_num` counts.
pub fn unsafe_server(version: i32, is_super: bool) -> Option<String> {
    if WRONG_BUILDS.contains(&version) {
        return Some(
            "indexes that are built on 14.0 to 14.3 may be wrong (BUG #17485): upgrade to 14.4 or later"
                .to_owned(),
        );
    }
    let (major, minor) = (version / 10_000, version % 10_000);
    let is_open = SAFE_FOR_SUPERUSERS.iter().any(|(of, safe)| *of == major && minor < *safe);
    (is_super && is_open).then(|| {
        "as a superuser this minor runs what others put into their indexes (CVE-2022-1552): upgrade it, or let [maintenance] \
         url be of the role that owns the tables"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::unsafe_server;

    #[test]
    fn servers_that_build_wrongly_are_known() {
        for (version, is_super, is_unsafe) in [
            (140_003, false, true),
            (140_004, true, false),
            (130_006, true, true),
            (130_006, false, false),
            (130_007, true, false),
            (150_000, true, false),
        ] {
            assert_eq!(unsafe_server(version, is_super).is_some(), is_unsafe, "{version}");
        }
    }
}
