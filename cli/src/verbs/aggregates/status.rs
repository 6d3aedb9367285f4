//! `brasa aggregates status`: how far each aggregate is.

use std::time::Duration;

use brasa_jobs::aggregates::{Standing, standings};
use brasa_shared::db::aggregates::State;
use brasa_shared::jiff::SignedDuration;
use clap::Args;
use serde_json::{Value, json};

use super::{aggregate, failed, open};
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, lasting, short};

/// Say how far each aggregate is, and how far behind
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this `[aggregates.NAME]`
    name: Option<String>,
}

impl Status {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if let Some(name) = &self.name {
            aggregate(app, name)?;
        }
        let mut connection = open(app).await?.acquire().await?;
        let all = standings(&mut connection, &app.config.aggregates, self.name.as_deref()).await;
        let all = all.map_err(|fault| failed(&fault))?;
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for (name, _) in all.iter().filter(|(_, versions)| versions.is_empty()) {
            let mut row = [const { String::new() }; 8];
            (row[0], row[2]) = (name.clone(), "not installed".to_owned());
            rows.push(row);
            values.push(json!({ "name": name, "state": "missing" }));
        }
        for standing in all.values().flatten() {
            rows.push(row(standing));
            values.push(value(standing));
        }
        let empty = "there are no aggregates: write [aggregates.NAME] into the configuration";
        let heads = ["NAME", "VERSION", "STATE", "WAITING", "LAG", "MOVED", "LATE", "CHECKED"];
        out.table(heads, rows, empty)?;
        out.value(&json!({ "aggregates": values }))
    }
}

fn row(standing: &Standing) -> [String; 8] {
    let Standing { version, waiting, lag, is_current } = standing;
    let done = version.done;
    let state = match (version.state, &version.paused) {
        (State::Old, _) => "old; it goes".to_owned(),
        (_, Some(why)) => format!("waits for a person: {}", short(why, 80)),
        (State::Building, _) if version.built_from == "infinity" => "to be built".to_owned(),
        (State::Building, _) => format!("built back to {}", version.built_from),
        (State::Live, _) if *is_current => "live".to_owned(),
        (State::Live, _) => "live; the configuration says otherwise: install it".to_owned(),
    };
    let checked = match done.checked {
        None => "never".to_owned(),
        Some(ago) => format!("{} of {} wrong, {} ago", done.wrong, done.compared, span(ago)),
    };
    [
        version.name.clone(),
        version.version.to_string(),
        state,
        waiting.to_string(),
        if *waiting == 0 { "-".to_owned() } else { span(*lag) },
        done.folded
            .map_or_else(|| "never".to_owned(), |ago| format!("{} rows, {} ago", done.rows, span(ago))),
        done.late.to_string(),
        checked,
    ]
}

fn value(standing: &Standing) -> Value {
    let Standing { version, waiting, lag, is_current } = standing;
    let done = version.done;
    json!({
        "name": version.name,
        "version": version.version,
        "state": match version.state {
            State::Building => "building",
            State::Live => "live",
            State::Old => "old",
        },
        "is_as_configured": is_current,
        "built_from": version.built_from,
        "frozen_until": version.frozen_until,
        "waiting": waiting,
        "lag_ms": lag.as_millis(),
        "folds": done.folds,
        "rows": done.rows,
        "folded_ms_ago": done.folded.map(|ago| ago.as_millis()),
        "late_rows": done.late,
        "checked_ms_ago": done.checked.map(|ago| ago.as_millis()),
        "compared": done.compared,
        "wrong": done.wrong,
        "paused": version.paused,
    })
}

fn span(span: Duration) -> String {
    lasting(SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX))
}
