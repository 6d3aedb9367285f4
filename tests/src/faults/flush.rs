//! Writers of batches are killed, Redis and Postgres among them, while rows are handed over: each is written once.

use std::time::{Duration, Instant};

use brasa::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer, Scratch};
use brasa_shared::db::migrate;
use brasa_shared::streams::{ADD_MAX, Room, Streams};
use rand::RngExt as _;

use super::crew::Crew;
use super::{LIMIT, Plan, Report};
use crate::World;
use crate::process::{Brasa, within};

/// How many rows are handed over between two kills.
const ROWS: u32 = 300;
/// How many go to the table whose batches are as large as they may be.
const CROWD: u32 = 2_500;
/// One kill in so many is one of Redis, and one of Postgres.
const SHARES: (u32, u32) = (25, 40);
/// The longest time between two kills. A stream is its owner's for a second; then the other one takes it over.
const PAUSE_MS: u64 = 1_200;

const CONFIG: &str = r#"
[worker]
lease = "1s"
[outbox]
enabled = false
[writes.visits]
table = "visits"
batch = 100
[writes.pages]
table = "pages"
mode = "counter"
key = ["page"]
[writes.crowd]
table = "crowd"
"#;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let data = Scratch::new().expect("a folder for the data of Redis");
    // A row that was handed over outlives Redis: what it may lose otherwise is a matter of its own settings.
    let always = vec![("appendfsync".to_owned(), "always".to_owned())];
    let options =
        RedisOptions { dir: Some(data.path().to_owned()), extra: always, ..RedisOptions::default() };
    let mut redis = RedisServer::start(options).expect("a Redis");
    let mut postgres = PostgresServer::start(PostgresOptions::default()).expect("a Postgres");
    let world = World::on_servers(redis.url(), &postgres.url("postgres")).await;
    migrate(&world.pool).await.expect("schema brasa");
    // No index keeps a row from being there twice.
    world
        .execute(
            "create table visits (id int, page text); create table crowd (id int, page text);
            create table pages (page text primary key, hits int)",
        )
        .await;
    let streams = Streams::new(world.store.clone(), &world.prefix);
    let brasa = Brasa::configured(&world, CONFIG).from_binary("team-brasa").env("RUST_LOG", "warn");
    let mut crew = Crew::start(brasa, 2);
    let mut restarts = (0_u32, 0_u32);
    for round in 1..=plan.rounds {
        hand_over(&streams, round).await;
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(0..PAUSE_MS))).await;
        if round % SHARES.0 == 0 {
            redis.kill().expect("Redis is killed");
            redis.restart().expect("Redis starts again");
            restarts.0 += 1;
        }
        if round % SHARES.1 == 0 {
            postgres.kill().expect("Postgres is killed");
            postgres.restart().expect("Postgres starts again");
            restarts.1 += 1;
        }
        crew.kill_any(&mut plan.dice).await;
    }
    judge(&world, &mut report).await;
    report.note(format!("Redis was killed {} times, Postgres {}", restarts.0, restarts.1));
    crew.dismiss().await;
    report
}

/// Hands over the rows of a round; an application asks again where Redis did not answer, which is told apart.
async fn hand_over(streams: &Streams, round: u32) {
    let row = |id: u32| format!(r#"{{"id": {id}, "page": "/{}"}}"#, id % 10);
    let hit = |id: u32| format!(r#"{{"page": "/{}", "hits": 1}}"#, id % 10);
    let these = |count: u32| (round - 1) * count..round * count;
    let rows: [(&str, Vec<String>); 3] = [
        ("visits", these(ROWS).map(row).collect()),
        ("pages", these(ROWS).map(hit).collect()),
        ("crowd", these(CROWD).map(row).collect()),
    ];
    let room = Room { entries: 10_000_000, drops_oldest: false };
    for (name, rows) in &rows {
        for rows in rows.chunks(ADD_MAX) {
            let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
            within(LIMIT, "rows are handed over", async || streams.add(name, 0, &rows, room).await.ok())
                .await;
        }
    }
}

/// Waits until everything is written, and holds it against what was handed over.
async fn judge(world: &World, report: &mut Report) {
    let began = Instant::now();
    let pool = world.another_pool(2, Duration::from_secs(10));
    let count =
        async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&pool).await.unwrap_or(-1);
    let (handed, crowd) = (i64::from(report.rounds * ROWS), i64::from(report.rounds * CROWD));
    within(LIMIT, "everything is written", async || {
        let entries = count("select coalesce(sum(entries), 0)::bigint from brasa.write_offsets").await;
        (entries >= 2 * handed + crowd).then_some(())
    })
    .await;
    report.drained = began.elapsed();
    let all = count("select (select count(*) from visits) + (select count(*) from crowd)").await;
    let different =
        count("select (select count(distinct id) from visits) + (select count(distinct id) from crowd)")
            .await;
    let hits = count("select coalesce(sum(hits), 0)::bigint from pages").await;
    report.acknowledged = usize::try_from(2 * handed + crowd).unwrap_or(0);
    report.executions = usize::try_from(all + hits).unwrap_or(0);
    report.lost = usize::try_from(handed + crowd - different).unwrap_or(0);
    report.doubled = usize::try_from(all - different).unwrap_or(0);
    report.demand(hits == handed, format!("{hits} hits were counted of {handed}"));
    let epochs = count("select sum(epoch)::bigint from brasa.write_offsets").await;
    report.demand(
        epochs > i64::from(report.rounds) / 4,
        format!("only {epochs} writers owned a stream: that proves nothing"),
    );
    report.note(format!("{handed} rows each, {crowd} in large batches, {epochs} owners of a stream"));
}
