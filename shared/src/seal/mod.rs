//! Sealing: what jobs are given and what they return, unreadable for whoever reads Redis, and of no use to whoever
//! writes into it.
//!
//! XChaCha20-Poly1305 with keys of 256 bits and nonces of chance. A seal is bound to where it belongs ([`Binding`]):
//! moved to another job, another kind or another queue, it does not open. The active key seals, all keys open, so keys
//! can be changed while jobs wait. What stands where is in `sealed.rs`, and for other languages in
//! `docs/wire-format.md`; who seals and opens is the queue (`queue/sealing.rs`), and nobody else.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

mod binding;
mod key;
mod sealed;

pub use binding::{Binding, Owner, What};
pub(crate) use key::is_hidden;
pub use key::{Key, KeyError};
pub use sealed::{NAME_MAX, Sealed, VERSION};

/// What is longer than this many bytes is compressed before it is sealed, for afterwards it cannot be.
const COMPRESS_ABOVE: usize = 4 * 1024;
/// The most that may be inside of a seal, in bytes: as much as an envelope may have.
const INSIDE_MAX: usize = 256 * 1024;
/// What a zstd frame begins with; JSON does not.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How hard it is compressed, as the rest of an envelope is.
const ZSTD_LEVEL: i32 = 3;

/// Why something cannot be opened. Reads on behind "its arguments are".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not here.
    #[error("sealed with key `{0}`, which this process does not have")]
    NoKey(String),
    /// It was changed, or moved.
    #[error(
        "sealed with key `{0}` and do not open: they were changed, or are another job's, or it is another key here"
    )]
    Broken(String),
    /// The bytes are no seal.
    #[error("in no seal that this build reads: {0}")]
    Malformed(String),
    /// There is no seal, and there has to be one.
    #[error("not sealed, and [encryption] says required = true")]
    Missing,
    /// Whoever has the key sealed something that cannot be used.
    #[error("sealed, and what is inside cannot be used: {0}")]
    Inside(String),
    /// It could not be sealed.
    #[error("too long to be sealed")]
    TooLong,
}

impl SealError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NoKey(key) => {
                format!("write it into [encryption.keys.{key}] again, restart the workers and retry the job")
            }
            Self::Broken(key) => format!(
                "compare what `brasa encryption status` says of `{key}` on each machine; where that is the same, \
                 somebody wrote into Redis"
            ),
            Self::Malformed(_) | Self::Inside(_) => "look at the program that sealed it".to_owned(),
            Self::Missing => {
                "whoever enqueues needs [encryption], too; what nobody of yours enqueued was forged"
                    .to_owned()
            }
            Self::TooLong => "pass a reference instead of the data".to_owned(),
        }
    }
}

/// Why keys do not make a keyring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A key that has to be there is not.
    #[error("there is no key `{0}`")]
    NoKey(String),
    /// The name of a key cannot be written into a seal.
    #[error("the name of key `{0}` is longer than {NAME_MAX} characters, or none")]
    Name(String),
    /// Two names for one key.
    #[error("`{0}` and `{1}` are the same key")]
    Same(String, String),
}

/// The keys of an installation.
#[derive(Clone)]
pub struct Keyring {
    keys: BTreeMap<String, Key>,
    active: String,
    unique: String,
    is_required: bool,
}

impl Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("keys", &self.prints())
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Keys by their names. `active` seals; unique keys are hidden by `unique`, which does not change when the active
    /// key does, so that they stay what they are.
    ///
    /// # Errors
    /// One of the two is not among the keys, a name is too long, or two keys are the same.
    pub fn new(keys: BTreeMap<String, Key>, active: &str, unique: &str) -> Result<Self, KeyringError> {
        if let Some(name) = keys.keys().find(|name| !sealed::is_name(name)) {
            return Err(KeyringError::Name(name.clone()));
        }
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, key) in &keys {
            if let Some(before) = seen.insert(key.print(), name) {
                return Err(KeyringError::Same(before.to_owned(), name.clone()));
            }
        }
        if let Some(missing) = [active, unique].into_iter().find(|name| !keys.contains_key(*name)) {
            return Err(KeyringError::NoKey(missing.to_owned()));
        }
        Ok(Self { keys, active: active.to_owned(), unique: unique.to_owned(), is_required: false })
    }

    /// The same where nothing is run that is not sealed.
    #[must_use]
    pub fn required(mut self, is_required: bool) -> Self {
        self.is_required = is_required;
        self
    }

    /// The key that seals.
    pub fn active(&self) -> &str {
        &self.active
    }

    /// The key that hides unique keys.
    pub fn unique(&self) -> &str {
        &self.unique
    }

    /// Whether nothing is run that is not sealed.
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// The names of the keys, each with a text that tells it from others and does not help to find it.
    pub fn prints(&self) -> Vec<(String, String)> {
        self.keys.iter().map(|(name, key)| (name.clone(), key.print().to_owned())).collect()
    }

    /// Seals with the active key.
    ///
    /// # Errors
    /// It is too long.
    pub fn seal(&self, binding: &Binding<'_>, inside: &[u8]) -> Result<Sealed, SealError> {
        if inside.len() > INSIDE_MAX {
            return Err(SealError::TooLong);
        }
        let key = self.keys.get(&self.active).ok_or_else(|| SealError::NoKey(self.active.clone()))?;
        if inside.len() > COMPRESS_ABOVE {
            let frame = zstd::bulk::compress(inside, ZSTD_LEVEL).map_err(|_| SealError::TooLong)?;
            return Sealed::make(&self.active, key, binding, &frame);
        }
        Sealed::make(&self.active, key, binding, inside)
    }

    /// Opens what any of the keys has sealed.
    ///
    /// # Errors
    /// The key is not here, or it does not open.
    pub fn open(&self, binding: &Binding<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let name = sealed.key();
        let key = self.keys.get(name).ok_or_else(|| SealError::NoKey(name.to_owned()))?;
        let inside = sealed.open(key, binding)?;
        if !inside.starts_with(&ZSTD_MAGIC) {
            return Ok(inside);
        }
        zstd::bulk::decompress(&inside, INSIDE_MAX).map_err(|error| SealError::Inside(error.to_string()))
    }

    /// A unique key as Redis may see it: the same for the same, and telling nothing of it.
    ///
    /// # Errors
    /// The key that hides is not here.
    pub fn hide(&self, binding: &Binding<'_>) -> Result<String, SealError> {
        let key = self.keys.get(&self.unique).ok_or_else(|| SealError::NoKey(self.unique.clone()))?;
        Ok(key.hide(&binding.to_string()))
    }
}

#[cfg(test)]
mod tests;
