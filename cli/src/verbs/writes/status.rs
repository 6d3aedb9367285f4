//! `brasa writes status`: how many rows wait, and how far they are written.

use brasa_shared::db::writes::{Progress, progress};
use brasa_shared::jiff::SignedDuration;
use brasa_shared::streams::Extent;
use clap::Args;
use serde_json::{Value, json};

use super::{open, streams, streams_of, write};
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
        let names: Vec<&String> = match &self.name {
            Some(name) => {
                write(app, name)?;
                vec![name]
            }
            None => app.config.writes.keys().collect(),
        };
        app.greet_redis().await?;
        let pool = open(app).await?;
        let known = progress(&pool, self.name.as_deref()).await?;
        let now_ms = app.clock.now().as_millisecond();
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for name in names {
            for stream in streams_of(app, name)? {
                let extent = streams(app).extent(name, stream.part).await?;
                let progress = known.iter().find(|progress| progress.stream == stream);
                rows.push(row(name, stream.part, &extent, progress, now_ms));
                values.push(value(name, stream.part, &extent, progress, now_ms));
            }
        }
        let empty = "no rows are handed over: write [writes.NAME] into the configuration";
        out.table(
            ["NAME", "PART", "WAITING", "OLDEST", "BYTES", "WRITTEN", "DEAD", "AGAIN", "LOST", "STATE"],
            rows,
            empty,
        )?;
        out.value(&json!({ "writes": values }))
    }
}

/// How long the oldest row has been waiting.
fn oldest(extent: &Extent, now_ms: i64) -> Option<i64> {
    extent.first.map(|first| (now_ms - first.ms).max(0))
}

fn row(name: &str, part: i32, extent: &Extent, progress: Option<&Progress>, now_ms: i64) -> [String; 10] {
    let age = oldest(extent, now_ms).map(|ms| lasting(SignedDuration::from_millis(ms)));
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
        name.to_owned(),
        part.to_string(),
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

fn value(name: &str, part: i32, extent: &Extent, progress: Option<&Progress>, now_ms: i64) -> Value {
    let done = progress.map(|progress| progress.done).unwrap_or_default();
    let paused = progress.and_then(|progress| progress.paused.as_ref());
    json!({
        "name": name,
        "part": part,
        "waiting": extent.entries,
        "oldest_ms": oldest(extent, now_ms),
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
