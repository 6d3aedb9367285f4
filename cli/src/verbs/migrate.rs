//! `brasa migrate`: schema `brasa`, up to date.

use brasa_shared::db;
use clap::Args;
use serde_json::json;
use sqlx::{PgPool, Row};

use crate::app::{App, greet_postgres};
use crate::failure::{Failure, chain};
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Have the workers of this prefix look after the database from now on, instead of those of another
    #[arg(long)]
    adopt: bool,
}

impl Migrate {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = app.pool_needed()?;
        greet_postgres(&pool).await?;
        let ran = db::migrate(&pool).await?;
        out.line(match ran {
            0 => format!("schema brasa in {} is up to date", db::address(&pool)),
            n => format!("ran {n} migration(s); schema brasa in {} is up to date", db::address(&pool)),
        })?;
        if self.adopt {
            let prefix = &app.config.redis.prefix;
            let mut connection = pool.acquire().await.map_err(|error| Failure::environment(chain(&error)))?;
            db::adopt(&mut connection, prefix).await.map_err(|error| Failure::environment(chain(&error)))?;
            out.line(format!(
                "workers with the prefix `{prefix}` look after it; those of another end within seconds"
            ))?;
        }
        let warning = namesake(&pool).await?;
        if let Some(warning) = warning {
            out.line(format!("warning: {warning}"))?;
        }
        out.value(&json!({ "ran": ran, "warning": warning }))
    }
}

/// A role called `brasa` has our schema first in its search path: tables that it makes without naming a
/// schema would land among ours, and be gone with them.
async fn namesake(pool: &PgPool) -> Result<Option<&'static str>, Failure> {
    let query = r#"select current_user = 'brasa' and current_setting('search_path') like '%"$user"%'"#;
    let row = sqlx::query(query).fetch_one(pool).await;
    let is_namesake: bool = row.map_err(|error| Failure::environment(chain(&error)))?.get(0);
    Ok(is_namesake.then_some(
        "tables that the role `brasa` creates without naming a schema land in schema `brasa`, which is ours; \
         use another role, or: alter role brasa set search_path = public",
    ))
}
