//! `brasa flow`: jobs that follow one another, out of a file.

use brasa_jobs::http::Exporter;
use brasa_shared::jiff::Timestamp;
use brasa_shared::queue::{Enqueued, Envelope, Flow as Jobs, FlowError, Queue};
use brasa_shared::telemetry::spans::{Open, SpanKind};
use brasa_shared::trace::Trace;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, unknown};
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::arguments::trace_around;
use crate::verbs::enqueue::read;

/// Enqueue a chain, or a group with a callback
#[derive(Debug, Args)]
pub(crate) struct Flow {
    /// The file, or - for standard input: {"chain": [JOB, …]} or {"group": [JOB, …], "then": JOB},
    /// where a JOB is {"kind": "…", "args": {…}}
    file: String,
    /// The queue, for all of its jobs
    #[arg(long, default_value = "default")]
    queue: String,
    /// The id that the ids of its jobs begin with; enqueuing it twice is enqueuing it once
    #[arg(long)]
    id: Option<String>,
    /// Only check it
    #[arg(long)]
    dry_run: bool,
}

/// What a file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    #[serde(default)]
    chain: Vec<Step>,
    #[serde(default)]
    group: Vec<Step>,
    #[serde(default)]
    then: Option<Step>,
    /// Run the callback also where members die or are cancelled.
    #[serde(default)]
    always: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    kind: String,
    #[serde(default)]
    args: Option<Value>,
}

impl Flow {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if !app.config.queues.contains_key(&self.queue) {
            return Err(unknown("queue", &self.queue, app.config.queues.keys()));
        }
        let text = read(&self.file)?;
        let plan: Plan =
            serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", self.file)))?;
        let id = self.id.clone().unwrap_or_else(|| fresh_id(app.clock.now()));
        let queue = app.queue(&self.queue);
        let traced = Traced::begin(app, &queue, &id);
        let flow = plan.into_flow(app, &id, &self.file, traced.place)?;
        let ids: Vec<&str> = flow.jobs().iter().rev().map(|job| job.id.as_str()).collect();
        if self.dry_run {
            out.line(format!("would enqueue {} jobs into {}", ids.len(), queue.name()))?;
            return out.value(&json!({ "id": id, "jobs": ids, "queue": queue.name(), "dry_run": true }));
        }
        app.greet_redis().await?;
        app.name_queue(queue.name()).await?;
        let new = enqueue(&queue, &flow).await?;
        traced.end().await;
        out.line(format!("enqueued {new} of {} jobs into {}: {id}.…", ids.len(), queue.name()))?;
        out.value(&json!({ "id": id, "jobs": ids, "new": new, "queue": queue.name() }))
    }
}

async fn enqueue(queue: &Queue, flow: &Jobs) -> Result<usize, Failure> {
    let answers = queue.enqueue_flow(flow).await?;
    Ok(answers.iter().filter(|answer| **answer == Enqueued::New).count())
}

/// Where in a trace a flow is enqueued: where whoever calls us is, or in a trace of its own, so that its jobs are together.
struct Traced {
    place: Option<Trace>,
    own: Option<(Open, Exporter)>,
}

impl Traced {
    fn begin(app: &App, queue: &Queue, id: &str) -> Self {
        let around = trace_around();
        if around.is_some() {
            return Self { place: around, own: None };
        }
        let (spans, exporter) = Exporter::start(&app.config, &app.clock);
        let place = spans.root(&format!("{}\n{id}", queue.name()));
        let mut span = place.and_then(|place| spans.begin(SpanKind::Producer, "send flow", place, None));
        if let Some(span) = &mut span {
            span.note("messaging.system", "brasa");
            span.note("messaging.operation.name", "send");
            span.note("messaging.operation.type", "send");
            span.note("messaging.destination.name", queue.name());
            span.note("brasa.flow.id", id);
        }
        Self { place, own: span.zip(exporter) }
    }

    async fn end(self) {
        if let Some((span, exporter)) = self.own {
            span.end(None);
            exporter.end().await;
        }
    }
}

/// As ids of jobs are, with the same meaning: sorted by when they were made.
fn fresh_id(now: Timestamp) -> String {
    Envelope::new("flow.id", &json!({}), now).map(|job| job.id).unwrap_or_default()
}

impl Plan {
    fn into_flow(self, app: &App, id: &str, file: &str, at: Option<Trace>) -> Result<Jobs, Failure> {
        let jobs = |what, steps| jobs(app, file, what, steps, at);
        let flow = match (self.chain.is_empty(), self.group.is_empty(), self.then) {
            (false, true, None) => Jobs::chain(id, jobs("chain", self.chain)?),
            (true, false, Some(then)) => {
                let callback = job(app, &format!("{file}: then"), then, at)?;
                Jobs::group(id, jobs("group", self.group)?, callback, self.always)
            }
            (true, false, None) => {
                let help = "a group without one is just many jobs: use `brasa enqueue --bulk`";
                return Err(Failure::usage(format!("{file}: a `group` needs `then`\n  help: {help}")));
            }
            _ => {
                let help = r#"write {"chain": […]}, or {"group": […], "then": {…}}"#;
                return Err(Failure::usage(format!(
                    "{file}: needs either `chain` or `group`\n  help: {help}"
                )));
            }
        };
        flow.map_err(|error: FlowError| Failure::usage(format!("{file}: {error}")))
    }
}

fn jobs(
    app: &App,
    file: &str,
    what: &str,
    steps: Vec<Step>,
    at: Option<Trace>,
) -> Result<Vec<Envelope>, Failure> {
    let job = |(n, step)| job(app, &format!("{file}: {what}[{n}]"), step, at);
    steps.into_iter().enumerate().map(job).collect()
}

fn job(app: &App, place: &str, step: Step, at: Option<Trace>) -> Result<Envelope, Failure> {
    let kinds: Vec<String> = app.catalog.kinds().map(|kind| kind.name.to_owned()).collect();
    let kind = app.catalog.get(&step.kind).ok_or_else(|| unknown("kind", &step.kind, &kinds))?;
    let wrong = |error: String| Failure::usage(format!("{place}: {error}"));
    let args = step.args.unwrap_or_else(|| json!({}));
    let mut job =
        Envelope::new(kind.name, &args, app.clock.now()).map_err(|error| wrong(error.to_string()))?;
    (kind.check)(job.args.get(), &app.config).map_err(wrong)?;
    job.kv = kind.version;
    job.trace = at.map(|trace| trace.to_string());
    Ok(job)
}
