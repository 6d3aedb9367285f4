//! What is answered where something was not done: what, where, and what to do next.
//!
//! Handlers give a [`Refused`] and do not care who asked: programs get JSON, people a page (see `guard/dress.rs`).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brasa_shared::queue::QueueError;
use brasa_shared::store::{Fault, StoreError};
use brasa_shared::telemetry::logs::chain;

/// What was not done, and why.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// What is wrong, in words.
    pub(crate) message: String,
    /// What to do next; may be empty.
    pub(crate) help: String,
    /// After how many seconds to try again, where that helps.
    pub(crate) retry_after: Option<u64>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { status, message: message.into(), help: help.into(), retry_after: None }
    }

    /// What was sent cannot be understood.
    pub(crate) fn bad(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, help)
    }

    /// There is no such thing.
    pub(crate) fn absent(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message, help)
    }

    /// Something that this needs is not there right now.
    pub(crate) fn away(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message, help) }
    }

    /// The same with a time after which to try again.
    pub(crate) fn again_in(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

/// The outer layer reads it from the response, and writes it for whoever asked.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::of_store(&error)
    }
}

impl Refused {
    fn of_store(error: &StoreError) -> Self {
        let help = error.fault.help();
        tracing::warn!(error = %chain(error), "Redis did not do what a request needs");
        if error.fault == Fault::OutOfMemory {
            return Self::away("Redis is full, and takes nothing new", help);
        }
        Self::away(format!("Redis could not {}", error.action), help)
    }
}

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Envelope { .. } => Self::bad(chain(&error), ""),
            QueueError::Full { .. } => {
                let help = "try again once workers have drained it";
                Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string(), help).again_in(5)
            }
            QueueError::Closed { ref queue, .. } => {
                let help = format!("it can be opened again: `brasa queues open {queue}`");
                Self::away(error.to_string(), help)
            }
            QueueError::Shared(shared) => match shared.as_ref() {
                QueueError::Store { source, .. } => Self::of_store(source),
                other => Self::away(chain(other), ""),
            },
            QueueError::Store { source, .. } => source.into(),
        }
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(error = %chain(&error), "Postgres did not do what a request needs");
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let help = match code.as_deref() {
            Some("42501") => "the role of this process lacks a right: see `brasa doctor`",
            Some("42P01" | "3F000") => "run `brasa migrate`",
            _ => "see `brasa doctor`",
        };
        Self::away("Postgres did not do what this needs", help)
    }
}
