//! Learning a dictionary from values.

use zstd::zstd_safe::{self, zstd_sys::ZSTD_ErrorCode};

use crate::cache::codec::{Codec, code, encode, fits_dictionary};
use crate::cache::dictionary::{DICTIONARY_MAX, Dictionary, DictionaryError};

/// Fewer samples say nothing about the values to come.
const SAMPLES_MIN: usize = 100;

/// The most bytes that are learned from: a hundred times what is learned. They take about 50 ms.
const LEARN_MAX: usize = 100 * DICTIONARY_MAX;

/// Of so many samples one is not learned from, but tells what the dictionary is worth.
const HELD_OUT: usize = 5;

/// A dictionary pays if values become a tenth shorter than they are without one.
const PAYS_PERCENT: usize = 90;

/// What zstd says of samples that have nothing in common, or not enough.
const NOTHING_IN_COMMON: [usize; 2] = [
    code(ZSTD_ErrorCode::ZSTD_error_dictionaryCreation_failed),
    code(ZSTD_ErrorCode::ZSTD_error_srcSize_wrong),
];

impl Dictionary {
    /// Learns a dictionary of at most 16 KiB from values as the database made them.
    ///
    /// `None` where it does not pay: there are fewer than 100 samples of a length that a dictionary is used for, or
    /// those that were kept apart do not become a tenth shorter with it. Takes up to a tenth of a second, so call
    /// it where that holds nobody up.
    ///
    /// # Errors
    /// zstd has no memory for it.
    pub fn train(samples: &[impl AsRef<[u8]>]) -> Result<Option<Self>, DictionaryError> {
        let fitting: Vec<&[u8]> =
            samples.iter().map(AsRef::as_ref).filter(|text| fits_dictionary(text)).collect();
        if fitting.len() < SAMPLES_MIN {
            return Ok(None);
        }
        let (held_out, learned): (Vec<_>, Vec<_>) =
            thinned(fitting).into_iter().enumerate().partition(|(place, _)| place % HELD_OUT == 0);
        let learned: Vec<&[u8]> = learned.into_iter().map(|(_, text)| text).collect();
        let Some(bytes) = learn(&learned)? else { return Ok(None) };
        let dictionary = Self::load(bytes)?;
        let length = |with: Option<&Self>| -> usize {
            held_out.iter().map(|(_, text)| encode(Codec::Zstd, with, text).len()).sum()
        };
        let pays = length(Some(&dictionary)) * 100 <= length(None) * PAYS_PERCENT;
        Ok(pays.then_some(dictionary))
    }
}

/// So many of the samples, evenly, that they are not more than is learned from.
fn thinned(samples: Vec<&[u8]>) -> Vec<&[u8]> {
    let bytes: usize = samples.iter().map(|text| text.len()).sum();
    let step = bytes.div_ceil(LEARN_MAX).max(1);
    samples.into_iter().step_by(step).collect()
}

/// What zstd makes of the samples: nothing, where they have nothing in common.
fn learn(samples: &[&[u8]]) -> Result<Option<Vec<u8>>, DictionaryError> {
    let lengths: Vec<usize> = samples.iter().map(|text| text.len()).collect();
    let mut bytes = Vec::with_capacity(DICTIONARY_MAX);
    match zstd_safe::train_from_buffer(&mut bytes, &samples.concat(), &lengths) {
        Ok(_) => Ok(Some(bytes)),
        Err(code) if NOTHING_IN_COMMON.contains(&code) => Ok(None),
        Err(code) => Err(DictionaryError::Training { why: zstd_safe::get_error_name(code) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::samples::{self, Sizes};

    #[test]
    fn flights_are_stored_in_less_than_a_third() {
        for sizes in [Sizes::Row, Sizes::Kilobyte, Sizes::Page] {
            let (learned, tested) = (samples::flights(1, 500, sizes), samples::flights(2, 200, sizes));
            let dictionary = Dictionary::train(&learned).unwrap().expect("it pays");
            let stored: usize =
                tested.iter().map(|text| encode(Codec::Zstd, Some(&dictionary), text.as_bytes()).len()).sum();
            let raw: usize = tested.iter().map(String::len).sum();
            println!("{sizes:?}: {} bytes each, {:.3} of them stored", raw / 200, ratio(stored, raw));
            assert!(ratio(stored, raw) <= 0.30, "{sizes:?}: {stored} of {raw}");
        }
    }

    fn ratio(stored: usize, raw: usize) -> f64 {
        f64::from(u32::try_from(stored).unwrap()) / f64::from(u32::try_from(raw).unwrap())
    }

    #[test]
    fn nothing_is_learned_from_too_few_values() {
        let flights = samples::flights(1, SAMPLES_MIN, Sizes::Row);
        assert!(Dictionary::train(&flights[1..]).unwrap().is_none());
        assert!(Dictionary::train(&flights).unwrap().is_some());
        // Those that are stored as they are do not count.
        let short = vec!["{}"; 10_000];
        assert!(Dictionary::train(&short).unwrap().is_none());
        assert!(Dictionary::train(&[""; 0]).unwrap().is_none());
    }

    #[test]
    fn nothing_is_learned_from_noise() {
        assert!(Dictionary::train(&samples::noise(1, 500, 300)).unwrap().is_none());
    }

    #[test]
    fn values_that_are_all_the_same_are_no_fault() {
        let same = vec![samples::flights(1, 1, Sizes::Row).remove(0); 500];
        if let Some(dictionary) = Dictionary::train(&same).unwrap() {
            assert!(encode(Codec::Zstd, Some(&dictionary), same[0].as_bytes()).len() < 60);
        }
    }

    #[test]
    fn of_very_many_values_some_are_learned_from() {
        let pages = samples::flights(1, 1_000, Sizes::Page);
        let texts: Vec<&[u8]> = pages.iter().map(String::as_bytes).collect();
        let thinned = thinned(texts);
        assert!((200..600).contains(&thinned.len()), "{}", thinned.len());
        assert!(Dictionary::train(&pages).unwrap().is_some());
    }
}
