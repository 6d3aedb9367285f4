//! Stored bytes as the texts that they are made of.

use std::borrow::Cow;

use brasa_shared::cache::{Caches, DecodeError, Dictionaries, Dictionary, decode, dictionary_of};

use crate::failure::{Failure, chain};

/// The most bytes of a value where no warmer says how many there may be.
const BYTES_MAX: usize = 64 << 20;

/// Reads values, and fetches the dictionaries that they are packed with.
pub(super) struct Reader<'c> {
    caches: &'c Caches,
    dictionaries: Dictionaries,
}

impl<'c> Reader<'c> {
    pub(super) fn new(caches: &'c Caches) -> Self {
        Self { caches, dictionaries: Dictionaries::default() }
    }

    /// The text of stored bytes.
    pub(super) async fn text<'b>(&self, stored: &'b [u8]) -> Result<Cow<'b, [u8]>, Failure> {
        if let Some(id) = dictionary_of(stored)
            && self.dictionaries.get(id).is_none()
            && let Some(bytes) = self.caches.dictionary(id).await?
        {
            let dictionary = Dictionary::load(bytes)
                .map_err(|error| Failure::environment(format!("dictionary {id}: {}", chain(&error))))?;
            self.dictionaries.insert(dictionary);
        }
        decode(stored, &self.dictionaries, BYTES_MAX)
            .map_err(|error| Failure::environment(unreadable(&error)))
    }
}

fn unreadable(error: &DecodeError) -> String {
    let help = match error {
        DecodeError::UnknownDictionary { .. } => {
            "Redis has lost it; `brasa cache invalidate` lets the value be loaded again"
        }
        DecodeError::Corrupt { .. } => "`brasa cache invalidate` lets the value be loaded again",
        DecodeError::TooLarge { .. } => "fetch it with a plain GET",
    };
    format!("the value cannot be read: {error}\n  help: {help}")
}
