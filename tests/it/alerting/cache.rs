//! The cache and what it is kept in: from when on they are told of.

use brasa::servers::{RedisOptions, RedisServer};
use brasa_shared::cache::Caches;
use brasa_tests::World;
use redis::cmd;

use super::looks::Eye;

const BOARD: &str = r#"
[warm.board]
sql = "select 1 as id, 2 as value where 1 = any($1)"
params = ["id"]
key = "board:{id}"
ttl = "1h"
"#;

/// Readers found something so often, and nothing so often.
async fn read(world: &World, found: u64, not: u64) {
    let caches = Caches::new(world.store.clone(), &world.prefix, world.clock.clone());
    let counters = [("read_fresh".to_owned(), found), ("read_cold".to_owned(), not)];
    caches.namespace("board").count(&counters, &[]).await.unwrap();
}

#[tokio::test]
async fn a_warmer_whose_readers_find_too_little_is_told_from_a_hundred_reads_on() {
    let world = World::of_queues();
    let mut eye = Eye::of(&world, "hit_rate", "0.8", BOARD);
    read(&world, 1, 999).await;
    eye.begins().await;

    read(&world, 70, 29).await;
    eye.is_quiet("99 reads are too few to judge").await;
    read(&world, 50, 1).await;
    eye.is_quiet("four of five are enough").await;
    read(&world, 0, 1).await;
    eye.fires("board: warmer `board`: 79.5 % of the last 151 reads found something (limit 80 %)").await;
}

#[tokio::test]
async fn a_redis_that_is_nearly_full_is_told_and_one_without_a_limit_never_is() {
    let options = RedisOptions { append_only: false, ..RedisOptions::default() };
    let redis = RedisServer::start(options).unwrap();
    let world = World::on_redis(redis.url());
    let mut eye = Eye::of(&world, "redis_memory", "0.85", "");
    let limit = async |bytes: &str| {
        world.redis::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes)).await;
    };
    eye.is_quiet("there is no limit").await;
    limit("100mb").await;
    eye.is_quiet("it uses next to nothing").await;
    limit("500kb").await;
    eye.fires(": Redis uses ").await;
    limit("0").await;
    eye.is_quiet("there is no limit any more").await;
}
