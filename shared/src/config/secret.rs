//! A text that must not be shown.

use std::fmt::{self, Debug, Display};

const HIDDEN: &str = "(hidden)";

/// An address that may hold a password: it prints as `(hidden)`, however it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    source: String,
}

impl Secret {
    /// Hides `value`; `source` says where it came from, for messages.
    pub fn new(value: impl Into<String>, source: impl Into<String>) -> Self {
        Self { value: value.into(), source: source.into() }
    }

    /// The text itself: for the client that connects, and for nothing that writes.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Where it came from, such as `REDIS_URL` or `redis.url (brasa.toml:3)`.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("value", &HIDDEN).field("source", &self.source).finish()
    }
}

impl Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("redis://:hunter2@cache", "REDIS_URL");
        assert!(!format!("{secret} {secret:?} {secret:#?}").contains("hunter2"));
        assert_eq!(secret.expose(), "redis://:hunter2@cache");
    }
}
