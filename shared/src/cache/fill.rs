//! Putting values into the cache.

use std::time::Duration;

use crate::cache::scripts::FILL;
use crate::cache::{Namespace, all_three, ms};
use crate::store::StoreError;

/// The most values that one call takes: measured, Redis needs some 15 µs for each.
const FILLED_MAX: usize = 8;
/// The most bytes of values that one call takes, so that no call holds Redis up for long.
const BYTES_MAX: usize = 4 << 20;

/// What values were read from, and by whom.
#[derive(Debug, Clone)]
pub struct Source {
    /// The snapshot, as `pg_current_snapshot()` says it.
    pub snapshot: String,
    /// Whether it is a replica's.
    pub is_replica: bool,
    /// The version of the warmer's definition.
    pub version: String,
    /// Who reads.
    pub who: String,
    /// How long marks of tags are kept: longer than any value with the tag lives.
    pub tags_kept: Duration,
}

/// What became of loading a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The value, as it is to be stored.
    Value(Vec<u8>),
    /// There is none, and readers may know.
    None,
    /// Nothing: it was leased in vain.
    Release,
}

/// A value on its way into the cache.
#[derive(Debug, Clone)]
pub struct Filling {
    /// Its key.
    pub key: String,
    /// Its parameters.
    pub params: String,
    /// The lease under which it was loaded.
    pub token: String,
    /// What it is.
    pub content: Content,
    /// How long it is to stand.
    pub life: Duration,
    /// How long it is fresh.
    pub fresh: Duration,
    /// What loading it took in the database.
    pub cost: Duration,
    /// After how long it is to be loaded again; none if it is not kept warm, or if it was leased in vain and nothing
    /// changes about that.
    pub due: Option<Duration>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Above how many entries that say "there is none" no more are taken.
    pub negatives_max: u64,
}

/// What Redis said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filled {
    /// The value stands.
    Filled,
    /// It is known that there is none.
    None,
    /// There is none, and more entries that say so are not wanted.
    Capped,
    /// The lease is free again.
    Released,
    /// Refused: somebody else has the lease, or it is over and forgotten.
    Lease,
    /// Refused: there is no epoch, or it began after the lease was taken.
    Epoch,
    /// Refused: the snapshot has not seen a transaction that invalidated it.
    Behind,
}

impl Filled {
    /// Whether the value was refused; it can be loaded again at once.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Lease | Self::Epoch | Self::Behind)
    }

    /// Its word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::None => "none",
            Self::Capped => "capped",
            Self::Released => "released",
            Self::Lease => "lease",
            Self::Epoch => "epoch",
            Self::Behind => "behind",
        }
    }

    fn of(word: &str) -> Self {
        let all =
            [Self::Filled, Self::None, Self::Capped, Self::Released, Self::Lease, Self::Epoch, Self::Behind];
        // A word that nobody knows is none of success.
        all.into_iter().find(|known| known.word() == word).unwrap_or(Self::Lease)
    }
}

impl Namespace {
    /// Puts values into the cache that were read together; says of each what became of it.
    ///
    /// # Errors
    /// Redis is out of reach or full. What was put until then stands; leases of the rest end by themselves.
    pub async fn fill(&self, source: &Source, fillings: &[Filling]) -> Result<Vec<Filled>, StoreError> {
        let mut said = Vec::with_capacity(fillings.len());
        let mut rest = fillings;
        while !rest.is_empty() {
            // One after the other: what is sent together, Redis does without looking at anybody else.
            let (now, later) = rest.split_at(chunk(rest));
            said.extend(self.fill_chunk(source, now).await?);
            rest = later;
        }
        Ok(said)
    }

    async fn fill_chunk(&self, source: &Source, fillings: &[Filling]) -> Result<Vec<Filled>, StoreError> {
        let each = self.keys_of(fillings.iter().map(|filling| filling.key.as_str()), all_three);
        let mut call = self.calling(&FILL, each);
        call.push(self.caches.clock().for_scripts());
        call.push(&source.snapshot);
        call.push(u8::from(source.is_replica));
        call.push(word(&source.version));
        call.push(word(&source.who));
        call.push(ms(source.tags_kept));
        for filling in fillings {
            let (kind, value): (_, &[u8]) = match &filling.content {
                Content::Value(value) => ("v", value),
                Content::None => ("-", &[]),
                Content::Release => ("x", &[]),
            };
            call.push(&filling.token);
            call.push(kind);
            call.push(value);
            call.push(ms(filling.life).max(1));
            call.push(ms(filling.fresh));
            call.push(u64::try_from(filling.cost.as_micros()).unwrap_or(u64::MAX));
            call.push(&filling.params);
            call.push(filling.due.map_or_else(String::new, |due| ms(due).to_string()));
            call.push(filling.negatives_max);
            call.push(filling.tags.len());
            for tag in &filling.tags {
                call.push(tag);
            }
        }
        let words: Vec<String> = self.caches.call(&call).await?;
        Ok(words.iter().map(|word| Filled::of(word)).collect())
    }
}

/// How many of them one call takes: at least one.
fn chunk(fillings: &[Filling]) -> usize {
    let mut bytes = 0;
    let fits = |filling: &&Filling| {
        bytes += if let Content::Value(value) = &filling.content { value.len() } else { 0 };
        bytes <= BYTES_MAX
    };
    fillings.iter().take(FILLED_MAX).take_while(fits).count().max(1)
}

/// A text as a field of a note.
fn word(text: &str) -> String {
    let plain: String = text.chars().filter(char::is_ascii_graphic).take(80).collect();
    if plain.is_empty() { "-".to_owned() } else { plain }
}
