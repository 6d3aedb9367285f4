//! The bytes of a cached value.
//!
//! A value is JSON text, kept as it is or as one zstd frame of it. JSON never begins with the four bytes that a
//! frame begins with, so that a reader in any language sees which of the two it has. The frame says how long the
//! text is, and which dictionary it takes.

use std::borrow::Cow;
use std::cell::RefCell;

use zstd::zstd_safe::{self, CCtx, DCtx, zstd_sys::ZSTD_ErrorCode};

use crate::cache::dictionary::{Dictionaries, Dictionary};

/// What a zstd frame begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Below so many bytes a text is kept as it is.
const COMPRESS_FROM: usize = 256;

/// From so many bytes on, a text goes without a dictionary: at 13 KB one saves an eighth, at 20 KB a thirtieth.
const DICTIONARY_BELOW: usize = 16 * 1024;

/// The level for texts that a dictionary fits.
pub(crate) const LEVEL: i32 = 3;

/// The level for longer ones: there it makes them no longer than level 3 does, and takes a fifth less time.
const LEVEL_LONG: i32 = 1;

/// How much room a frame that does not say its length is first given, for each of its bytes.
const GUESS: usize = 8;

/// What zstd says where the text does not fit.
const ROOM_TOO_SMALL: usize = code(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall);

/// How the values of a warmer are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Codec {
    /// As the text that the database made.
    #[default]
    Json,
    /// As a zstd frame, wherever that is shorter than the text.
    Zstd,
}

/// Why stored bytes give no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame takes a dictionary that is not at hand. To a reader the value is not there.
    #[error("the value takes the dictionary {id}, which is not known here")]
    UnknownDictionary {
        /// The dictionary's id.
        id: u32,
    },
    /// The frame is damaged.
    #[error("the value is not a whole zstd frame: {why}")]
    Corrupt {
        /// What zstd says about it.
        why: &'static str,
    },
    /// The text is longer than the reader takes, whether or not the frame admits it.
    #[error("the value is longer than {max} bytes")]
    TooLarge {
        /// The most that the reader takes, in bytes.
        max: usize,
    },
}

thread_local! {
    /// Making one takes three times as long as compressing a short text with it.
    static COMPRESS: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESS: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// The bytes to store for a text.
///
/// Texts below 256 bytes, and those that compression makes no shorter, are kept as they are. The dictionary is for
/// texts below 16 KiB; without one they are compressed all the same. Takes 1.5 microseconds for 300 bytes, and about
/// two more for each further KB.
pub fn encode<'t>(codec: Codec, dictionary: Option<&Dictionary>, text: &'t [u8]) -> Cow<'t, [u8]> {
    if codec == Codec::Json || text.len() < COMPRESS_FROM {
        return Cow::Borrowed(text);
    }
    // A frame that does not fit below the length of the text is not wanted.
    let mut frame = Vec::with_capacity(text.len() - 1);
    let prepared = dictionary.filter(|_| fits_dictionary(text)).and_then(Dictionary::for_encoding);
    let level = if fits_dictionary(text) { LEVEL } else { LEVEL_LONG };
    let written = COMPRESS.with_borrow_mut(|context| match prepared {
        Some(prepared) => context.compress_using_cdict(&mut frame, text, prepared),
        None => context.compress(&mut frame, text, level),
    });
    match written {
        Ok(_) if frame.len() < text.len() => {
            frame.shrink_to_fit();
            Cow::Owned(frame)
        }
        // Not shorter, which is all that can go wrong: what zstd cannot compress is kept as it is.
        _ => Cow::Borrowed(text),
    }
}

/// The text of stored bytes, `max` bytes long at most.
///
/// What does not begin as a zstd frame is the text itself. Only as many bytes are made as the frame says that it
/// holds, and none if those are too many. A frame has no checksum: one that was changed on its way may give another
/// text.
///
/// # Errors
/// The dictionary is not known, the frame is damaged, or the text is longer than `max`.
pub fn decode<'s>(
    stored: &'s [u8],
    dictionaries: &Dictionaries,
    max: usize,
) -> Result<Cow<'s, [u8]>, DecodeError> {
    if !is_frame(stored) {
        return if stored.len() > max {
            Err(DecodeError::TooLarge { max })
        } else {
            Ok(Cow::Borrowed(stored))
        };
    }
    let declared = zstd_safe::get_frame_content_size(stored)
        .map_err(|_| DecodeError::Corrupt { why: "its header is damaged" })?
        .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if declared.is_some_and(|bytes| bytes > max) {
        return Err(DecodeError::TooLarge { max });
    }
    let dictionary = match dictionary_of(stored) {
        None => None,
        Some(id) => Some(dictionaries.get(id).ok_or(DecodeError::UnknownDictionary { id })?),
    };
    unpack(stored, dictionary.as_deref(), declared, max).map(Cow::Owned)
}

