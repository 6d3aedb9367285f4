//! How full the pages of a B-tree are, by reading them all.

use brasa_shared::db;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::index::Index;

/// Where the extension is, if it is there.
const SCHEMA: &str = "
    /* brasa */ select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pgstattuple'";
/// Nobody is waited for longer than this.
const LIMITS: &str = "/* brasa */ select set_config('lock_timeout', '100', true),
        set_config('transaction_read_only', 'on', true)";
/// What Postgres says where the role may not, the index is gone, or somebody has locked it.
const NOT_NOW: [&str; 4] = ["42501", "42P01", "42704", "55P03"];

/// How many bytes a B-tree would have if its pages were as full as those of a new one: none where the extension
/// `pgstattuple` is not there, this role may not use it, or somebody has locked the index. It reads every page. Lists of
/// rows that have come apart are not put together again by it: the figure is too high for an index with few values.
///
/// # Errors
/// What Postgres says.
pub async fn exact(connection: &mut PgConnection, index: &Index) -> Result<Option<u64>, sqlx::Error> {
    if index.method != "btree" || index.is_partitioned {
        return Ok(None);
    }
    let schema: Option<String> = sqlx::query_scalar(SCHEMA).fetch_optional(&mut *connection).await?;
    let Some(schema) = schema else { return Ok(None) };
    let mut transaction = connection.begin().await?;
    sqlx::query(LIMITS).execute(&mut *transaction).await?;
    let sql = format!(
        "/* brasa */ select leaf_pages::double precision as leaves, internal_pages::double precision as inner_pages,
                nullif(avg_leaf_density, 'NaN')::double precision as density,
                current_setting('block_size')::double precision as page
         from {schema}.pgstatindex({}::oid::regclass)",
        index.oid
    );
    let rows = match db::fetch(&mut transaction, &sql, &[]).await {
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| NOT_NOW.contains(&&*code)) => {
            return Ok(None);
        }
        answer => answer?,
    };
    transaction.rollback().await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (leaves, above): (f64, f64) = (row.try_get("leaves")?, row.try_get("inner_pages")?);
    let (density, page): (Option<f64>, f64) = (row.try_get("density")?, row.try_get("page")?);
    let part = (density.unwrap_or(0.0) / f64::from(index.fillfactor.max(1))).min(1.0);
    let pages = (leaves * part).ceil() + (above * part).ceil() + 1.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
    let bytes = (pages * page) as u64;
    Ok(Some(bytes))
}
