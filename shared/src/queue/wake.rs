//! Being told: jobs became ready, a running job is to stop.
//!
//! Publish and subscribe loses messages when a connection breaks, so nothing may rest on a wake-up alone:
//! listeners look for themselves once a second anyway, and renewals carry cancels too.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::queue::QueueKeys;
use crate::store::{Store, StoreError};

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// Jobs became ready in this queue (its place in the list given to [`listen`]).
    Ready(usize),
    /// A running job of this queue is to stop.
    Stop(usize, String),
}

/// How long to wait before subscribing again after the connection broke.
const AGAIN: Duration = Duration::from_millis(250);

/// Listens for ever and sends what it hears; ends when the receiver is gone. After each new subscription
/// every queue is reported ready once, for something may have been missed.
pub async fn listen(store: Store, queues: Vec<QueueKeys>, heard: mpsc::Sender<Wake>) {
    while !heard.is_closed() {
        if let Err(error) = subscribe(&store, &queues, &heard).await {
            tracing::debug!(%error, "the wake-up connection is down; polling meanwhile");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn subscribe(
    store: &Store,
    queues: &[QueueKeys],
    heard: &mpsc::Sender<Wake>,
) -> Result<(), StoreError> {
    let mut subscriber = store.subscriber().await?;
    let channels: Vec<&str> =
        queues.iter().flat_map(|keys| [keys.wake.as_str(), keys.control.as_str()]).collect();
    if subscriber.subscribe(&channels).await.is_err() {
        return Ok(());
    }
    for place in 0..queues.len() {
        if heard.send(Wake::Ready(place)).await.is_err() {
            return Ok(());
        }
    }
    let mut messages = subscriber.on_message();
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            () = heard.closed() => None,
        };
        let Some(message) = message else { return Ok(()) };
        let channel = message.get_channel_name();
        let told = queues.iter().enumerate().find_map(|(place, keys)| {
            if channel == keys.wake {
                Some(Wake::Ready(place))
            } else if channel == keys.control {
                Some(Wake::Stop(place, message.get_payload().ok()?))
            } else {
                None
            }
        });
        match told {
            // Full means that the listener is awake already; a ready message more would tell it nothing.
            Some(Wake::Ready(place)) => drop(heard.try_send(Wake::Ready(place))),
            Some(stop) => drop(heard.send(stop).await),
            None => {}
        }
    }
}
