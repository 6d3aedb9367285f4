//! Whether readers find what they look for, over minutes, with values that live 30 s and rows that are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use brasa_shared::db::changes::{Dependency, triggers};
use brasa_tests::bench::{Bar, Row};

use super::ground::{Ground, until};

const WARM: &str = r#"
    [warm.stock]
    for_each = { sql = "select id from stocks", params = ["id"] }
    sql = "select id, jsonb_build_object('v', v, 'more', repeat('x', 400)) as value from stocks where id = any($1)"
    key = "KEY:stock:{id}"
    ttl = "30s"
    refresh_ahead = "10s"
    depends_on = ["stocks(id)"]
"#;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let seconds = if ground.is_quick { 60 } else { 600 };
    ground.sql(
        "drop table if exists stocks; create table stocks (id int primary key, v int not null);
         insert into stocks select n, 0 from generate_series(1, 5000) n; analyze stocks",
    )?;
    ground.wait(async {
        let mut connection = ground.world.pool.acquire().await?;
        let on = Dependency::parse("stocks(id)")?;
        triggers::install(&mut connection, &[on], Duration::from_secs(3)).await?;
        anyhow::Ok(())
    })?;
    ground.forget()?;
    let worker = ground.worker(WARM)?;
    until("everything is warm", || Ok(ground.wait(ground.namespace("stock").extent())?.warm >= 5_000))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let writing = ground.runtime.spawn(write(ground.world.pool.clone(), Arc::clone(&is_over)));
    let base = (ground.key("stock:"), ground.key("plain-stock:"));
    let read = |mode: &str, base: &str, ttl: &str| {
        ground.readers(&[
            ("MODE", mode),
            ("WARMER", "stock"),
            ("BASE", base),
            ("COUNT", "5000"),
            ("ZIPF", "1.0"),
            ("TASKS", "50"),
            ("SECONDS", &seconds.to_string()),
            ("PAUSE_US", "100000"),
            ("TTL_MS", ttl),
            (
                "SQL",
                "select jsonb_build_object('v', v, 'more', repeat('x', 400))::text from stocks where id = $1",
            ),
        ])
    };
    let (ours, plain) = (read("plain", &base.0, "")?, read("blind", &base.1, "30000")?);
    let (ours, plain) = (ours.found()?, plain.found()?);
    is_over.store(true, Ordering::Relaxed);
    let writes = ground.wait(writing)?;
    drop(worker);
    let rate = |misses: f64, reads: f64| 100.0 * (1.0 - misses / reads);
    Ok(vec![
        Row::new(format!("hit rate of plain GETs over {seconds} s, ttl 30 s, with {writes} writes"), "%")
            .ours(&Ok(rate(ours.misses, ours.reads)))
            .beside("cache-aside, nothing invalidated", &Ok(rate(plain.misses, plain.reads)))
            .bar(Bar::AtLeast(99.0))
            .note(format!(
                "{:.0} and {:.0} reads; the other one serves values that are up to 30 s old",
                ours.reads, plain.reads
            )),
    ])
}

/// Writes ten rows per second, one at a time.
async fn write(pool: sqlx::PgPool, is_over: Arc<AtomicBool>) -> u64 {
    let mut writes = 0;
    while !is_over.load(Ordering::Relaxed) {
        let id: i32 = rand::random_range(1..=5_000);
        let update = sqlx::query("update stocks set v = v + 1 where id = $1").bind(id);
        writes += u64::from(update.execute(&pool).await.is_ok());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    writes
}
