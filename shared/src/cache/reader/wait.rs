//! Waiting for a value that somebody loads.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::cache::reader::known::{Known, Target};
use crate::cache::reader::tally::Tallied;
use crate::cache::reader::{CacheError, Read, State, Warmed};
use crate::cache::{Why, params_of};

/// The pauses between looks; the last one goes on.
const PAUSES_MS: [u64; 5] = [2, 4, 8, 16, 25];
/// After how long the value is asked for again, should whoever had to load it have died or been refused.
const ASK_AGAIN: Duration = Duration::from_millis(250);

impl Warmed {
    /// The same as [`Self::get`]; a value that is missing while somebody loads it is waited for, so that the call
    /// takes up to `wait`. What has not come by then is missing.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_or_wait<P: AsRef<str> + Sync>(
        &self,
        params: &[P],
        wait: Duration,
    ) -> Result<Read, CacheError> {
        let until = Instant::now() + wait;
        let found = self.find(params).await?;
        let (known, target) = match found.asked {
            Some(asked) if is_worth_waiting(&found.read) => asked,
            _ => return Ok(found.read),
        };
        let tally = &self.warmer.tally;
        match timeout_at(until, self.await_fill(&known, &target)).await {
            Ok(Ok(read)) => {
                tally.count(Tallied::Waited);
                Ok(read)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                tally.count(Tallied::Late);
                Ok(found.read)
            }
        }
    }

    /// The same as [`Self::get_or_wait`], for as long as [`Builder::wait`](super::Builder::wait) says; where there
    /// is nothing then, or Redis is away, `load` is called. Few load at a time, and once for all who wait for the
    /// same value; nothing of it is cached. Nothing from `load` means that there is no such value.
    ///
    /// # Errors
    /// The parameters are not those of the warmer, `load` failed, or too many load directly already.
    pub async fn get_or<P, F, E>(&self, params: &[P], load: impl FnOnce() -> F) -> Result<Read, CacheError>
    where
        P: AsRef<str> + Sync,
        F: Future<Output = Result<Option<Vec<u8>>, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let wait = self.cache.inner.settings.wait;
        match self.get_or_wait(params, wait).await {
            Ok(read) if !read.is_missing() => return Ok(read),
            Ok(_) => {}
            Err(error) if error.is_of_the_caller() => return Err(error),
            Err(error) => tracing::debug!(warmer = self.name(), %error, "a value is loaded past the cache"),
        }
        let what = format!("{}{}", self.name(), params_of(params));
        let (loaded, verdict) = self.cache.inner.direct.load(what.into(), wait, load).await;
        self.warmer.tally.count(verdict);
        loaded.map(Read::direct)
    }

    /// What comes; for ever, if nothing does.
    async fn await_fill(&self, known: &Arc<Known>, target: &Arc<Target>) -> Result<Read, CacheError> {
        let mut pauses = PAUSES_MS.into_iter();
        let mut pause = Duration::ZERO;
        let mut asked = Instant::now();
        loop {
            pause = pauses.next().map_or(pause, Duration::from_millis);
            sleep(pause).await;
            if asked.elapsed() < ASK_AGAIN {
                if let Some(read) = self.glance(known, target).await? {
                    return Ok(read);
                }
                continue;
            }
            asked = Instant::now();
            let read = self.ask(known, target).await?;
            if !read.is_missing() {
                return Ok(read);
            }
        }
    }
}

/// Whether a value may be there in a moment.
fn is_worth_waiting(read: &Read) -> bool {
    // What is kept warm and was invalidated is loaded again, also where nobody may ask for it.
    read.is_missing() && (read.is_coming || read.state == State::Missing(Why::Invalidated))
}
