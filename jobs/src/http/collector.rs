//! Spans of traces, on their way to a collector (OTLP over HTTP).
//!
//! Jobs never wait for it: what has ended stands in a line, and goes where that is full. A collector that is away is
//! tried a few times, warned of once, and what it did not take is counted.

use std::time::Duration;

use brasa_shared::clock::Clock;
use brasa_shared::config::{Config, Endpoint, Otlp};
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::spans::{Span, Spans, Value, encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::caller::{Callers, Fault, sensitive};
use super::verdict::{judge, reason};
use crate::verdict::Verdict;

const AGENT: &str = concat!("brasa/", env!("CARGO_PKG_VERSION"));
/// Who is spoken of.
const WHO: &str = "the collector of traces";
/// How many spans one request brings at most.
const BATCH_MAX: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);
/// The pauses before the next tries; after the last one a batch is given up.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// How long it may take in the end to send what waits.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sends spans for as long as the process runs.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Exporter {
    /// Begins to send the spans that are begun in the first answer to `[telemetry] otlp`; where there is none, none are
    /// begun.
    pub fn start(config: &Config, clock: &Clock) -> (Spans, Option<Self>) {
        let Some(otlp) = &config.telemetry.otlp else { return (Spans::default(), None) };
        let (spans, waiting) = Spans::open(otlp.sample, clock.clone());
        let stop = CancellationToken::new();
        let sender = Sender {
            endpoint: Endpoint::of_collector(otlp),
            headers: headers(otlp),
            resource: resource(otlp),
            callers: Callers::default(),
            is_away: false,
            stop: stop.clone(),
        };
        (spans, Some(Self { task: tokio::spawn(sender.run(waiting)), stop }))
    }

    /// Sends what still waits, within two seconds.
    pub async fn end(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_WORDS, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("{WHO} did not take the last spans in time; they are lost");
        }
    }
}

struct Sender {
    endpoint: Endpoint,
    headers: HeaderMap,
    resource: Vec<(&'static str, Value)>,
    callers: Callers,
    /// Whether the last batch did not arrive, which has been said.
    is_away: bool,
    stop: CancellationToken,
}

/// A batch did not arrive.
struct Untaken {
    why: String,
    may_pass: bool,
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Span>) {
        let (stop, mut batch) = (self.stop.clone(), Vec::new());
        while stop.run_until_cancelled(gather(&mut waiting, &mut batch)).await.is_some() {
            self.send(&mut batch).await;
        }
        // What is begun from here on has nobody left to send it.
        waiting.close();
        loop {
            while batch.len() < BATCH_MAX && waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {}
            if batch.is_empty() {
                return;
            }
            self.send(&mut batch).await;
        }
    }

    /// Sends a batch, which is empty then: it has arrived or is given up.
    async fn send(&mut self, batch: &mut Vec<Span>) {
        let (body, count) = (encode(&self.resource, batch), batch.len() as u64);
        batch.clear();
        let mut pauses = PAUSES.into_iter();
        let mut is_last = self.stop.is_cancelled();
        let verdict = loop {
            match self.post(body.clone()).await {
                Ok(()) => {
                    if std::mem::take(&mut self.is_away) {
                        tracing::info!("{WHO} takes spans again");
                    }
                    break "sent";
                }
                Err(untaken) => {
                    self.complain(&untaken);
                    let pause = pauses.next().filter(|_| untaken.may_pass && !is_last);
                    let Some(pause) = pause else { break "dropped" };
                    // In the end there is no time left to try again and again.
                    is_last = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none();
                }
            }
        };
        metrics::trace_spans_total(verdict).increment(count);
    }

    /// Once, and not for each batch.
    fn complain(&mut self, Untaken { why, .. }: &Untaken) {
        if std::mem::replace(&mut self.is_away, true) {
            tracing::debug!(why, "spans of traces were not taken");
        } else {
            tracing::warn!(
                why,
                "spans of traces are not taken; what cannot be sent is dropped and counted, and jobs go on"
            );
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), Untaken> {
        let answer = match self.callers.call(&self.endpoint, self.headers.clone(), body).await {
            Ok(answer) => answer,
            Err(Fault::Refused(why)) => return Err(Untaken { why, may_pass: false }),
            Err(Fault::Timeout) => {
                let why = format!("{WHO} did not answer within {:?}", self.endpoint.timeout);
                return Err(Untaken { why, may_pass: true });
            }
            Err(Fault::Unreachable(error)) => {
                let why = format!("{WHO} cannot be reached: {}", self.endpoint.hide(&chain(&*error)));
                return Err(Untaken { why, may_pass: true });
            }
        };
        if answer.status.is_success() {
            return Ok(());
        }
        let may_pass = judge(answer.status, None, Duration::ZERO) != Verdict::Bury;
        Err(Untaken { why: reason(&answer, WHO, &self.endpoint), may_pass })
    }
}

/// Waits for a span, and for those that come soon after it.
async fn gather(waiting: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    // Whoever is interrupted here goes on with what is in the batch.
    while batch.is_empty() {
        if waiting.recv_many(batch, BATCH_MAX).await == 0 {
            return std::future::pending().await;
        }
    }
    let until = Instant::now() + GATHER;
    while batch.len() < BATCH_MAX {
        let room = BATCH_MAX - batch.len();
        match tokio::time::timeout_at(until, waiting.recv_many(batch, room)).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
}

fn headers(otlp: &Otlp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &otlp.headers {
        // Both have been looked at with the configuration.
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name), sensitive(value.expose())) {
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers
}

/// Whose spans they are.
fn resource(otlp: &Otlp) -> Vec<(&'static str, Value)> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    vec![
        ("service.name", otlp.service_name.as_str().into()),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
        ("host.name", host.trim().into()),
        ("process.pid", std::process::id().into()),
    ]
}
