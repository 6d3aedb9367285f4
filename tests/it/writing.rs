//! Rows that applications hand over with a plain `XADD`, and that workers write in batches.

mod command;
mod crashing;
mod crowding;
mod merging;
mod numbering;
mod portioning;
mod refusing;

use std::time::Duration;

use brasa_jobs::catalog;
use brasa_shared::db::migrate;
use brasa_shared::db::writes::{Dead, Progress, dead, progress};
use brasa_shared::streams::{Added, Room, Streams, part_of};
use brasa_tests::{Worker, World, eventually};
use redis::cmd;

/// Visits, appended; and how many there were of each page, with the last title and the highest load.
pub(crate) const CONFIG: &str = r#"
[writes.visits]
table = "visits"

[writes.pages]
table = "pages"
mode = "upsert"
key = ["page"]
merge = { hits = "sum", peak = "max", first = "first" }
"#;

/// A world whose database has the tables.
pub(crate) async fn scene() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world
        .execute(
            "create table visits (id int primary key, page varchar(20) not null, took numeric(6, 1),
             tags text[], more jsonb, at timestamptz not null default now(), note text default 'none');
         create table pages (page text primary key, hits int, peak int, title text, first text)",
        )
        .await;
    world
}

pub(crate) fn start(world: &World, config: &str) -> Worker {
    let mut settings = world.settings(catalog(), config);
    let pool = world.another_pool(4, Duration::from_secs(5));
    settings.writes = Some(brasa_worker::writes::Settings { store: world.store.apart(), pool });
    Worker::start(settings)
}

fn streams(world: &World) -> Streams {
    Streams::new(world.store.clone(), &world.prefix)
}

/// Hands over a row as any application does.
pub(crate) async fn add(world: &World, name: &str, row: &str) {
    let key = format!("{}:writes:{{{name}:0}}", world.prefix);
    world.redis::<String>(cmd("XADD").arg(key).arg("*").arg("d").arg(row)).await;
}

/// Waits until so many entries of a name are written or buried.
pub(crate) async fn done(world: &World, name: &str, entries: i64) {
    eventually(&format!("{entries} entries of {name} are done"), async || {
        state(world, name).await.is_some_and(|progress| progress.done.entries == entries)
    })
    .await;
}

async fn state(world: &World, name: &str) -> Option<Progress> {
    progress(&world.pool, Some(name)).await.unwrap().pop()
}

/// What was buried of a name.
async fn buried(world: &World, name: &str) -> Vec<Dead> {
    dead(&world.pool, Some(name), None, 1_000).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_with_defaults_for_what_they_do_not_name_and_leave_the_stream() {
    let world = scene().await;
    let worker = start(&world, CONFIG);

    add(
        &world,
        "visits",
        r#"{"id": 1, "page": "/", "took": 12.34, "tags": ["a", "b,c"], "more": {"x": [1]}}"#,
    )
    .await;
    add(&world, "visits", r#"{"id": "2", "page": "/é", "note": null, "at": "2013-01-01T05:00:00Z"}"#).await;
    done(&world, "visits", 2).await;

    let found = world.rows("select id, page, took, tags, more, note, at < now() - interval '1 year' as old from visits order by id").await;
    let wanted = serde_json::json!([
        { "id": 1, "page": "/", "took": 12.3, "tags": ["a", "b,c"], "more": { "x": [1] }, "note": "none", "old": false },
        { "id": 2, "page": "/é", "took": null, "tags": null, "more": null, "note": null, "old": true },
    ]);
    assert_eq!(found, wanted);
    eventually("the stream is empty", async || {
        streams(&world).extent("visits", 0).await.unwrap().entries == 0
    })
    .await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_a_batch_are_written_in_their_order() {
    let world = scene().await;
    world.execute("alter table visits add column place bigint generated always as identity").await;
    let rows_given: Vec<Vec<u8>> =
        (0..2_500).map(|id| format!(r#"{{"id": {id}, "page": "/{}"}}"#, id % 7).into_bytes()).collect();
    let room = Room { entries: 10_000, drops_oldest: false };
    for part in rows_given.chunks(500) {
        let part: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
        streams(&world).add("visits", 0, &part, room).await.unwrap();
    }
    let config = CONFIG.replace("table = \"visits\"", "table = \"visits\"\nbatch = 1000");
    let worker = start(&world, &config);

    done(&world, "visits", 2_500).await;

    let found = world
        .rows("select count(*) as n, count(*) filter (where place = id + 1) as ordered from visits")
        .await;
    assert_eq!(found, serde_json::json!([{ "n": 2_500, "ordered": 2_500 }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_streams_and_write_nothing_twice() {
    let world = scene().await;
    let config =
        CONFIG.replace("table = \"visits\"", "table = \"visits\"\npartitions = 4\norder_by = [\"page\"]");
    let workers = [start(&world, &config), start(&world, &config)];
    let room = Room { entries: 10_000, drops_oldest: false };
    for id in 0..400 {
        let row = format!(r#"{{"id": {id}, "page": "/{}"}}"#, id % 10);
        let part = part_of(&[&format!("/{}", id % 10)], 4);
        let part = i32::try_from(part).unwrap();
        streams(&world).add("visits", part, &[row.as_bytes()], room).await.unwrap();
    }

    eventually("all are written", async || {
        world.rows("select count(*) as n from visits").await == serde_json::json!([{ "n": 400 }])
    })
    .await;
    assert_eq!(buried(&world, "visits").await, []);
    for worker in workers {
        worker.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_takes_no_rows_or_lets_the_oldest_go_as_it_was_asked_to() {
    let world = scene().await;
    let streams = streams(&world);
    let rows: Vec<&[u8]> = vec![b"{}"; 6];
    let room = |drops_oldest| Room { entries: 10, drops_oldest };
    assert_eq!(streams.add("visits", 0, &rows, room(false)).await.unwrap(), Added::Done { dropped: 0 });
    assert_eq!(streams.add("visits", 0, &rows, room(false)).await.unwrap(), Added::Full);
    assert_eq!(streams.extent("visits", 0).await.unwrap().entries, 6);
    assert_eq!(streams.add("visits", 0, &rows, room(true)).await.unwrap(), Added::Done { dropped: 2 });
    assert_eq!(streams.extent("visits", 0).await.unwrap().entries, 10);
}
