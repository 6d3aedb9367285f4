//! What keeps the cache in order: who looks after it, what is hot, which values there are.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cache::scripts::FORGET_TAGS;
use crate::cache::{Caches, Namespace, Note, ms};
use crate::store::StoreError;

/// How many marks are forgotten in one call of the script, and by how many calls at a time.
const FORGET_MAX: u64 = 1_000;
const FORGET_CALLS_MAX: usize = 200;
/// How many parameters one step of a walk asks for.
const WALK: usize = 500;

/// How many values there are, and how far the next refresh is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Values that are kept warm.
    pub warm: u64,
    /// Values that are there until they end.
    pub once: u64,
    /// Entries that say "there is none".
    pub negatives: u64,
    /// Values that readers wait for.
    pub asked: u64,
    /// When the next value is due, ms since 1970.
    pub next_ms: Option<i64>,
}

impl Caches {
    /// Whether `worker` looks after the change log and the epoch for `lease` from now on: one of all does, to save
    /// the others the work. Two at a time would do no harm.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn attend(&self, worker: &str, lease: Duration) -> Result<bool, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(&self.keys().attendant).arg(worker).arg("NX").arg("GET").arg("PX").arg(ms(lease));
        let holder: Option<String> = self.run("look after the cache", &set).await?;
        match holder {
            None => Ok(true),
            Some(holder) if holder == worker => {
                let mut renew = redis::cmd("PEXPIRE");
                renew.arg(&self.keys().attendant).arg(ms(lease));
                self.run::<i64>("go on looking after the cache", &renew).await.map(|kept| kept == 1)
            }
            Some(_) => Ok(false),
        }
    }

    /// The worker that looks after the cache at present.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn attendant(&self) -> Result<Option<String>, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(&self.keys().attendant);
        self.run("see who looks after the cache", &get).await
    }

    /// Which changes each warmer was told of by whoever carried them last.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn carried(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut get = redis::cmd("HGETALL");
        get.arg(&self.keys().carried);
        self.run("see which changes are carried", &get).await
    }

    /// Says which changes each warmer is told of from now on.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn carry(&self, carried: &BTreeMap<String, String>) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("DEL").arg(&self.keys().carried).ignore();
        for (warmer, changes) in carried {
            pipe.cmd("HSET").arg(&self.keys().carried).arg(warmer).arg(changes).ignore();
        }
        self.run_all("say which changes are carried", &pipe).await
    }

    /// The count of the last invalidation that concerns values which still stand.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn dirty(&self) -> Result<Option<String>, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(&self.keys().dirty);
        self.run("look for tags that were invalidated", &get).await
    }

    /// What time it is for scripts, ms since 1970: lives are judged by this clock and no other.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn now_ms(&self) -> Result<i64, StoreError> {
        match self.clock().for_scripts() {
            0 => {
                let (s, us): (i64, i64) = self.run("say what time it is", &redis::cmd("TIME")).await?;
                Ok(s * 1_000 + us / 1_000)
            }
            given => Ok(given),
        }
    }

    /// Forgets marks of tags that no value can have any more; returns how many.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn forget_tags(&self) -> Result<u64, StoreError> {
        let mut all = 0;
        for _ in 0..FORGET_CALLS_MAX {
            let call = self.calling(&FORGET_TAGS).arg(self.clock().for_scripts()).arg(FORGET_MAX);
            let forgotten: u64 = self.call(&call).await?;
            all += forgotten;
            if forgotten < FORGET_MAX {
                break;
            }
        }
        Ok(all)
    }
}

