//! How much values take: real flights of 300 B to 4 KB of JSON, as text, packed by themselves, and with a dictionary.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use brasa_jobs::Reach;
use brasa_jobs::cache::{Filler, Wanted};
use brasa_tests::bench::{Bar, Row};

use super::ground::Ground;

/// Lists of so many flights, which are so long: 1 is about 300 bytes.
const SIZES: [(u32, &str); 4] = [(1, "300 B"), (3, "1 KB"), (6, "2 KB"), (12, "4 KB")];

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    SIZES.iter().map(|&(flights, name)| ground.wait(row(ground, flights, name))).collect()
}

async fn row(ground: &Ground, flights: u32, name: &str) -> Result<Row> {
    let text = format!(
        r#"
        [warm.list]
        for_each = {{ sql = "select generate_series(1, 2000) as n", params = ["n"] }}
        sql = """
        select k.n, (select jsonb_agg(f) from (select * from flights where origin = 'JFK'
            order by time_hour offset k.n * 37 limit {flights}) f) as value
        from unnest($1::int[]) k(n)
        """
        key = "KEY:list{flights}:{{n}}"
        ttl = "1h"
        codec = "zstd"
        warm_on = []
        "#
    );
    let config = ground.world.config(&ground.config(&text));
    let warmer = config.warm.get("list").context("the warmer")?.clone();
    let pool = Some(ground.world.pool.clone());
    let reach = Reach::new(Arc::new(config), pool, ground.world.store.apart(), ground.world.clock.clone());
    let loaders = reach.loaders().context("Postgres")?;
    loaders.ensure_epoch().await?;
    ground.world.redis::<i64>(redis::cmd("DEL").arg(&loaders.caches.keys().packed_with)).await;
    let filler = Filler::new(loaders, "list", &warmer, "bench");
    let (mut raw, mut stored, mut beside, mut plain) = (0.0, 0.0, 0.0, 0.0);
    let numbers: Vec<u32> = (1..=1_000).collect();
    for (place, numbers) in numbers.chunks(200).enumerate() {
        let wanted = numbers.iter().map(|n| Wanted { texts: vec![n.to_string()], token: None }).collect();
        filler.fill(wanted).await?;
        // The first ones are what the dictionary is learned from.
        if place == 0 {
            continue;
        }
        for n in numbers {
            let keys = loaders.caches.entry(&format!("{}:list{flights}:{n}", ground.world.prefix));
            let value: Vec<u8> = ground.world.redis(redis::cmd("GET").arg(&keys.value)).await;
            let note: f64 = ground.world.redis(redis::cmd("MEMORY").arg("USAGE").arg(&keys.note)).await;
            let text = brasa_shared::cache::decode(&value, loaders.dictionaries(), 1 << 20)?;
            #[expect(clippy::cast_precision_loss, reason = "lengths of values")]
            {
                raw += text.len() as f64;
                stored += value.len() as f64;
                plain += zstd::bulk::compress(&text, 3)?.len() as f64;
            }
            beside += note;
        }
    }
    Ok(Row::new(format!("stored bytes of {name} of JSON, of its length"), "share")
        .ours(&Ok(stored / raw))
        .beside("zstd without a dictionary", &Ok(plain / raw))
        .bar(Bar::AtMost(0.30))
        .note(format!(
            "{:.0} B of text become {:.0} B; what is known about a value takes {:.0} B of memory beside it",
            raw / 800.0,
            stored / 800.0,
            beside / 800.0
        )))
}
