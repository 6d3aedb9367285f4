//! A message for people, to where a chat takes it.

use std::time::Duration;

use brasa_shared::config::Endpoint;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::units::format_duration;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use serde_json::json;

use super::caller::{Callers, Fault};
use super::verdict::{judge, reason};
use crate::verdict::Verdict;

const AGENT: &str = concat!("brasa/", env!("CARGO_PKG_VERSION"));
/// Who is spoken of.
const WHO: &str = "the webhook";

/// A message did not arrive.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Untold {
    /// Why, in words, without the address.
    pub why: String,
    /// Whether it may arrive if it is sent again.
    pub may_pass: bool,
}

/// Sends a text as Slack and those like it take one; returns what was answered.
pub(crate) async fn tell(callers: &Callers, endpoint: &Endpoint, text: &str) -> Result<String, Untold> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let answer = match callers.call(endpoint, headers, json!({ "text": text }).to_string()).await {
        Ok(answer) => answer,
        Err(Fault::Refused(why)) => {
            return Err(Untold { why: format!("{WHO} must not be called: {why}"), may_pass: false });
        }
        Err(Fault::Timeout) => {
            let limit = format_duration(endpoint.timeout);
            return Err(Untold { why: format!("{WHO} did not answer within {limit}"), may_pass: true });
        }
        Err(Fault::Unreachable(error)) => {
            let why = format!("{WHO} cannot be reached: {}", endpoint.hide(&chain(&*error)));
            return Err(Untold { why, may_pass: true });
        }
    };
    let said = reason(&answer, WHO, endpoint);
    if answer.status.is_success() {
        return Ok(said);
    }
    let may_pass = judge(answer.status, None, Duration::ZERO) != Verdict::Bury;
    Err(Untold { why: said, may_pass })
}
