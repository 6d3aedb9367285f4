//! Which values of a warmer are worth keeping warm: those that are read most, as far as readers say.

use brasa_shared::cache::texts_of;
use brasa_shared::config::Warmer;

use crate::cache::failing::FillError;
use crate::cache::filler::Filler;

/// The parameters of the hottest values, the hottest first: as many as the warmer keeps, and no more than cover the
/// share of reads that it wants to cover.
///
/// # Errors
/// See [`FillError`].
pub(super) async fn keys(warmer: &Warmer, filler: &Filler<'_>) -> Result<Vec<Vec<String>>, FillError> {
    let most = usize::try_from(warmer.keeping.hot_max).unwrap_or(usize::MAX);
    let hot = filler.namespace().hot(most).await?;
    let all: f64 = hot.iter().map(|(_, count)| count).sum();
    let wanted = all * f64::from(warmer.keeping.coverage) / 100.0;
    let mut covered = 0.0;
    let mut keys = Vec::new();
    for (params, count) in hot {
        if covered >= wanted {
            break;
        }
        covered += count;
        if let Some(texts) = texts_of(&params)
            && texts.len() == filler.shape().columns().len()
        {
            keys.push(texts);
        }
    }
    Ok(keys)
}
