//! Others at work on a table, one behind the other, so that a rebuild of one of its indexes stands still in a phase of our
//! choice: each begins while the one before is waited for.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use crate::process::within;

/// How long a phase may take to be reached.
const LIMIT: Duration = Duration::from_secs(30);

/// The phases in which a rebuild waits for others.
pub const PHASES: [&str; 5] = [
    "waiting for writers before build",
    "waiting for writers before validation",
    "waiting for old snapshots",
    "waiting for readers before marking dead",
    "waiting for readers before dropping",
];

/// Those who are at work.
pub struct Blockers {
    url: String,
    table: String,
    held: Option<PgConnection>,
}

impl Blockers {
    /// The first of them, who writes.
    ///
    /// # Panics
    /// There is no such table.
    pub async fn of(url: &str, table: &str) -> Self {
        let mut blockers = Self { url: url.to_owned(), table: table.to_owned(), held: None };
        blockers.held = Some(blockers.one(0).await);
        blockers
    }

    async fn one(&self, phase: usize) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
        let table = &self.table;
        let sql = match phase {
            0 | 1 => format!(
                "begin; update {table} set note = 'x' where id = (select min(id) + {phase} * 10 from {table})"
            ),
            2 => "begin isolation level repeatable read; select 1".to_owned(),
            _ => format!("begin; select count(*) from {table}"),
        };
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("somebody at work");
        connection
    }

    /// Lets the rebuild go on until it stands still in this phase, of [`PHASES`].
    ///
    /// # Panics
    /// It never comes to it.
    pub async fn lead_to(&mut self, pool: &PgPool, phase: usize) {
        for (at, name) in PHASES.into_iter().enumerate().take(phase + 1) {
            within(LIMIT, name, async || {
                let seen: Option<String> = sqlx::query_scalar(
                    "select phase from pg_stat_progress_create_index where datname = current_database()",
                )
                .fetch_optional(pool)
                .await
                .ok()?;
                (seen.as_deref() == Some(name)).then_some(())
            })
            .await;
            if at < phase {
                let next = self.one(at + 1).await;
                self.release().await;
                self.held = Some(next);
            }
        }
    }

    /// Whoever is at work goes home.
    pub async fn release(&mut self) {
        if let Some(held) = self.held.take() {
            // The server may be gone, and with it whoever was at work.
            drop(held.close().await);
        }
    }
}
