//! The groups of the dead letter: counting them means to look at every dead job, which may be many.

use std::sync::Arc;

use brasa_shared::queue::{Grave, QueueError};

use super::looks::Look;
use crate::desk::Desk;

/// The groups, the largest first; or why they could not be counted.
pub(crate) type Graves = Result<Vec<Grave>, QueueError>;

/// The groups as they are, or were a while ago; nothing while they are counted for the first time.
pub(crate) async fn graves(desk: &Desk) -> Option<Arc<Look<Graves>>> {
    desk.graves.see(desk, count(desk.clone())).await
}

async fn count(desk: Desk) -> Graves {
    let all = desk.site.all_queues().await;
    let all = all.map_err(|source| QueueError::Store { queue: "all".to_owned(), source })?;
    let mut graves = Vec::new();
    for queue in all.values() {
        graves.extend(queue.graves().await?);
    }
    graves.sort_by_key(|grave| std::cmp::Reverse(grave.count));
    Ok(graves)
}
