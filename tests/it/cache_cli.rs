//! `brasa cache`, as a person or a script uses it.

mod input;
mod looking;
mod status;
mod triggers;
mod warming;

use std::time::Duration;

use brasa_shared::cache::{Answer, Asking, Caches, Entry, Standing, params_of};
use brasa_shared::db::migrate;
use brasa_tests::process::{Brasa, Running};
use brasa_tests::{World, eventually};
use redis::cmd;
use sqlx::AssertSqlSafe;

/// Things by their number, all of them; and their sizes when somebody asks. `KEY` stands for the world's prefix.
const CONFIG: &str = r#"
[warm.thing]
sql = "select id, jsonb_build_object('name', name) as value from things where id = any($1)"
for_each = { sql = "select id from things", params = ["id"] }
key = "KEY:thing:{id}"
ttl = "10m"
refresh_ahead = "1m"
tags = ["things"]
depends_on = ["things(id)"]
warm_on = []

[warm.size]
sql = "select id, size as value from things where id = any($1)"
params = ["id int4"]
key = "KEY:size:{id}"
ttl = "10m"
depends_on = ["public.things"]
warm_on = []
"#;

/// A world whose database has schema `brasa` and fifty things, and `brasa` for it.
async fn scene() -> (World, Brasa) {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    execute(
        &world,
        "create table things (id int primary key, name text not null, size int not null);
         insert into things select n, 'thing ' || n, n * 10 from generate_series(1, 50) n",
    )
    .await;
    let brasa = Brasa::configured(&world, &CONFIG.replace("KEY", &world.prefix));
    (world, brasa)
}

/// The same with a worker, and all things in the cache.
async fn warm_scene() -> (World, Brasa, Running) {
    let (world, brasa) = scene().await;
    let worker = brasa.start(["worker"]);
    let _warmed = brasa.run(["cache", "warm", "thing", "--wait=20s"]).await.with_code(0);
    (world, brasa, worker)
}

async fn execute(world: &World, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&world.pool).await.unwrap();
}

fn caches(world: &World) -> Caches {
    Caches::new(world.store.clone(), &world.prefix, world.clock.clone())
}

fn thing(world: &World, id: &str) -> String {
    format!("{}:thing:{id}", world.prefix)
}

/// Reads as a reader with the whole protocol does, and counts.
async fn read(world: &World, warmer: &str, id: &str) -> Answer {
    let entry = Entry { key: format!("{}:{warmer}:{id}", world.prefix), params: params_of(&[id]) };
    let asking = Asking { token: Some("t"), lease: Duration::from_secs(5), is_counted: true, hot: 1 };
    caches(world).namespace(warmer).read(&entry, asking).await.unwrap()
}

/// Reads until there is a value.
async fn read_until_there(world: &World, warmer: &str, id: &str) {
    eventually("a worker brings the value", async || {
        matches!(read(world, warmer, id).await.standing, Standing::Fresh | Standing::Stale)
    })
    .await;
}

/// What a plain client reads.
async fn get(world: &World, key: &str) -> Option<String> {
    world.redis(cmd("GET").arg(key)).await
}
