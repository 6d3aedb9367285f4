//! How often readers of the cache find something.

use std::collections::BTreeMap;

use brasa_shared::telemetry::logs::chain;

use super::look::{Trouble, Watcher, percent};
use super::rates::Counted;

/// Of fewer reads no share is told.
const READS_MIN: u64 = 100;

/// Warmers whose readers find too little.
pub(super) async fn hit_rate(watcher: &mut Watcher, limit: f64) -> Result<Vec<Trouble>, String> {
    if watcher.site.config.warm.is_empty() {
        return Ok(Vec::new());
    }
    let caches = watcher.site.caches();
    let mut counted = BTreeMap::new();
    for name in watcher.site.config.warm.keys() {
        let stats = caches.namespace(name).stats().await.map_err(|error| chain(&error))?;
        let (good, bad) = (stats.hits(), stats.misses().values().sum());
        counted.insert(name.clone(), Counted { good, bad });
    }
    let now_ms = watcher.site.clock.now().as_millisecond();
    let lately = watcher.reads.add(now_ms, counted);
    let lately = lately.ok_or("it takes a second look to see how many reads come")?;
    let poor = |(name, counted): (&String, &Counted)| {
        let share = counted.share_good();
        let text = format!(
            "warmer `{name}`: {} of the last {} reads found something (limit {}); look: `brasa cache status {name}`",
            percent(share),
            counted.all(),
            percent(limit)
        );
        let is_poor = counted.all() >= READS_MIN && share < limit;
        is_poor.then(|| Trouble { name: "hit_rate", subject: Some(name.clone()), text })
    };
    Ok(lately.iter().filter_map(poor).collect())
}
