//! Who may enqueue what, and whether anybody could run it.

use axum::http::StatusCode;
use brasa_jobs::Kind;
use brasa_shared::config::{DEFAULT_QUEUE, Role, did_you_mean};
use brasa_shared::name::check_name;
use brasa_shared::queue::{Queue, WorkerInfo};
use tokio::sync::OnceCell;

use super::new_job::NewJob;
use crate::auth::Identity;
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// Kinds that work on the database as this installation may, whatever their arguments say: never for a token that may
/// only enqueue, not even where its kinds name them.
const GUARDED: &[&str] = &["db.", "aggregate.", "sql.run"];

/// Why somebody may not enqueue that, in words; nothing where they may.
pub(in crate::api) fn may_enqueue(desk: &Desk, who: &Identity, kind: &str, queue: &str) -> Option<String> {
    // By its name of today, so that no former name is a way around; a token may name it by either.
    let kind = today(desk, kind);
    if who.role == Role::Viewer {
        return Some(format!("`{}` is viewer, and this takes enqueue or operator", who.name));
    }
    let is_guarded =
        GUARDED.iter().any(|name| if name.ends_with('.') { kind.starts_with(name) } else { kind == *name });
    if is_guarded && !who.may(Role::Operator) {
        return Some(format!("the kind `{kind}` takes operator, and `{}` is {}", who.name, who.role.word()));
    }
    if who.role == Role::Enqueue && who.kinds.is_empty() {
        return Some(format!("the token `{}` names no kinds", who.name));
    }
    let named = who.kinds.iter().find(|named| today(desk, named) == kind);
    who.refused(named.map_or(kind, String::as_str), queue)
}

fn today<'n>(desk: &Desk, kind: &'n str) -> &'n str {
    desk.site.catalog.get(kind).map_or(kind, |kind| kind.name)
}

/// Looks at the jobs of one request.
pub(super) struct Clerk<'d> {
    desk: &'d Desk,
    who: &'d Identity,
    /// Asked for once, and only where a kind is not of this build.
    workers: OnceCell<Vec<WorkerInfo>>,
}

/// A kind that somebody can run.
struct Runnable<'d> {
    name: String,
    version: u32,
    queue: &'d str,
    kind: Option<&'d Kind>,
}

impl<'d> Clerk<'d> {
    pub(super) fn new(desk: &'d Desk, who: &'d Identity) -> Self {
        Self { desk, who, workers: OnceCell::new() }
    }

    /// The job as it travels, and its queue; or why it is refused.
    pub(super) async fn look(&self, job: NewJob) -> Result<(Queue, brasa_shared::queue::Envelope), Refused> {
        let forbid = |why: String| {
            let help = "ask whoever keeps [web.tokens] for other kinds or queues";
            Refused::new(StatusCode::FORBIDDEN, why, help)
        };
        if check_name(&job.kind).is_err() {
            let message = format!("`{}` cannot be a kind", format::short(&job.kind, 80));
            return Err(Refused::bad(message, "see `brasa kinds`"));
        }
        // Before anything is said of kinds: whoever may not enqueue one does not learn whether there is one.
        let queue = job.queue.as_deref();
        let of_kind = self.desk.site.catalog.get(&job.kind).map(|kind| kind.policy.queue);
        let into = queue.or(of_kind).unwrap_or(DEFAULT_QUEUE);
        if let Some(why) = may_enqueue(self.desk, self.who, &job.kind, into) {
            return Err(forbid(why));
        }
        let runnable = self.runnable(&job.kind).await?;
        let into = queue.unwrap_or(runnable.queue);
        if into != runnable.queue && !self.desk.site.config.queues.contains_key(into) {
            let known: Vec<&str> = self.desk.site.config.queues.keys().map(String::as_str).collect();
            let message = format!("there is no queue `{}`", format::short(into, 80));
            return Err(Refused::bad(message, format!("there are: {}", known.join(", "))));
        }
        let queue = self.desk.hall.queue(&self.desk.site, into);
        let version = job.version.unwrap_or(runnable.version);
        if version == 0 || version > runnable.version {
            let message = format!("nobody reads version {version} of `{}`", runnable.name);
            return Err(Refused::bad(message, format!("the newest is {}", runnable.version)));
        }
        let envelope = job.seal(&runnable.name, version, self.desk.site.clock.now())?;
        if let Some(kind) = runnable.kind {
            (kind.check)(envelope.args.get(), &self.desk.site.config)
                .map_err(|why| Refused::bad(format!("`args`: {why}"), ""))?;
        }
        Ok((queue, envelope))
    }

    /// A kind of this build, or one that a worker that lives can run: a team's own.
    async fn runnable(&self, name: &str) -> Result<Runnable<'d>, Refused> {
        if let Some(kind) = self.desk.site.catalog.get(name) {
            let (own, version, queue) = (kind.name.to_owned(), kind.version, kind.policy.queue);
            return Ok(Runnable { name: own, version, queue, kind: Some(kind) });
        }
        let ask = || async { self.desk.site.fleet().live_workers().await };
        let workers = self.workers.get_or_try_init(ask).await?;
        let versions = workers.iter().flat_map(|worker| &worker.classes).filter_map(|class| {
            let (kind, version) = class.split_once('@').unwrap_or((class, "1"));
            if kind == name { version.parse().ok() } else { None }
        });
        let Some(version) = versions.max() else {
            let help = did_you_mean(name, self.desk.site.catalog.kinds().map(|kind| kind.name));
            let help = help.unwrap_or_else(|| "see `brasa kinds`".to_owned());
            let message = format!("no build here and no worker that lives knows the kind `{name}`");
            return Err(Refused::bad(message, help));
        };
        Ok(Runnable { name: name.to_owned(), version, queue: DEFAULT_QUEUE, kind: None })
    }
}
