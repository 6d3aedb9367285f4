//! A database for one test.

use std::str::FromStr;
use std::thread;
use std::time::Duration;

use brasa_shared::db::{self, PoolLimits};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool};

/// A fresh, empty database, which is dropped with this value.
pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
    pub(crate) url: String,
}

impl Database {
    /// Makes the database `name` on the server at `url`.
    pub(crate) async fn create(server_url: &str, name: &str) -> Self {
        let server = PgConnectOptions::from_str(server_url).expect("the address of the test's Postgres");
        // From template0, where nobody can be connected, so that many may be made at once.
        run(&server, format!(r#"create database "{name}" template template0"#)).await;
        Self { server, name: name.to_owned(), url: url(server_url, name) }
    }
}

/// The address of the database `name` on the server at `server_url`.
pub(crate) fn url(server_url: &str, name: &str) -> String {
    let (base, _) = server_url.rsplit_once('/').expect("the address ends in a database");
    format!("{base}/{name}")
}

/// A pool that connects when first used.
pub(crate) fn pool(url: &str, connections_max: u32, acquire_timeout: Duration) -> PgPool {
    let limits = PoolLimits { connections_max, acquire_timeout, statement_timeout: Duration::from_secs(15) };
    db::pool(url, limits).expect("a pool for the test's database")
}

impl Drop for Database {
    /// On a thread of its own: the test's runtime may be ending, or blocked by what is being tested.
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!(r#"drop database "{}" with (force)"#, self.name));
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&server, sql));
        });
        // The whole server goes with the run anyway; a second panic would only hide the first.
        drop(dropping.join());
    }
}

async fn run(server: &PgConnectOptions, sql: String) {
    let mut connection = server.connect().await.expect("a connection to the test's Postgres");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("make or drop a database");
    connection.close().await.expect("leave the test's Postgres");
}
