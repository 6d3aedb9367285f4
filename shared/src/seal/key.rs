//! A key, and what is made of it.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::XChaCha20Poly1305;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::hash::{bytes_of_hex, hex};

/// The length of a key, in bytes.
const KEY_BYTES: usize = 32;
/// How many different bytes a key has at least. One that is made by chance has fewer once in a billion.
const DISTINCT_MIN: usize = 16;
/// How much of a hash tells keys apart, in bytes.
const PRINT_BYTES: usize = 4;
/// What a hidden unique key begins with, before 43 characters of base 64.
const HIDDEN: char = '~';

/// Why a text is no key. Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too short, too long, or with other characters.
    #[error("a key is 64 digits of base 16, which are 256 bits")]
    Form,
    /// It can be guessed.
    #[error("this key was not made by chance, and can be guessed")]
    Weak,
}

/// A key. What is used is derived from it, a key for each purpose, and the key itself is forgotten.
#[derive(Clone)]
pub struct Key {
    cipher: XChaCha20Poly1305,
    hider: Hmac<Sha256>,
    print: String,
}

impl Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.print).finish()
    }
}

impl Key {
    /// Reads a key as [`Self::fresh`] spells it.
    ///
    /// # Errors
    /// It is no key, or one that can be guessed.
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let bytes: [u8; KEY_BYTES] = bytes_of_hex(text.trim()).ok_or(KeyError::Form)?;
        if bytes.iter().collect::<BTreeSet<_>>().len() < DISTINCT_MIN {
            return Err(KeyError::Weak);
        }
        let derive = |purpose: &str| Some(hash(&bytes, purpose)?.finalize().into_bytes());
        let made = || {
            Some(Self {
                cipher: XChaCha20Poly1305::new_from_slice(&derive("brasa seal 1")?).ok()?,
                hider: Hmac::new_from_slice(&derive("brasa unique 1")?).ok()?,
                print: hex(derive("brasa print 1")?.get(..PRINT_BYTES)?),
            })
        };
        made().ok_or(KeyError::Form)
    }

    /// A key of chance, as it is written down.
    pub fn fresh() -> String {
        hex(&rand::random::<[u8; KEY_BYTES]>())
    }

    /// A text that tells this key from others, and does not help to find it.
    pub fn print(&self) -> &str {
        &self.print
    }

    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.cipher
    }

    /// A text that only who has the key can make, the same for the same.
    pub(super) fn hide(&self, text: &str) -> String {
        let hidden = self.hider.clone().chain_update(text).finalize().into_bytes();
        format!("{HIDDEN}{}", URL_SAFE_NO_PAD.encode(hidden))
    }
}

/// Whether a unique key is hidden already.
pub(crate) fn is_hidden(key: &str) -> bool {
    key.strip_prefix(HIDDEN).is_some_and(|rest| rest.len() == 43)
}

fn hash(key: &[u8], text: &str) -> Option<Hmac<Sha256>> {
    Some(Hmac::<Sha256>::new_from_slice(key).ok()?.chain_update(text))
}
