//! Sealed bytes: what stands where.
//!
//! ```text
//! 0      1                    17            41
//! version key, padded with 0   nonce         ciphertext … tag (16 bytes)
//! ```
//!
//! All but the ciphertext has one length whatever the key, so what is sealed anew is as long as it was. The first 17
//! bytes are authenticated, and behind them the text of the [`Binding`].

use std::borrow::Cow;
use std::fmt::{self, Debug};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead as _, Payload};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Binding, Key, SealError};
use crate::name::check_name;

/// The version of the layout that this build writes, and the only one that it reads.
pub const VERSION: u8 = 1;
/// The longest name of a key, in bytes.
pub const NAME_MAX: usize = 16;

const HEAD_BYTES: usize = 1 + NAME_MAX;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Something sealed, and the name of the key that opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    bytes: Vec<u8>,
    key: String,
}

impl Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.key, self.bytes.len())
    }
}

/// Whether a key can have this name.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX && check_name(name).is_ok()
}

impl Sealed {
    /// Reads what [`Self::bytes`] has told.
    ///
    /// # Errors
    /// It is another version, or no seal at all.
    pub fn read(bytes: &[u8]) -> Result<Self, SealError> {
        let malformed = |why: &str| SealError::Malformed(why.to_owned());
        match bytes.first() {
            Some(&VERSION) => {}
            Some(version) => return Err(malformed(&format!("its version is {version}, and not {VERSION}"))),
            None => return Err(malformed("it is empty")),
        }
        if bytes.len() < HEAD_BYTES + NONCE_BYTES + TAG_BYTES {
            return Err(malformed("it is too short"));
        }
        let padded = &bytes[1..HEAD_BYTES];
        let name = padded.split(|byte| *byte == 0).next().unwrap_or_default();
        let key = str::from_utf8(name).ok().filter(|name| is_name(name));
        let is_padding = padded[name.len()..].iter().all(|byte| *byte == 0);
        match key {
            Some(key) if is_padding => Ok(Self { bytes: bytes.to_vec(), key: key.to_owned() }),
            _ => Err(malformed("it names no key")),
        }
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the key that opens it.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn make(
        name: &str,
        key: &Key,
        binding: &Binding<'_>,
        inside: &[u8],
    ) -> Result<Self, SealError> {
        let mut bytes = vec![0; HEAD_BYTES];
        bytes[0] = VERSION;
        bytes[1..=name.len()].copy_from_slice(name.as_bytes());
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let aad = aad(&bytes, binding);
        let payload = Payload { msg: inside, aad: &aad };
        let closed = key.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        bytes.extend(nonce);
        bytes.extend(closed);
        Ok(Self { bytes, key: name.to_owned() })
    }

    pub(super) fn open(&self, key: &Key, binding: &Binding<'_>) -> Result<Vec<u8>, SealError> {
        let broken = || SealError::Broken(self.key.clone());
        let (head, rest) = self.bytes.split_at_checked(HEAD_BYTES).ok_or_else(broken)?;
        let (nonce, closed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(broken)?;
        let payload = Payload { msg: closed, aad: &aad(head, binding) };
        key.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| broken())
    }
}

fn aad(head: &[u8], binding: &Binding<'_>) -> Vec<u8> {
    [head, binding.to_string().as_bytes()].concat()
}

/// In JSON it is a text: base 64 for addresses, without padding.
impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(text.as_bytes())
            .map_err(|_| de::Error::custom("`sealed` is not base 64 for addresses without padding"))?;
        Self::read(&bytes).map_err(|error| de::Error::custom(format!("`sealed` is {error}")))
    }
}
