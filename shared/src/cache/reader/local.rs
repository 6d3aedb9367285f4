//! The values that are kept in this process (L1), and what keeps them right.
//!
//! A value is sealed when the question for it is asked, and not when its answer comes: the seal holds how often
//! Redis had told until then that something changed. It is looked at again whenever the value is wanted. So what
//! was invalidated while it was on its way is kept, and never served.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache as Moka;
use tokio::sync::Notify;

use crate::cache::EntryKeys;
use crate::cache::reader::found::millis;
use crate::cache::reader::{Read, State};

/// How many counters of changes there are. Keys that share one invalidate one another, which costs a round trip.
const STRIPES: usize = 1 << 14;
/// What a value takes beside its bytes, roughly.
const OVERHEAD: usize = 200;

/// The values that are kept in this process.
pub(super) struct Local {
    values: Moka<Arc<str>, Arc<Kept>>,
    ttl_ms: i64,
    /// Odd while Redis tells what changes.
    link: AtomicU64,
    /// How often everything was invalidated.
    flushes: AtomicU64,
    stripes: Box<[AtomicU64]>,
    hasher: RandomState,
    wanted: Mutex<Wanted>,
    /// Told when more is wanted.
    pub(super) wants_more: Notify,
}

#[derive(Default)]
struct Wanted {
    version: u64,
    prefixes: BTreeSet<String>,
}

/// A value, or the knowledge that there is none, that is kept in this process.
pub(super) struct Kept {
    pub(super) value: Option<Arc<[u8]>>,
    /// Until when it is fresh, and when it was put into the cache, ms since 1970.
    pub(super) soft_ms: i64,
    pub(super) at_ms: i64,
    /// Until when it is kept, ms since 1970.
    until_ms: i64,
    seal: Seal,
}

/// What had changed until the question was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    link: u64,
    flushes: u64,
    /// Of the value's key and of its note's: which counter, and how it stood.
    stripes: [(usize, u64); 2],
}

impl Local {
    /// Room for so many bytes of values, each for at most `ttl`.
    pub(super) fn new(bytes: u64, ttl: Duration) -> Self {
        let weigh = |key: &Arc<str>, kept: &Arc<Kept>| {
            let bytes = key.len() + kept.value.as_ref().map_or(0, |value| value.len()) + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            values: Moka::builder().max_capacity(bytes).time_to_live(ttl).weigher(weigh).build(),
            ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            link: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            wanted: Mutex::default(),
            wants_more: Notify::new(),
        }
    }

    /// A seal for a value that is about to be asked for; none while nobody tells what changes.
    pub(super) fn seal(&self, keys: &EntryKeys) -> Option<Seal> {
        let stripe = |key: &str| {
            let place = self.place(key.as_bytes());
            (place, self.stripes[place].load(Ordering::SeqCst))
        };
        let link = self.link.load(Ordering::SeqCst);
        let flushes = self.flushes.load(Ordering::SeqCst);
        is_on(link).then(|| Seal { link, flushes, stripes: [stripe(&keys.value), stripe(&keys.note)] })
    }

