//! `brasa enqueue`: one job, or one per line of a file.

use std::io::Read;
use std::time::Duration;

use brasa_jobs::Kind;
use brasa_shared::queue::{Ending, Enqueued, Envelope, EnvelopeError, JobView, Queue, State};
use clap::Args;
use serde_json::{Value, json};

use crate::app::{App, unknown};
use crate::failure::Failure;
use crate::output::{Output, plain};
use crate::verbs::arguments::ms;

mod particulars;

use particulars::Particulars;

/// How long the outcome of a job is kept for somebody who waits for it.
pub(super) const KEEP_FOR_WAITER: Duration = Duration::from_hours(24);
/// How long one wait for the end of a job lasts, before the next begins.
const WAIT_SLICE: Duration = Duration::from_mins(10);
/// How many broken lines of a file are shown.
const BROKEN_SHOWN: usize = 10;

#[derive(Debug, Args)]
pub(crate) struct Enqueue {
    /// The kind of job; see `brasa kinds`
    kind: String,
    /// Its arguments: a JSON object, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}", conflicts_with = "bulk")]
    args: String,
    /// One job per line of FILE (or - for standard input), each line a JSON object of arguments
    #[arg(long, value_name = "FILE")]
    bulk: Option<String>,
    /// The queue, instead of the kind's own
    #[arg(long)]
    queue: Option<String>,
    #[command(flatten)]
    particulars: Particulars,
    /// The id; enqueuing the same id twice is enqueuing once
    #[arg(long, conflicts_with = "bulk")]
    id: Option<String>,
    /// Wait until it has ended and print the outcome; exit code 0 if it is done, 1 if not
    #[arg(long, conflicts_with = "bulk")]
    wait: bool,
    /// Only check it
    #[arg(long)]
    dry_run: bool,
}

