//! Being told that readers ask for values. A message that is lost costs a second: every warmer looks by itself.

use std::sync::Arc;
use std::time::Duration;

use brasa_shared::store::StoreError;
use futures_util::StreamExt as _;

use crate::cache::Shared;

/// How long to wait before subscribing again after the connection broke.
const AGAIN: Duration = Duration::from_millis(250);

/// Listens for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        if let Err(error) = listen(&shared).await {
            tracing::debug!(%error, "not listening to what readers ask for; looking once a second meanwhile");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn listen(shared: &Shared) -> Result<(), StoreError> {
    let caches = &shared.loaders.caches;
    let mut subscriber = caches.store().subscriber().await?;
    if subscriber.subscribe(&caches.keys().asked).await.is_err() {
        return Ok(());
    }
    // For what was asked while nobody listened.
    for served in shared.warmers.values() {
        served.wake.notify_one();
    }
    let mut messages = subscriber.on_message();
    while let Some(message) = messages.next().await {
        let name = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
        if let Some(served) = shared.warmers.get(&name) {
            served.wake.notify_one();
        }
    }
    Ok(())
}
