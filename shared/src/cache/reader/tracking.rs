//! The line on which Redis tells what changes: client-side caching by prefixes, on a connection of its own.
//!
//! The line is held to be there only while it answers: who hears nothing cannot tell silence from peace. While it is
//! not, nothing is served from this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;

use crate::cache::reader::Inner;
use crate::cache::reader::local::Local;

/// How often the line has to show that it is there, and how long it may take to.
const BEAT: Duration = Duration::from_secs(1);
/// The first and the longest pause before the line is made again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// What goes with one connection.
#[derive(Default)]
struct Line {
    is_broken: AtomicBool,
    broke: Notify,
}

/// Keeps the line up, until the cache is dropped.
pub(super) async fn keep_tracking(inner: Arc<Inner>, local: Arc<Local>) {
    let mut pause = BACKOFF.0;
    loop {
        let mut was_on = false;
        let session = session(&inner, &local, &mut was_on);
        let ended = tokio::select! {
            () = inner.over.cancelled() => return,
            ended = session => ended,
        };
        local.turn_off();
        if ended.is_ok() {
            // It wants to be told of more.
            continue;
        }
        pause = if was_on { BACKOFF.0 } else { (pause * 2).min(BACKOFF.1) };
        tracing::debug!(error = ?ended.err(), "nothing is kept in this process until redis tells what changes");
        tokio::select! {
            () = inner.over.cancelled() => return,
            () = tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)) => {}
        }
    }
}

/// One connection, until it breaks or more is wanted.
async fn session(inner: &Arc<Inner>, local: &Arc<Local>, was_on: &mut bool) -> Result<(), RedisError> {
    let (version, wanted) = local.wants();
    if wanted.is_empty() {
        local.wants_more.notified().await;
        return Ok(());
    }
    let line = Arc::new(Line::default());
    let hear = hearing(inner, Arc::clone(local), Arc::clone(&line));
    let mut connection = inner.patient.listener(BEAT, hear).await.map_err(|error| error.source)?;
    let mut track = redis::cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST");
    let keys = inner.caches.keys();
    for prefix in fewest(wanted.into_iter().chain([keys.tags.clone(), keys.warmers.clone()])) {
        track.arg("PREFIX").arg(prefix);
    }
    track.query_async::<()>(&mut connection).await?;
    if !local.turn_on(version) {
        return Ok(());
    }
    *was_on = true;
    // What happened before it was on is not known.
    inner.told.fetch_add(1, Ordering::Relaxed);
    while !line.is_broken.load(Ordering::SeqCst) && local.is_told() {
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {
                let _pong: String = redis::cmd("PING").query_async(&mut connection).await?;
            }
            () = line.broke.notified() => break,
            () = local.wants_more.notified() => {}
        }
    }
    if local.wants().0 != version {
        return Ok(());
    }
    Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)))
}

/// What is done with what Redis sends; it runs where the connection is read, so before anything that comes later.
fn hearing(
    inner: &Arc<Inner>,
    local: Arc<Local>,
    line: Arc<Line>,
) -> impl Fn(PushInfo) + Send + Sync + 'static {
    let (told, keys) = (Arc::clone(&inner.told), inner.caches.keys().clone());
    move |push| match push.kind {
        PushKind::Invalidate => {
            let Some(Value::Array(changed)) = push.data.first() else {
                // All of it is gone.
                told.fetch_add(1, Ordering::Relaxed);
                return local.drop_all();
            };
            for key in changed {
                match key {
                    Value::BulkString(key) if *key == keys.tags.as_bytes() => local.drop_all(),
                    Value::BulkString(key) if *key == keys.warmers.as_bytes() => {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                    Value::BulkString(key) => local.drop_key(key),
                    _ => local.drop_all(),
                }
            }
        }
        PushKind::Disconnection => {
            line.is_broken.store(true, Ordering::SeqCst);
            local.turn_off();
            line.broke.notify_one();
        }
        _ => {}
    }
}

/// Without those that begin with another of them, which Redis refuses.
fn fewest(prefixes: impl Iterator<Item = String>) -> Vec<String> {
    let mut sorted: Vec<String> = prefixes.collect();
    sorted.sort_unstable();
    let mut fewest: Vec<String> = Vec::new();
    for prefix in sorted {
        if fewest.last().is_none_or(|last| !prefix.starts_with(last.as_str())) {
            fewest.push(prefix);
        }
    }
    fewest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prefix_begins_with_another() {
        let fewest = |all: &[&str]| fewest(all.iter().map(|text| (*text).to_owned()));
        assert_eq!(fewest(&["board:x", "board:", "p:tags", "board:", "boar"]), ["boar", "p:tags"]);
        assert_eq!(fewest(&["b:", "a:", "ab:"]), ["a:", "ab:", "b:"]);
    }
}
