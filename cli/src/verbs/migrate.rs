//! `brasa migrate`: schema `brasa`, up to date.

use brasa_shared::db;
use clap::Args;
use serde_json::json;

use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Migrate {}

impl Migrate {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = app.pool_needed()?;
        greet_postgres(&pool).await?;
        let ran = db::migrate(&pool).await?;
        out.line(match ran {
            0 => format!("schema brasa in {} is up to date", db::address(&pool)),
            n => format!("ran {n} migration(s); schema brasa in {} is up to date", db::address(&pool)),
        })?;
        out.value(&json!({ "ran": ran }))
    }
}
