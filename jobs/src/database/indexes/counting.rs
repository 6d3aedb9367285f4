//! How many different keys an index has, where ANALYZE was not asked to count them together: a few pages of its table are
//! read. Columns of which one follows from another have far fewer than they could have.
//!
//! Rows that lie beside one another were often written together, so a key counts once on a page, however many of its rows
//! are there (Chaudhuri, Das and Srivastava, "Effective use of block-level sampling in statistics estimation", 2004). How
//! many keys there are in all is reckoned from that as ANALYZE does it from rows (Haas and Stokes, "Estimating the number of
//! classes in a finite population", 1998: Duj1).
//!
//! Nothing that somebody wrote is run by this: no expression, no predicate, no policy, and no type but those of Postgres
//! itself and enumerations.

use std::time::{Duration, Instant};

use brasa_shared::db;
use sqlx::postgres::types::Oid;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::model::Counted;

/// So many pages of a table are read.
const PAGES: f64 = 1_000.0;
/// So many indexes are looked at at most,
const INDEXES_MAX: u32 = 16;
/// and no further one after this.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Nobody is waited for longer than this, and nothing is read for longer.
const LIMITS: &str =
    "/* brasa */ select set_config('lock_timeout', '100', true), set_config('statement_timeout', '1000', true),
    set_config('transaction_read_only', 'on', true), set_config('jit', 'off', true)";
/// The table, where this role may read these columns and no policy stands before its rows.
const TABLE: &str = "
    /* brasa */ select format('%I.%I', n.nspname, c.relname) as name,
           (pg_relation_size(c.oid) / current_setting('block_size')::bigint)::float8 as pages,
           array(select quote_ident(a.attname) from unnest($2::smallint[]) with ordinality as k (place, turn)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.place order by k.turn) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = $1 and c.relkind in ('r', 'm') and not row_security_active(c.oid)
      and has_schema_privilege(n.oid, 'usage')
      and not exists (select from pg_attribute a join pg_type t on t.oid = a.atttypid
          where a.attrelid = c.oid and a.attnum = any($2::smallint[])
            and (not has_column_privilege(c.oid, a.attnum, 'select')
                 or t.typnamespace <> 'pg_catalog'::regnamespace and t.typtype <> 'e'))";

/// What may still be read in one look.
#[derive(Debug)]
pub(super) struct Counting {
    began: Instant,
    left: u32,
}

impl Counting {
    /// Nothing was read yet.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), left: INDEXES_MAX }
    }

    /// Counts the different values of these columns on some pages of a table; none where that may not be, somebody has
    /// locked it, or enough was read.
    pub(super) async fn count(
        &mut self,
        connection: &mut PgConnection,
        table: u32,
        columns: &[i16],
    ) -> Result<Option<Counted>, sqlx::Error> {
        if self.left == 0 || self.began.elapsed() > TIME_MAX {
            return Ok(None);
        }
        self.left -= 1;
        let mut transaction = connection.begin().await?;
        let counted = count(&mut transaction, table, columns).await;
        transaction.rollback().await?;
        match counted {
            Err(sqlx::Error::Database(error)) => {
                tracing::debug!(%error, table, "different keys were not counted");
                Ok(None)
            }
            counted => counted,
        }
    }
}

async fn count(
    connection: &mut PgConnection,
    table: u32,
    columns: &[i16],
) -> Result<Option<Counted>, sqlx::Error> {
    sqlx::query(LIMITS).execute(&mut *connection).await?;
    let query = sqlx::query(TABLE).bind(Oid(table)).bind(columns);
    let Some(row) = query.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let (name, names): (String, Vec<String>) = (row.try_get("name")?, row.try_get("columns")?);
    let pages: f64 = row.try_get("pages")?;
    let share = (PAGES / pages.max(1.0)).min(1.0);
    let keys: Vec<String> = (1..=names.len()).map(|place| format!("k{place}")).collect();
    let (each, keys) = (keys.iter().zip(&names), keys.join(", "));
    let each: Vec<String> = each.map(|(key, name)| format!("{name} as {key}")).collect();
    // The same pages every time: what is recommended does not change by chance.
    let sql = format!(
        "/* brasa */ select count(*)::float8 as distinct_keys, (count(*) filter (where pages = 1))::float8 as once,
            coalesce(sum(pages), 0)::float8 as pairs
         from (select count(*) as pages
             from (select distinct {}, (ctid::text::point)[0] as page from only {name}
                   tablesample system ({:.6}) repeatable (0)) as seen
             group by {keys}) as counted",
        each.join(", "),
        share * 100.0,
    );
    let rows = db::fetch(connection, &sql, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let counted = Counted {
        distinct: row.try_get("distinct_keys")?,
        once: row.try_get("once")?,
        pairs: row.try_get("pairs")?,
        share,
    };
    Ok((counted.pairs > 0.0).then_some(counted))
}
