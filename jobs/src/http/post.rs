//! `http.post`: a body for an endpoint of the configuration.

use std::time::Instant;

use brasa_shared::config::{Config, Endpoint};
use brasa_shared::telemetry::metrics;
use brasa_shared::telemetry::spans::{Open, SpanKind, begin_below};
use brasa_shared::trace::Trace;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::caller::sensitive;
use super::sign::signature;
use super::verdict;
use crate::absent;
use crate::context::JobContext;
use crate::job::{Job, Policy};
use crate::verdict::{JobError, JobResult};

const AGENT: &str = concat!("brasa/", env!("CARGO_PKG_VERSION"));
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ATTEMPT: HeaderName = HeaderName::from_static("brasa-attempt");
const TRACE: HeaderName = HeaderName::from_static("traceparent");
const SIGNATURE: HeaderName = HeaderName::from_static("brasa-signature");

/// Sends `body` to `[http.NAME]`, byte by byte as it came.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    name: String,
    #[serde(default = "null")]
    body: Box<RawValue>,
}

impl Job for Post {
    const KIND: &'static str = "http.post";
    const ABOUT: &'static str = "Calls an endpoint of the application with a body of JSON";
    const POLICY: Policy = Policy::new();

    fn check(&self, config: &Config) -> Result<(), String> {
        self.endpoint(config).map(drop)
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let endpoint = self.endpoint(&ctx.reach.config).map_err(JobError::bury)?;
        let span = self.span(endpoint);
        let headers = self
            .headers(endpoint, ctx, span.as_ref().map(Open::place))
            .ok_or_else(|| JobError::bury(format!("a header of endpoint `{}` cannot be sent", self.name)))?;
        ctx.go_on()?;
        let begun = Instant::now();
        let called = tokio::select! {
            biased;
            // Who is not waited for any more gets no second word: the connection is closed.
            () = ctx.stop.cancelled() => {
                let stopped = "stopped before there was an answer";
                end(span, None, Some(stopped));
                return Err(JobError::retry(stopped));
            }
            called = ctx.reach.callers().call(endpoint, headers, self.body.get().to_owned()) => called,
        };
        metrics::http_calls_total(&self.name, verdict::class(&called)).increment(1);
        metrics::http_call_seconds(&self.name).record(begun.elapsed());
        let status = called.as_ref().ok().map(|answer| answer.status);
        let judged = verdict::of(called, &self.name, endpoint, ctx, &Self::POLICY);
        end(span, status, judged.as_ref().err().map(ToString::to_string).as_deref());
        judged
    }
}

impl Post {
    /// The endpoint, if this body may go there.
    fn endpoint<'c>(&self, config: &'c Config) -> Result<&'c Endpoint, String> {
        let known = config.http.get(&self.name);
        let endpoint = known.ok_or_else(|| absent("endpoint", "http", &self.name, config.http.keys()))?;
        let (bytes, most) = (self.body.get().len(), endpoint.body_bytes_max);
        if u64::try_from(bytes).is_ok_and(|bytes| bytes <= most) {
            return Ok(endpoint);
        }
        Err(format!("the body has {bytes} bytes, and endpoint `{}` takes at most {most}", self.name))
    }

    /// The span of the call. Nothing of the url beyond its host is told, for the rest may hold a token.
    fn span(&self, endpoint: &Endpoint) -> Option<Open> {
        let mut span = begin_below(SpanKind::Client, &format!("{} {}", endpoint.method, self.name))?;
        span.note("http.request.method", endpoint.method.as_str());
        if let Ok(url) = Url::parse(endpoint.url.expose()) {
            span.note("server.address", url.host_str().unwrap_or_default());
            span.note("server.port", u32::from(url.port_or_known_default().unwrap_or_default()));
        }
        Some(span)
    }

    /// What is sent beside the body; none if something cannot be. `at` is the place of the call in a trace, where that is
    /// another one than the job's.
    fn headers(&self, endpoint: &Endpoint, ctx: &JobContext, at: Option<Trace>) -> Option<HeaderMap> {
        let job = &ctx.job;
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            headers.insert(HeaderName::try_from(name).ok()?, sensitive(value.expose())?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&job.id).ok()?);
        headers.insert(ATTEMPT, HeaderValue::from(job.attempt));
        // One that the configuration names wins.
        if let Some(trace) = at.or(job.trace).filter(|_| !headers.contains_key(&TRACE)) {
            headers.insert(TRACE, HeaderValue::from_str(&trace.to_string()).ok()?);
        }
        let seconds = ctx.reach.clock.now().as_second();
        if let Some(signed) = signature(&endpoint.secrets, seconds, &job.id, self.body.get()) {
            headers.insert(SIGNATURE, HeaderValue::from_str(&signed).ok()?);
        }
        Some(headers)
    }
}

fn end(span: Option<Open>, status: Option<StatusCode>, failure: Option<&str>) {
    let Some(mut span) = span else { return };
    if let Some(status) = status {
        span.note("http.response.status_code", u32::from(status.as_u16()));
    }
    span.end(failure);
}

/// What is sent where a job brings nothing: JSON, like everything else.
fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}