    /// Keeps what came. `now_ms` is since 1970.
    pub(super) fn keep(&self, key: &Arc<str>, seal: Seal, read: &Read, now_ms: i64) {
        let fresh_ms = i64::try_from(read.fresh_for.as_millis()).unwrap_or(i64::MAX);
        let age_ms = read.age.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(0));
        let kept = Kept {
            value: read.value.clone(),
            soft_ms: now_ms.saturating_add(fresh_ms),
            at_ms: now_ms - age_ms,
            until_ms: now_ms.saturating_add(fresh_ms.min(self.ttl_ms)),
            seal,
        };
        self.values.insert(Arc::clone(key), Arc::new(kept));
    }

    /// The value, if it is here and nothing has changed it.
    pub(super) fn find(&self, key: &str, now_ms: i64) -> Option<Arc<Kept>> {
        let link = self.link.load(Ordering::SeqCst);
        if !is_on(link) {
            return None;
        }
        let kept = self.values.get(key)?;
        if kept.seal.link == link && self.holds(&kept, now_ms) {
            return Some(kept);
        }
        self.values.invalidate(key);
        None
    }

    /// The value, if it is here and nothing was known to have changed it while somebody told: for when Redis is
    /// away, and no more than that can be known.
    pub(super) fn last_resort(&self, key: &str, now_ms: i64) -> Option<Arc<Kept>> {
        self.values.get(key).filter(|kept| self.holds(kept, now_ms))
    }

    fn holds(&self, kept: &Kept, now_ms: i64) -> bool {
        let is_same = |(place, count): &(usize, u64)| self.stripes[*place].load(Ordering::SeqCst) == *count;
        now_ms < kept.until_ms
            && kept.seal.flushes == self.flushes.load(Ordering::SeqCst)
            && kept.seal.stripes.iter().all(is_same)
    }

    /// Something has changed the value, or the note, at `key`.
    pub(super) fn drop_key(&self, key: &[u8]) {
        self.stripes[self.place(key)].fetch_add(1, Ordering::SeqCst);
    }

    /// Anything may have changed.
    pub(super) fn drop_all(&self) {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.values.invalidate_all();
    }

    /// Has to be told of changes of keys that begin so. Nothing is served until it is.
    pub(super) fn want(&self, prefixes: &[String]) {
        let mut wanted = self.wanted();
        let before = wanted.prefixes.len();
        wanted.prefixes.extend(prefixes.iter().cloned());
        if wanted.prefixes.len() > before {
            wanted.version += 1;
            self.turn_off();
            self.wants_more.notify_one();
        }
    }

    /// What it has to be told of, and which version of that this is.
    pub(super) fn wants(&self) -> (u64, Vec<String>) {
        let wanted = self.wanted();
        (wanted.version, wanted.prefixes.iter().cloned().collect())
    }

    /// From now on it is told of all that it wanted in this version; false if it wants more by now.
    pub(super) fn turn_on(&self, version: u64) -> bool {
        let wanted = self.wanted();
        let is_all = wanted.version == version;
        if is_all && !is_on(self.link.load(Ordering::SeqCst)) {
            self.link.fetch_add(1, Ordering::SeqCst);
        }
        is_all
    }

    /// From now on nobody tells what changes.
    pub(super) fn turn_off(&self) {
        let off = |link| is_on(link).then_some(link + 1);
        // Off already, otherwise.
        let _turned = self.link.fetch_update(Ordering::SeqCst, Ordering::SeqCst, off);
    }

    /// Whether somebody tells what changes.
    pub(super) fn is_told(&self) -> bool {
        is_on(self.link.load(Ordering::SeqCst))
    }

    /// How many values are kept, roughly.
    pub(super) fn len(&self) -> u64 {
        self.values.entry_count()
    }

    fn place(&self, key: &[u8]) -> usize {
        // The stripes are a power of two.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is left of it is below the count of stripes"
        )]
        let place = self.hasher.hash_one(key) as usize & (STRIPES - 1);
        place
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The same for a reader, in this state.
    pub(super) fn read(&self, is_known: bool, now_ms: i64) -> Read {
        let state = match (&self.value, is_known) {
            (None, _) => State::None,
            (Some(_), true) => State::Fresh,
            (Some(_), false) => State::Stale,
        };
        Read {
            state,
            value: self.value.clone(),
            fresh_for: if is_known { millis(self.soft_ms - now_ms) } else { Duration::ZERO },
            age: Some(millis(now_ms - self.at_ms)),
            is_coming: false,
        }
    }
}

fn is_on(link: u64) -> bool {
    link % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn local() -> Local {
        let local = Local::new(1 << 20, Duration::from_secs(5));
        local.want(&["board:".to_owned()]);
        assert!(local.turn_on(1));
        local
    }

    fn keys(key: &str) -> EntryKeys {
        EntryKeys::new("p", key)
    }

    fn fresh() -> Read {
        Read {
            state: State::Fresh,
            value: Some(Arc::from(&b"1"[..])),
            fresh_for: Duration::from_mins(1),
            age: None,
            is_coming: false,
        }
    }

    fn kept(local: &Local, key: &str) -> Seal {
        let seal = local.seal(&keys(key)).unwrap();
        local.keep(&key.into(), seal, &fresh(), NOW);
        seal
    }

    #[test]
    fn a_value_is_served_until_its_time_is_over() {
        let local = local();
        kept(&local, "board:a");
        assert!(local.find("board:a", NOW + 4_999).is_some());
        assert!(local.find("board:a", NOW + 5_000).is_none());
    }

    #[test]
    fn what_changes_a_value_or_its_note_drops_it() {
        for key in [keys("board:a").value, keys("board:a").note] {
            let local = local();
            kept(&local, "board:a");
            local.drop_key(key.as_bytes());
            assert!(local.find("board:a", NOW).is_none(), "{key}");
            assert!(local.last_resort("board:a", NOW).is_none(), "{key}");
        }
    }

    #[test]
    fn a_value_that_was_changed_on_its_way_is_never_served() {
        let local = local();
        let seal = local.seal(&keys("board:a")).unwrap();
        local.drop_key(b"board:a");
        local.keep(&"board:a".into(), seal, &fresh(), NOW);
        assert!(local.find("board:a", NOW).is_none());

        let seal = local.seal(&keys("board:a")).unwrap();
        local.drop_all();
        local.keep(&"board:a".into(), seal, &fresh(), NOW);
        assert!(local.find("board:a", NOW).is_none());
    }

    #[test]
    fn nothing_is_served_or_sealed_while_nobody_tells() {
        let local = local();
        kept(&local, "board:a");
        local.turn_off();
        assert!(local.find("board:a", NOW).is_none());
        assert!(local.seal(&keys("board:b")).is_none());
        assert!(local.last_resort("board:a", NOW).is_some());
        assert!(local.turn_on(1));
        assert!(local.find("board:a", NOW).is_none());
    }

    #[test]
    fn who_wants_more_is_told_of_all_before_anything_is_served() {
        let local = local();
        local.want(&["board:".to_owned()]);
        assert!(local.is_told());
        local.want(&["prices:".to_owned()]);
        assert!(!local.is_told());
        assert!(!local.turn_on(1));
        assert_eq!(local.wants(), (2, vec!["board:".to_owned(), "prices:".to_owned()]));
        assert!(local.turn_on(2));
    }
}
