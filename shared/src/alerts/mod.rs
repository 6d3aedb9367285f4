//! What is remembered of troubles that somebody is told about: since when each is there, and whether it was told.
//!
//! Whoever changes something says what he saw before; where that is no longer so, somebody else was faster, and nothing
//! changes. So two who watch at once do not tell the same twice, and a new one goes on where the old one was.

use std::collections::BTreeMap;

use crate::script::Call;
use crate::store::{Store, StoreError};

mod keys;
mod scripts;

use scripts::CHANGE;
pub use scripts::script_named;

/// What is remembered under a prefix.
#[derive(Debug, Clone)]
pub struct Troubles {
    store: Store,
    key: String,
}

impl Troubles {
    /// What is remembered under this prefix.
    pub fn new(store: Store, prefix: &str) -> Self {
        Self { store, key: keys::troubles(prefix) }
    }

    /// All that is remembered, by name, as it was written down.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn all(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut get = redis::cmd("HGETALL");
        get.arg(&self.key);
        self.store.run("see what is wrong", &get).await
    }

    /// Remembers `new` of a trouble, or nothing any more; false where what is remembered is not `old`.
    ///
    /// # Errors
    /// Redis is out of reach or full. Whether it was changed is not known then.
    pub async fn change(&self, name: &str, old: Option<&str>, new: Option<&str>) -> Result<bool, StoreError> {
        let call = Call::new(&CHANGE, [self.key.as_str()].into_iter(), std::iter::empty());
        let call = call.arg(name).arg(old.unwrap_or_default()).arg(new.unwrap_or_default());
        let changed: i64 = self.store.run_script(CHANGE.action, &call.command, CHANGE.code()).await?;
        Ok(changed == 1)
    }
}
