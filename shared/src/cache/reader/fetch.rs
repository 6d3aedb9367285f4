//! How a value is read: without a script where that decides it, and with one where it does not.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::cache::note::Brief;
use crate::cache::reader::found::millis;
use crate::cache::reader::known::{Known, Target};
use crate::cache::reader::local::Seal;
use crate::cache::reader::{CacheError, Inner, Read, State, Warmed};
use crate::cache::{Asking, Description, Dictionary, Standing, Why, decode, dictionary_of};

/// What a look at a value says.
pub(super) enum Judged {
    /// It is fresh, or known to be absent.
    Sure(Read),
    /// It is old or missing, or cannot be told: the script has to say. When it was put there, ms since 1970, where
    /// that is known.
    Doubtful(Option<i64>),
}

/// The marks of tags, by their names and in their order; under the empty one, the epoch.
type Marks<'a> = Vec<(&'a str, Option<String>)>;

impl Warmed {
    /// The whole read of one value, together with others in this process who want it now.
    pub(super) async fn ask(&self, known: &Arc<Known>, target: &Arc<Target>) -> Result<Read, CacheError> {
        let lines = &self.warmer.reads;
        let ask = || {
            let (own, known, target) = (self.clone(), Arc::clone(known), Arc::clone(target));
            async move {
                match own.look(&known, &[&target]).await?.pop() {
                    Some(Judged::Sure(read)) => Ok(read),
                    Some(Judged::Doubtful(at_ms)) => own.settle(&known, &target, at_ms).await,
                    None => Ok(Read::missing(Why::Cold, false)),
                }
            }
            .boxed()
        };
        lines.join(&target.key, ask).await
    }

    /// A look at one value, together with others in this process who wait for it: what is there, if it is fresh.
    pub(super) async fn glance(
        &self,
        known: &Arc<Known>,
        target: &Arc<Target>,
    ) -> Result<Option<Read>, CacheError> {
        let lines = &self.warmer.glances;
        let ask = || {
            let (own, known, target) = (self.clone(), Arc::clone(known), Arc::clone(target));
            async move {
                match own.look(&known, &[&target]).await?.pop() {
                    Some(Judged::Sure(read)) => Ok(Some(read)),
                    _ => Ok(None),
                }
            }
            .boxed()
        };
        lines.join(&target.key, ask).await
    }

    /// Looks at values in one round trip; says of each, in their order, how it stands.
    pub(super) async fn look(
        &self,
        known: &Known,
        targets: &[&Arc<Target>],
    ) -> Result<Vec<Judged>, CacheError> {
        let inner = &self.cache.inner;
        // Before they are asked for.
        let seals: Vec<Option<Seal>> = targets.iter().map(|target| self.seal(known, target)).collect();
        let mut tags = vec![""];
        tags.extend(targets.iter().flat_map(|target| &target.tags).map(String::as_str));
        tags.sort_unstable();
        tags.dedup();
        let mut pipe = redis::pipe();
        let get = pipe.cmd("MGET");
        for target in targets {
            get.arg(&target.keys.value).arg(&target.keys.note);
        }
        pipe.cmd("HMGET").arg(&inner.caches.keys().tags).arg(&tags);
        // The marks are read behind the values: what stood then stood when the value was read.
        let ask = inner.caches.run_all("read values", &pipe);
        let (stored, found): (Vec<Option<Vec<u8>>>, Vec<Option<String>>) = inner.through(ask).await?;
        let marks: Marks = tags.into_iter().zip(found).collect();
        let now_ms = inner.now_ms();
        let mut stored = stored.into_iter();
        let mut judged = Vec::with_capacity(targets.len());
        for (target, seal) in targets.iter().zip(seals) {
            let (value, note) = (stored.next().flatten(), stored.next().flatten());
            let verdict = match judge(value, note.as_deref(), &marks, now_ms) {
                Judged::Sure(read) => inner.unpacked(read, &known.description).await?.map_or(
                    // What takes a dictionary that is lost is not there.
                    Judged::Doubtful(None),
                    Judged::Sure,
                ),
                doubtful @ Judged::Doubtful(_) => doubtful,
            };
            if let (Judged::Sure(read), Some(local), Some(seal)) = (&verdict, &inner.local, seal) {
                local.keep(&target.key, seal, read, now_ms);
            }
            judged.push(verdict);
        }
        Ok(judged)
    }

