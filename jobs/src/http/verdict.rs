//! What an answer of an endpoint means for the job.

use std::time::Duration;

use brasa_shared::config::Endpoint;
use brasa_shared::jiff::Timestamp;
use brasa_shared::jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::caller::{Answer, Fault};
use crate::context::JobContext;
use crate::job::Policy;
use crate::verdict::{JobError, JobResult, Verdict};

/// How long an endpoint may put us off.
const PUT_OFF_MAX: Duration = Duration::from_hours(1);
/// How much of an answer is told as a reason, in characters.
const REASON_MAX: usize = 200;
/// How large an answer may be that is kept as the result of the job, in bytes.
const RESULT_MAX: usize = 16 << 10;

/// What came of a call, for the metrics.
pub(super) fn class(called: &Result<Answer, Fault>) -> &'static str {
    match called {
        Ok(answer) => match answer.status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
        Err(Fault::Refused(_)) => "refused",
        Err(Fault::Timeout) => "timeout",
        Err(Fault::Unreachable(_)) => "unreachable",
    }
}

/// What is to become of the job.
pub(super) fn of(
    called: Result<Answer, Fault>,
    name: &str,
    endpoint: &Endpoint,
    ctx: &JobContext,
    policy: &Policy,
) -> JobResult<Value> {
    match called {
        Ok(answer) if answer.status.is_success() => Ok(result(&answer, endpoint)),
        Ok(answer) => {
            let asked = answer.retry_after.as_deref().and_then(|text| put_off(text, ctx.reach.clock.now()));
            let pause_max = policy.pause_max(ctx.job.attempt);
            Err(JobError::new(
                judge(answer.status, asked, pause_max),
                reason(&answer, &format!("endpoint `{name}`"), endpoint),
            ))
        }
        Err(Fault::Refused(why)) => {
            Err(JobError::bury(format!("endpoint `{name}` must not be called: {why}")))
        }
        Err(Fault::Timeout) => {
            let limit = endpoint.timeout;
            Err(JobError::retry(format!("endpoint `{name}` did not answer within {limit:?}")))
        }
        Err(Fault::Unreachable(error)) => {
            let cause = error.context(format!("could not call endpoint `{name}`"));
            Err(JobError { verdict: Verdict::Retry, cause })
        }
    }
}

/// What gets better by waiting is tried again, and what says that the request is wrong is not.
pub(super) fn judge(status: StatusCode, asked: Option<Duration>, pause_max: Duration) -> Verdict {
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    match asked {
        _ if !passes => Verdict::Bury,
        None => Verdict::Retry,
        // Never sooner than it was asked for, and not all at the same time. Nor all attempts at once, where an endpoint
        // asks for no pause and goes on failing.
        Some(asked) => {
            let (spread, pause) = (1.0 + rand::random::<f64>() / 10.0, rand::random::<f64>());
            Verdict::RetryIn(asked.mul_f64(spread).max(pause_max.mul_f64(pause)))
        }
    }
}

/// How long `Retry-After` asks us to wait: seconds, or a date.
fn put_off(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let seconds = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let then = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
        Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(seconds.min(PUT_OFF_MAX))
}

fn result(answer: &Answer, endpoint: &Endpoint) -> Value {
    let mut result = json!({ "status": answer.status.as_u16() });
    if answer.is_whole
        && answer.body.len() <= RESULT_MAX
        && let Ok(body) = serde_json::from_slice::<Value>(&answer.body)
        && let Some(kept) = result.as_object_mut()
    {
        kept.insert("body".to_owned(), endpoint.hide_in(body));
    }
    result
}

/// What was answered, in words; `who` answered.
pub(super) fn reason(answer: &Answer, who: &str, endpoint: &Endpoint) -> String {
    let status = answer.status;
    let mut reason = format!("{who} answered {}", status.as_u16());
    if let Some(words) = status.canonical_reason() {
        reason = format!("{reason} {words}");
    }
    if status.is_redirection() {
        return format!("{reason}: redirects are not followed, write where it leads to as its url");
    }
    let body = endpoint.hide(&String::from_utf8_lossy(&answer.body));
    let plain: String = body.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String = words.chars().take(REASON_MAX).collect();
    match (said.is_empty(), said.len() < words.len()) {
        (true, _) => reason,
        (false, false) => format!("{reason}: {said}"),
        (false, true) => format!("{reason}: {said}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(784_111_777, 0);

    #[test]
    fn retry_after_is_seconds_or_a_date_and_an_hour_at_most() {
        let cases = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("3601", Some(3_600)),
            ("18446744073709551615", Some(3_600)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Tue, 06 Nov 2035 08:49:37 GMT", Some(3_600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(put_off(text, NOW), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let judged = |status| judge(StatusCode::from_u16(status).unwrap(), None, Duration::ZERO);
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(judged(status), Verdict::Retry, "{status}");
        }
        for status in [301, 302, 304, 307, 308, 400, 401, 403, 404, 409, 410, 413, 422, 451] {
            assert_eq!(judged(status), Verdict::Bury, "{status}");
        }
    }
    #[test]
    fn an_endpoint_that_asks_for_no_pause_does_not_use_up_all_attempts_at_once() {
        let pauses = (0..100).map(|_| {
            match judge(StatusCode::SERVICE_UNAVAILABLE, Some(Duration::ZERO), Duration::from_hours(1)) {
                Verdict::RetryIn(pause) => pause,
                other => panic!("{other:?}"),
            }
        });
        let pauses: Vec<Duration> = pauses.collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_hours(1)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause >= Duration::from_mins(10)), "{pauses:?}");
    }
}
