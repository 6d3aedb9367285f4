//! Stored bytes as the texts that they are made of.

use std::borrow::Cow;

use brasa_shared::cache::{
    Caches, DecodeError, Dictionaries, Dictionary, DictionaryError, decode, dictionary_of,
};
use brasa_shared::store::StoreError;

/// The most bytes of a value where no warmer says how many there may be.
const BYTES_MAX: usize = 64 << 20;

/// Why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Redis is out of reach.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dictionary that they are packed with is not one.
    #[error("dictionary {id} cannot be read")]
    Dictionary {
        /// Which.
        id: u32,
        /// Why.
        source: DictionaryError,
    },
    /// They are not what they should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Reads values, and fetches the dictionaries that they are packed with.
#[derive(Debug)]
pub struct Texts<'c> {
    caches: &'c Caches,
    dictionaries: Dictionaries,
}

impl<'c> Texts<'c> {
    /// Of values of this cache.
    pub fn new(caches: &'c Caches) -> Self {
        Self { caches, dictionaries: Dictionaries::default() }
    }

    /// The text of stored bytes.
    ///
    /// # Errors
    /// See [`TextError`].
    pub async fn text<'b>(&self, stored: &'b [u8]) -> Result<Cow<'b, [u8]>, TextError> {
        if let Some(id) = dictionary_of(stored)
            && self.dictionaries.get(id).is_none()
            && let Some(bytes) = self.caches.dictionary(id).await?
        {
            let dictionary =
                Dictionary::load(bytes).map_err(|source| TextError::Dictionary { id, source })?;
            self.dictionaries.insert(dictionary);
        }
        Ok(decode(stored, &self.dictionaries, BYTES_MAX)?)
    }
}
