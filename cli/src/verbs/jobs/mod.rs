//! `brasa jobs`: list, show, explain, retry, cancel.

use brasa_shared::queue::{Cancelled, Ending, JobView, Queue, State};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain, short, when};
use crate::verbs::queues::actor;

mod bulk;
mod filter;
mod past;
mod why;

use bulk::Chosen;
pub(crate) use filter::Filter;

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List jobs
    List(List),
    /// Show everything about one job
    Show(Show),
    /// Say why a job is not running
    Why(why::Why),
    /// Start jobs again: dead ones, and delayed ones before their time
    Retry(Retry),
    /// Stop jobs, whether they wait or run
    Cancel(Cancel),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// Only jobs in this state; else all that are not at an end
    #[arg(long)]
    state: Option<Place>,
    /// At most this many per queue and state
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Jobs that have ended, as Postgres has them when Redis has long forgotten
    #[arg(long, conflicts_with = "state")]
    history: bool,
    /// With --history: only jobs that ended so
    #[arg(long, requires = "history")]
    ending: Option<past::How>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The job
    id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    chosen: Chosen,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    chosen: Chosen,
    /// Why, for the record
    #[arg(long, default_value = "")]
    reason: String,
    /// With --all: do it without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Place {
    Waiting,
    Delayed,
    Blocked,
    Running,
    Done,
    Dead,
}

impl From<Place> for State {
    fn from(place: Place) -> Self {
        match place {
            Place::Waiting => Self::Waiting,
            Place::Delayed => Self::Delayed,
            Place::Blocked => Self::Blocked,
            Place::Running => Self::Running,
            Place::Done => Self::Done,
            Place::Dead => Self::Dead,
        }
    }
}

impl Jobs {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        app.greet_redis().await?;
        match self {
            Self::List(list) => list.obey(app, out).await,
            Self::Show(Show { id }) => {
                let Some((_, view)) = known(app, &id).await? else { return past::show(app, &id, out).await };
                show(&view, app, out)?;
                out.value(&view)
            }
            Self::Why(verb) => verb.obey(app, out).await,
            Self::Retry(Retry { chosen }) => retry(app, &chosen, out).await,
            Self::Cancel(verb) => cancel(app, &verb, out).await,
        }
    }
}

impl List {
    async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if self.history {
            return past::list(app, self, out).await;
        }
        let open = [State::Running, State::Waiting, State::Delayed, State::Blocked];
        let states = self.state.map_or_else(|| open.to_vec(), |state| vec![state.into()]);
        let views = self.filter.find(app, &states, self.limit, out).await?;
        table(&views, app, out)?;
        out.value(&views)
    }
}

/// Jobs as a table.
pub(crate) fn table(views: &[JobView], app: &App, out: &mut Output) -> Result<(), Failure> {
    let now = app.clock.now();
    let rows = views.iter().map(|view| {
        let detail = match (&view.outcome, &view.unreadable) {
            (Some(outcome), _) if outcome.reason.is_some() => outcome.reason.clone().unwrap_or_default(),
            (_, Some(raw)) => raw.clone(),
            _ => view.args.to_string(),
        };
        [
            view.id.clone(),
            view.kind.clone(),
            view.queue.clone(),
            state(view),
            view.attempt.to_string(),
            when(view.enqueued_ms, now),
            short(&detail, 60),
        ]
    });
    out.table(["ID", "KIND", "QUEUE", "STATE", "ATTEMPT", "ENQUEUED", "DETAIL"], rows.collect(), "no jobs")
}

pub(crate) fn state(view: &JobView) -> String {
    match (&view.state, &view.outcome) {
        (State::Done, Some(outcome)) if outcome.ending != Ending::Done => {
            format!("{:?}", outcome.ending).to_lowercase()
        }
        (state, _) => format!("{state:?}").to_lowercase(),
    }
}

