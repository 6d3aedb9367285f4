//! 500 readers of one value in four processes, when it ends: how often its source is asked.

use std::time::Duration;

use anyhow::Result;
use brasa_tests::bench::{Bar, Figure, Row, middle, pause};

use super::ground::{Ground, until};

/// The processes, and the readers of each.
const FLEET: (usize, usize) = (4, 125);
/// The source: it takes 200 ms, and its calls are counted as soon as they are over (Postgres 15 and newer).
const SOURCE: &str = "create or replace function source(n int) returns text language plpgsql as $$
    begin perform pg_sleep(0.2); perform pg_stat_force_next_flush(); return 'value ' || n || ' ' || clock_timestamp(); end $$";
/// A value that is fresh for a second, and whose end nobody notices.
const WARM: &str = r#"
    [warm.hot]
    sql = "select n, source(n) as value from unnest($1::int[]) n"
    params = ["n"]
    key = "KEY:hot:{n}"
    ttl = "1s"
    jitter = "0s"
    stale = "10s"
    [cache]
    loaders = 4
"#;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    ground.sql(SOURCE)?;
    let worker = ground.worker(WARM)?;
    let (mut cold, mut warm, mut everyone, mut shared) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ground.repeats {
        // Cold: nothing is there. The readers end before the value does.
        ground.world_del("hot:1")?;
        cold.push(loads(ground, "cache", "hot:", 0.9)?);
        // Warm: the value ceases to be fresh once while they read.
        ground.settle("hot:1")?;
        warm.push(loads(ground, "cache", "hot:", 1.0)?);
        for (mode, all) in [("blind", &mut everyone), ("blind-shared", &mut shared)] {
            ground.world_del("naive:1")?;
            all.push(loads(ground, mode, "naive:", 0.9)?);
        }
    }
    drop(worker);
    let row = |name: &str, ours: &[f64]| {
        Row::new(name, "loads").ours(&mean(ours)).bar(Bar::AtMost(1.05)).note(format!(
            "{} readers in {} processes, a source of 200 ms; at most {} in {} rounds",
            FLEET.0 * FLEET.1,
            FLEET.0,
            ours.iter().copied().fold(0.0, f64::max),
            ours.len()
        ))
    };
    Ok(vec![
        row("loads per expiry, cold", &cold).beside("everyone loads", &middle(&everyone)),
        row("loads per expiry, cold", &cold).beside("one per process", &middle(&shared)),
        row("loads per expiry, warm", &warm).beside("everyone loads", &middle(&everyone)),
    ])
}

/// All of them count, also the worst.
fn mean(values: &[f64]) -> Figure {
    #[expect(clippy::cast_precision_loss, reason = "a few rounds")]
    let count = values.len() as f64;
    if values.is_empty() { middle(values) } else { Ok(values.iter().sum::<f64>() / count) }
}

/// How often the source is asked while the fleet reads for so long.
fn loads(ground: &Ground, mode: &str, base: &str, seconds: f64) -> Result<f64> {
    let before = calls(ground)?;
    let tasks = FLEET.1.to_string();
    let settings = [
        ("MODE", mode),
        ("WARMER", "hot"),
        ("BASE", &ground.key(base)),
        ("TASKS", &tasks),
        ("POOL", &tasks),
        ("SECONDS", &seconds.to_string()),
        ("PAUSE_US", "5000"),
        ("TTL_MS", "10000"),
        ("SQL", "select source($1)"),
    ];
    let fleet = (0..FLEET.0).map(|_| ground.readers(&settings)).collect::<Result<Vec<_>>>()?;
    for readers in fleet {
        readers.found()?;
    }
    // The counters of Postgres come a little later than what they count.
    pause(Duration::from_millis(1_200));
    Ok(calls(ground)? - before)
}

fn calls(ground: &Ground) -> Result<f64> {
    ground.number(
        "select coalesce(sum(calls), 0)::float8 from pg_stat_user_functions where funcname = 'source'",
    )
}

impl Ground {
    /// Deletes a value and everything that is known about it, once nobody loads it.
    pub(super) fn world_del(&self, rest: &str) -> Result<()> {
        let key = self.key(rest);
        until("nobody loads it", || Ok(self.wait(self.caches().look(&key))?.lease.is_none()))?;
        let keys = self.caches().entry(&key);
        let mut delete = redis::cmd("DEL");
        delete.arg(&[keys.value, keys.note, keys.guard]);
        self.wait(async { self.world.store.run::<i64>("delete", &delete).await })?;
        Ok(())
    }

    /// Reads a value until it is there and fresh.
    fn settle(&self, rest: &str) -> Result<()> {
        let key = self.key(rest);
        until("the value is there", || {
            let found = self
                .readers(&[
                    ("MODE", "whole"),
                    ("WARMER", "hot"),
                    ("BASE", key.trim_end_matches('1')),
                    ("SECONDS", "0.02"),
                ])?
                .found()?;
            Ok(found.reads > 0.0 && found.misses == 0.0)
        })
    }
}
