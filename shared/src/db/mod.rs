//! Postgres: the pool, its time limits, the embedded migrations, the outbox, the change log, aggregates, batched writes,
//! and the users' statements.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

pub mod aggregates;
mod bind;
pub mod changes;
mod migrations;
mod numeric;
pub mod outbox;
mod owner;
mod pools;
mod quoted;
mod statement;
mod table;
pub mod writes;

pub use bind::{BindError, Param};
pub use migrations::{Standing, standing};
pub use owner::{Owner, adopt, own, owner};
pub use pools::{PoolUse, Pools};
pub use quoted::{literal, quoted};
pub use statement::{
    Column, Described, array_of, array_of_some_texts, array_of_texts, describe, execute, execute_all,
    execute_for_job, fetch, fetch_for_job, type_name,
};
pub use table::{
    Part, TableColumn, columns_of, grants_on, has_unique, key_kind, leads_index, parts_of, sees_part,
    triggers_on,
};

/// How long a database may take to answer when somebody asks whether it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes Postgres look whether we are still there while it works for us, so that a statement ends soon after
/// the job that wanted it. From version 14 on, and not on every platform: where it is refused, statements
/// end with their time limit.
const LOOK_FOR_CLIENT: &str = "/* brasa */ select set_config('client_connection_check_interval', $1, false)
    where current_setting('server_version_num')::int >= 140000";
/// How long a statement may run where nothing else is said, in ms.
const LIMIT_STATEMENTS: &str = "/* brasa */ select set_config('statement_timeout', $1, false)";
/// How often it looks, in ms.
const LOOK_FOR_CLIENT_MS: &str = "500";

/// How a pool is to behave.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Most connections.
    pub connections_max: u32,
    /// How long to wait for one.
    pub acquire_timeout: Duration,
    /// How long one statement may run where nothing else is said.
    pub statement_timeout: Duration,
}

/// Why Postgres could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The address cannot be understood.
    #[error("the address of Postgres cannot be understood")]
    Address(#[source] sqlx::Error),
    /// No connection.
    #[error("postgres at {address} cannot be reached")]
    Connect {
        /// Where, without the password.
        address: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed.
    #[error("the migrations of schema `brasa` could not be run")]
    Migrate(#[from] MigrateError),
}

/// A pool that connects when first used. Every connection carries a statement timeout, so that nothing of
/// ours can run for ever on somebody's database, and names itself in `pg_stat_activity`.
///
/// # Errors
/// The address cannot be understood.
pub fn pool(url: &str, limits: PoolLimits) -> Result<PgPool, DbError> {
    let timeout_ms = limits.statement_timeout.as_millis().to_string();
    let options = PgConnectOptions::from_str(url)
        .map_err(DbError::Address)?
        .application_name("brasa")
        // What is slow is told by our own metrics, without the text of anybody's statements.
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(limits.connections_max)
        .acquire_timeout(limits.acquire_timeout)
        // Set after connecting: poolers such as PgBouncer refuse it among the parameters of the start.
        .after_connect(move |connection, _| {
            let limit = timeout_ms.clone();
            Box::pin(async move {
                let set = sqlx::query(LIMIT_STATEMENTS).bind(limit);
                set.execute(&mut *connection).await?;
                let look = sqlx::query(LOOK_FOR_CLIENT).bind(LOOK_FOR_CLIENT_MS);
                if let Err(error) = look.execute(connection).await {
                    tracing::debug!(%error, "Postgres does not look for its clients");
                }
                Ok(())
            })
        });
    Ok(pool.connect_lazy_with(options))
}

/// Where a pool leads, without the password.
pub fn address(pool: &PgPool) -> String {
    let options = pool.connect_options();
    format!("{}:{}/{}", options.get_host(), options.get_port(), options.get_database().unwrap_or_default())
}

/// Makes sure that the database answers. Not through the pool, which tries again for as long as it may and
/// then only says that the time is over.
///
/// # Errors
/// It does not, with the reason.
pub async fn ping(pool: &PgPool) -> Result<(), DbError> {
    let options = pool.connect_options();
    let connect = async {
        let connection = PgConnection::connect_with(&options).await?;
        connection.close().await
    };
    let answer = match tokio::time::timeout(PING_TIMEOUT, connect).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    };
    answer.map_err(|source| DbError::Connect { address: address(pool), source })
}

/// Brings schema `brasa` up to date; returns how many migrations were run.
///
/// # Errors
/// The database is out of reach, or a migration failed; what ran before it stays.
pub async fn migrate(pool: &PgPool) -> Result<usize, DbError> {
    let connect = |source| DbError::Connect { address: address(pool), source };
    let mut connection = pool.acquire().await.map_err(connect)?;
    let before = applied(&mut connection).await;
    migrations::migrator().run(&mut *connection).await?;
    Ok(applied(&mut connection).await.saturating_sub(before))
}

/// How many migrations have run; none where there is no record of them yet.
async fn applied(connection: &mut sqlx::PgConnection) -> usize {
    connection.list_applied_migrations(migrations::RECORD).await.map_or(0, |list| list.len())
}
