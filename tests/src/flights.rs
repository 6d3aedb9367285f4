//! All flights that left New York City in 2013: the data of the demo.

use std::io;
use std::path::{Path, PathBuf};

use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{AssertSqlSafe, PgPool};

/// What the flights unpack to at most, in bytes.
const UNPACKED_MAX: usize = 64 << 20;

/// A file of the demo.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/demo").join(name)
}

/// Makes the tables of the demo, and fills that of the flights.
///
/// # Errors
/// A file cannot be read, or Postgres does not take it.
pub async fn load(pool: &PgPool) -> anyhow::Result<()> {
    let schema = std::fs::read_to_string(file("schema.sql"))?;
    sqlx::raw_sql(AssertSqlSafe(schema)).execute(pool).await?;
    let flights = unpacked()?;
    copy(pool, "flights", &flights).await
}

/// Fills a table from CSV with a line of names.
///
/// # Errors
/// Postgres does not take it.
pub async fn copy(pool: &PgPool, table: &str, csv: &[u8]) -> anyhow::Result<()> {
    let statement = format!("copy {table} from stdin (format csv, header, null 'NA')");
    let mut sink = pool.copy_in_raw(&statement).await?;
    for chunk in csv.chunks(256 << 10) {
        sink.send(chunk).await?;
    }
    sink.finish().await?;
    Ok(())
}

fn unpacked() -> io::Result<Vec<u8>> {
    zstd::bulk::decompress(&std::fs::read(file("data/flights.csv.zst"))?, UNPACKED_MAX)
}
