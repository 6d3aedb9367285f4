//! `/metrics`, `/live` and `/ready`.
//!
//! Live means that the process answers. Ready means that it makes progress: a worker that could claim, a
//! scheduler that could judge, lately.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::clock::Clock;

/// Without progress for this long, a process is not ready.
const STALE_AFTER: Duration = Duration::from_secs(15);

/// When the parts of a process last made progress.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    clock: Clock,
    parts: Vec<(&'static str, Arc<AtomicI64>)>,
}

/// One part's way of saying that it made progress.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    clock: Clock,
    last_ms: Arc<AtomicI64>,
}

impl Pulse {
    /// Says that it made progress just now.
    pub fn beat(&self) {
        self.last_ms.store(self.clock.now().as_millisecond(), Ordering::Relaxed);
    }

    /// When it last did, ms since 1970; 0 if never.
    pub fn last_ms(&self) -> i64 {
        self.last_ms.load(Ordering::Relaxed)
    }
}

impl Progress {
    /// Adds a part that has to make progress for the process to be ready.
    pub fn part(&mut self, name: &'static str) -> Pulse {
        let pulse = Pulse { clock: self.clock.clone(), last_ms: Arc::default() };
        self.parts.push((name, Arc::clone(&pulse.last_ms)));
        pulse
    }

    /// The parts that have not made progress lately; empty where the process is ready.
    pub fn stale(&self) -> Vec<&'static str> {
        let now = self.clock.now().as_millisecond();
        let limit = i64::try_from(STALE_AFTER.as_millis()).unwrap_or(i64::MAX);
        let stale = self.parts.iter().filter(|(_, last)| now - last.load(Ordering::Relaxed) > limit);
        stale.map(|(name, _)| *name).collect()
    }
}

#[derive(Clone)]
struct Shown {
    metrics: PrometheusHandle,
    progress: Progress,
}

/// Listens at `address`; where that is taken and `elsewhere` allows it, at a free port beside it.
///
/// # Errors
/// The address cannot be listened at.
pub async fn bind(address: SocketAddr, elsewhere: bool) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if elsewhere && error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        answer => answer,
    }
}

/// Answers until the process ends.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    progress: Progress,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .with_state(Shown { metrics, progress });
    axum::serve(listener, router).await
}

async fn render(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], shown.metrics.render())
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    let stale = shown.progress.stale();
    if stale.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("no progress lately: {}\n", stale.join(", ")))
    }
}
