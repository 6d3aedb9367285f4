//! `brasa db review`: looks at the database now, keeps what is recommended, and shows it.

use std::path::PathBuf;

use brasa_jobs::database::review::report::{html, markdown};
use brasa_jobs::database::review::{Limits, Past, limit, review};
use clap::{Args, ValueEnum};
use sqlx::{Connection as _, PgConnection};

use super::with_tables;
use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Review {
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// Write the report into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Markdown,
    Html,
    Json,
}

impl Review {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = with_tables(app).await?;
        // A connection of its own: its time limits are not those of others, and it is none of the pool that is judged.
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        limit(&mut connection).await?;
        let reach = app.reach(None)?;
        let past = Past::of(&mut connection, &reach).await?;
        let limits = Limits::of(&app.config.maintenance.indexes);
        let reviewed = review(&mut connection, &reach, past, limits).await?;
        connection.close().await?;
        let report = &reviewed.report;
        let format = if out.json { Format::Json } else { self.format };
        let text = match format {
            Format::Markdown => markdown(report),
            Format::Html => html(report),
            Format::Json => serde_json::to_string_pretty(report)
                .map_err(|error| Failure::environment(error.to_string()))?,
        };
        match &self.out {
            None => out.raw(text.trim_end()),
            Some(file) => {
                std::fs::write(file, &text).map_err(|error| {
                    Failure::environment(format!("could not write {}: {error}", file.display()))
                })?;
                out.line(&report.summary)?;
                out.line(format!("The report is in {}", file.display()))?;
                out.value(&reviewed.summary())
            }
        }
    }
}
