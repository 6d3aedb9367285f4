//! What a running job says about itself.

use serde::{Deserialize, Serialize};

use crate::queue::outcome::cut;
use crate::queue::scripts::NOTE;
use crate::queue::{Held, Queue, QueueError};

/// How many bytes of its log are kept of a job; the oldest lines go first.
pub const LOG_MAX: usize = 16 * 1024;

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Between 0 and 1.
    pub share: f64,
    /// What it is at, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// When it said so, by its worker's clock, ms since 1970.
    pub at: i64,
}

impl Queue {
    /// Keeps how far a job is and what it logged, given as whole lines; false if the claim was lost, and the
    /// job is somebody else's.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn note(&self, held: &Held, note: Option<Note>, lines: &str) -> Result<bool, QueueError> {
        let note = note.map(|note| Note { text: cut(note.text), ..note });
        let note = note.and_then(|note| serde_json::to_string(&note).ok()).unwrap_or_default();
        let call = self.calling(&NOTE, &[]).arg(&held.id).arg(&*held.nonce).arg(note).arg(lines).arg(LOG_MAX);
        self.call(&call).await
    }
}
