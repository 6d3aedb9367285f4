//! How much of what waits could be run, were there a worker for it.

use std::collections::HashMap;

use crate::queue::{Counts, LimitScope, Queue, QueueError};

impl Queue {
    /// How many jobs a worker could take now, of those that were counted: none where the queue is paused, and no more than
    /// limits of the queue and of kinds leave. Jobs that wait for their share key are none of them.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn ready(&self, counts: &Counts) -> Result<u64, QueueError> {
        if counts.paused.is_some() {
            return Ok(0);
        }
        let in_lanes: u64 = counts.waiting_by_class.values().sum();
        let in_inbox = counts.waiting.saturating_sub(in_lanes + counts.parked);
        let room = self.room().await?;
        let mut by_kind = HashMap::<&str, u64>::new();
        for (class, count) in &counts.waiting_by_class {
            *by_kind.entry(class.split('@').next().unwrap_or(class)).or_default() += count;
        }
        let least = |scope: &LimitScope, count: u64| count.min(room_of(&room, scope));
        let kinds = by_kind.into_iter().map(|(kind, count)| least(&LimitScope::Kind(kind.to_owned()), count));
        Ok(least(&LimitScope::Queue, in_inbox + kinds.sum::<u64>()))
    }

    /// How many more may start now under each limit of the queue and of kinds.
    async fn room(&self) -> Result<Vec<(&LimitScope, u64)>, QueueError> {
        let limits: Vec<_> = self.limits().iter().filter(|limit| limit.scope != LimitScope::Share).collect();
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for limit in &limits {
            let (field, ..) = limit.words();
            pipe.cmd("HGET").arg(&self.keys().running).arg(&field);
            pipe.cmd("ZSCORE").arg(&self.keys().rates).arg(&field);
        }
        let found: Vec<Option<f64>> = self.run_all("look at limits", &pipe).await?;
        let now_ms = self.clock().now().as_millisecond();
        let room = limits.iter().zip(found.chunks(2)).map(|(limit, found)| {
            let at = |place: usize| found.get(place).copied().flatten().unwrap_or(0.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of jobs")]
            let running = at(0).max(0.0) as u32;
            (&limit.scope, limit.room(running, at(1), now_ms).unwrap_or(u64::MAX))
        });
        Ok(room.collect())
    }
}

fn room_of(room: &[(&LimitScope, u64)], scope: &LimitScope) -> u64 {
    room.iter().filter(|(known, _)| *known == scope).map(|(_, free)| *free).min().unwrap_or(u64::MAX)
}
