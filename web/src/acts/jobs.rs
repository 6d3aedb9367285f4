//! Starting jobs again, and stopping them.

use axum::http::StatusCode;
use brasa_shared::queue::{Cancelled, Ending, JobView, State as JobState};
use serde_json::json;

use super::Actor;
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// The states, by their words.
pub(crate) const STATES: &[(&str, JobState)] = &[
    ("running", JobState::Running),
    ("waiting", JobState::Waiting),
    ("delayed", JobState::Delayed),
    ("blocked", JobState::Blocked),
    ("done", JobState::Done),
    ("dead", JobState::Dead),
];

/// The job, if its queue still knows it.
pub(crate) async fn find(desk: &Desk, queue: &str, id: &str) -> Result<JobView, Refused> {
    let all = desk.site.all_queues().await?;
    let found = match all.get(queue) {
        Some(queue) => queue.show(id).await?,
        None => None,
    };
    found.ok_or_else(|| unknown(id))
}

/// No queue knows it, or not any more.
pub(crate) fn unknown(id: &str) -> Refused {
    let help = "ended jobs are kept for a while only: keep_done and keep_dead of the queue";
    Refused::absent(format!("no queue knows the job `{}`", format::short(id, 80)), help)
}

/// How a job stands, in a word.
pub(crate) fn standing(view: &JobView) -> &'static str {
    match (view.state, view.outcome.as_ref().map(|outcome| outcome.ending)) {
        (JobState::Done, Some(Ending::Cancelled)) => "cancelled",
        (JobState::Done, Some(Ending::Expired)) => "expired",
        (state, _) => STATES.iter().find(|(_, known)| *known == state).map_or("", |(word, _)| word),
    }
}

/// Starts a job now that is dead or delayed.
pub(crate) async fn retry(desk: &Desk, queue: &str, id: &str, actor: &Actor) -> Result<(), Refused> {
    let view = find(desk, queue, id).await?;
    let detail = json!({ "kind": view.kind, "state": standing(&view), "attempt": view.attempt });
    actor.note(desk, "job.retry", &format!("{queue}/{id}"), detail).await?;
    let (at, id) = (desk.site.queue(queue), id.to_owned());
    let begun = match view.state {
        JobState::Dead => at.revive(std::slice::from_ref(&id)).await? == [true],
        JobState::Delayed => match at.envelope(&id).await? {
            Some(Ok(envelope)) => at.promote_now(&[envelope]).await? > 0,
            _ => false,
        },
        _ => false,
    };
    desk.graves.forget();
    if begun {
        return Ok(());
    }
    let help =
        "only what is dead or delayed can be started, if it can be read and nobody else has its unique key";
    let message = format!("it is {}, and was left as it is", standing(&view));
    Err(Refused::new(StatusCode::CONFLICT, message, help))
}

/// Stops a job for good, and says what was found.
pub(crate) async fn cancel(
    desk: &Desk,
    queue: &str,
    id: &str,
    why: &str,
    actor: &Actor,
) -> Result<Cancelled, Refused> {
    let view = find(desk, queue, id).await?;
    let detail = json!({ "kind": view.kind, "state": standing(&view), "reason": why });
    actor.note(desk, "job.cancel", &format!("{queue}/{id}"), detail).await?;
    Ok(desk.site.queue(queue).cancel(id, &actor.who.name, why).await?)
}
