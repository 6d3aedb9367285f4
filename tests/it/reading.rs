//! What applications read from the cache, and what they are spared.
//!
//! The engine stands in for workers here: it leases and fills as they do.

use std::time::Duration;

use brasa_shared::cache::reader::Builder;
use brasa_shared::cache::{
    Ask, Cache, Caches, Cause, Content, Description, Entry, Filled, Filling, Namespace, PROTOCOL, Source,
    params_of,
};
use brasa_tests::{World, eventually};

mod away;
mod counting;
mod finding;
mod local;
mod many;
mod waiting;

/// A warmer of departure boards, and a world for it.
struct Scene {
    world: World,
    caches: Caches,
    boards: Namespace,
}

impl Scene {
    async fn new() -> Self {
        Self::in_world(World::of_queues()).await
    }

    async fn in_world(world: World) -> Self {
        let caches = Caches::new(world.store.clone(), &world.prefix, world.clock.clone());
        caches.begin_epoch("run", 1).await.unwrap();
        let boards = caches.namespace("boards");
        let scene = Self { world, caches, boards };
        scene.caches.describe("boards", &scene.description()).await.unwrap();
        scene
    }

    fn description(&self) -> Description {
        Description {
            protocol: PROTOCOL,
            key: format!("{}:board:{{origin}}:{{day}}", self.world.prefix),
            params: vec!["origin".to_owned(), "day".to_owned()],
            is_askable: true,
            tags: vec!["flights".to_owned(), "origin:{origin}".to_owned()],
            ttl_ms: 60_000,
            lease_ms: 10_000,
            version: "1".to_owned(),
            current: "1".to_owned(),
            bytes_max: 1 << 20,
        }
    }

    /// A cache with the patience of a busy machine, and without values of its own.
    fn cache(&self) -> Cache {
        self.open(self.settings().without_l1())
    }

    /// The same with values of its own, which leave by themselves long after the test only.
    fn keeping(&self) -> Cache {
        self.open(self.settings().l1_ttl(Duration::from_mins(5)))
    }

    fn settings(&self) -> Builder {
        Cache::builder().patience(Duration::from_secs(10)).clock(self.world.clock.clone())
    }

    fn open(&self, settings: Builder) -> Cache {
        settings.open(&self.world.redis_url, &self.world.prefix).unwrap()
    }

    fn entry(&self, origin: &str) -> Entry {
        let key = format!("{}:board:{origin}:today", self.world.prefix);
        Entry { key, params: params_of(&[origin, "today"]) }
    }

    /// Puts a board there that is fresh for a minute.
    async fn fill(&self, origin: &str, value: &str) {
        let filled = self.fill_for(origin, value, Duration::from_mins(1), Duration::from_mins(2)).await;
        assert_eq!(filled, Filled::Filled);
    }

    async fn fill_for(&self, origin: &str, value: &str, fresh: Duration, life: Duration) -> Filled {
        let token = format!("{:x}", rand::random::<u64>());
        let key = self.entry(origin).key;
        assert_eq!(self.boards.take(&[&key], &token, Duration::from_mins(1)).await.unwrap(), [true]);
        self.bring(origin, &token, Content::Value(value.into()), fresh, life).await
    }

    /// Puts the knowledge there that there is no such board.
    async fn fill_none(&self, origin: &str) {
        let key = self.entry(origin).key;
        self.boards.take(&[&key], "none", Duration::from_mins(1)).await.unwrap();
        let minute = Duration::from_mins(1);
        assert_eq!(self.bring(origin, "none", Content::None, minute, minute).await, Filled::None);
    }

    async fn bring(
        &self,
        origin: &str,
        token: &str,
        content: Content,
        fresh: Duration,
        life: Duration,
    ) -> Filled {
        let source = Source {
            snapshot: "100:100:".to_owned(),
            is_replica: false,
            version: "1".to_owned(),
            who: "test".to_owned(),
            tags_kept: Duration::from_hours(1),
        };
        let Entry { key, params } = self.entry(origin);
        let tags = vec!["flights".to_owned(), format!("origin:{origin}"), self.boards.tag()];
        let filling = Filling {
            key,
            params,
            token: token.to_owned(),
            content,
            life,
            fresh,
            cost: Duration::from_millis(5),
            due: None,
            tags,
            negatives_max: 100,
        };
        self.boards.fill(&source, &[filling]).await.unwrap()[0]
    }

    async fn invalidate(&self, origin: &str) {
        self.boards.invalidate(&[self.entry(origin)], Cause::Transaction(50)).await.unwrap();
    }

    async fn invalidate_tag(&self, tag: &str) {
        let tags = [tag.to_owned()];
        self.caches.invalidate_tags(&tags, Cause::Transaction(50), Duration::from_hours(1)).await.unwrap();
    }

    /// What readers have asked for and nobody has taken yet.
    async fn asks(&self) -> Vec<Ask> {
        self.boards.asks(100).await.unwrap()
    }

    /// Waits until a reader asks for a value.
    async fn asked(&self) -> Ask {
        let mut asks = Vec::new();
        eventually("a reader asks", async || {
            asks = self.asks().await;
            !asks.is_empty()
        })
        .await;
        asks.remove(0)
    }

    /// A counter of the warmer, once this cache has told what it counted.
    async fn counted(&self, cache: &Cache, counter: &str) -> u64 {
        cache.flush().await.unwrap();
        self.boards.stats().await.unwrap().get(counter)
    }

    /// Reads a board until it comes from the process itself.
    async fn kept(&self, cache: &Cache, origin: &str) {
        let before = self.counted(cache, "read_l1").await;
        eventually("the board is kept in this process", async || {
            let read = cache.warmer("boards").get(&[origin, "today"]).await;
            read.is_ok() && self.counted(cache, "read_l1").await > before
        })
        .await;
    }
}
