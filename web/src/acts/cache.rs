//! Loading values of the cache, and making them invalid.

use std::collections::BTreeMap;

use brasa_jobs::Job as _;
use brasa_jobs::cache::{Invalidated, Invalidation, InvalidationError, Warm};
use serde_json::json;

use super::{Actor, Start, Started};
use crate::desk::Desk;
use crate::error::Refused;
use crate::view::format;

/// How much of what was named the record of acts shows.
const SHOWN: usize = 500;

/// Makes values invalid, and says how many of those named by key were there.
pub(crate) async fn invalidate(
    desk: &Desk,
    what: &Invalidation,
    actor: &Actor,
) -> Result<Invalidated, Refused> {
    let (caches, mut values) = (desk.site.caches(), 0);
    for name in &what.warmers {
        known(desk, name)?;
        let extent = caches.namespace(name).extent().await?;
        values += extent.warm + extent.once;
    }
    let target = [&what.keys, &what.tags, &what.warmers].map(|names| names.join(", "));
    let target: Vec<String> = target.into_iter().filter(|names| !names.is_empty()).collect();
    let detail = json!({ "keys": what.keys, "tags": what.tags, "warmers": what.warmers,
        "values": values });
    actor.note(desk, "cache.invalidate", &format::short(&target.join(", "), SHOWN), detail).await?;
    let done = what.carry_out(&desk.site.config, &caches, desk.pool.as_ref()).await;
    done.map_err(|error| match error {
        InvalidationError::Store(source) => source.into(),
        InvalidationError::Postgres(source) => source.into(),
        InvalidationError::Number(_) => Refused::away(error.to_string(), "see `brasa doctor`"),
    })
}

/// Enqueues a job that loads the values of a warmer, or those with these texts as parameters.
pub(crate) async fn warm(
    desk: &Desk,
    name: &str,
    only: &BTreeMap<String, String>,
    actor: &Actor,
) -> Result<Started, Refused> {
    known(desk, name)?;
    let args = if only.is_empty() { json!({ "name": name }) } else { json!({ "name": name, "only": only }) };
    Start { action: "cache.warm", target: name, kind: Warm::KIND, args }.by(actor, desk).await
}

/// A warmer that nobody wrote down is a typing error.
fn known(desk: &Desk, name: &str) -> Result<(), Refused> {
    let warmers = &desk.site.config.warm;
    if warmers.contains_key(name) {
        return Ok(());
    }
    let names: Vec<&str> = warmers.keys().map(String::as_str).collect();
    let help = if names.is_empty() { String::new() } else { format!("there are: {}", names.join(", ")) };
    Err(Refused::absent(format!("there is no warmer `{}`", format::short(name, 80)), help))
}