/// The id of the dictionary that stored bytes take, if they take one.
pub fn dictionary_of(stored: &[u8]) -> Option<u32> {
    if !is_frame(stored) {
        return None;
    }
    zstd_safe::get_dict_id_from_frame(stored).map(Into::into)
}

/// Whether a text is of a length that is compressed with a dictionary, if there is one.
pub(crate) fn fits_dictionary(text: &[u8]) -> bool {
    (COMPRESS_FROM..DICTIONARY_BELOW).contains(&text.len())
}

/// An error as zstd's functions return it: its number, negated.
pub(crate) const fn code(error: ZSTD_ErrorCode) -> usize {
    (error as usize).wrapping_neg()
}

fn is_frame(stored: &[u8]) -> bool {
    stored.starts_with(&ZSTD_MAGIC)
}

/// The text of a frame. One that does not say how long it is, which none of ours does, gets room by doubling.
fn unpack(
    frame: &[u8],
    dictionary: Option<&Dictionary>,
    declared: Option<usize>,
    max: usize,
) -> Result<Vec<u8>, DecodeError> {
    let mut room = declared.unwrap_or_else(|| frame.len().saturating_mul(GUESS).min(max));
    loop {
        match decompress(frame, dictionary, room) {
            Ok(text) => return Ok(text),
            Err(code) if declared.is_some() || code != ROOM_TOO_SMALL => {
                return Err(DecodeError::Corrupt { why: zstd_safe::get_error_name(code) });
            }
            Err(_) if room >= max => return Err(DecodeError::TooLarge { max }),
            Err(_) => room = room.saturating_mul(2).min(max),
        }
    }
}

