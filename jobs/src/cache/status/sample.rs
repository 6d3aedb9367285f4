//! Some values of a warmer, from which the others are estimated.

use brasa_shared::cache::{Codec, Entry, Extent, Namespace, Note};
use brasa_shared::store::StoreError;

use crate::cache::Shape;
use crate::cache::texts::Texts;

/// How many values are looked at.
const SAMPLE: u64 = 500;
/// How many of them are unpacked, to see how well they are packed.
const UNPACKED: usize = 50;

/// What some values are like.
#[derive(Debug, Default)]
pub struct Sample {
    /// What is known about those that are there.
    pub notes: Vec<Note>,
    /// How many times shorter stored values are than their texts, where they are packed.
    pub ratio: Option<f64>,
}

impl Sample {
    /// Looks at up to 500 values of a warmer, of those that are kept warm and of others as there are.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn take(
        namespace: &Namespace,
        shape: &Shape,
        extent: &Extent,
        codec: Codec,
    ) -> Result<Self, StoreError> {
        let once = extent.once.min(SAMPLE.saturating_sub(extent.warm).max(SAMPLE / 2));
        let warm = extent.warm.min(SAMPLE - once);
        let mut entries = pick(namespace, shape, true, warm).await?;
        entries.extend(pick(namespace, shape, false, once).await?);
        let keys: Vec<String> = entries.into_iter().map(|entry| entry.key).collect();
        let notes = namespace.notes(&keys).await?.into_iter().flatten().filter(|note| !note.is_none);
        let ratio = match codec {
            Codec::Json => None,
            Codec::Zstd => ratio(namespace, &keys).await?,
        };
        Ok(Self { notes: notes.collect(), ratio })
    }

    /// The bytes of a value, as stored, on average.
    pub fn mean_bytes(&self) -> Option<f64> {
        mean(self.notes.iter().map(|note| note.bytes))
    }

    /// What loading a value takes in the database, on average, µs.
    pub fn mean_cost_us(&self) -> Option<f64> {
        mean(self.notes.iter().map(|note| note.cost_us))
    }

    /// The same, of the value in the middle.
    pub fn median_cost_us(&self) -> Option<u64> {
        median(self.notes.iter().map(|note| note.cost_us))
    }

    /// The same of all of them together.
    pub fn sum_cost_us(&self) -> u64 {
        self.notes.iter().map(|note| note.cost_us).sum()
    }

    /// The ages of the value in the middle and of the oldest, ms.
    pub fn ages_ms(&self, now_ms: i64) -> Option<(i64, i64)> {
        let ages = || self.notes.iter().map(|note| (now_ms - note.at_ms).max(0));
        Some((median(ages())?, ages().max()?))
    }
}

/// Parameters come as Redis has them, which is in no order.
async fn pick(
    namespace: &Namespace,
    shape: &Shape,
    is_warm: bool,
    most: u64,
) -> Result<Vec<Entry>, StoreError> {
    let most = usize::try_from(most).unwrap_or_default();
    let (mut entries, mut cursor) = (Vec::with_capacity(most), 0);
    while entries.len() < most {
        let (next, params) = namespace.walk(is_warm, cursor).await?;
        entries.extend(params.iter().filter_map(|params| shape.entry_of(params)));
        if next == 0 {
            break;
        }
        cursor = next;
    }
    entries.truncate(most);
    Ok(entries)
}

async fn ratio(namespace: &Namespace, keys: &[String]) -> Result<Option<f64>, StoreError> {
    let some: Vec<String> = keys.iter().take(UNPACKED).cloned().collect();
    let caches = namespace.caches();
    let reader = Texts::new(caches);
    let (mut stored, mut plain) = (0, 0);
    for value in caches.values(&some).await?.into_iter().flatten() {
        // One that nobody can read says nothing about the others.
        if let Ok(text) = reader.text(&value).await {
            stored += value.len();
            plain += text.len();
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
    Ok((stored > 0).then(|| plain as f64 / stored as f64))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn mean(numbers: impl Iterator<Item = u64>) -> Option<f64> {
    let (count, sum) =
        numbers.fold((0_u64, 0_u64), |(count, sum), number| (count + 1, sum.saturating_add(number)));
    (count > 0).then(|| sum as f64 / count as f64)
}

fn median<T: Ord + Copy>(numbers: impl Iterator<Item = T>) -> Option<T> {
    let mut numbers: Vec<T> = numbers.collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}
