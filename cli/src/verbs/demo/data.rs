//! The demo's configuration and data, carried inside the binary.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use brasa_shared::config::Config;
use brasa_shared::db;
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{Executor, PgPool};

use crate::failure::{Failure, chain};

const CONFIG: &str = include_str!("../../../demo/brasa.toml");
const SCHEMA: &str = include_str!("../../../demo/schema.sql");
const INDEXES: &str = include_str!("../../../demo/indexes.sql");
const CHURN: &str = include_str!("../../../demo/churn.sql");
const FLIGHTS: &[u8] = include_bytes!("../../../demo/data/flights.csv.zst");
const AIRLINES: &[u8] = include_bytes!("../../../demo/data/airlines.csv");
const AIRPORTS: &[u8] = include_bytes!("../../../demo/data/airports.csv");
/// The files that the configuration names, by name.
const STATEMENTS: &[(&str, &str)] = &[
    ("sql/board-keys.sql", include_str!("../../../demo/sql/board-keys.sql")),
    ("sql/board.sql", include_str!("../../../demo/sql/board.sql")),
    ("sql/delay-stats.sql", include_str!("../../../demo/sql/delay-stats.sql")),
];
/// What the flights may unpack to at most, in bytes.
const FLIGHTS_MAX: usize = 64 * 1024 * 1024;
/// How much is sent to Postgres at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// The demo's configuration for these servers, and the folder that it is in, for whoever wants to look around.
pub(super) fn config(redis_url: &str, database_url: &str) -> Result<(Config, Folder), Failure> {
    let text = CONFIG.replace("${REDIS_URL}", redis_url).replace("${DATABASE_URL}", database_url);
    let folder = Folder::with(&text)?;
    let config = Config::parse(&text, &folder.config(), &|_| None)?;
    Ok((config, folder))
}

/// A folder of nobody else, until the demo ends: the configuration names files, and both are in the binary.
pub(super) struct Folder(PathBuf);

impl Folder {
    fn with(config: &str) -> Result<Self, Failure> {
        let folder = Self(std::env::temp_dir().join(format!("brasa-demo-{:032x}", rand::random::<u128>())));
        std::fs::DirBuilder::new().mode(0o700).create(&folder.0)?;
        std::fs::create_dir(folder.0.join("sql"))?;
        for (name, text) in STATEMENTS {
            std::fs::write(folder.0.join(name), text)?;
        }
        std::fs::write(folder.config(), config)?;
        Ok(folder)
    }

    /// Where the configuration is.
    pub(super) fn config(&self) -> PathBuf {
        self.0.join("brasa.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, folder = %self.0.display(), "could not remove a folder");
        }
    }
}

/// Creates the tables and fills them; returns how many flights there are.
pub(super) async fn load(pool: &PgPool) -> Result<u64, Failure> {
    let failed =
        |error: sqlx::Error| Failure::environment(format!("cannot load the data: {}", chain(&error)));
    db::migrate(pool).await?;
    pool.execute(SCHEMA).await.map_err(failed)?;
    let flights = zstd::bulk::decompress(FLIGHTS, FLIGHTS_MAX)?;
    let rows = copy(pool, "copy flights from stdin (format csv, header, null 'NA')", &flights)
        .await
        .map_err(failed)?;
    copy(pool, "copy airlines from stdin (format csv, header, null 'NA')", AIRLINES).await.map_err(failed)?;
    copy(pool, "copy airports from stdin (format csv, header, null 'NA')", AIRPORTS).await.map_err(failed)?;
    pool.execute(INDEXES).await.map_err(failed)?;
    pool.execute(CHURN).await.map_err(failed)?;
    // What statements cost, and how full pages are. Where the server came without them nobody looks.
    for extension in
        ["create extension if not exists pg_stat_statements", "create extension if not exists pgstattuple"]
    {
        if let Err(error) = pool.execute(extension).await {
            tracing::debug!(%error, extension, "not there");
        }
    }
    Ok(rows)
}

async fn copy(pool: &PgPool, statement: &'static str, csv: &[u8]) -> Result<u64, sqlx::Error> {
    let mut sink = pool.copy_in_raw(statement).await?;
    for chunk in csv.chunks(CHUNK) {
        sink.send(chunk).await?;
    }
    sink.finish().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_configuration_names_is_in_the_binary() {
        let mut named: Vec<&str> = CONFIG.split('"').filter(|word| word.starts_with("sql/")).collect();
        named.sort_unstable();
        let carried: Vec<&str> = STATEMENTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, carried);
    }
}
