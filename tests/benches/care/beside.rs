//! What the application's own transactions feel while one of its indexes is rebuilt again and again, and what deleting a
//! million rows takes a batch.

use anyhow::{Context as _, Result, ensure};
use brasa_jobs::database::rebuild::{Built, Run, run};
use brasa_jobs::database::session::{Session, Until};
use brasa_jobs::database::{Batches, parts};
use brasa_shared::config::{Config, Indexes, Upserts};
use brasa_shared::db::migrate;
use brasa_tests::bench::{Bar, Pgbench, Row, middle, ratios};
use tokio_util::sync::CancellationToken;

use super::Ground;

/// How often it is measured.
const REPEATS: usize = 7;
/// Transactions a second: what the machine bears, so that what is measured is not a queue of pgbench's own.
const RATE: &str = "300";

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    ground.wait(migrate(&ground.world.pool))?;
    let pgbench = Pgbench::new(ground.world.folder(), &ground.world.database_url)?;
    let seconds = if ground.is_quick { 5 } else { 15 };
    let (mut alone, mut beside, mut naive, mut rebuilt) = (vec![], vec![], vec![], 0);
    for _ in 0..REPEATS {
        alone.push(p99(&pgbench, seconds, || Ok(()))?);
        beside.push(p99(&pgbench, seconds, || {
            rebuilt += 1;
            rebuild(ground)
        })?);
        naive.push(p99(&pgbench, seconds, || ground.sql("reindex index pgbench_accounts_pkey").map(drop))?);
    }
    let (ratio, words) = ratios(&beside, &alone);
    let (unbound, more) = ratios(&naive, &alone);
    let row =
        Row::new("p99 of pgbench while an index is rebuilt, the middle ratio of pairs", "x").ours(&ratio);
    Ok(vec![
        Row::new("p99 of pgbench while an index is rebuilt", "ms")
            .ours(&middle(&beside))
            .beside("pgbench alone", &middle(&alone))
            .note(format!("{rebuilt} rebuilds, no transaction failed; {words}")),
        row.beside("plain REINDEX", &unbound).bar(Bar::AtMost(1.5)).note(more),
    ])
}

/// Rows that have expired, of which a tenth has not.
pub(super) fn prune(ground: &Ground) -> Result<Vec<Row>> {
    let count = if ground.is_quick { 100_000 } else { 1_100_000 };
    ground.sql(&format!(
        "create table sessions (id int, expires_at timestamptz not null, data text);
         insert into sessions select n, now() + case when n % 11 = 0 then interval '1 day' else n * interval '-1 second' end,
             md5(n::text) from generate_series(1, {count}) n;
         create index on sessions (expires_at)"
    ))?;
    let config = "[maintenance.prune.sessions]\ntable = \"sessions\"\nwhere = \"expires_at < now()\"\norder_by = \"expires_at\"";
    let config = Config::parse(config, std::path::Path::new("bench.toml"), &|_| None)
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let prune = &config.maintenance.prune["sessions"];
    let done = ground.wait(async {
        let mut connection = ground.world.pool.acquire().await?;
        let mut batches = Batches::new(prune);
        for part in parts(&mut connection, prune).await? {
            while let Some(pause) = batches.step(&mut connection, &part).await? {
                tokio::time::sleep(pause).await;
            }
        }
        anyhow::Ok(batches.done)
    })?;
    let ms = |hundredths| done.percentile(hundredths).as_secs_f64() * 1e3;
    Ok(vec![
        Row::new(format!("p95 of a batch of {} rows that expired", done.rows), "ms")
            .ours(&Ok(ms(95)))
            .bar(Bar::AtMost(100.0))
            .note(format!("{} batches, the longest {:.0} ms", done.took.len(), ms(100))),
    ])
}

fn rebuild(ground: &Ground) -> Result<()> {
    ground.wait(async {
        let pool = &ground.world.pool;
        let mut session = Session::open(&Config::default(), Some(pool)).await?;
        let mut notes = pool.acquire().await?;
        let rules = Indexes { size_min: 0, gain_min: 0, upserts: Upserts::Retry, ..Indexes::default() };
        let until = Until { deadline: None, stop: CancellationToken::new() };
        let named = ["pgbench_accounts_pkey".to_owned()];
        let wanted = Run { rules: &rules, named: &named, agreed: None, actor: "bench", until };
        let report = run(&mut session, &mut notes, &wanted, |_| ()).await?;
        session.close().await;
        let (_, built) = report.built.first().context("nothing was rebuilt")?;
        ensure!(matches!(built, Built::Done { .. }), "it came to {built:?}");
        Ok(())
    })
}

/// The 99th percentile of the latency of transactions in ms, while something is done again and again.
fn p99(pgbench: &Pgbench, seconds: u32, meanwhile: impl FnMut() -> Result<()>) -> Result<f64> {
    Ok(pgbench.run(&["-N", "-c", "8"], (RATE, seconds), meanwhile)?.percentile(99))
}
