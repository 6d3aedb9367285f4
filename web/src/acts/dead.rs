//! What is done to the groups of the dead letter.

use std::time::Duration;

use brasa_shared::queue::Queue;
use serde_json::json;

use super::Actor;
use crate::desk::Desk;
use crate::error::Refused;

/// How many jobs are started or deleted in one step.
const STEP: usize = 1_000;
/// How far apart jobs of a group start again, so that what they died of is not met by all of them at once.
const APART: Duration = Duration::from_millis(10);

/// The queues that have this group, and its jobs there.
pub(crate) async fn members(desk: &Desk, signature: &str) -> Result<Vec<(Queue, Vec<String>)>, Refused> {
    let mut found = Vec::new();
    for queue in desk.site.all_queues().await?.into_values() {
        let ids = queue.buried_in(signature).await?;
        if !ids.is_empty() {
            found.push((queue, ids));
        }
    }
    if found.is_empty() {
        return Err(Refused::absent(
            "no dead jobs are in this group",
            "they may have been started again meanwhile",
        ));
    }
    Ok(found)
}

/// How many jobs these are.
pub(crate) fn number(members: &[(Queue, Vec<String>)]) -> usize {
    members.iter().map(|(_, ids)| ids.len()).sum()
}

/// Starts all of them again, one after the other; how many could be.
pub(crate) async fn revive(members: &[(Queue, Vec<String>)]) -> Result<usize, Refused> {
    let mut begun = 0;
    for (queue, ids) in members {
        for ids in ids.chunks(STEP) {
            begun += queue.revive_every(ids, APART).await?.into_iter().filter(|begun| *begun).count();
        }
    }
    Ok(begun)
}

/// Starts a group again; how many of its jobs could be.
pub(crate) async fn retry(desk: &Desk, signature: &str, actor: &Actor) -> Result<usize, Refused> {
    let members = members(desk, signature).await?;
    actor.note(desk, "dead.retry", signature, json!({ "jobs": number(&members) })).await?;
    let begun = revive(&members).await;
    desk.graves.forget();
    begun
}

/// Deletes a group for good; how many jobs went.
pub(crate) async fn delete(desk: &Desk, signature: &str, actor: &Actor) -> Result<usize, Refused> {
    let members = members(desk, signature).await?;
    actor.note(desk, "dead.delete", signature, json!({ "jobs": number(&members) })).await?;
    let mut gone = 0;
    for (queue, ids) in &members {
        for ids in ids.chunks(STEP) {
            gone += queue.forget(ids).await?.into_iter().filter(|gone| *gone).count();
        }
    }
    desk.graves.forget();
    Ok(gone)
}
