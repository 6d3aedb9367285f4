//! Values on their way: leased, asked for, due, extended.

use std::time::Duration;

use tokio::time::Instant;

use crate::cache::scripts::{DUE, EXTEND, TAKE};
use crate::cache::{BATCH_MAX, Caches, MARKS_KEPT, Namespace, Server, all_three, ms};
use crate::store::StoreError;

/// A value by its key and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its parameters, see [`params_of`](crate::cache::params_of).
    pub params: String,
}

/// A value that a reader asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The lease that the reader took for whoever loads it.
    pub token: String,
    /// Its key, as the reader said.
    pub key: String,
    /// Its parameters, as the reader said.
    pub params: String,
}

/// Values whose time to be loaded again has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Their parameters.
    pub params: Vec<String>,
    /// After how long it is worth to look again; none if nothing will be due.
    pub next: Option<Duration>,
    /// For how long the first of them has been due.
    pub late: Duration,
}

/// When it is time for values that are due: one by one they would cost the database more than together. By default at
/// once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gather {
    /// When the first of them has been due for so long.
    pub patience: Duration,
    /// Or when there are so many.
    pub enough: usize,
}

/// What the cache had heard of before values were loaded whose keys nobody knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    at: Instant,
    count: String,
    server: Server,
}

impl Caches {
    /// What the cache has heard of by now.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn before(&self) -> Result<Before, StoreError> {
        let at = Instant::now();
        let server = self.server().await?;
        let mut get = redis::cmd("GET");
        get.arg(&self.keys().clock);
        let count: Option<String> = self.run("look at the clock of the cache", &get).await?;
        Ok(Before { at, count: count.unwrap_or_else(|| "0".to_owned()), server })
    }
}

impl Namespace {
    /// Leases values for `lease` under `token`; says of each whether nobody else has it. Whoever loads a value
    /// does so before it reads the database.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn take(&self, keys: &[&str], token: &str, lease: Duration) -> Result<Vec<bool>, StoreError> {
        self.take_since(keys, token, lease, "").await
    }

    /// The same for values that have been loaded already, because nobody could know their keys before. Says nothing
    /// where the server may have forgotten something since `before`: it may have been what invalidated them. Whatever
    /// was leased then is to be let go of.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn take_late(
        &self,
        keys: &[&str],
        token: &str,
        lease: Duration,
        before: &Before,
    ) -> Result<Option<Vec<bool>>, StoreError> {
        let is_ours = self.take_since(keys, token, lease, &before.count).await?;
        let server = self.caches.server().await?;
        let is_known = server == before.server && before.at.elapsed() < MARKS_KEPT;
        Ok(is_known.then_some(is_ours))
    }

    async fn take_since(
        &self,
        keys: &[&str],
        token: &str,
        lease: Duration,
        since: &str,
    ) -> Result<Vec<bool>, StoreError> {
        let take = |keys: &[&str]| {
            let guards = self.keys_of(keys.iter().copied(), |keys, all| all.push(keys.guard));
            let call = self.calling(&TAKE, guards);
            let call = call.arg(self.caches.clock().for_scripts()).arg(token).arg(ms(lease)).arg(since);
            async move { self.caches.call::<Vec<i64>>(&call).await }
        };
        let mut ours = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH_MAX) {
            ours.extend(take(keys).await?.into_iter().map(|answer| answer == 1));
        }
        Ok(ours)
    }

    /// Takes up to `most` values that are due, if it is time to; they are due again after `again`, should nobody load
    /// them.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn due(&self, most: usize, again: Duration, gather: Gather) -> Result<Due, StoreError> {
        let mut gather = Some(gather);
        let mut all = Due { params: Vec::new(), next: None, late: Duration::ZERO };
        while all.params.len() < most {
            let asked = (most - all.params.len()).min(BATCH_MAX);
            let call = self.calling(&DUE, Vec::new()).arg(self.caches.clock().for_scripts());
            // Once it is time for some, it is for as many as there is room for.
            let Gather { patience, enough } = gather.take().unwrap_or_default();
            let call = call.arg(asked).arg(ms(again)).arg(ms(patience)).arg(enough);
            let mut params: Vec<String> = self.caches.call(&call).await?;
            let late_ms = params.pop().and_then(|late| late.parse().ok()).unwrap_or(0);
            // -1 is no time.
            all.next = params.pop().and_then(|next| next.parse().ok()).map(Duration::from_millis);
            all.late = all.late.max(Duration::from_millis(late_ms));
            let count = params.len();
            all.params.extend(params);
            if count < asked {
                break;
            }
        }
        Ok(all)
    }

    /// Takes up to `most` values that readers asked for, those that waited longest first.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn asks(&self, most: usize) -> Result<Vec<Ask>, StoreError> {
        let mut pop = redis::cmd("LPOP");
        pop.arg(&self.keys.asks).arg(most * 3);
        let texts: Option<Vec<String>> = self.caches.run("take what readers asked for", &pop).await?;
        let texts = texts.unwrap_or_default();
        let ask = |three: &[String]| match three {
            [token, key, params] => {
                Some(Ask { token: token.clone(), key: key.clone(), params: params.clone() })
            }
            _ => None,
        };
        Ok(texts.chunks_exact(3).filter_map(ask).collect())
    }

    /// Lets values live on that could not be loaded again, until `beyond` after they ceased to be fresh and for
    /// `most` from now; lets go of their leases; they are due again after `again`. Returns how many were there.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn extend(
        &self,
        entries: &[(&Entry, &str)],
        beyond: Duration,
        most: Duration,
        again: Duration,
    ) -> Result<u64, StoreError> {
        let mut extended = 0;
        for entries in entries.chunks(BATCH_MAX) {
            let each = self.keys_of(entries.iter().map(|(entry, _)| entry.key.as_str()), all_three);
            let mut call = self.calling(&EXTEND, each);
            call = call.arg(self.caches.clock().for_scripts()).arg(ms(beyond)).arg(ms(most));
            call.push(ms(again));
            for (entry, token) in entries {
                call.push(token);
                call.push(&entry.params);
            }
            extended += self.caches.call::<u64>(&call).await?;
        }
        Ok(extended)
    }
}
