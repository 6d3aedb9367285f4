//! Epochs: what a server remembers of invalidations is worth as much as its memory.

use serde::Serialize;

use crate::cache::Caches;
use crate::cache::scripts::EPOCH;
use crate::store::StoreError;

/// For how long the memory of the server holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Epoch {
    /// Tells it from any other.
    pub count: String,
    /// The run of the server on which it began.
    pub run_id: String,
    /// The first transaction that was not over when it began.
    pub xid: u64,
}

/// What the server says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Differs from start to start, and from server to server.
    pub run_id: String,
    /// How many keys it has evicted since it started.
    pub evicted: u64,
    /// What it does when its memory is full.
    pub policy: String,
}

impl Caches {
    /// The epoch, if there is one. Without the clock there is none: nobody could tell what came before what.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn epoch(&self) -> Result<Option<Epoch>, StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(&self.keys().tags).arg("");
        pipe.cmd("EXISTS").arg(&self.keys().clock);
        let (text, has_clock): (Option<String>, bool) =
            self.run_all("look at the epoch of the cache", &pipe).await?;
        Ok(text.as_deref().filter(|_| has_clock).and_then(parse))
    }

    /// Begins an epoch unless that of this run of the server goes on. `xid` is the first transaction that may not
    /// be over yet on the primary. Returns whether a new one began.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn begin_epoch(&self, run_id: &str, xid: u64) -> Result<bool, StoreError> {
        Ok(self.call::<i64>(&self.calling(&EPOCH).arg(run_id).arg(xid)).await? == 1)
    }

    /// What the server says about itself.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn server(&self) -> Result<Server, StoreError> {
        let info: String = self
            .run("be asked what it is", redis::cmd("INFO").arg("server").arg("stats").arg("memory"))
            .await?;
        let field = |name: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().trim().to_owned()
        };
        Ok(Server {
            // Some services do not say; then only a flush tells one epoch from the next.
            run_id: Some(field("run_id")).filter(|id| !id.is_empty()).unwrap_or_else(|| "-".to_owned()),
            evicted: field("evicted_keys").parse().unwrap_or(0),
            policy: field("maxmemory_policy"),
        })
    }
}

fn parse(text: &str) -> Option<Epoch> {
    let mut words = text.split(' ');
    let (count, run_id) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some(Epoch { count, run_id, xid: words.next()?.parse().ok()? })
}
