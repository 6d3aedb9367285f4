//! `brasa aggregates status`: how far each aggregate is.

use std::time::Duration;

use brasa_jobs::aggregates::waiting;
use brasa_shared::db::aggregates::{State, Version, versions};
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
        let names: Vec<&String> = match &self.name {
            Some(name) => {
                aggregate(app, name)?;
                vec![name]
            }
            None => app.config.aggregates.keys().collect(),
        };
        let mut connection = open(app).await?.acquire().await?;
        let known = versions(&mut connection, self.name.as_deref()).await?;
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for name in names.iter().filter(|name| !known.iter().any(|version| version.name == ***name)) {
            let mut row = [const { String::new() }; 8];
            (row[0], row[2]) = ((*name).clone(), "not installed".to_owned());
            rows.push(row);
            values.push(json!({ "name": name, "state": "missing" }));
        }
        for version in &known {
            let behind = waiting(&mut connection, version).await.map_err(|fault| failed(&fault))?;
            let defined = app.config.aggregates.get(&version.name).map(|known| known.definition.version());
            let is_current = defined.as_ref() == Some(&version.definition);
            rows.push(row(version, behind, is_current));
            values.push(value(version, behind, is_current));
        }
        let empty = "there are no aggregates: write [aggregates.NAME] into the configuration";
        let heads = ["NAME", "VERSION", "STATE", "WAITING", "LAG", "MOVED", "LATE", "CHECKED"];
        out.table(heads, rows, empty)?;
        out.value(&json!({ "aggregates": values }))
    }
}

fn row(version: &Version, (rows, lag): (i64, Duration), is_current: bool) -> [String; 8] {
    let done = version.done;
    let state = match (version.state, &version.paused) {
        (State::Old, _) => "old; it goes".to_owned(),
        (_, Some(why)) => format!("waits for a person: {}", short(why, 80)),
        (State::Building, _) if version.built_from == "infinity" => "to be built".to_owned(),
        (State::Building, _) => format!("built back to {}", version.built_from),
        (State::Live, _) if is_current => "live".to_owned(),
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
        rows.to_string(),
        if rows == 0 { "-".to_owned() } else { span(lag) },
        done.folded
            .map_or_else(|| "never".to_owned(), |ago| format!("{} rows, {} ago", done.rows, span(ago))),
        done.late.to_string(),
        checked,
    ]
}

fn value(version: &Version, (rows, lag): (i64, Duration), is_current: bool) -> Value {
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
        "waiting": rows,
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
