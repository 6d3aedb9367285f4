//! Who keeps old rows from being cleaned up: VACUUM takes away no row that any of them might still see.

use sqlx::{PgConnection, Row as _};

/// What holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HolderKind {
    /// A transaction of a session.
    #[default]
    Session,
    /// A transaction that was prepared to be committed in two phases.
    Prepared,
    /// A replication slot.
    Slot,
    /// A standby that tells what its queries need.
    Standby,
}

/// Who keeps old rows from being cleaned up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Holder {
    /// What it is.
    pub kind: HolderKind,
    /// The application of a session, the id of a prepared transaction, the name of a slot or a standby.
    pub name: String,
    /// The role, where there is one.
    pub role: String,
    /// The process of a session.
    pub pid: i32,
    /// When that process began, as Postgres writes it: numbers of processes come again.
    pub began: String,
    /// When its transaction began, as Postgres writes it; none where that is not to be seen.
    pub transaction_began: Option<String>,
    /// `active`, `idle in transaction` and the like.
    pub state: String,
    /// For how long, in seconds; none where nothing says so.
    pub seconds: Option<f64>,
    /// How many transactions began since.
    pub xids: i64,
}

const HOLDERS: &str = "
    /* brasa */ select 'session' as kind, a.application_name as name, coalesce(a.usename::text, '') as role, a.pid,
        a.backend_start::text as began, a.xact_start::text as transaction_began, coalesce(a.state, '') as state,
        extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds,
        greatest(age(a.backend_xmin), age(a.backend_xid))::bigint as xids
    from pg_stat_activity a
    where a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
      and (a.backend_xmin is not null or a.backend_xid is not null)
    union all
    select 'prepared', p.gid, p.owner::text, 0, '', null, '',
        extract(epoch from clock_timestamp() - p.prepared)::float8, age(p.transaction)::bigint
    from pg_prepared_xacts p where p.database = current_database()
    union all
    select 'slot', s.slot_name::text, '', coalesce(s.active_pid, 0), '', null,
        case when s.active then 'active' else 'inactive' end,
        null, greatest(age(s.xmin), age(s.catalog_xmin))::bigint
    from pg_replication_slots s where s.xmin is not null or s.catalog_xmin is not null
    union all
    select 'standby', r.application_name, coalesce(r.usename::text, ''), r.pid, r.backend_start::text,
        null, coalesce(r.state, ''),
        null, age(r.backend_xmin)::bigint
    from pg_stat_replication r where r.backend_xmin is not null";

/// Who keeps old rows from being cleaned up, the oldest first.
pub(in crate::database) async fn horizon(connection: &mut PgConnection) -> Result<Vec<Holder>, sqlx::Error> {
    let rows = sqlx::query(HOLDERS).fetch_all(connection).await?;
    let holder = |row: &sqlx::postgres::PgRow| -> Result<Holder, sqlx::Error> {
        Ok(Holder {
            kind: match row.try_get::<String, _>("kind")?.as_str() {
                "prepared" => HolderKind::Prepared,
                "slot" => HolderKind::Slot,
                "standby" => HolderKind::Standby,
                _ => HolderKind::Session,
            },
            name: row.try_get("name")?,
            role: row.try_get("role")?,
            pid: row.try_get("pid")?,
            began: row.try_get("began")?,
            transaction_began: row.try_get("transaction_began")?,
            state: row.try_get("state")?,
            seconds: row.try_get("seconds")?,
            xids: row.try_get::<Option<i64>, _>("xids")?.unwrap_or_default(),
        })
    };
    let mut holders = rows.iter().map(holder).collect::<Result<Vec<_>, _>>()?;
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.xids));
    Ok(holders)
}
