//! Figures of aggregates, put where applications read them: a dashboard is one `GET`.
//!
//! Whoever publishes says which version of the figures he has; an older one never takes the place of a newer one.

use crate::script::Call;
use crate::store::{Store, StoreError};

mod keys;
mod scripts;

use scripts::PUBLISH;
pub use scripts::script_named;

/// What is published under a prefix.
#[derive(Debug, Clone)]
pub struct Boards {
    store: Store,
    prefix: String,
}

impl Boards {
    /// What is published under this prefix.
    pub fn new(store: Store, prefix: &str) -> Self {
        Self { store, prefix: prefix.to_owned() }
    }

    /// Puts figures of the aggregate `name` under `key`, which is made of `template`; false where newer ones are there.
    ///
    /// # Errors
    /// Redis is out of reach or full.
    pub async fn publish(
        &self,
        (name, template): (&str, &str),
        key: &str,
        version: i64,
        figures: &str,
    ) -> Result<bool, StoreError> {
        let versions = keys::versions(&self.prefix, name);
        let call = Call::new(&PUBLISH, [versions.as_str()].into_iter(), [key.to_owned()].into_iter());
        let call = call.arg(version).arg(figures).arg(template);
        let put: i64 = self.store.run_script(PUBLISH.action, &call.command, PUBLISH.code()).await?;
        Ok(put == 1)
    }

    /// Whether Redis knows nothing of what was published under this template: it lost its memory, or is another one, or
    /// the template is.
    ///
    /// # Errors
    /// Redis is out of reach.
    pub async fn is_forgotten(&self, name: &str, template: &str) -> Result<bool, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::versions(&self.prefix, name)).arg("");
        let known: Option<String> = self.store.run("look whether figures are published", &get).await?;
        Ok(known.as_deref() != Some(template))
    }
}