impl Enqueue {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let kinds: Vec<String> = app.catalog.kinds().map(|kind| kind.name.to_owned()).collect();
        let kind = app.catalog.get(&self.kind).ok_or_else(|| unknown("kind", &self.kind, &kinds))?;
        let queue = self.queue.clone().unwrap_or_else(|| kind.policy.queue.to_owned());
        if self.queue.is_some() && !app.config.queues.contains_key(&queue) {
            return Err(unknown("queue", &queue, app.config.queues.keys()));
        }
        let queue = app.queue(&queue);
        match &self.bulk {
            None => self.one(app, kind, &queue, out).await,
            Some(file) => self.many(app, kind, &queue, file, out).await,
        }
    }

    async fn one(&self, app: &App, kind: &Kind, queue: &Queue, out: &mut Output) -> Result<(), Failure> {
        let text = match self.args.strip_prefix('@') {
            Some(file) => read(file)?,
            None if self.args == "-" => read("-")?,
            None => self.args.clone(),
        };
        let job = self.job(app, kind, "--args", &text).map_err(Failure::usage)?;
        if self.dry_run {
            out.line(format!("would enqueue {} into {}", job.kind, queue.name()))?;
            return out.value(&json!({ "kind": job.kind, "queue": queue.name(), "dry_run": true }));
        }
        app.greet_redis().await?;
        app.name_queue(queue.name()).await?;
        let answer = queue.enqueue(&job).await?;
        let (state, id) = match &answer {
            Enqueued::New => ("new", job.id.clone()),
            Enqueued::Known => ("known", job.id.clone()),
            Enqueued::Held { by } => ("held", by.clone()),
            Enqueued::Merged { into } => ("merged", into.clone()),
        };
        if self.wait {
            return report(&wait(queue, &id).await?, out);
        }
        out.line(match &answer {
            Enqueued::New => format!("enqueued {id} ({}) into {}", job.kind, queue.name()),
            Enqueued::Known => format!("{id} is known already; nothing was changed"),
            Enqueued::Held { by } => format!("job {by} has that unique key; nothing was enqueued"),
            Enqueued::Merged { into } => {
                format!("merged into job {into}, which has that unique key and had not started")
            }
        })?;
        out.value(&json!({ "id": id, "kind": job.kind, "queue": queue.name(), "state": state }))
    }

    async fn many(
        &self,
        app: &App,
        kind: &Kind,
        queue: &Queue,
        file: &str,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let text = read(file)?;
        let (mut jobs, mut broken) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match self.job(app, kind, &format!("{file}:{}", number + 1), line) {
                Ok(job) => jobs.push(job),
                Err(error) => broken.push(error),
            }
        }
        if !broken.is_empty() {
            let shown = broken
                .iter()
                .take(BROKEN_SHOWN)
                .map(|line| format!("  {line}"))
                .collect::<Vec<_>>()
                .join("\n");
            return Err(Failure::usage(format!(
                "{} line(s) are broken, so nothing was enqueued\n{shown}",
                broken.len()
            )));
        }
        if self.dry_run {
            out.line(format!("would enqueue {} jobs into {}", jobs.len(), queue.name()))?;
            return out.value(
                &json!({ "enqueued": 0, "checked": jobs.len(), "queue": queue.name(), "dry_run": true }),
            );
        }
        app.greet_redis().await?;
        app.name_queue(queue.name()).await?;
        let answers = queue.enqueue_all(&jobs).await?;
        let new = answers.iter().filter(|answer| **answer == Enqueued::New).count();
        out.line(format!("enqueued {new} jobs into {}", queue.name()))?;
        out.value(&json!({ "enqueued": new, "queue": queue.name(), "kind": kind.name }))
    }

    /// The job that arguments make; `place` says where they were written.
    fn job(&self, app: &App, kind: &Kind, place: &str, text: &str) -> Result<Envelope, String> {
        let args: Value =
            serde_json::from_str(text).map_err(|error| format!("{place}: not JSON: {error}"))?;
        let now = app.clock.now();
        let mut job = Envelope::new(kind.name, &args, now).map_err(|error| format!("{place}: {error}"))?;
        (kind.check)(job.args.get(), &app.config).map_err(|error| format!("{place}: {error}"))?;
        job.kv = kind.version;
        self.particulars.apply(&mut job, now)?;
        job.keep_ms = self.wait.then(|| ms(KEEP_FOR_WAITER));
        if let Some(id) = &self.id {
            job.id.clone_from(id);
        }
        job.to_wire().map_err(|error| match error {
            EnvelopeError::Name(said) if said.starts_with("unique: ") || said.starts_with("share: ") => {
                format!("--{said}")
            }
            EnvelopeError::Name(_) => format!("--id: {error}"),
            _ => format!("{place}: {error}"),
        })?;
        Ok(job)
    }
}

pub(super) fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let outcome = if file == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    outcome.map_err(|error| Failure::usage(format!("cannot read {file}: {error}")))?;
    Ok(text)
}

/// Waits for the end of a job, as long as it takes.
async fn wait(queue: &Queue, id: &str) -> Result<JobView, Failure> {
    loop {
        let Some(view) = queue.wait_for_end(id, WAIT_SLICE).await? else {
            return Err(Failure::environment(format!("job {id} is gone, and so is its outcome")));
        };
        if matches!(view.state, State::Done | State::Dead) {
            return Ok(view);
        }
    }
}

fn report(view: &JobView, out: &mut Output) -> Result<(), Failure> {
    let outcome = view.outcome.clone();
    let ending = outcome.as_ref().map_or(Ending::Dead, |outcome| outcome.ending);
    let detail = outcome.as_ref().and_then(|outcome| {
        outcome.reason.clone().or_else(|| outcome.result.as_ref().map(ToString::to_string))
    });
    let took = outcome.as_ref().map_or(0, |outcome| outcome.took_ms);
    let word = format!("{ending:?}").to_lowercase();
    out.line(plain(&format!(
        "{word} in {took} ms, attempt {}: {}",
        view.attempt,
        detail.unwrap_or_default()
    )))?;
    out.value(&json!({ "id": view.id, "kind": view.kind, "queue": view.queue, "attempt": view.attempt,
        "ending": ending, "outcome": outcome }))?;
    if ending == Ending::Done { Ok(()) } else { Err(Failure::silent(1)) }
}
