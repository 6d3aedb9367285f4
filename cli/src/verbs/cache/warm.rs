//! `brasa cache warm`: a job that loads the values of a warmer.

use std::collections::BTreeMap;
use std::time::Duration;

use brasa_jobs::{Job as _, Kind, cache};
use brasa_shared::queue::{Ending, Envelope, JobView, Queue};
use clap::Args;
use serde_json::{Value, json};

use crate::app::{App, unknown};
use crate::failure::Failure;
use crate::output::{Output, bytes, plain};
use crate::verbs::arguments::duration;
use crate::verbs::cache::warmer;
use crate::verbs::enqueue::KEEP_FOR_WAITER;

/// As good as for ever.
const WAIT_MAX: (&str, Duration) = ("365d", Duration::from_hours(24 * 365));

/// Enqueue a job that loads the values of a warmer
#[derive(Debug, Args)]
pub(crate) struct Warm {
    /// The warmer
    name: String,
    /// Only values with this text as a parameter, such as origin=JFK
    #[arg(long, value_name = "PARAM=VALUE", value_parser = pair)]
    only: Vec<(String, String)>,
    /// Wait until it has ended, or for so long, and say what came of it; exit code 0 if it is done, 1 if not
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true,
        default_missing_value = WAIT_MAX.0, value_parser = duration)]
    wait: Option<Duration>,
    /// Only check it
    #[arg(long)]
    dry_run: bool,
}

impl Warm {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        warmer(app, &self.name)?;
        let kinds: Vec<String> = app.catalog.kinds().map(|kind| kind.name.to_owned()).collect();
        let kind = cache::Warm::KIND;
        let kind = app.catalog.get(kind).ok_or_else(|| unknown("kind", kind, &kinds))?;
        let queue = app.queue(kind.policy.queue);
        let job = self.job(app, kind).map_err(Failure::usage)?;
        if self.dry_run {
            out.line(format!("would enqueue {} of {} into {}", job.kind, self.name, queue.name()))?;
            let said =
                json!({ "kind": job.kind, "warmer": self.name, "queue": queue.name(), "dry_run": true });
            return out.value(&said);
        }
        app.name_queue(queue.name()).await?;
        queue.enqueue(&job).await?;
        match self.wait {
            None => {
                out.line(format!("enqueued {} ({} {}) into {}", job.id, job.kind, self.name, queue.name()))?;
                out.value(
                    &json!({ "id": job.id, "warmer": self.name, "kind": job.kind, "queue": queue.name() }),
                )
            }
            Some(limit) => report(&self.name, &wait(&queue, &job.id, limit).await?, out),
        }
    }

    fn job(&self, app: &App, kind: &Kind) -> Result<Envelope, String> {
        let mut only: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, text) in &self.only {
            if only.insert(name, text).is_some() {
                return Err(format!("--only: `{name}` is given twice"));
            }
        }
        let args = if only.is_empty() {
            json!({ "name": self.name })
        } else {
            json!({ "name": self.name, "only": only })
        };
        let mut job =
            Envelope::new(kind.name, &args, app.clock.now()).map_err(|error| format!("--only: {error}"))?;
        (kind.check)(job.args.get(), &app.config).map_err(|error| format!("--only: {error}"))?;
        job.kv = kind.version;
        job.keep_ms = self.wait.and_then(|_| u64::try_from(KEEP_FOR_WAITER.as_millis()).ok());
        job.to_wire().map_err(|error| format!("--only: {error}"))?;
        Ok(job)
    }
}

/// The job as it ended, or as it is when the time is over.
async fn wait(queue: &Queue, id: &str, limit: Duration) -> Result<JobView, Failure> {
    let view = queue.wait_for_end(id, limit.min(WAIT_MAX.1)).await?;
    view.ok_or_else(|| Failure::environment(format!("job {id} is gone, and so is its outcome")))
}

fn report(name: &str, view: &JobView, out: &mut Output) -> Result<(), Failure> {
    let outcome = view.outcome.as_ref();
    let ending = outcome.map(|outcome| outcome.ending);
    let tally = outcome.and_then(|outcome| outcome.result.clone()).unwrap_or_default();
    out.value(&json!({ "id": view.id, "warmer": name, "queue": view.queue, "attempt": view.attempt,
        "ending": ending, "tally": tally, "outcome": outcome }))?;
    let took = outcome.map_or(0, |outcome| outcome.took_ms);
    match (ending, outcome.and_then(|outcome| outcome.reason.as_deref())) {
        (Some(Ending::Done), _) => out.line(format!("warmed {name}: {} in {took} ms", told(&tally))),
        (None, _) => {
            let state = format!("{:?}", view.state).to_lowercase();
            let help = format!("`brasa jobs why {}` says why, and it goes on", view.id);
            out.line(format!("job {} has not ended: it is {state}\n  help: {help}", view.id))?;
            Err(Failure::silent(1))
        }
        (Some(ending), reason) => {
            let word = format!("{ending:?}").to_lowercase();
            out.line(plain(&format!("{word} in {took} ms: {}", reason.unwrap_or_default())))?;
            Err(Failure::silent(1))
        }
    }
}

/// A tally in words.
fn told(tally: &Value) -> String {
    let number = |name: &str| tally[name].as_u64().unwrap_or(0);
    let mut words = vec![
        format!("{} value(s), {}", number("keys"), bytes(number("bytes"))),
        format!("{} call(s) of the loader", number("batches")),
    ];
    for (name, what) in [
        ("none", "known not to be there"),
        ("busy", "being loaded by others"),
        ("oversized", "too large"),
        ("broken", "with parameters that the database cannot read"),
    ] {
        if number(name) > 0 {
            words.push(format!("{} {what}", number(name)));
        }
    }
    for (why, count) in tally["refused"].as_object().into_iter().flatten() {
        words.push(format!("{count} refused ({why})"));
    }
    words.join(", ")
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no `=`; write it as in origin=JFK")?;
    if name.is_empty() {
        Err("it names no parameter; write it as in origin=JFK".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}
