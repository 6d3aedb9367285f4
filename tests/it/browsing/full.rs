//! A dashboard that has something on every page.

use brasa_shared::cache::Caches;
use brasa_shared::queue::State;
use brasa_tests::process::Brasa;
use brasa_tests::{World, eventually};
use redis::cmd;
use serde_json::json;

use super::Scene;

/// Some of everything that can be configured.
const CONFIG: &str = r#"
[queues.default]
[queues.mail]
[sql.wrong]
sql = "select 1/0"
[sql.shaky]
sql = "select 1/n from divisors"
[sql.fine]
sql = "select 1"
[schedules.nightly]
job = "sql.run"
args = { name = "fine" }
cron = "30 3 * * *"
[warm.thing]
sql = "select id, jsonb_build_object('name', name) as value from things where id = any($1)"
for_each = { sql = "select id from things", params = ["id"] }
key = "KEY:thing:{id}"
ttl = "10m"
warm_on = []
[aggregates.daily]
source = "sales"
time = "at"
by = ["shop"]
measures = { n = "count(*)", units = "sum(total)" }
every = "1h"
[writes.visits]
table = "visits"
[maintenance.indexes]
min_size = "64KiB"
min_gain = "64KiB"
bloat = 20
[web]
"#;

/// What it is about.
const TABLES: &str = "create table divisors (n int not null);
    insert into divisors values (0);
    create table things (id int primary key, name text not null);
    insert into things select n, 'thing ' || n from generate_series(1, 50) n;
    create table sales (at timestamptz not null, shop text not null, total int not null);
    insert into sales select '2026-03-01Z'::timestamptz + n * interval '1 hour', 'a', n from generate_series(1, 100) n;
    create table visits (id int primary key, page varchar(20) not null);
    create table nearly_full (id serial primary key);
    select setval('nearly_full_id_seq', 2147000000);
    create table waste (id bigint primary key, body text) with (autovacuum_enabled = off);
    insert into waste select n, repeat('x', 60) || n from generate_series(1, 20000) n;
    create index waste_body on waste (body);
    delete from waste where id % 10 < 9;
    vacuum analyze waste";

/// What nobody has vacuumed or analyzed.
const NEGLECTED: &str = "create table gone (n int) with (autovacuum_enabled = off);
    insert into gone select generate_series(1, 12000);
    delete from gone where n > 100;
    create table fresh (n int) with (autovacuum_enabled = off);
    insert into fresh select generate_series(1, 1000)";

impl Scene {
    /// A dashboard with failures, and something else on every page; nothing where there is no browser.
    pub(super) async fn full() -> Option<Self> {
        let scene = Self::prepared(CONFIG, prepare).await?;
        for row in
            [r#"{"id": 1, "page": "/"}"#, r#"{"id": 6, "page": "a page that is too long"}"#, r#"{"id": 7}"#]
        {
            scene.write(row).await;
        }
        for name in ["wrong", "wrong", "shaky", "fine"] {
            scene.world.enqueue("sql.run", json!({ "name": name })).await;
        }
        let mut later = scene.world.job("sql.run", &json!({ "name": "fine" }));
        later.due = Some(scene.world.clock.now().as_millisecond() + 3_600_000);
        scene.world.queue("default").enqueue(&later).await.unwrap();
        drop(scene.brasa.run(["cache", "warm", "thing", "--wait=20s"]).await.with_code(0));
        let world = &scene.world;
        let caches = Caches::new(world.store.clone(), &world.prefix, world.clock.clone());
        let counters = [("read_fresh", 30), ("read_cold", 6)].map(|(name, by)| (name.to_owned(), by));
        caches.namespace("thing").count(&counters, &[]).await.unwrap();
        eventually("the jobs are dead, and the rows", async || {
            world.counts().await.dead == 3 && scene.dead_rows().await.len() == 2
        })
        .await;
        Some(scene)
    }

    /// Hands over a row as any application does.
    pub(super) async fn write(&self, row: &str) {
        let key = format!("{}:writes:{{visits:0}}", self.world.prefix);
        self.world.redis::<String>(cmd("XADD").arg(key).arg("*").arg("d").arg(row)).await;
    }

    /// The numbers of the rows that could not be written, in the order in which they came.
    pub(super) async fn dead_rows(&self) -> Vec<i64> {
        let rows = self.world.rows("select id from brasa.write_dead order by id").await;
        rows.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }

    /// So many jobs that died of what can be mended; the ids.
    pub(super) async fn dead_of_what_can_be_mended(&self, count: usize) -> Vec<String> {
        self.world.execute("update divisors set n = 0").await;
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.world.enqueue("sql.run", json!({ "name": "shaky" })).await);
        }
        for id in &ids {
            self.world.is(id, State::Dead).await;
        }
        self.world.execute("update divisors set n = 1").await;
        ids
    }
}

async fn prepare(world: &World, brasa: &Brasa) {
    // One at a time, as VACUUM is in no transaction; and what changed is counted before it comes, and not afterwards.
    for statement in TABLES.split(';').map(str::trim) {
        if statement.starts_with("vacuum") {
            world.execute(statement).await;
        } else {
            world.execute_counted(statement).await;
        }
    }
    world.execute_counted(NEGLECTED).await;
    for verb in [["aggregates", "install", "daily"], ["aggregates", "backfill", "daily"]] {
        drop(brasa.run(verb).await.with_code(0));
    }
    drop(brasa.run(["db", "review"]).await.with_code(0));
}