    fn seal(&self, known: &Known, target: &Target) -> Option<Seal> {
        let local = self.cache.inner.local.as_ref().filter(|_| !known.prefixes.is_empty())?;
        local.seal(&target.keys)
    }

    /// Has the script say how a value stands, and ask for it where it is old or missing.
    pub(super) async fn settle(
        &self,
        known: &Known,
        target: &Target,
        at_ms: Option<i64>,
    ) -> Result<Read, CacheError> {
        let inner = &self.cache.inner;
        let is_askable = known.description.is_askable;
        let token = is_askable.then(|| format!("{:032x}", rand::random::<u128>()));
        let lease = Duration::from_millis(known.description.lease_ms);
        let asking = Asking { token: token.as_deref(), lease, is_counted: false, hot: 0 };
        let answer = inner.through(self.warmer.namespace.read(&target.entry, asking)).await?;
        let now_ms = inner.now_ms();
        let there = |state, bytes: Vec<u8>, is_coming| Read {
            state,
            value: Some(bytes.into()),
            fresh_for: millis(answer.fresh_ms),
            age: at_ms.map(|at_ms| millis(now_ms - at_ms)),
            is_coming,
        };
        let read = match answer.standing {
            Standing::Fresh => there(State::Fresh, answer.bytes, false),
            Standing::Stale => there(State::Stale, answer.bytes, is_askable),
            Standing::None => {
                Read { state: State::None, value: None, ..there(State::None, Vec::new(), false) }
            }
            Standing::Asked | Standing::Busy => Read::missing(answer.why.unwrap_or(Why::Cold), true),
            Standing::Missing => Read::missing(answer.why.unwrap_or(Why::Cold), false),
        };
        let unpacked = inner.unpacked(read, &known.description).await?;
        Ok(unpacked.unwrap_or_else(|| Read::missing(Why::Evicted, false)))
    }
}

impl Inner {
    /// A read with the value as the application wants it, from how it is stored; nothing if the dictionary is lost that
    /// it takes.
    async fn unpacked(&self, mut read: Read, description: &Description) -> Result<Option<Read>, CacheError> {
        let Some(stored) = &read.value else { return Ok(Some(read)) };
        let most = usize::try_from(description.bytes_max).unwrap_or(usize::MAX);
        if let Some(id) = dictionary_of(stored)
            && self.dictionaries.get(id).is_none()
        {
            let Some(bytes) = self.through(self.caches.dictionary(id)).await? else { return Ok(None) };
            let dictionary =
                Dictionary::load(bytes).map_err(|error| CacheError::Packed(error.to_string()))?;
            self.dictionaries.insert(dictionary);
        }
        let text = decode(stored, &self.dictionaries, most);
        let text = match text.map_err(|error| CacheError::Packed(error.to_string()))? {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text.into()),
        };
        read.value = text.or(read.value);
        Ok(Some(read))
    }
}

fn judge(value: Option<Vec<u8>>, note: Option<&[u8]>, marks: &Marks<'_>, now_ms: i64) -> Judged {
    let note = note.and_then(|note| std::str::from_utf8(note).ok()).and_then(Brief::parse);
    let Some(note) = note else { return Judged::Doubtful(None) };
    let (state, value) = match (note.is_none, value) {
        (true, _) => (State::None, None),
        (false, Some(value)) => (State::Fresh, Some(value)),
        (false, None) => return Judged::Doubtful(Some(note.at_ms)),
    };
    // It may have tags that were not asked for, if it is of another version of the warmer.
    let mark_of = |tag: &str| {
        let place = marks.binary_search_by_key(&tag, |(known, _)| known).ok()?;
        marks[place].1.as_deref()
    };
    if now_ms >= note.soft_ms || !note.stands(mark_of) {
        return Judged::Doubtful(Some(note.at_ms));
    }
    let (fresh_for, age) = (millis(note.soft_ms - now_ms), Some(millis(now_ms - note.at_ms)));
    Judged::Sure(Read { state, value: value.map(Into::into), fresh_for, age, is_coming: false })
}
