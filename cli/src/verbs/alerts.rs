//! `brasa alerts`: what is wrong, what was told of it, and whether messages arrive.

use std::collections::BTreeMap;

use brasa_jobs::alerts::{Known, Look, TestError, Trouble, Watcher, remembered, test};
use brasa_shared::jiff::Timestamp;
use brasa_shared::units::format_duration;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::app::App;
use crate::failure::{Failure, chain};
use crate::output::{Output, short, when};

#[derive(Debug, Subcommand)]
pub(crate) enum Alerts {
    /// Look at all that is watched, and say what is wrong and what was told of it
    Status,
    /// Send a message to the webhook, and say what it answers
    Test,
}

impl Alerts {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Status => status(app, out).await,
            Self::Test => send(app, out).await,
        }
    }
}

async fn send(app: &App, out: &mut Output) -> Result<(), Failure> {
    let answer = test(app.site()).await.map_err(|error| match error {
        TestError::NoWebhook(nobody) => Failure::usage(nobody.to_string()),
        TestError::Untold(untold) => {
            let source = app.config.alerts.webhook.as_ref().map_or("[alerts] webhook", |url| url.source());
            Failure::environment(format!(
                "the test did not arrive: {}\n  help: look at {source}",
                chain(&untold)
            ))
        }
    })?;
    out.line(format!("the test arrived: {answer}"))?;
    out.value(&json!({ "arrived": true, "answer": answer }))
}

async fn status(app: &App, out: &mut Output) -> Result<(), Failure> {
    app.greet_redis().await?;
    let look = Watcher::new(app.site().clone())?.look().await;
    let known = remembered(app.site()).await?;
    let now = app.clock.now();
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (name, limit) in app.config.alerts.limits.written() {
        let (some, mut own) = of_one(name, limit.as_deref(), &look, &known, now);
        rows.extend(some);
        values.append(&mut own);
    }
    out.table(["ALERT", "LIMIT", "OF", "STATE", "WHAT"], rows, "")?;
    let alerts = &app.config.alerts;
    let (every, lasting) = (format_duration(alerts.every), format_duration(alerts.lasting));
    match &alerts.webhook {
        Some(url) => out.line(format!(
            "\nThe scheduler that leads looks every {every}, and tells {} what is so for {lasting}",
            url.source()
        ))?,
        None => out.line("\nNobody is told: [alerts] has no webhook")?,
    }
    out.value(
        &json!({ "webhook": alerts.webhook.is_some(), "every": every, "for": lasting, "alerts": values }),
    )
}

/// The lines about one threshold: one for each trouble, or one that says that there is none.
fn of_one(
    name: &'static str,
    limit: Option<&str>,
    look: &Look,
    known: &BTreeMap<String, Known>,
    now: Timestamp,
) -> (Vec<[String; 5]>, Vec<Value>) {
    let belongs = |id: &str| id == name || id.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    let mut troubles: BTreeMap<String, (Option<&Trouble>, Option<&Known>)> = BTreeMap::new();
    for trouble in look.troubles.iter().filter(|trouble| trouble.name == name) {
        troubles.entry(trouble.id()).or_default().0 = Some(trouble);
    }
    for (id, known) in known.iter().filter(|(id, _)| belongs(id)) {
        troubles.entry(id.clone()).or_default().1 = Some(known);
    }
    let unknown = look.unknown.iter().find(|(unknown, _)| *unknown == name).map(|(_, why)| why.as_str());
    if troubles.is_empty() {
        let (state, what) = match (limit, unknown) {
            (None, _) => ("off", ""),
            (Some(_), Some(why)) => ("not known here", why),
            (Some(_), None) => ("well", ""),
        };
        let row = [name, limit.unwrap_or("off"), "", state, what].map(str::to_owned);
        let value = json!({ "name": name, "limit": limit, "state": state, "text": what });
        return (vec![row], vec![value]);
    }
    let lines = troubles.iter().map(|(id, (trouble, known))| {
        let subject = id.split_once('/').map_or("", |(_, subject)| subject);
        let text = trouble.map(|trouble| trouble.text.as_str());
        let text = text.or(known.map(|known| known.text.as_str())).unwrap_or_default();
        let state = state(*trouble, *known, unknown.is_some(), now);
        let row = [name, limit.unwrap_or("off"), subject, &state, &short(text, 160)].map(str::to_owned);
        let value = json!({
            "name": name, "limit": limit, "subject": subject, "text": text,
            "state": if trouble.is_some() || unknown.is_some() { "wrong" } else { "over" },
            "since_ms": known.map(|known| known.since_ms), "told_ms": known.and_then(|known| known.told_ms),
        });
        (row, value)
    });
    lines.unzip()
}

fn state(trouble: Option<&Trouble>, known: Option<&Known>, is_unknown: bool, now: Timestamp) -> String {
    let Some(known) = known else { return "wrong now".to_owned() };
    let since = when(known.since_ms, now);
    match (trouble, known.told_ms) {
        (None, _) if !is_unknown => format!("over; it began {since}"),
        (_, None) => format!("wrong, noticed {since}, not told yet"),
        (_, Some(told_ms)) => format!("wrong, noticed {since}, told {}", when(told_ms, now)),
    }
}
