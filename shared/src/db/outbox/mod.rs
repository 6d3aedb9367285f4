//! The outbox: jobs that were enqueued in SQL inside an application's own transactions, as rows.
//!
//! `migrations/0002_create_outbox.sql` says what a row is. This is what a relay does with rows; what people do
//! with them is in `admin.rs`, and being told of new ones in `ears.rs`. Nothing here knows where they go.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, Row as _, Transaction};

mod admin;
mod ears;

pub use admin::{OutboxStatus, RefusedRow};
pub use ears::Ears;

/// What is notified when rows were put in.
const CHANNEL: &str = "brasa.outbox";

/// Rows stay locked while a relay pushes them. One that stands still meanwhile is cut off by Postgres, so that
/// it keeps neither rows from the others nor old versions of rows from the vacuum.
/// And whatever is usual in this database, relays are to pass over what others have changed.
const BEGIN: &str =
    "begin isolation level read committed; set local idle_in_transaction_session_timeout = '15s'";

/// The rows of each queue that wait longest and that no other relay has in its hands, queue after queue. Where the table
/// is that of the release before, it has no `traceparent`: then the name is found further outside, and is nothing.
const TAKE: &str = "select o.* from unnest($1::text[]) as known (queue) cross join lateral (
        select id, queue, kind, kv, args::text as args, priority, unique_key,
            (extract(epoch from enqueued_at) * 1000)::bigint as enqueued_ms,
            (extract(epoch from run_at) * 1000)::bigint as run_ms,
            (extract(epoch from clock_timestamp() - enqueued_at) * 1000)::bigint as waited_ms,
            (select traceparent from (select row_of.*) as row_of) as trace
        from brasa.outbox as row_of cross join (select null::text as traceparent) as before
        where queue = known.queue and pushed_at is null and refused_at is null
        order by enqueued_at limit $2
        for update of row_of skip locked
    ) as o limit $2";

const PUSHED: &str =
    "update brasa.outbox set pushed_at = clock_timestamp(), pushes = pushes + 1 where id = any($1)";

const REFUSED: &str = "update brasa.outbox o set refused_at = clock_timestamp(), last_error = new.reason
    from unnest($1::text[], $2::text[]) as new (id, reason) where o.id = new.id";

const DELETE: &str = "delete from brasa.outbox where id = any($1)";

const HAS_WAITING: &str = "select exists (
        select from brasa.outbox where queue = any($1) and pushed_at is null and refused_at is null)";

const TURN: &str = "update brasa.outbox_turn set due_at = clock_timestamp() + make_interval(secs => $1)
    where due_at <= clock_timestamp()";

const PAGE: &str = "select id, queue, pushes from brasa.outbox
    where id > $1 and pushed_at < clock_timestamp() - make_interval(secs => $2)
    order by id limit $3";

/// Only rows that are as they were seen: one that was put in anew under the same id is another row.
const DELETE_SEEN: &str =
    "delete from brasa.outbox o using unnest($1::text[], $2::int[]) as seen (id, pushes)
    where o.id = seen.id and o.pushes = seen.pushes and o.pushed_at is not null";

const AGAIN: &str = "update brasa.outbox o set pushed_at = null
    from unnest($1::text[], $2::int[]) as seen (id, pushes)
    where o.id = seen.id and o.pushes = seen.pushes and o.pushed_at is not null";

/// The table, through a pool of its own: jobs that hold all connections must not hold up the relay.
#[derive(Debug, Clone)]
pub struct OutboxTable(PgPool);

/// A job as it was enqueued in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its id, and the job's.
    pub id: String,
    /// The job's queue.
    pub queue: String,
    /// What is to be done.
    pub kind: String,
    /// The version of the arguments.
    pub kv: i32,
    /// The arguments, a JSON object.
    pub args: String,
    /// How urgent it is, 0 to 9.
    pub priority: i16,
    /// At most one unfinished job of the queue has this key.
    pub unique: Option<String>,
    /// Where in a trace it was put in.
    pub trace: Option<String>,
    /// When it was put in, ms since 1970.
    pub enqueued_ms: i64,
    /// Not before this instant, ms since 1970.
    pub run_ms: Option<i64>,
    /// How long ago it was put in, in ms.
    pub waited_ms: i64,
}

/// Rows in the hands of one relay. Dropped, they wait again as they did.
#[derive(Debug)]
pub struct Taken {
    /// The rows.
    pub rows: Vec<OutboxRow>,
    transaction: Transaction<'static, Postgres>,
}

/// What became of rows that were taken.
#[derive(Debug, Default)]
pub struct Relayed {
    /// Ids of rows whose jobs are on their way.
    pub pushed: Vec<String>,
    /// Ids of rows that need not go anywhere.
    pub settled: Vec<String>,
    /// Ids of rows that can never be pushed as they are, with the reason.
    pub refused: Vec<(String, String)>,
}