impl Namespace {
    /// What is read most, in samples, the hottest first.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn hot(&self, most: usize) -> Result<Vec<(String, f64)>, StoreError> {
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(&self.keys.hot).arg(0).arg(most.saturating_sub(1)).arg("WITHSCORES");
        self.caches.run("look what is hot", &range).await
    }

    /// Halves the counts of what is hot, so that what was read long ago counts less.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn cool(&self) -> Result<(), StoreError> {
        let hot = &self.keys.hot;
        let mut store = redis::cmd("ZUNIONSTORE");
        store.arg(hot).arg(1).arg(hot).arg("WEIGHTS").arg("0.5");
        self.caches.run::<()>("halve what is hot", &store).await
    }

    /// Puts back what is hot, where nothing is known about it.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn heat(&self, hot: &[(String, f64)]) -> Result<(), StoreError> {
        for hot in hot.chunks(WALK) {
            let mut add = redis::cmd("ZADD");
            add.arg(&self.keys.hot).arg("NX");
            for (params, count) in hot {
                add.arg(*count).arg(params);
            }
            self.caches.run::<()>("put back what is hot", &add).await?;
        }
        Ok(())
    }

    /// How many values there are.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn extent(&self) -> Result<Extent, StoreError> {
        let mut pipe = redis::pipe();
        for key in [&self.keys.due, &self.keys.once, &self.keys.negatives] {
            pipe.cmd("ZCARD").arg(key);
        }
        pipe.cmd("LLEN").arg(&self.keys.asks);
        pipe.cmd("ZRANGE").arg(&self.keys.due).arg(0).arg(0).arg("WITHSCORES");
        let (warm, once, negatives, asks, next): (u64, u64, u64, u64, Vec<(String, f64)>) =
            self.caches.run_all("count the values of a warmer", &pipe).await?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this age are far below 2^53")]
        let next_ms = next.first().map(|(_, at)| *at as i64);
        Ok(Extent { warm, once, negatives, asked: asks / 3, next_ms })
    }

    /// When the value with these parameters is to be loaded again, ms since 1970; none if it is not kept warm.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn due_at(&self, params: &str) -> Result<Option<i64>, StoreError> {
        let mut score = redis::cmd("ZSCORE");
        score.arg(&self.keys.due).arg(params);
        let at: Option<f64> = self.caches.run("look when a value is due", &score).await?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this age are far below 2^53")]
        Ok(at.map(|at| at as i64))
    }

    /// One step of a walk over the parameters of all values, from cursor 0 until it is 0 again. Some come twice.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn walk(&self, warm: bool, cursor: u64) -> Result<(u64, Vec<String>), StoreError> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(if warm { &self.keys.due } else { &self.keys.once }).arg(cursor).arg("COUNT").arg(WALK);
        let (next, found): (u64, Vec<(String, f64)>) = self.caches.run("walk over values", &scan).await?;
        Ok((next, found.into_iter().map(|(params, _)| params).collect()))
    }

    /// Forgets which values were there for a time that is over, as of `now_ms`, see [`Caches::now_ms`].
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn prune(&self, now_ms: i64) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        for key in [&self.keys.once, &self.keys.negatives] {
            pipe.cmd("ZREMRANGEBYSCORE").arg(key).arg("-inf").arg(now_ms).ignore();
        }
        self.caches.run_all::<()>("forget values that have ended", &pipe).await
    }

    /// Forgets that these values are to be kept warm.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn let_go(&self, params: &[String]) -> Result<(), StoreError> {
        for params in params.chunks(WALK) {
            let mut remove = redis::cmd("ZREM");
            remove.arg(&self.keys.due).arg(params);
            self.caches.run::<()>("let go of values", &remove).await?;
        }
        Ok(())
    }

    /// Forgets how often these were read: there are no values of these parameters, whatever readers say.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn forget_hot(&self, params: &[String]) -> Result<(), StoreError> {
        for params in params.chunks(WALK) {
            let mut remove = redis::cmd("ZREM");
            remove.arg(&self.keys.hot).arg(params);
            self.caches.run::<()>("forget what was read", &remove).await?;
        }
        Ok(())
    }

    /// What is known about these values.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn notes(&self, keys: &[String]) -> Result<Vec<Option<Note>>, StoreError> {
        let mut notes = Vec::with_capacity(keys.len());
        for keys in keys.chunks(WALK) {
            let mut get = redis::cmd("MGET");
            for key in keys {
                get.arg(self.caches.entry(key).note);
            }
            let texts: Vec<Option<String>> = self.caches.run("look at notes", &get).await?;
            notes.extend(texts.into_iter().map(|text| text.as_deref().and_then(Note::parse)));
        }
        Ok(notes)
    }

    /// What time it is for the server, in seconds since 1970, and for how many seconds nobody touched these values;
    /// none where it does not count that.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn idle_s(&self, keys: &[String]) -> Result<(i64, Vec<Option<i64>>), StoreError> {
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        pipe.cmd("TIME");
        for key in keys {
            pipe.cmd("OBJECT").arg("IDLETIME").arg(key);
        }
        let answers: Vec<redis::Value> = self.caches.run_all("ask how long values were idle", &pipe).await?;
        let mut answers = answers.into_iter();
        let now = answers.next().and_then(|time| redis::from_redis_value::<(i64, i64)>(time).ok());
        let idle = |value| match value {
            redis::Value::Int(seconds) => Some(seconds),
            _ => None,
        };
        Ok((now.map_or(0, |(seconds, _)| seconds), answers.map(idle).collect()))
    }
}
