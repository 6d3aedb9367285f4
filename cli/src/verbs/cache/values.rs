//! Why stored bytes give no text, for people.

use brasa_jobs::cache::TextError;
use brasa_shared::cache::DecodeError;

use crate::failure::{Failure, chain};

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        let help = match &error {
            TextError::Store(_) | TextError::Dictionary { .. } => return Self::environment(chain(&error)),
            TextError::Decode(DecodeError::UnknownDictionary { .. }) => {
                "Redis has lost it; `brasa cache invalidate` lets the value be loaded again"
            }
            TextError::Decode(DecodeError::Corrupt { .. }) => {
                "`brasa cache invalidate` lets the value be loaded again"
            }
            TextError::Decode(DecodeError::TooLarge { .. }) => "fetch it with a plain GET",
        };
        Self::environment(format!("the value cannot be read: {error}\n  help: {help}"))
    }
}
