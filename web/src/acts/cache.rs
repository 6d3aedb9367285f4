//! Loading values of the cache, and making them invalid.

use std::collections::BTreeMap;

use brasa_jobs::cache::{Invalidated, Invalidation, InvalidationError, Warm};
use brasa_jobs::{Envelope, Job as _};
use serde_json::json;

use super::Actor;
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

/// Enqueues a job that loads the values of a warmer, or those with these texts as parameters; gives its queue and id.
pub(crate) async fn warm(
    desk: &Desk,
    name: &str,
    only: &BTreeMap<String, String>,
    actor: &Actor,
) -> Result<(String, String), Refused> {
    known(desk, name)?;
    let site = &desk.site;
    let Some(kind) = site.catalog.get(Warm::KIND) else {
        return Err(Refused::absent(format!("this build does not know the kind `{}`", Warm::KIND), ""));
    };
    let args = if only.is_empty() { json!({ "name": name }) } else { json!({ "name": name, "only": only }) };
    let job = Envelope::new(kind.name, &args, site.clock.now());
    let mut job = job.map_err(|error| Refused::bad(error.to_string(), ""))?;
    (kind.check)(job.args.get(), &site.config).map_err(|why| Refused::bad(why, ""))?;
    job.kv = kind.version;
    job.to_wire().map_err(|error| Refused::bad(error.to_string(), "choose less at once"))?;
    actor.note(desk, "cache.warm", name, json!({ "only": only, "job": job.id })).await?;
    let queue = site.queue(kind.policy.queue);
    site.name_queue(queue.name()).await?;
    queue.enqueue(&job).await?;
    Ok((queue.name().to_owned(), job.id))
}

/// A warmer that nobody wrote down is a typing error.
pub(crate) fn known(desk: &Desk, name: &str) -> Result<(), Refused> {
    let warmers = &desk.site.config.warm;
    if warmers.contains_key(name) {
        return Ok(());
    }
    let names: Vec<&str> = warmers.keys().map(String::as_str).collect();
    let help = if names.is_empty() { String::new() } else { format!("there are: {}", names.join(", ")) };
    Err(Refused::absent(format!("there is no warmer `{}`", format::short(name, 80)), help))
}
