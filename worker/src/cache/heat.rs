//! What is hot, kept in Postgres as well: what Redis loses is what has to be warmed first.

use brasa_shared::cache::{Namespace, params_of, texts_of};
use brasa_shared::db::changes::{HotKey, load_hot, save_hot};
use brasa_shared::store::StoreError;

use crate::cache::{Served, Shared};

/// Why it could not be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("postgres did not keep what is hot")]
    Database(#[from] sqlx::Error),
}

/// Saves what is hot of every warmer of which something is.
pub(super) async fn save(shared: &Shared) -> Result<(), Trouble> {
    for (name, served) in &shared.warmers {
        let namespace = shared.loaders.caches.namespace(name);
        let keys = look(served, &namespace).await?;
        if !keys.is_empty() {
            save_hot(&shared.loaders.primary().pool, name, &keys).await?;
        }
    }
    Ok(())
}

/// Puts back what was hot where Redis knows nothing of it.
pub(super) async fn restore(shared: &Shared) -> Result<(), Trouble> {
    for (name, served) in &shared.warmers {
        let namespace = shared.loaders.caches.namespace(name);
        if !namespace.hot(1).await?.is_empty() {
            continue;
        }
        let most = usize::try_from(served.warmer.keeping.hot_max).unwrap_or(usize::MAX);
        let saved = load_hot(&shared.loaders.primary().pool, name, most).await?;
        let hot: Vec<(String, f64)> = saved.iter().map(|key| (params_of(&key.params), key.hits)).collect();
        namespace.heat(&hot).await?;
    }
    Ok(())
}

/// Halves all counts, so that what was read long ago counts less.
pub(super) async fn cool(shared: &Shared) -> Result<(), StoreError> {
    for name in shared.warmers.keys() {
        shared.loaders.caches.namespace(name).cool().await?;
    }
    Ok(())
}

async fn look(served: &Served, namespace: &Namespace) -> Result<Vec<HotKey>, StoreError> {
    let most = usize::try_from(served.warmer.keeping.hot_max).unwrap_or(usize::MAX);
    let hot = namespace.hot(most).await?;
    let entries =
        hot.iter().filter_map(|(params, hits)| Some((served.shape.entry_of(params)?, params, *hits)));
    let entries: Vec<_> = entries.collect();
    let keys: Vec<String> = entries.iter().map(|(entry, ..)| entry.key.clone()).collect();
    let notes = namespace.notes(&keys).await?;
    let key = |((_, params, hits), note): (&(_, &String, f64), &Option<brasa_shared::cache::Note>)| {
        let (cost_us, bytes) = note.as_ref().map_or((1, 1), |note| (note.cost_us.max(1), note.bytes.max(1)));
        let small = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Some(HotKey { params: texts_of(params)?, hits: *hits, cost_us: small(cost_us), bytes: small(bytes) })
    };
    Ok(entries.iter().zip(&notes).filter_map(key).collect())
}
