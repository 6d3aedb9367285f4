//! What a queue holds, counted afresh, beside what it says that it holds.

use std::collections::BTreeMap;

use brasa_shared::queue::Queue;
use redis::FromRedisValue;

/// What is said, or counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Bytes of all envelopes and outcomes.
    pub bytes: i64,
    /// Ended jobs that are kept, but for the dead.
    pub done: i64,
    /// What they take.
    pub done_bytes: i64,
    /// What the dead letter takes.
    pub dead_bytes: i64,
}

/// What the queue says.
///
/// # Panics
/// Redis does not answer.
pub async fn said(queue: &Queue) -> Sums {
    let k = queue.keys();
    let counts: BTreeMap<String, i64> = ask(queue, redis::cmd("HGETALL").arg(&k.counts)).await;
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    let bytes: Option<i64> = ask(queue, redis::cmd("GET").arg(&k.bytes)).await;
    Sums {
        bytes: bytes.unwrap_or(0),
        done: count("done"),
        done_bytes: count("done_bytes"),
        dead_bytes: count("dead_bytes"),
    }
}

/// What there is.
///
/// # Panics
/// Redis does not answer.
pub async fn counted(queue: &Queue) -> Sums {
    let k = queue.keys();
    let jobs: BTreeMap<String, Vec<u8>> = ask(queue, redis::cmd("HGETALL").arg(&k.jobs)).await;
    let outcomes: BTreeMap<String, Vec<u8>> = ask(queue, redis::cmd("HGETALL").arg(&k.outcomes)).await;
    let dead: Vec<String> = ask(queue, redis::cmd("ZRANGE").arg(&k.dead).arg(0).arg(-1)).await;
    let length = |found: Option<&Vec<u8>>| i64::try_from(found.map_or(0, Vec::len)).unwrap_or(i64::MAX);
    let size = |id: &String| length(jobs.get(id)) + length(outcomes.get(id));
    let dead_bytes: i64 = dead.iter().map(size).sum();
    let ended_bytes: i64 = outcomes.keys().map(size).sum();
    let whole = |map: &BTreeMap<_, Vec<u8>>| map.values().map(|value| length(Some(value))).sum::<i64>();
    Sums {
        bytes: whole(&jobs) + whole(&outcomes),
        done: i64::try_from(outcomes.len()).unwrap_or(i64::MAX) - i64::try_from(dead.len()).unwrap_or(0),
        done_bytes: ended_bytes - dead_bytes,
        dead_bytes,
    }
}

/// # Panics
/// The queue says something else than there is.
pub async fn assert_exact(queue: &Queue, when: &str) {
    assert_eq!(said(queue).await, counted(queue).await, "{when}");
}

async fn ask<T: FromRedisValue>(queue: &Queue, command: &redis::Cmd) -> T {
    queue.store().run("count afresh", command).await.expect("Redis answers")
}
