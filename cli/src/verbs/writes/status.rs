//! `brasa writes status`: how many rows wait, and how far they are written.

use brasa_jobs::writes::{Standing, StandingError, standings};
use brasa_shared::db::writes::Progress;
use brasa_shared::jiff::SignedDuration;
use clap::Args;
use serde_json::{Value, json};

use super::{open, write};
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, bytes, lasting, short};

/// Say how many rows wait, how far they are written, and by whom
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this `[writes.NAME]`
    name: Option<String>,
}

impl Status {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if let Some(name) = &self.name {
            write(app, name)?;
        }
        app.greet_redis().await?;
        let pool = open(app).await?;
        let all = standings(&app.config, &app.store, &pool, self.name.as_deref()).await;
        let all = all.map_err(|error| match error {
            StandingError::Store(error) => Failure::from(error),
            StandingError::Database(error) => Failure::from(error),
        })?;
        let now_ms = app.clock.now().as_millisecond();
        let rows = all.iter().map(|standing| row(standing, now_ms)).collect();
        let values: Vec<Value> = all.iter().map(|standing| value(standing, now_ms)).collect();
        let empty = "no rows are handed over: write [writes.NAME] into the configuration";
        out.table(
            ["NAME", "PART", "WAITING", "OLDEST", "BYTES", "WRITTEN", "DEAD", "AGAIN", "LOST", "STATE"],
            rows,
            empty,
        )?;
        out.value(&json!({ "writes": values }))
    }
}

fn row(standing: &Standing, now_ms: i64) -> [String; 10] {
    let Standing { stream, extent, progress } = standing;
    let progress = progress.as_ref();
    let age = standing.oldest_ms(now_ms).map(|ms| lasting(SignedDuration::from_millis(ms)));
    let state = match progress {
        None => "no worker has been here".to_owned(),
        Some(Progress { paused: Some((why, by)), .. }) => {
            let by = by.as_ref().map_or_else(|| "paused by Brasa".to_owned(), |by| format!("paused by {by}"));
            format!("{by}: {}", short(why, 100))
        }
        Some(Progress { owner: Some(owner), .. }) => format!("written by {owner}"),
        Some(_) => "nobody writes it".to_owned(),
    };
    let done = progress.map(|progress| progress.done).unwrap_or_default();
    [
        stream.name.clone(),
        stream.part.to_string(),
        extent.entries.to_string(),
        age.unwrap_or_else(|| "-".to_owned()),
        bytes(extent.bytes),
        done.rows.to_string(),
        done.dead.to_string(),
        done.doubled.to_string(),
        progress.map_or(0, |progress| progress.lost).to_string(),
        state,
    ]
}

fn value(standing: &Standing, now_ms: i64) -> Value {
    let Standing { stream, extent, progress } = standing;
    let progress = progress.as_ref();
    let done = progress.map(|progress| progress.done).unwrap_or_default();
    let paused = progress.and_then(|progress| progress.paused.as_ref());
    json!({
        "name": stream.name,
        "part": stream.part,
        "waiting": extent.entries,
        "oldest_ms": standing.oldest_ms(now_ms),
        "bytes": extent.bytes,
        "rows": done.rows,
        "entries": done.entries,
        "dead": done.dead,
        "doubled": done.doubled,
        "lost": progress.map_or(0, |progress| progress.lost),
        "written_up_to": progress.map(|progress| progress.place.to_string()),
        "owner": progress.and_then(|progress| progress.owner.clone()),
        "paused": paused.map(|(why, by)| json!({ "why": why, "by": by })),
    })
}