/// One job for people.
pub(crate) fn show(view: &JobView, app: &App, out: &mut Output) -> Result<(), Failure> {
    let now = app.clock.now();
    let mut line = |name: &str, value: &str| match value {
        "" => Ok(()),
        value => out.line(format!("{name:<10} {}", plain(value))),
    };
    line("id", &view.id)?;
    line("kind", &view.kind)?;
    line("queue", &view.queue)?;
    line("state", &state(view))?;
    match view.state {
        State::Delayed => line("due", &when(view.state_ms, now))?,
        State::Running => line(
            "running",
            &format!("since {}; leased until {}", when(view.started_ms, now), when(view.state_ms, now)),
        )?,
        State::Blocked => line("waits for", &format!("{} job(s) to end", view.waits_for))?,
        State::Waiting | State::Done | State::Dead => {}
    }
    line("args", &view.args.to_string())?;
    line("sealed", &view.sealed.as_ref().map_or_else(String::new, |key| format!("with key `{key}`")))?;
    line("enqueued", &when(view.enqueued_ms, now))?;
    line("schedule", view.schedule.as_deref().unwrap_or_default())?;
    line("trace", view.trace.as_deref().unwrap_or_default())?;
    line("attempt", &view.attempt.to_string())?;
    line("worker", if view.worker == "-" { "" } else { &view.worker })?;
    line("asked to stop", view.stop_asked.as_deref().unwrap_or_default())?;
    if let Some(note) = &view.note {
        line("progress", &format!("{:.0} % {} ({})", note.share * 100.0, note.text, when(note.at, now)))?;
    }
    line("priority", &if view.priority == 0 { String::new() } else { view.priority.to_string() })?;
    line("share", view.share.as_deref().unwrap_or_default())?;
    line("as pushed", view.unreadable.as_deref().unwrap_or_default())?;
    if let Some(outcome) = &view.outcome {
        line("ended", &format!("{} after {} ms", when(outcome.at, now), outcome.took_ms))?;
        line("reason", outcome.reason.as_deref().unwrap_or_default())?;
        line("result", &outcome.result.as_ref().map(ToString::to_string).unwrap_or_default())?;
    }
    for past in &view.trail {
        let (at, told) = past.split_once(' ').unwrap_or(("0", past));
        line("before", &format!("{}: attempt {told}", when(at.parse().unwrap_or(0), now)))?;
    }
    for said in &view.log {
        line("log", said)?;
    }
    Ok(())
}

/// The queue that knows a job, and the job.
pub(crate) async fn find(app: &App, id: &str) -> Result<(Queue, JobView), Failure> {
    known(app, id).await?.ok_or_else(|| unknown(id))
}

/// The same, if there is one.
async fn known(app: &App, id: &str) -> Result<Option<(Queue, JobView)>, Failure> {
    for queue in app.all_queues().await?.into_values() {
        if let Some(view) = queue.show(id).await? {
            return Ok(Some((queue, view)));
        }
    }
    Ok(None)
}

fn unknown(id: &str) -> Failure {
    let help = "ended jobs are kept for a while only; see keep_done and keep_dead of [queues], and [history]";
    Failure::environment(format!("no queue knows the job `{}`\n  help: {help}", plain(id)))
}

async fn retry(app: &App, chosen: &Chosen, out: &mut Output) -> Result<(), Failure> {
    let mut said = Vec::new();
    for (queue, view) in chosen.find(app, &[State::Dead, State::Delayed], out).await? {
        let id = &view.id;
        if chosen.dry_run {
            out.line(format!("would start {id} ({}, {}) again", view.kind, state(&view)))?;
            said.push(json!({ "id": id, "retried": false, "was": view.state, "dry_run": true }));
            continue;
        }
        let again = match view.state {
            State::Dead => queue.revive(std::slice::from_ref(id)).await? == [true],
            State::Delayed | State::Blocked => match queue.envelope(id).await? {
                Some(Ok(envelope)) => queue.promote_now(&[envelope]).await? > 0,
                _ => false,
            },
            State::Waiting | State::Running | State::Done => false,
        };
        out.line(if again {
            format!("{id} is waiting again")
        } else {
            format!("{id} is {}; nothing was changed", state(&view))
        })?;
        said.push(json!({ "id": id, "retried": again, "was": view.state }));
    }
    out.value(&said)?;
    let fine = chosen.dry_run || said.iter().all(|one| one["retried"] == true);
    if fine { Ok(()) } else { Err(Failure::silent(1)) }
}

async fn cancel(app: &App, verb: &Cancel, out: &mut Output) -> Result<(), Failure> {
    let chosen = &verb.chosen;
    if chosen.is_bulk() && !verb.yes && !chosen.dry_run {
        let help = "add --yes, or look first with --dry-run";
        return Err(Failure::usage(format!("this stops all jobs of the filter\n  help: {help}")));
    }
    let mut said = Vec::new();
    let open = [State::Running, State::Waiting, State::Delayed, State::Blocked];
    for (queue, view) in chosen.find(app, &open, out).await? {
        let id = &view.id;
        if chosen.dry_run {
            out.line(format!("would cancel {id} ({}, {})", view.kind, state(&view)))?;
            said.push(json!({ "id": id, "dry_run": true, "was": view.state }));
            continue;
        }
        let answer = queue.cancel(id, &actor(), &verb.reason).await?;
        out.line(match answer {
            Cancelled::Cancelled => format!("{id} is cancelled"),
            Cancelled::Asked => format!("{id} runs and has been asked to stop"),
            Cancelled::Done => format!("{id} is done already"),
            Cancelled::Dead => format!("{id} is in the dead letter already"),
            Cancelled::Unknown => format!("{id} is gone"),
        })?;
        said.push(json!({ "id": id, "cancel": answer }));
    }
    out.value(&said)?;
    let stopped = |one: &serde_json::Value| one["cancel"] == "cancelled" || one["cancel"] == "asked";
    let fine = chosen.dry_run || said.iter().all(stopped);
    if fine { Ok(()) } else { Err(Failure::silent(1)) }
}
