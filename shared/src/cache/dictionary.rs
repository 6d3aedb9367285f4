//! What the values of a warmer have in common, so that each can be stored without it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use zstd::zstd_safe::{self, CDict, DDict};

use crate::cache::codec::LEVEL;

/// The most bytes of a dictionary: more of them shorten a value by another hundredth, and cost every reader memory.
pub const DICTIONARY_MAX: usize = 16 * 1024;

/// A dictionary, ready to use. It never changes; the values that take it name it by its id.
///
/// It takes some 60 KB to read with, and 420 KB more from the first value that it writes.
pub struct Dictionary {
    id: u32,
    bytes: Vec<u8>,
    /// Ten times as large as what reading takes, so it is made by those who write.
    encoder: OnceLock<Option<CDict<'static>>>,
    decoder: DDict<'static>,
}

/// Why bytes are no dictionary, or none could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    /// They are too many.
    #[error("a dictionary of {bytes} bytes is longer than the {DICTIONARY_MAX} bytes that are allowed")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// They do not begin as a dictionary of zstd does, or what they begin with is damaged.
    #[error("these bytes are not a zstd dictionary")]
    Corrupt,
    /// The samples could not be learned from, and not because there is nothing to learn.
    #[error("zstd cannot train a dictionary: {why}")]
    Training {
        /// What zstd says about it.
        why: &'static str,
    },
}

impl Dictionary {
    /// Takes a dictionary that was trained before, as [`Self::bytes`] gave it.
    ///
    /// # Errors
    /// The bytes are no dictionary with an id, or more than 16 KiB.
    pub fn load(bytes: Vec<u8>) -> Result<Self, DictionaryError> {
        if bytes.len() > DICTIONARY_MAX {
            return Err(DictionaryError::TooLong { bytes: bytes.len() });
        }
        // Bytes without the mark of a dictionary would pass for one that has no id, and no value could name it.
        let id = zstd_safe::get_dict_id_from_dict(&bytes).ok_or(DictionaryError::Corrupt)?.into();
        let decoder = DDict::try_create(&bytes).ok_or(DictionaryError::Corrupt)?;
        Ok(Self { id, bytes, encoder: OnceLock::new(), decoder })
    }

    /// What values name it by. It comes from the contents, and is never 0.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The dictionary as every implementation of zstd takes it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What compressing takes, unless there is no memory for it.
    pub(crate) fn for_encoding(&self) -> Option<&CDict<'static>> {
        self.encoder.get_or_init(|| CDict::try_create(&self.bytes, LEVEL)).as_ref()
    }

    pub(crate) fn for_decoding(&self) -> &DDict<'static> {
        &self.decoder
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary")
            .field("id", &self.id)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// The dictionaries that a process knows, by id. Threads share it.
#[derive(Debug, Default)]
pub struct Dictionaries(RwLock<HashMap<u32, Arc<Dictionary>>>);

impl Dictionaries {
    /// Makes a dictionary known, and returns the one to encode with.
    ///
    /// That is the one which already goes by this id, if there is one: what is stored with it stays readable.
    pub fn insert(&self, dictionary: Dictionary) -> Arc<Dictionary> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(dictionary.id).or_insert_with(|| Arc::new(dictionary)))
    }

    /// The dictionary that goes by an id.
    pub fn get(&self, id: u32) -> Option<Arc<Dictionary>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Forgets a dictionary, and says whether it was known. Values that take it cannot be read from then on.
    pub fn remove(&self, id: u32) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id).is_some()
    }

    /// The ids of all that are known, from the smallest.
    pub fn ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> =
            self.0.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::samples;

    #[test]
    fn a_dictionary_is_loaded_from_its_bytes() {
        let trained = samples::dictionary(1);
        let loaded = Dictionary::load(trained.bytes().to_vec()).unwrap();
        assert_eq!(loaded.id(), trained.id());
        assert!(loaded.id() != 0 && loaded.bytes().len() <= DICTIONARY_MAX);
    }

    #[test]
    fn other_bytes_are_no_dictionary() {
        assert_eq!(Dictionary::load(Vec::new()).unwrap_err(), DictionaryError::Corrupt);
        assert_eq!(Dictionary::load(b"some text of no use".to_vec()).unwrap_err(), DictionaryError::Corrupt);
        let whole = samples::dictionary(1).bytes().to_vec();
        assert_eq!(Dictionary::load(whole[..20].to_vec()).unwrap_err(), DictionaryError::Corrupt);
        let long = [whole.as_slice(), &[0; DICTIONARY_MAX]].concat();
        assert_eq!(
            Dictionary::load(long).unwrap_err(),
            DictionaryError::TooLong { bytes: whole.len() + DICTIONARY_MAX }
        );
    }

    #[test]
    fn the_dictionary_that_has_an_id_keeps_it() {
        let known = Dictionaries::default();
        let bytes = samples::dictionary(1).bytes().to_vec();
        let first = known.insert(Dictionary::load(bytes.clone()).unwrap());
        let again = known.insert(Dictionary::load(bytes).unwrap());
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(known.ids(), [first.id()]);
        assert!(known.remove(first.id()) && !known.remove(first.id()));
        assert!(known.get(first.id()).is_none());
    }
}
