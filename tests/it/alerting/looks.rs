//! Looking at one of the conditions of `[alerts]`, and at nothing else.

use brasa_jobs::alerts::{Look, Watcher};
use brasa_jobs::{Site, catalog};
use brasa_tests::World;
use brasa_tests::process::Brasa;

/// All that can be watched.
const NAMES: [&str; 12] = [
    "queue_oldest",
    "dead_per_hour",
    "failure_share",
    "hit_rate",
    "outbox_waiting",
    "aggregate_lag",
    "writes_lag",
    "database_pool",
    "database_connections",
    "workers",
    "redis_memory",
    "critical_recommendations",
];

/// A configuration that watches one thing, with this limit.
pub(super) fn only(name: &str, limit: &str, more: &str) -> String {
    let off = NAMES.iter().filter(|known| **known != name).map(|known| format!("{known} = \"off\"\n"));
    format!("[alerts]\n{name} = {limit}\n{}{more}", off.collect::<String>())
}

/// Whoever looks at one thing again and again.
pub(super) struct Eye {
    name: &'static str,
    watcher: Watcher,
}

impl Eye {
    pub(super) fn of(world: &World, name: &'static str, limit: &str, more: &str) -> Self {
        let site = Site::open(world.config(&only(name, limit, more)), catalog()).unwrap();
        Self::at(&site, name)
    }

    /// The same for an installation that the test holds on to.
    pub(super) fn at(site: &Site, name: &'static str) -> Self {
        Self { name, watcher: Watcher::new(site.clone()).unwrap() }
    }

    pub(super) async fn look(&mut self) -> Look {
        self.watcher.look().await
    }

    /// Of what there is trouble, and which; each begins with what it is of.
    pub(super) async fn sees(&mut self) -> Vec<String> {
        let look = self.look().await;
        assert!(look.unknown.is_empty(), "{look:?}");
        assert!(look.troubles.iter().all(|trouble| trouble.name == self.name), "{look:?}");
        let told = |subject: Option<&str>, text: &str| format!("{}: {text}", subject.unwrap_or_default());
        look.troubles.iter().map(|trouble| told(trouble.subject.as_deref(), &trouble.text)).collect()
    }

    /// There is nothing wrong.
    pub(super) async fn is_quiet(&mut self, why: &str) {
        assert_eq!(self.sees().await, Vec::<String>::new(), "{why}");
    }

    /// One thing is wrong, of which this is said.
    pub(super) async fn fires(&mut self, said: &str) {
        let seen = self.sees().await;
        assert!(seen.len() == 1 && seen[0].starts_with(said), "{seen:?}, and not {said}");
    }

    /// It says that it cannot judge before it has looked twice.
    pub(super) async fn begins(&mut self) {
        let look = self.look().await;
        assert!(look.troubles.is_empty(), "{look:?}");
        let unknown = look.unknown.iter().map(|(name, why)| (*name, why.contains("a second look")));
        assert_eq!(unknown.collect::<Vec<_>>(), [(self.name, true)]);
    }
}

#[tokio::test]
async fn what_is_tried_here_is_all_that_can_be_watched() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, &only("redis_memory", "1", ""));
    let status = brasa.run(["alerts", "status", "--json"]).await.json();
    let all = status["alerts"].as_array().unwrap();
    let mut names: Vec<&str> = all.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let off = all.iter().filter(|one| one["state"] == "off").count();
    assert_eq!(off, NAMES.len() - 1, "{status}");
    let mut tried = NAMES;
    names.sort_unstable();
    tried.sort_unstable();
    assert_eq!(names, tried);
}
