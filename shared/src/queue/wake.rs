//! Being told: jobs became ready, a running job is to stop, here are jobs for you.
//!
//! Publish and subscribe loses messages when a connection breaks, so nothing may rest on a wake-up alone:
//! listeners look for themselves once a second anyway, and renewals carry cancels too.

use std::time::Duration;

use crate::queue::{HandedOver, QueueKeys};
use crate::store::{Store, StoreError};
use futures_util::StreamExt;

/// What a listener is told.
#[derive(Debug, Clone)]
pub enum Wake {
    /// Jobs became ready in this queue (its place in the list given to [`listen`]), in the lane of this name, or
    /// somewhere where there is none.
    Ready(usize, String),
    /// A running job of this queue is to stop.
    Stop(usize, String),
    /// Jobs of this queue are handed over to the listener.
    HandedOver(usize, HandedOver),
}

/// How long to wait before subscribing again after the connection broke.
const AGAIN: Duration = Duration::from_millis(250);

/// Listens for ever, as the worker of that name, and says what it hears; ends when nothing is wanted any more. After each new subscription
/// every queue is reported ready once, for something may have been missed.
pub async fn listen(store: Store, queues: Vec<QueueKeys>, worker: &str, heard: impl Fn(Wake) + Send + Sync) {
    let channels = Channels::new(&queues, worker);
    loop {
        if let Err(error) = subscribe(&store, &channels, &heard).await {
            tracing::debug!(%error, "the wake-up connection is down; polling meanwhile");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The channels of each queue, in one order: ready, stop, handed over.
struct Channels(Vec<[String; 3]>);

impl Channels {
    fn new(queues: &[QueueKeys], worker: &str) -> Self {
        let of = |keys: &QueueKeys| [keys.wake.clone(), keys.control.clone(), keys.hand(worker)];
        Self(queues.iter().map(of).collect())
    }

    fn read(&self, channel: &str, payload: &[u8]) -> Option<Wake> {
        let text = || String::from_utf8_lossy(payload).into_owned();
        self.0.iter().enumerate().find_map(|(place, names)| {
            match names.iter().position(|name| name == channel)? {
                0 => Some(Wake::Ready(place, text())),
                1 => Some(Wake::Stop(place, text())),
                _ => Some(Wake::HandedOver(place, HandedOver::new(payload.to_vec()))),
            }
        })
    }
}

async fn subscribe(
    store: &Store,
    channels: &Channels,
    heard: &(impl Fn(Wake) + Send + Sync),
) -> Result<(), StoreError> {
    let mut subscriber = store.subscriber().await?;
    if subscriber.subscribe(channels.0.concat()).await.is_err() {
        return Ok(());
    }
    for place in 0..channels.0.len() {
        heard(Wake::Ready(place, String::new()));
    }
    let mut messages = subscriber.on_message();
    while let Some(message) = messages.next().await {
        if let Some(told) = channels.read(message.get_channel_name(), message.get_payload_bytes()) {
            heard(told);
        }
    }
    Ok(())
}
