//! Being told: jobs became ready, a running job is to stop.
//!
//! Publish and subscribe loses messages when a connection breaks, so nothing may rest on a wake-up alone:
//! listeners look for themselves once a second anyway, and renewals carry cancels too.

use std::time::Duration;

use crate::queue::QueueKeys;
use crate::store::{Store, StoreError};
use futures_util::StreamExt;

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// Jobs became ready in this queue (its place in the list given to [`listen`]), in the lane of this name, or
    /// somewhere where there is none.
    Ready(usize, String),
    /// A running job of this queue is to stop.
    Stop(usize, String),
}

/// How long to wait before subscribing again after the connection broke.
const AGAIN: Duration = Duration::from_millis(250);

/// Listens for ever and says what it hears; ends when nothing is wanted any more. After each new subscription
/// every queue is reported ready once, for something may have been missed.
pub async fn listen(store: Store, queues: Vec<QueueKeys>, heard: impl Fn(Wake) + Send + Sync) {
    loop {
        if let Err(error) = subscribe(&store, &queues, &heard).await {
            tracing::debug!(%error, "the wake-up connection is down; polling meanwhile");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn subscribe(
    store: &Store,
    queues: &[QueueKeys],
    heard: &(impl Fn(Wake) + Send + Sync),
) -> Result<(), StoreError> {
    let mut subscriber = store.subscriber().await?;
    let channels: Vec<&str> =
        queues.iter().flat_map(|keys| [keys.wake.as_str(), keys.control.as_str()]).collect();
    if subscriber.subscribe(&channels).await.is_err() {
        return Ok(());
    }
    for place in 0..queues.len() {
        heard(Wake::Ready(place, String::new()));
    }
    let mut messages = subscriber.on_message();
    while let Some(message) = messages.next().await {
        let channel = message.get_channel_name();
        let told = queues.iter().enumerate().find_map(|(place, keys)| {
            if channel == keys.wake {
                Some(Wake::Ready(place, message.get_payload().ok()?))
            } else if channel == keys.control {
                Some(Wake::Stop(place, message.get_payload().ok()?))
            } else {
                None
            }
        });
        if let Some(told) = told {
            heard(told);
        }
    }
    Ok(())
}
