//! Stopping queues and letting them go on.

use brasa_shared::queue::Queue;
use serde_json::json;

use super::Actor;
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// Workers stop taking jobs of it; those that run go on.
pub(crate) async fn pause(desk: &Desk, name: &str, why: &str, actor: &Actor) -> Result<(), Refused> {
    let queue = known(desk, name).await?;
    let before = json!({ "reason": why, "was_paused": queue.paused().await?.is_some() });
    actor.note(desk, "queue.pause", name, before).await?;
    queue.pause(&actor.who.name, why).await?;
    Ok(())
}

/// Workers take jobs of it again; true if they did not.
pub(crate) async fn resume(desk: &Desk, name: &str, actor: &Actor) -> Result<bool, Refused> {
    let queue = known(desk, name).await?;
    let before = json!({ "paused": queue.paused().await? });
    actor.note(desk, "queue.resume", name, before).await?;
    Ok(queue.resume().await?)
}

/// It takes no new jobs; what is in it still runs.
pub(crate) async fn close(desk: &Desk, name: &str, why: &str, actor: &Actor) -> Result<(), Refused> {
    let queue = known(desk, name).await?;
    let before = json!({ "reason": why, "was_closed": queue.door().await?.is_some() });
    actor.note(desk, "queue.close", name, before).await?;
    queue.close(&actor.who.name, why).await?;
    Ok(())
}

/// It takes new jobs again; true if it did not.
pub(crate) async fn open(desk: &Desk, name: &str, actor: &Actor) -> Result<bool, Refused> {
    let queue = known(desk, name).await?;
    let before = json!({ "closed": queue.door().await? });
    actor.note(desk, "queue.open", name, before).await?;
    Ok(queue.reopen().await?)
}

/// A queue that nobody has used is a typing error, and must not come into being by being paused.
pub(crate) async fn known(desk: &Desk, name: &str) -> Result<Queue, Refused> {
    let mut all = desk.site.all_queues().await?;
    if let Some(queue) = all.remove(name) {
        return Ok(queue);
    }
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    Err(Refused::absent(
        format!("there is no queue `{}`", format::short(name, 80)),
        format!("there are: {}", names.join(", ")),
    ))
}
