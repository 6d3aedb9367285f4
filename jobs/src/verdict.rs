//! What a handler says about its job.
//!
//! `?` means: try again. Where trying again cannot help, the handler says so with [`OrElse::or_bury`].

use std::error::Error;
use std::fmt;
use std::time::Duration;

use brasa_shared::telemetry::logs::chain;

/// What a handler returns.
pub type JobResult<T = ()> = Result<T, JobError>;

/// What is to become of a job that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after the pause that the policy gives, while there are attempts left.
    Retry,
    /// Try again after this long, while there are attempts left.
    RetryIn(Duration),
    /// Come back after this long without using an attempt.
    Snooze(Duration),
    /// Give up at once: into the dead letter, for a person to look at.
    Bury,
    /// Give up at once and keep nothing but a note: it no longer matters.
    Discard,
}

/// Why a job did not succeed, and what is to become of it.
///
/// Deliberately not an [`Error`] itself: that is what lets `?` turn any error into one of these.
#[derive(Debug)]
pub struct JobError {
    /// What is to become of the job.
    pub verdict: Verdict,
    /// Why.
    pub cause: anyhow::Error,
}

impl JobError {
    /// A failure with a verdict and a sentence.
    pub fn new(verdict: Verdict, reason: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { verdict, cause: anyhow::Error::msg(reason) }
    }

    /// Give up at once.
    pub fn bury(reason: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::new(Verdict::Bury, reason)
    }

    /// Try again.
    pub fn retry(reason: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::new(Verdict::Retry, reason)
    }
}

impl fmt::Display for JobError {
    /// The failure and its causes in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self.cause.as_ref()))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self { verdict: Verdict::Retry, cause: error.into() }
    }
}

/// Turns results and options into a [`JobResult`], with a verb phrase that says what was being done.
pub trait OrElse<T> {
    /// Try again.
    ///
    /// # Errors
    /// It was an error or nothing.
    fn or_retry(self, doing: &'static str) -> JobResult<T>;

    /// Try again after `delay`.
    ///
    /// # Errors
    /// It was an error or nothing.
    fn or_retry_in(self, delay: Duration, doing: &'static str) -> JobResult<T>;

    /// Give up at once.
    ///
    /// # Errors
    /// It was an error or nothing.
    fn or_bury(self, doing: &'static str) -> JobResult<T>;
}

impl<T, E: Error + Send + Sync + 'static> OrElse<T> for Result<T, E> {
    fn or_retry(self, doing: &'static str) -> JobResult<T> {
        self.map_err(|error| failed(Verdict::Retry, error, doing))
    }

    fn or_retry_in(self, delay: Duration, doing: &'static str) -> JobResult<T> {
        self.map_err(|error| failed(Verdict::RetryIn(delay), error, doing))
    }

    fn or_bury(self, doing: &'static str) -> JobResult<T> {
        self.map_err(|error| failed(Verdict::Bury, error, doing))
    }
}

impl<T> OrElse<T> for Option<T> {
    fn or_retry(self, doing: &'static str) -> JobResult<T> {
        self.ok_or_else(|| JobError::new(Verdict::Retry, format!("could not {doing}")))
    }

    fn or_retry_in(self, delay: Duration, doing: &'static str) -> JobResult<T> {
        self.ok_or_else(|| JobError::new(Verdict::RetryIn(delay), format!("could not {doing}")))
    }

    fn or_bury(self, doing: &'static str) -> JobResult<T> {
        self.ok_or_else(|| JobError::new(Verdict::Bury, format!("could not {doing}")))
    }
}

fn failed(verdict: Verdict, error: impl Error + Send + Sync + 'static, doing: &'static str) -> JobError {
    JobError { verdict, cause: anyhow::Error::new(error).context(format!("could not {doing}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_means_try_again() {
        let run = || -> JobResult<u32> { Ok("7x".parse::<u32>()?) };
        assert_eq!(run().unwrap_err().verdict, Verdict::Retry);
    }

    #[test]
    fn a_failure_reads_as_what_was_done_and_why_it_failed() {
        let error = "7x".parse::<u32>().or_bury("read the number").unwrap_err();
        assert_eq!(error.to_string(), "could not read the number: invalid digit found in string");
    }
}
