//! Jobs that people start from pages: checked, written down, enqueued, and shown.

use axum::http::StatusCode;
use axum::response::Redirect;
use brasa_shared::queue::Envelope;
use serde_json::{Value, json};

use super::act::Actor;
use super::jobs::path_of;
use crate::desk::Desk;
use crate::error::Refused;

/// A job that is to be started.
pub(super) struct Start<'a> {
    /// The act, as it is written down.
    pub(super) action: &'static str,
    /// What it is about.
    pub(super) target: &'a str,
    /// The kind of job.
    pub(super) kind: &'a str,
    /// Its arguments.
    pub(super) args: Value,
}

impl Start<'_> {
    /// Enqueues it into its kind's own queue, and leads to its page.
    pub(super) async fn by(self, actor: &Actor, desk: &Desk) -> Result<Redirect, Refused> {
        let Self { action, target, kind, args } = self;
        let known = desk.site.catalog.get(kind);
        let kind = known.ok_or_else(|| Refused::absent(format!("there is no kind `{kind}`"), ""))?;
        let queue = desk.site.queue(kind.policy.queue);
        if let Some(why) = actor.who.refused(kind.name, queue.name()) {
            return Err(Refused::new(StatusCode::FORBIDDEN, why, ""));
        }
        let unfit = |why: String| Refused::bad(why, "");
        let job = Envelope::new(kind.name, &args, desk.site.clock.now());
        let mut job = job.map_err(|error| unfit(error.to_string()))?;
        (kind.check)(job.args.get(), &desk.site.config).map_err(unfit)?;
        job.kv = kind.version;
        actor.note(desk, action, target, json!({ "job": job.id, "kind": kind.name, "args": args })).await?;
        desk.site.fleet().add_queue(queue.name()).await?;
        queue.enqueue(&job).await?;
        Ok(Redirect::to(&path_of(queue.name(), &job.id)))
    }
}