/// A row that is on its way, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnItsWay {
    /// Its id, and the job's.
    pub id: String,
    /// The job's queue.
    pub queue: String,
    /// How often it has been pushed.
    pub pushes: i32,
}

impl OutboxTable {
    /// The outbox of the database that this pool leads to.
    pub fn of(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Whether the database has the table.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn exists(&self) -> Result<bool, sqlx::Error> {
        let query = sqlx::query_scalar("select to_regclass('brasa.outbox_turn') is not null");
        query.fetch_one(&self.0).await
    }

    /// Whether rows wait for any of these queues.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn has_waiting(&self, queues: &[String]) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(HAS_WAITING).bind(queues).fetch_one(&self.0).await
    }

    /// Takes up to `most` rows that wait for these queues, those of the first queue first. They are locked until
    /// something is said about them: for other relays, which pass over them, and not for those who enqueue.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn take(&self, queues: &[String], most: usize) -> Result<Taken, sqlx::Error> {
        let mut transaction = self.0.begin_with(BEGIN).await?;
        let query = sqlx::query(TAKE).bind(queues).bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows = query.fetch_all(&mut *transaction).await?;
        let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Taken { rows, transaction })
    }

    /// Forgets rows whose jobs have ended.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn delete(&self, ids: &[String]) -> Result<u64, sqlx::Error> {
        Ok(sqlx::query(DELETE).bind(ids).execute(&self.0).await?.rows_affected())
    }

    /// Whether it is our turn to reconcile; if so, nobody's turn comes before `every` has passed.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn turn(&self, every: Duration) -> Result<bool, sqlx::Error> {
        Ok(sqlx::query(TURN).bind(every.as_secs_f64()).execute(&self.0).await?.rows_affected() == 1)
    }

    /// Up to `most` rows that have been on their way for longer than `age`, in the order of their ids behind
    /// `after`.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn on_their_way(
        &self,
        after: &str,
        age: Duration,
        most: usize,
    ) -> Result<Vec<OnItsWay>, sqlx::Error> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let query = sqlx::query(PAGE).bind(after).bind(age.as_secs_f64()).bind(most);
        let rows = query.fetch_all(&self.0).await?;
        let read = |row: &PgRow| {
            Ok(OnItsWay {
                id: row.try_get("id")?,
                queue: row.try_get("queue")?,
                pushes: row.try_get("pushes")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Forgets rows that are still as they were seen; returns how many.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn delete_seen(&self, seen: &[OnItsWay]) -> Result<u64, sqlx::Error> {
        self.about_seen(DELETE_SEEN, seen).await
    }

    /// Lets rows that are still as they were seen wait again; returns how many.
    ///
    /// # Errors
    /// What Postgres says.
    pub async fn push_again(&self, seen: &[OnItsWay]) -> Result<u64, sqlx::Error> {
        self.about_seen(AGAIN, seen).await
    }

    async fn about_seen(&self, sql: &'static str, seen: &[OnItsWay]) -> Result<u64, sqlx::Error> {
        let ids: Vec<&str> = seen.iter().map(|row| row.id.as_str()).collect();
        let pushes: Vec<i32> = seen.iter().map(|row| row.pushes).collect();
        Ok(sqlx::query(sql).bind(ids).bind(pushes).execute(&self.0).await?.rows_affected())
    }
}

impl Taken {
    /// Writes down what became of the rows. Those that nothing is said about wait again.
    ///
    /// # Errors
    /// What Postgres says; then all of them wait again.
    pub async fn record(mut self, relayed: &Relayed) -> Result<(), sqlx::Error> {
        let connection = &mut *self.transaction;
        if !relayed.pushed.is_empty() {
            sqlx::query(PUSHED).bind(&relayed.pushed).execute(&mut *connection).await?;
        }
        if !relayed.settled.is_empty() {
            sqlx::query(DELETE).bind(&relayed.settled).execute(&mut *connection).await?;
        }
        if !relayed.refused.is_empty() {
            let (ids, reasons): (Vec<_>, Vec<_>) = relayed.refused.iter().cloned().unzip();
            sqlx::query(REFUSED).bind(ids).bind(reasons).execute(connection).await?;
        }
        self.transaction.commit().await
    }
}

fn read(row: &PgRow) -> Result<OutboxRow, sqlx::Error> {
    Ok(OutboxRow {
        id: row.try_get("id")?,
        queue: row.try_get("queue")?,
        kind: row.try_get("kind")?,
        kv: row.try_get("kv")?,
        args: row.try_get("args")?,
        priority: row.try_get("priority")?,
        unique: row.try_get("unique_key")?,
        trace: row.try_get("trace")?,
        enqueued_ms: row.try_get("enqueued_ms")?,
        run_ms: row.try_get("run_ms")?,
        waited_ms: row.try_get("waited_ms")?,
    })
}
