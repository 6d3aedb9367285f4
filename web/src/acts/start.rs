//! Jobs that people start by a button or a call: checked, written down, and enqueued.

use axum::http::StatusCode;
use brasa_shared::queue::Envelope;
use serde_json::{Value, json};

use super::Actor;
use crate::desk::Desk;
use crate::error::Refused;

/// A job that is to be started.
pub(crate) struct Start<'a> {
    /// The act, as it is written down.
    pub(crate) action: &'static str,
    /// What it is about.
    pub(crate) target: &'a str,
    /// The kind of job.
    pub(crate) kind: &'a str,
    /// Its arguments.
    pub(crate) args: Value,
}

/// A job that was started.
pub(crate) struct Started {
    /// Its queue.
    pub(crate) queue: String,
    /// Its id.
    pub(crate) id: String,
}

impl Start<'_> {
    /// Enqueues it into its kind's own queue, where whoever asks may do that.
    pub(crate) async fn by(self, actor: &Actor, desk: &Desk) -> Result<Started, Refused> {
        let Self { action, target, kind, args } = self;
        let known = desk.site.catalog.get(kind);
        let kind = known
            .ok_or_else(|| Refused::absent(format!("this build does not know the kind `{kind}`"), ""))?;
        let queue = desk.site.queue(kind.policy.queue);
        if let Some(why) = actor.who.refused(kind.name, queue.name()) {
            return Err(Refused::new(StatusCode::FORBIDDEN, why, ""));
        }
        let unfit = |why: String| Refused::bad(why, "");
        let job = Envelope::new(kind.name, &args, desk.site.clock.now());
        let mut job = job.map_err(|error| unfit(error.to_string()))?;
        (kind.check)(job.args.get(), &desk.site.config).map_err(unfit)?;
        job.kv = kind.version;
        job.to_wire().map_err(|error| Refused::bad(error.to_string(), "choose less at once"))?;
        actor.note(desk, action, target, json!({ "job": job.id, "kind": kind.name, "args": args })).await?;
        desk.site.name_queue(queue.name()).await?;
        queue.enqueue(&job).await?;
        Ok(Started { queue: queue.name().to_owned(), id: job.id })
    }
}
