//! What a dashboard costs a request, and how soon it knows.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use brasa_jobs::catalog;
use brasa_tests::Worker;
use brasa_tests::bench::{Bar, Row, middle, ratios};

use super::{Ground, REPEATS};

/// How many reads a round has.
const READS: usize = 2_000;

pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    ground.sql(
        "create table seen (id bigint generated always as identity, at timestamptz not null, shop int not null);
         insert into seen (at, shop) select now() - n * interval '1 minute', n % 5 from generate_series(1, 100000) n;
         create index on seen (at)",
    )?;
    let (key, plain) = (format!("{}:board", ground.world.prefix), format!("{}:plain", ground.world.prefix));
    let text = format!(
        "[aggregates.seen]\nsource = \"seen\"\ntime = \"at\"\nby = [\"shop\"]\nmeasures = {{ n = \"count(*)\" }}\n\
         publish = {{ key = \"{key}:{{shop}}\", buckets = 31 }}\n"
    );
    ground.keep(&text, "seen")?;
    let worker = ground.wait(async {
        let mut settings = ground.world.settings(catalog(), &text);
        let pool = ground.world.another_pool(2, Duration::from_secs(5));
        settings.aggregates =
            Some(brasa_worker::aggregates::Settings { store: ground.world.store.apart(), pool });
        Worker::start(settings)
    });
    let board_key = format!("{key}:1");
    let (mut late, mut board, mut bare, mut query) = (vec![], vec![], vec![], vec![]);
    for round in 0..REPEATS {
        late.push(seen_ms(ground, &key, round)?);
        let figures: String =
            ground.wait(async { ground.world.redis(redis::cmd("GET").arg(&board_key)).await });
        ground.wait(async { ground.world.redis::<()>(redis::cmd("SET").arg(&plain).arg(&figures)).await });
        let [one, other] = ground.wait(async { reads_us(ground, &board_key, &plain).await })?;
        board.push(one);
        bare.push(other);
        query.push(ground.sql("select date_trunc('day', at), shop, count(*) from seen group by 1, 2")? * 1e6);
    }
    ground.wait(worker.drain());
    let (ratio, words) = ratios(&board, &bare);
    Ok(vec![
        Row::new("a row two years late is in what is published after", "ms")
            .ours(&middle(&late))
            .bar(Bar::AtMost(1_000.0)),
        Row::new("p99 of reading a dashboard", "µs")
            .ours(&middle(&board))
            .beside("GET of the same bytes", &middle(&bare))
            .note(words),
        Row::new("the same, the middle ratio of pairs", "x").ours(&ratio).bar(Bar::AtMost(1.2)),
        Row::new("the same as a query of 100,000 rows", "µs").ours(&middle(&query)),
    ])
}

/// How long it takes until a row that is two years late is published: it is the only one of its shop.
fn seen_ms(ground: &Ground, key: &str, round: usize) -> Result<f64> {
    let shop = 100 + round;
    let mut get = redis::cmd("GET");
    get.arg(format!("{key}:{shop}"));
    ground.sql(&format!("insert into seen (at, shop) values (now() - interval '2 years', {shop})"))?;
    let began = Instant::now();
    ground.wait(async {
        while ground.world.redis::<Option<String>>(&get).await.is_none() {
            ensure!(began.elapsed() < Duration::from_secs(20), "it is never published");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    })?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

async fn reads_us(ground: &Ground, one: &str, other: &str) -> Result<[f64; 2]> {
    let client = redis::Client::open(ground.world.redis_url.as_str())?;
    let mut line = client.get_multiplexed_async_connection().await?;
    let mut took = [Vec::with_capacity(READS), Vec::with_capacity(READS)];
    for _ in 0..READS {
        for (took, key) in took.iter_mut().zip([one, other]) {
            let began = Instant::now();
            redis::cmd("GET").arg(key).query_async::<String>(&mut line).await?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(took.map(|mut took| {
        took.sort_by(f64::total_cmp);
        took[READS * 99 / 100]
    }))
}
