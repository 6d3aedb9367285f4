//! From the change log to Redis.
//!
//! A batch is a short transaction: changes are deleted, told to Redis, and the deletion is committed. Whoever dies in
//! between lets them be told again, which changes nothing: what is told is which transactions there were.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use brasa_jobs::cache::{Touched, owner};
use brasa_shared::cache::{Cause, Entry, NOBODY, TAGS_KEPT_MIN, params_of};
use brasa_shared::db::changes::Change;
use brasa_shared::db::changes::triggers::{TriggerError, log_name};
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::logs::chain;
use brasa_shared::telemetry::metrics;
use tokio::time::Instant;

use crate::cache::{Served, Shared};

/// How many changes are told at once.
const BATCH: usize = 1_000;
/// How long the database may take for one step.
const DATABASE_WITHIN: Duration = Duration::from_secs(5);
/// For how long a worker is the one that carries, unless it says so again; and how often it does.
const TURN: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(1));
/// How often it is looked whether there is a log, and in which schemas tables are.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The first and the longest pause after a fault.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Why changes could not be carried. It is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("postgres did not give its changes")]
    Database(#[from] sqlx::Error),
    #[error("postgres did not answer in time")]
    Late,
    #[error(transparent)]
    Tables(#[from] TriggerError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which values a name in the change log concerns: warmers, each with the place of the dependency.
type Concerned = HashMap<String, Vec<(String, usize)>>;

/// What the names in the change log mean.
#[derive(Default)]
struct Names {
    concerned: Concerned,
    /// Tables that concern nobody, as of the last look.
    strangers: HashSet<String>,
    is_there: bool,
    looked: Option<Instant>,
}

impl Names {
    async fn look(&mut self, shared: &Shared) -> Result<(), Trouble> {
        self.is_there = in_time(shared.settings.changes.exists()).await?;
        self.concerned = concern(shared).await?;
        self.strangers.clear();
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Looks once more for a table that was not there at the last look: its changes are told once, or never.
    async fn look_for(&mut self, shared: &Shared, changes: &[Change]) -> Result<(), Trouble> {
        let is_known = |dep: &String| self.concerned.contains_key(dep) || self.strangers.contains(dep);
        let tables = changes.iter().map(|change| &change.dep).filter(|dep| dep.starts_with("table:"));
        let unknown: HashSet<String> = tables.filter(|dep| !is_known(dep)).cloned().collect();
        if !unknown.is_empty() {
            self.concerned = concern(shared).await?;
            self.strangers.extend(unknown);
        }
        Ok(())
    }
}

/// Carries for ever, while it is this worker's turn.
pub(super) async fn run(shared: Arc<Shared>) {
    let (mut pause, mut turn) = (PAUSE.0, None::<Instant>);
    let mut names = Names::default();
    loop {
        let round = async {
            if turn.is_none_or(|since| since.elapsed() >= TURN.1) {
                let is_ours = shared.loaders.caches.attend(&shared.worker, TURN.0).await?;
                if is_ours && turn.is_none() {
                    take_over(&shared).await?;
                }
                turn = is_ours.then(Instant::now);
            }
            if turn.is_none() {
                return Ok(TURN.1);
            }
            if names.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
                names.look(&shared).await?;
            }
            if !names.is_there {
                return Ok(TURN.1);
            }
            while carry(&shared, &mut names).await? == BATCH {}
            Ok::<_, Trouble>(shared.reach.config.cache.poll)
        };
        match round.await {
            Ok(next) => {
                pause = PAUSE.0;
                tokio::time::sleep(next).await;
            }
            Err(error) => {
                // With the connection may go the turn.
                turn = None;
                tracing::warn!(error = %chain(&error), "changes of tables wait: they could not be told to the cache");
                tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

/// Whoever carried before may have had another configuration, as while a deploy goes on: changes of tables that it
/// did not know, or of values under other keys, are gone from the log. What they may concern is loaded again.
async fn take_over(shared: &Shared) -> Result<(), StoreError> {
    let caches = &shared.loaders.caches;
    let before = caches.carried().await?;
    let touches = |(name, served): (&String, &Served)| Some((name.clone(), served.shape.touches()?));
    let now: BTreeMap<String, String> = shared.warmers.iter().filter_map(touches).collect();
    if now == before {
        return Ok(());
    }
    let is_new = |(name, touches): &(&String, &String)| before.get(*name) != Some(*touches);
    let tags: Vec<String> = now.iter().filter(is_new).map(|(name, _)| caches.namespace(name).tag()).collect();
    caches.invalidate_tags(&tags, Cause::Nobody, TAGS_KEPT_MIN).await?;
    caches.carry(&now).await
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Trouble> {
    let answer = tokio::time::timeout(DATABASE_WITHIN, asked).await;
    Ok(answer.map_err(|_| Trouble::Late)??)
}

/// The names that the change log has for what warmers depend on.
async fn concern(shared: &Shared) -> Result<Concerned, Trouble> {
    let asked = async {
        let mut concerned = Concerned::new();
        let mut connection = shared.loaders.primary().pool.acquire().await?;
        for (name, served) in &shared.warmers {
            for (place, dependency) in served.warmer.depends_on.iter().enumerate() {
                if let Some(dep) = log_name(&mut connection, dependency).await? {
                    concerned.entry(dep).or_default().push((name.clone(), place));
                }
            }
        }
        Ok(concerned)
    };
    tokio::time::timeout(DATABASE_WITHIN, asked).await.map_err(|_| Trouble::Late)?
}

/// Carries one batch; returns how many changes it had.
async fn carry(shared: &Shared, names: &mut Names) -> Result<usize, Trouble> {
    let log = &shared.settings.changes;
    if in_time(log.is_empty()).await? {
        return Ok(0);
    }
    let taken = in_time(log.take(BATCH)).await?;
    let count = taken.changes.len();
    names.look_for(shared, &taken.changes).await?;
    let began = Instant::now();
    let ages: Vec<Duration> = taken.changes.iter().map(|change| change.age).collect();
    tell(shared, &names.concerned, &taken.changes).await?;
    let took = began.elapsed();
    in_time(taken.done()).await?;
    for age in ages {
        metrics::cache_invalidation_lag_seconds().record(age + took);
    }
    metrics::cache_changes_total().increment(count as u64);
    Ok(count)
}

/// What is to be told to Redis: values by warmer, and tags.
#[derive(Default)]
struct Told {
    entries: HashMap<String, Vec<(Entry, Cause)>>,
    tags: Vec<(String, Cause)>,
}

async fn tell(shared: &Shared, concerned: &Concerned, changes: &[Change]) -> Result<(), StoreError> {
    let mut told = Told::default();
    for change in changes {
        sort(shared, concerned, change, &mut told);
    }
    let caches = &shared.loaders.caches;
    for (name, entries) in &told.entries {
        let gone = caches.namespace(name).invalidate_each(entries).await?;
        metrics::cache_invalidated_total(name).increment(gone);
        if let Some(served) = shared.warmers.get(name) {
            served.wake.notify_one();
        }
    }
    if !told.tags.is_empty() {
        // Values with these tags see to it themselves that the marks outlive them.
        caches.invalidate_each_tag(&told.tags, TAGS_KEPT_MIN).await?;
    }
    Ok(())
}

fn sort(shared: &Shared, concerned: &Concerned, change: &Change, told: &mut Told) {
    let cause = Cause::Transaction(change.xid);
    let first = change.keys.as_ref().and_then(|keys| keys.first());
    match (change.dep.as_str(), first) {
        ("key:", Some(key)) => {
            let shapes = shared.warmers.iter().map(|(name, served)| (name.as_str(), &served.shape));
            let (name, entry) = match owner(key, shapes) {
                Some((name, texts)) => (name, Entry { key: key.clone(), params: params_of(&texts) }),
                // Nobody knows its parameters, so it comes back when somebody asks for it.
                None => (NOBODY, Entry { key: key.clone(), params: String::new() }),
            };
            told.entries.entry(name.to_owned()).or_default().push((entry, cause));
        }
        ("tag:", Some(tag)) => told.tags.push((tag.replace(['\n', '\r'], " "), cause)),
        ("warmer:", Some(name)) => told.tags.push((format!("~warmer:{name}"), cause)),
        (dep, _) => {
            for (name, place) in concerned.get(dep).into_iter().flatten() {
                let Some(served) = shared.warmers.get(name) else { continue };
                for touched in served.shape.touched(*place, change.keys.as_deref()) {
                    match touched {
                        Touched::Entry(entry) => {
                            told.entries.entry(name.clone()).or_default().push((entry, cause));
                        }
                        Touched::Tag(tag) => told.tags.push((tag, cause)),
                    }
                }
            }
        }
    }
}
