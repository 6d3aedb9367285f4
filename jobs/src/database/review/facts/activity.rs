//! Who is connected, idles in a transaction, or waits for a lock.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row as _};

/// Who is connected, and waits for whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activity {
    /// Connections that are used, of all databases.
    pub used: i64,
    /// How many there may be, without those that are kept for superusers.
    pub max: i64,
    /// Connections by application and role, the most first.
    pub clients: Vec<Client>,
    /// Sessions that are idle in a transaction, the longest first.
    pub idle: Vec<Session>,
    /// Sessions that others wait for and that wait for nobody.
    pub blocks: Vec<Block>,
}

/// How many connections an application has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// As it calls itself.
    pub application: String,
    /// Its role.
    pub role: String,
    /// How many.
    pub count: i64,
}

/// A session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Session {
    /// Its process.
    pub pid: i32,
    /// When that began, as Postgres writes it.
    pub began: String,
    /// When its transaction began, as Postgres writes it; none where it is in none, or that is not to be seen.
    pub transaction_began: Option<String>,
    /// As the application calls itself.
    pub application: String,
    /// Its role.
    pub role: String,
    /// What it is at.
    pub state: String,
    /// For how long, in seconds.
    pub seconds: f64,
}

/// A session that others wait for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    /// Who holds the lock; for how long it has been doing what it does.
    pub root: Session,
    /// How many wait, at first or second hand.
    pub waiting: usize,
    /// For how long the first of them has been waiting, in seconds.
    pub seconds: f64,
    /// The table that is waited for, as it is written in SQL, where it is one.
    pub table: Option<String>,
}

const COUNTS: &str = "
    /* brasa */ select application_name as application, coalesce(usename::text, '') as role, count(*) as count
    from pg_stat_activity where backend_type = 'client backend' group by 1, 2 order by 3 desc, 1, 2";

const SESSIONS: &str = "
    /* brasa */ select a.pid, a.backend_start::text as began, a.xact_start::text as transaction_began,
        a.application_name as application, coalesce(a.usename::text, '') as role,
        coalesce(a.state, '') as state, coalesce(a.wait_event_type, '') = 'Lock' as is_waiting,
        greatest(extract(epoch from clock_timestamp()
            - coalesce(a.state_change, a.backend_start)), 0)::float8 as seconds,
        case when a.wait_event_type = 'Lock' then pg_blocking_pids(a.pid) else '{}' end as blockers,
        case when a.wait_event_type = 'Lock' then (
            select format('%I.%I', n.nspname, c.relname) from pg_locks l
            join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
            where l.pid = a.pid and l.database = a.datid and c.relkind in ('r', 'p', 'm', 'v')
            order by l.granted, l.locktype = 'relation' desc limit 1) end as table
    from pg_stat_activity a
    where a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_backend_pid()";

const MOST: &str = "/* brasa */ select current_setting('max_connections')::bigint
    - current_setting('superuser_reserved_connections')::bigint
    - coalesce(current_setting('reserved_connections', true)::bigint, 0)";

struct Seen {
    session: Session,
    is_waiting: bool,
    blockers: Vec<i32>,
    table: Option<String>,
}

/// Who is connected, and waits for whom.
pub(in crate::database) async fn activity(connection: &mut PgConnection) -> Result<Activity, sqlx::Error> {
    let max: i64 = sqlx::query_scalar(MOST).fetch_one(&mut *connection).await?;
    let mut clients = Vec::new();
    for row in sqlx::query(COUNTS).fetch_all(&mut *connection).await? {
        clients.push(Client {
            application: row.try_get("application")?,
            role: row.try_get("role")?,
            count: row.try_get("count")?,
        });
    }
    let mut seen = BTreeMap::new();
    for row in sqlx::query(SESSIONS).fetch_all(&mut *connection).await? {
        let session = Session {
            pid: row.try_get("pid")?,
            began: row.try_get("began")?,
            transaction_began: row.try_get("transaction_began")?,
            application: row.try_get("application")?,
            role: row.try_get("role")?,
            state: row.try_get("state")?,
            seconds: row.try_get("seconds")?,
        };
        let (is_waiting, blockers) = (row.try_get("is_waiting")?, row.try_get("blockers")?);
        seen.insert(session.pid, Seen { session, is_waiting, blockers, table: row.try_get("table")? });
    }
    let idle = seen.values().filter(|one| one.session.state.starts_with("idle in transaction"));
    let mut idle: Vec<Session> = idle.map(|one| one.session.clone()).collect();
    idle.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let used = clients.iter().map(|client| client.count).sum();
    Ok(Activity { used, max, clients, idle, blocks: blocks(&seen) })
}

/// Who waits for nobody and is waited for, with all who wait for him, at first or second hand.
fn blocks(seen: &BTreeMap<i32, Seen>) -> Vec<Block> {
    let mut found: BTreeMap<i32, Block> = BTreeMap::new();
    for waiter in seen.values().filter(|one| one.is_waiting) {
        for root in roots(seen, waiter.session.pid) {
            let Some(holder) = seen.get(&root) else { continue };
            let block = found.entry(root).or_insert_with(|| Block {
                root: holder.session.clone(),
                table: waiter.table.clone(),
                ..Block::default()
            });
            block.waiting += 1;
            block.seconds = block.seconds.max(waiter.session.seconds);
        }
    }
    let mut blocks: Vec<Block> = found.into_values().collect();
    blocks.sort_by_key(|block| std::cmp::Reverse(block.waiting));
    blocks
}

fn roots(seen: &BTreeMap<i32, Seen>, pid: i32) -> BTreeSet<i32> {
    let (mut open, mut met, mut found) = (vec![pid], BTreeSet::new(), BTreeSet::new());
    while let Some(pid) = open.pop() {
        if !met.insert(pid) {
            continue;
        }
        match seen.get(&pid) {
            Some(one) if one.is_waiting && !one.blockers.is_empty() => open.extend(&one.blockers),
            _ => _ = found.insert(pid),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_one_that_waits_waits_for_the_root() {
        let seen = |pid, blockers: &[i32]| {
            let session = Session { pid, seconds: f64::from(pid), ..Session::default() };
            (
                pid,
                Seen { session, is_waiting: !blockers.is_empty(), blockers: blockers.to_vec(), table: None },
            )
        };
        let all =
            BTreeMap::from([seen(1, &[]), seen(2, &[1]), seen(3, &[2]), seen(4, &[2, 1]), seen(5, &[])]);
        let blocks = blocks(&all);
        assert_eq!(blocks.len(), 1);
        assert_eq!((blocks[0].root.pid, blocks[0].waiting, blocks[0].seconds), (1, 3, 4.0));
    }
}