/// The text of a frame that fits into so many bytes, or zstd's code of what is wrong.
fn decompress(frame: &[u8], dictionary: Option<&Dictionary>, room: usize) -> Result<Vec<u8>, usize> {
    let mut text = Vec::with_capacity(room);
    DECOMPRESS.with_borrow_mut(|context| match dictionary {
        Some(dictionary) => context.decompress_using_ddict(&mut text, frame, dictionary.for_decoding()),
        None => context.decompress(&mut text, frame),
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cache::samples::{self, Sizes};

    const MAX: usize = 1 << 20;

    fn known(seed: u64) -> (Dictionaries, Arc<Dictionary>) {
        let dictionaries = Dictionaries::default();
        let dictionary = dictionaries.insert(samples::dictionary(seed));
        (dictionaries, dictionary)
    }

    #[test]
    fn every_text_is_read_back() {
        let (dictionaries, dictionary) = known(1);
        let none = Dictionaries::default();
        for text in samples::json(7, 2_000) {
            for codec in [Codec::Json, Codec::Zstd] {
                for dictionary in [None, Some(&*dictionary)] {
                    let stored = encode(codec, dictionary, text.as_bytes());
                    assert!(stored.len() <= text.len());
                    assert_eq!(decode(&stored, &dictionaries, MAX).unwrap(), text.as_bytes());
                    let takes = dictionary_of(&stored);
                    assert!(takes.is_none() || takes == dictionary.map(Dictionary::id));
                    assert_eq!(decode(&stored, &none, MAX).is_ok(), takes.is_none());
                }
            }
        }
    }

    #[test]
    fn the_length_of_a_text_decides_how_it_is_kept() {
        let (_, dictionary) = known(1);
        let flights = samples::flights(2, 1, Sizes::Long).remove(0);
        let kept = |bytes: usize| {
            let stored = encode(Codec::Zstd, Some(&*dictionary), &flights.as_bytes()[..bytes]);
            (is_frame(&stored), dictionary_of(&stored) == Some(dictionary.id()))
        };
        assert_eq!(kept(255), (false, false));
        assert_eq!(kept(256), (true, true));
        assert_eq!(kept(16 * 1024 - 1), (true, true));
        assert_eq!(kept(16 * 1024), (true, false));
        assert!(!is_frame(&encode(Codec::Json, Some(&*dictionary), flights.as_bytes())));
    }

    #[test]
    fn a_frame_says_how_long_its_text_is_and_has_no_checksum() {
        let (_, dictionary) = known(1);
        for text in samples::flights(2, 20, Sizes::Page) {
            for dictionary in [None, Some(&*dictionary)] {
                let stored = encode(Codec::Zstd, dictionary, text.as_bytes());
                let declared = zstd_safe::get_frame_content_size(&stored).unwrap().unwrap();
                assert_eq!(declared, text.len() as u64);
                assert_eq!(stored[4] & 0b100, 0);
            }
        }
    }

    #[test]
    fn what_does_not_become_shorter_is_kept_as_it_is() {
        let (_, dictionary) = known(1);
        for text in samples::noise(1, 50, 400) {
            assert!(matches!(encode(Codec::Zstd, Some(&*dictionary), &text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_dictionary_that_is_not_at_hand_is_named() {
        let (_, dictionary) = known(1);
        let text = samples::flights(2, 1, Sizes::Row).remove(0);
        let stored = encode(Codec::Zstd, Some(&*dictionary), text.as_bytes());
        let id = dictionary.id();
        assert_eq!(decode(&stored, &known(3).0, MAX), Err(DecodeError::UnknownDictionary { id }));
    }

    #[test]
    fn damaged_frames_never_give_more_than_they_say() {
        let (dictionaries, dictionary) = known(1);
        let text = samples::flights(2, 1, Sizes::Kilobyte).remove(0);
        let stored = encode(Codec::Zstd, Some(&*dictionary), text.as_bytes()).into_owned();
        for cut in 4..stored.len() {
            let error = decode(&stored[..cut], &dictionaries, MAX).unwrap_err();
            assert!(matches!(error, DecodeError::Corrupt { .. }), "{cut}: {error}");
        }
        let error = decode(&[&stored[..], b"more"].concat(), &dictionaries, MAX).unwrap_err();
        assert!(matches!(error, DecodeError::Corrupt { .. }), "{error}");
        for place in 4..stored.len() {
            let mut damaged = stored.clone();
            damaged[place] ^= 0x55;
            if let Ok(read) = decode(&damaged, &dictionaries, MAX) {
                assert!(read.len() <= MAX);
            }
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_not_made() {
        let none = Dictionaries::default();
        let zeros = vec![b'0'; 64 << 20];
        let bomb = encode(Codec::Zstd, None, &zeros);
        assert!(bomb.len() < 10_000);
        assert_eq!(decode(&bomb, &none, MAX), Err(DecodeError::TooLarge { max: MAX }));
        // Its header is enough to refuse it.
        assert_eq!(decode(&bomb[..20], &none, MAX), Err(DecodeError::TooLarge { max: MAX }));
        // Four bytes of the header are the length: it lies.
        let lying = [&bomb[..5], &1_000_u32.to_le_bytes(), &bomb[9..]].concat();
        let error = decode(&lying, &none, MAX).unwrap_err();
        assert!(matches!(error, DecodeError::Corrupt { .. }), "{error}");
        assert_eq!(decode(b"[1,2]", &none, 4), Err(DecodeError::TooLarge { max: 4 }));

        // One that does not say how long it is, as programs that stream them make.
        let silent = zstd::stream::encode_all(&zeros[..], 1).unwrap();
        assert!(zstd_safe::get_frame_content_size(&silent).unwrap().is_none());
        assert_eq!(decode(&silent, &none, MAX), Err(DecodeError::TooLarge { max: MAX }));
        assert_eq!(decode(&silent, &none, 64 << 20).unwrap(), zeros);
    }

    #[test]
    fn threads_share_dictionaries() {
        let (dictionaries, dictionary) = known(1);
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (dictionaries, dictionary) = (&dictionaries, &dictionary);
                scope.spawn(move || {
                    for text in samples::flights(seed, 200, Sizes::Row) {
                        let stored = encode(Codec::Zstd, Some(dictionary), text.as_bytes());
                        assert_eq!(decode(&stored, dictionaries, MAX).unwrap(), text.as_bytes());
                    }
                });
            }
        });
    }
}
