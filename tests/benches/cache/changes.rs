//! How long after a commit a reader sees it: from the return of COMMIT to the first plain GET without the old value.

use std::time::{Duration, Instant};

use anyhow::Result;
use brasa_shared::db::changes::{Dependency, triggers};
use brasa_tests::bench::{Bar, Row, median};

use super::ground::{Ground, until};

const WARM: &str = r#"
    [warm.item]
    for_each = { sql = "select id from items", params = ["id"] }
    sql = "select id, v as value from items where id = any($1)"
    key = "KEY:item:{id}"
    ttl = "1h"
    depends_on = ["items(id)"]
"#;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    ground.sql(
        "drop table if exists items; create table items (id int primary key, v int not null);
         insert into items select n, 0 from generate_series(1, 500) n; analyze items",
    )?;
    ground.wait(async {
        let mut connection = ground.world.pool.acquire().await?;
        let on = Dependency::parse("items(id)")?;
        triggers::install(&mut connection, &[on], Duration::from_secs(3)).await?;
        anyhow::Ok(())
    })?;
    ground.forget()?;
    let worker = ground.worker(WARM)?;
    until("everything is warm", || Ok(ground.wait(ground.namespace("item").extent())?.once >= 500))?;
    let count = if ground.is_quick { 300 } else { 2_000 };
    let (mut gone, mut back) = (Vec::new(), Vec::new());
    for n in 0..count {
        let (seen, refilled) = ground.wait(once(ground, n % 500 + 1, n / 500 + 1))?;
        gone.push(seen);
        back.push(refilled);
    }
    drop(worker);
    gone.sort_by(f64::total_cmp);
    let p99 = gone[gone.len() * 99 / 100];
    Ok(vec![
        Row::new("commit until no plain GET finds the old value, p99", "ms").ours(&Ok(p99)).bar(Bar::AtMost(100.0)).note(
            format!(
                "p50 {:.1} ms of {count}; the new value was there {:.1} ms after the commit (p50); without triggers it \
                 is the ttl",
                median(gone.iter().copied()),
                median(back)
            ),
        ),
    ])
}

/// Writes a row; returns after how many ms the old value was gone, and the new one there.
async fn once(ground: &Ground, id: i32, v: i32) -> Result<(f64, f64)> {
    let key = ground.key(&format!("item:{id}"));
    let (old, new) = ((v - 1).to_string(), v.to_string());
    let get = || async { ground.world.redis::<Option<String>>(redis::cmd("GET").arg(&key)).await };
    while get().await.as_deref() != Some(&old) {
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    // Not always at the same moment of the poll.
    tokio::time::sleep(Duration::from_micros(rand::random_range(0..30_000))).await;
    sqlx::query("update items set v = $2 where id = $1").bind(id).bind(v).execute(&ground.world.pool).await?;
    let begun = Instant::now();
    let mut gone = None;
    loop {
        let value = get().await;
        if value.as_deref() != Some(&old) && gone.is_none() {
            gone = Some(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        if value.as_deref() == Some(&new) {
            return Ok((gone.unwrap_or_default(), begun.elapsed().as_secs_f64() * 1_000.0));
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}
