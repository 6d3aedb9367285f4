//! Postgres, and what waits for it or in it.

use std::time::Duration;

use brasa_shared::db::outbox::OutboxTable;
use brasa_shared::db::{aggregates, writes};
use brasa_shared::place::Place;
use brasa_shared::streams::Streams;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::units::format_duration;
use sqlx::PgPool;

use super::look::{Look, POOL, Trouble, Watcher, percent};
use super::message::span;
use crate::aggregates::waiting;
use crate::database::review::{Severity, store};
use crate::site::Site;

/// Counts of others are shown to every role here, and not where sessions are listed.
const CONNECTIONS: &str = "select sum(numbackends)::float8 / current_setting('max_connections')::float8
    from pg_stat_database";

/// What is looked at over a connection.
const ASKED: [&str; 5] =
    ["outbox_waiting", "aggregate_lag", "writes_lag", "database_connections", "critical_recommendations"];

/// Looks at all that is watched of it.
pub(super) async fn look(watcher: &Watcher, look: &mut Look) {
    let (site, limits) = (&watcher.site, &watcher.site.config.alerts.limits);
    if let Some(limit) = limits.database_pool {
        look.take("database_pool", Ok(busy(site, limit)));
    }
    let names = watcher.watched();
    let asked: Vec<_> = ASKED.into_iter().filter(|name| names.contains(name)).collect();
    let Some(pool) = watcher.pool.as_ref().filter(|_| !asked.is_empty()) else { return };
    // One that is away is waited for once.
    if let Err(error) = pool.acquire().await {
        for name in asked {
            look.take(name, Err(chain(&error)));
        }
        return;
    }
    let told = |error: anyhow::Error| chain(&*error);
    if let Some(limit) = limits.outbox_waiting.filter(|_| site.config.outbox.enabled) {
        look.take("outbox_waiting", outbox(pool, limit).await.map_err(told));
    }
    if let Some(limit) = limits.aggregate_lag.filter(|_| !site.config.aggregates.is_empty()) {
        look.take("aggregate_lag", aggregate(pool, limit).await.map_err(told));
    }
    if let Some(limit) = limits.writes_lag.filter(|_| !site.config.writes.is_empty()) {
        look.take("writes_lag", written(site, pool, limit).await.map_err(told));
    }
    if let Some(limit) = limits.database_connections {
        look.take("database_connections", connections(pool, limit).await.map_err(told));
    }
    if let Some(limit) = limits.critical_recommendations {
        look.take("critical_recommendations", critical(pool, limit).await.map_err(told));
    }
}

/// Pools of this process.
fn busy(site: &Site, limit: f64) -> Vec<Trouble> {
    let uses = site.pools.uses().into_iter().filter(|(name, found)| *name != POOL && found.share() > limit);
    let trouble = |(name, found): (&str, brasa_shared::db::PoolUse)| {
        let (share, limit) = (percent(found.share()), percent(limit));
        let text = format!(
            "{} of {} connections of pool `{name}` are in use, which is {share} (limit {limit}); raise `[postgres.pool] max`",
            found.in_use, found.max
        );
        Trouble { name: "database_pool", subject: Some(name.to_owned()), text }
    };
    uses.map(trouble).collect()
}

async fn outbox(pool: &PgPool, limit: u64) -> anyhow::Result<Vec<Trouble>> {
    let table = OutboxTable::of(pool.clone());
    if !table.exists().await? {
        return Ok(Vec::new());
    }
    let waiting = u64::try_from(table.status().await?.waiting).unwrap_or(0);
    let text = format!(
        "{waiting} rows of the outbox are not in Redis yet (limit {limit}); look: `brasa outbox status`"
    );
    Ok((waiting > limit)
        .then_some(Trouble { name: "outbox_waiting", subject: None, text })
        .into_iter()
        .collect())
}

async fn aggregate(pool: &PgPool, limit: Duration) -> anyhow::Result<Vec<Trouble>> {
    let mut troubles = Vec::new();
    if !aggregates::exists(pool).await? {
        return Ok(troubles);
    }
    let mut connection = pool.acquire().await?;
    for version in aggregates::versions(&mut connection, None).await? {
        if version.state != aggregates::State::Live {
            continue;
        }
        let (rows, lag) = waiting(&mut connection, &version).await?;
        if rows > 0 && lag > limit {
            let (name, lag, limit) = (&version.name, span(lag), format_duration(limit));
            let text = format!(
                "aggregate `{name}`: {rows} changes wait, the oldest for {lag} (limit {limit}); look: `brasa aggregates status`"
            );
            troubles.push(Trouble { name: "aggregate_lag", subject: Some(name.clone()), text });
        }
    }
    Ok(troubles)
}

async fn written(site: &Site, pool: &PgPool, limit: Duration) -> anyhow::Result<Vec<Trouble>> {
    let mut troubles = Vec::new();
    if !writes::exists(pool).await? {
        return Ok(troubles);
    }
    let streams = Streams::new(site.store.clone(), &site.config.redis.prefix);
    let progress = writes::progress(pool, None).await?;
    let now_ms = site.clock.now().as_millisecond();
    for (name, write) in &site.config.writes {
        let mut longest = Duration::ZERO;
        for part in 0..i32::try_from(write.partitions).unwrap_or(i32::MAX) {
            let known = progress.iter().find(|known| known.stream.name == *name && known.stream.part == part);
            let done = known.map_or_else(Place::default, |known| known.place);
            let next = streams.read(name, part, done, 1).await?;
            let waited = next.first().and_then(|entry| u64::try_from(now_ms - entry.place.ms).ok());
            longest = longest.max(Duration::from_millis(waited.unwrap_or(0)));
        }
        if longest > limit {
            let (lag, limit) = (span(longest), format_duration(limit));
            let text = format!(
                "writes `{name}`: a row has been waiting for {lag} (limit {limit}); look: `brasa writes status`"
            );
            troubles.push(Trouble { name: "writes_lag", subject: Some(name.clone()), text });
        }
    }
    Ok(troubles)
}

async fn connections(pool: &PgPool, limit: f64) -> anyhow::Result<Vec<Trouble>> {
    let share: Option<f64> = sqlx::query_scalar(CONNECTIONS).fetch_one(pool).await?;
    let share = share.unwrap_or(0.0);
    let text = format!(
        "{} of the connections that Postgres takes are in use (limit {}); look: `brasa doctor`",
        percent(share),
        percent(limit)
    );
    let trouble = Trouble { name: "database_connections", subject: None, text };
    Ok((share > limit).then_some(trouble).into_iter().collect())
}

async fn critical(pool: &PgPool, limit: u64) -> anyhow::Result<Vec<Trouble>> {
    let mut connection = pool.acquire().await?;
    if store::obstacle(&mut connection).await?.is_some() {
        return Ok(Vec::new());
    }
    let open = store::list(&mut connection, false).await?;
    let mut open = open.iter().filter(|kept| kept.recommendation.severity == Severity::Critical);
    let Some(first) = open.next() else { return Ok(Vec::new()) };
    let count = u64::try_from(open.count()).unwrap_or(u64::MAX).saturating_add(1);
    let text = format!(
        "{count} critical recommendation(s) about the database are open, first of all: {}; look: `brasa db recommendations`",
        first.recommendation.title
    );
    let trouble = Trouble { name: "critical_recommendations", subject: None, text };
    Ok((count >= limit).then_some(trouble).into_iter().collect())
}
