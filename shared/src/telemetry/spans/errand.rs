//! The job that a task works for, for those who work for it without having been told: jobs that it enqueues, statements
//! that it runs, endpoints that it calls.
//!
//! It goes with the task, and not into tasks that a handler starts.

use super::{Open, SpanKind, Spans};
use crate::trace::Trace;

tokio::task_local! {
    static ERRAND: Errand;
}

/// The job that a task works for.
#[derive(Debug, Clone, Default)]
pub struct Errand {
    /// Where its attempt is in a trace.
    pub place: Option<Trace>,
    /// Where spans are begun.
    pub spans: Spans,
    /// The id and the kind of the job, where its statements are to say them.
    pub told: Option<(String, String)>,
}

impl Errand {
    /// Works for this job.
    pub async fn around<F: Future>(self, work: F) -> F::Output {
        ERRAND.scope(self, work).await
    }
}

/// Where the job that this task works for is in a trace; none where it works for none, or that is in none.
pub fn place() -> Option<Trace> {
    ERRAND.try_with(|errand| errand.place).ok().flatten()
}

/// Begins a span below that of the job that this task works for; none where nobody wants it.
pub fn begin_below(kind: SpanKind, name: &str) -> Option<Open> {
    let begin = |errand: &Errand| {
        let parent = errand.place?;
        errand.spans.begin(kind, name, parent.below(), Some(parent))
    };
    ERRAND.try_with(begin).ok().flatten()
}

/// What a statement is to say of the job that this task works for, as sqlcommenter writes it; none where it is to say
/// nothing. `at` is the place of the statement itself, where it has one.
pub fn comment_of(at: Option<Trace>) -> Option<String> {
    let write = |errand: &Errand| {
        let (id, kind) = errand.told.as_ref()?;
        let trace = at.or(errand.place).map(|place| format!(",traceparent='{place}'")).unwrap_or_default();
        // In the order of the alphabet, as tools expect.
        Some(format!("/*application='brasa',job='{}',kind='{}'{trace}*/", escaped(id), escaped(kind)))
    };
    ERRAND.try_with(write).ok().flatten()
}

/// Percent-encoded: what is left can end neither a text nor a comment, whoever chose it.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _written = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn what_a_statement_says_of_its_job_can_end_no_comment() {
        assert_eq!(comment_of(None), None);
        let silent = Errand { place: PLACE.parse().ok(), ..Errand::default() };
        assert_eq!(silent.clone().around(async { comment_of(None) }).await, None);
        let told = |id: &str| Some((id.to_owned(), "sql.run".to_owned()));
        let errand = Errand { told: told("a'*/;--\n$1é"), ..silent };
        let said = errand.around(async { comment_of(None) }).await.unwrap();
        let id = "a%27%2A%2F%3B--%0A%241%C3%A9";
        assert_eq!(said, format!("/*application='brasa',job='{id}',kind='sql.run',traceparent='{PLACE}'*/"));
        let untraced = Errand { told: told("7"), ..Errand::default() };
        let said = untraced.around(async { comment_of(None) }).await.unwrap();
        assert_eq!(said, "/*application='brasa',job='7',kind='sql.run'*/");
    }

    #[tokio::test]
    async fn work_for_a_job_is_at_its_place() {
        assert_eq!(place(), None);
        let errand = Errand { place: PLACE.parse().ok(), ..Errand::default() };
        assert_eq!(errand.clone().around(async { place() }).await, PLACE.parse().ok());
        let elsewhere = errand.around(async { tokio::spawn(async { place() }).await }).await;
        assert_eq!(elsewhere.unwrap(), None);
    }
}
