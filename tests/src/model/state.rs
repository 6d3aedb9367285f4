//! What the model knows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brasa_shared::queue::{ClaimedJob, Envelope, Keep, Limit, LimitScope, Queue};
use serde_json::json;

use super::op::{Conflict, KINDS, Put, Setup, Until};
use crate::World;
use crate::hand::Hand;

/// How long ended jobs are kept.
pub(crate) const KEEP_MS: i64 = 60_000;

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Waiting,
    Delayed(i64),
    Blocked(u32),
    /// Held until then, with what counts against limits.
    Running(i64, Vec<String>),
    /// Kept until then.
    Done(i64),
    Dead,
}

/// A job as the model sees it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) place: Place,
    pub(crate) envelope: Envelope,
    pub(crate) attempt: u32,
    pub(crate) lost: u32,
    pub(crate) stop_asked: bool,
    /// The claim that holds it, or held it last.
    pub(crate) claim: Option<ClaimedJob>,
}

/// Who holds a unique key.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    pub(crate) id: String,
    /// The end of its window; 0 where it has none.
    pub(crate) ends: i64,
}

pub(crate) struct Model {
    pub(crate) world: World,
    pub(crate) queue: Queue,
    pub(crate) hands: Vec<(Hand, Vec<&'static str>)>,
    pub(crate) setup: Setup,
    pub(crate) jobs: BTreeMap<String, Known>,
    pub(crate) unique: BTreeMap<String, Lock>,
    /// Keys that are to be freed when their job starts.
    pub(crate) locks: BTreeMap<String, String>,
    /// Parent, child, whether any end will do.
    pub(crate) links: BTreeSet<(String, String, bool)>,
    /// Claims that are over.
    pub(crate) stale: Vec<ClaimedJob>,
    pub(crate) is_paused: bool,
    pub(crate) is_closed: bool,
    pub(crate) looks: u32,
    made: u32,
}

impl Model {
    pub(crate) fn new(setup: &Setup) -> Self {
        let world = World::with_manual_clock();
        let scopes = [LimitScope::Queue, LimitScope::Kind(KINDS[0].to_owned()), LimitScope::Share];
        let limits = scopes.into_iter().zip(setup.limits).filter(|(_, at_once)| *at_once > 0);
        let limits = limits.map(|(scope, at_once)| Limit { scope, at_once, rate: None }).collect();
        let keep = Keep { count: setup.keep, age_ms: KEEP_MS.unsigned_abs(), bytes: 0 };
        let dead = Keep { count: 10_000, age_ms: 86_400_000, bytes: 0 };
        let queue = world.queue("model").keeping(keep, dead).limited(limits);
        let hand = |name: &str, classes: &[&'static str]| (Hand::new(name, classes), classes.to_vec());
        let hands = vec![hand("one", &KINDS[..1]), hand("two", &KINDS[1..]), hand("both", &KINDS)];
        Self {
            world,
            queue,
            hands,
            setup: setup.clone(),
            jobs: BTreeMap::new(),
            unique: BTreeMap::new(),
            locks: BTreeMap::new(),
            links: BTreeSet::new(),
            stale: Vec::new(),
            is_paused: false,
            is_closed: false,
            looks: 0,
            made: 0,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.world.clock.now().as_millisecond()
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.world.advance(Duration::from_millis(ms));
    }

    /// A name that no job had before.
    pub(crate) fn fresh(&mut self) -> String {
        self.made += 1;
        format!("j{:05}", self.made)
    }

    /// A job that is not known yet.
    pub(crate) fn envelope(&mut self, put: &Put) -> Envelope {
        let mut job = self.world.job(KINDS[put.kind], &json!({ "x": "x".repeat(put.size) }));
        job.id = self.fresh();
        job.due = (put.delay > 0).then(|| self.now() + put.delay);
        (job.priority, job.share) = (put.priority, put.share.map(|key| format!("s{key}")));
        if let Some((key, until, conflict)) = put.unique {
            use brasa_shared::queue::{OnConflict, UniqueUntil};
            job.unique = Some(format!("u{key}"));
            match until {
                Until::Finished => {}
                Until::Started => job.unique_until = UniqueUntil::Started,
                Until::Window(ms) => job.unique_for_ms = Some(ms),
            }
            job.on_conflict = match conflict {
                Conflict::Keep => OnConflict::Keep,
                Conflict::Replace => OnConflict::Replace,
                Conflict::Extend => OnConflict::Extend,
            };
        }
        job
    }

    /// The jobs that are in such a place, in the order of their names.
    pub(crate) fn ids(&self, is: impl Fn(&Place) -> bool) -> Vec<String> {
        self.jobs.iter().filter(|(_, job)| is(&job.place)).map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn running(&self) -> Vec<String> {
        self.ids(|place| matches!(place, Place::Running(..)))
    }

    /// One of these, if there is any.
    pub(crate) fn pick(ids: Vec<String>, pick: u8) -> Option<String> {
        let count = ids.len();
        ids.into_iter().nth(usize::from(pick) % count.max(1))
    }

    pub(crate) fn is_open(&self, id: &str) -> bool {
        self.jobs.get(id).is_some_and(|job| !matches!(job.place, Place::Done(_) | Place::Dead))
    }

    /// Who holds a key now.
    pub(crate) fn holder(&self, key: &str) -> Option<String> {
        let lock = self.unique.get(key)?;
        let holds = if lock.ends > 0 {
            self.now() < lock.ends && self.jobs.contains_key(&lock.id)
        } else {
            self.is_open(&lock.id)
        };
        holds.then(|| lock.id.clone())
    }

    /// A job gives its key up, unless it has it for a while, or has it no longer.
    pub(crate) fn free(&mut self, id: &str) {
        let key = self.jobs.get(id).and_then(|job| job.envelope.unique.clone());
        if let Some(key) = key {
            self.unique.retain(|name, lock| *name != key || lock.id != id || lock.ends > 0);
        }
    }

    /// A job ended: those that wait for it may go on.
    pub(crate) fn follow(&mut self, parent: &str, is_done: bool) {
        let cut: Vec<_> = self
            .links
            .iter()
            .filter(|(from, _, always)| from == parent && (*always || is_done))
            .cloned()
            .collect();
        for link in cut {
            self.links.remove(&link);
            let Some(child) = self.jobs.get_mut(&link.1) else { continue };
            if let Place::Blocked(count) = child.place {
                child.place = if count <= 1 { Place::Waiting } else { Place::Blocked(count - 1) };
            }
        }
    }

    /// What a job counts against when it is handed out of this lane.
    pub(crate) fn tags(&self, job: &Envelope, is_suspect: bool) -> Vec<String> {
        let [queue, kind, share] = self.setup.limits;
        let mut tags = Vec::new();
        if queue > 0 {
            tags.push("q".to_owned());
        }
        if kind > 0 && job.kind == KINDS[0] {
            tags.push(format!("k {}", KINDS[0]));
        }
        if let Some(key) = job.share.as_ref().filter(|_| share > 0 && !is_suspect) {
            tags.push(format!("g {key}"));
        }
        tags
    }

    /// How many run of what is limited.
    pub(crate) fn counted(&self) -> BTreeMap<String, u32> {
        let mut counted = BTreeMap::new();
        for job in self.jobs.values() {
            if let Place::Running(_, tags) = &job.place {
                for tag in tags {
                    *counted.entry(tag.clone()).or_default() += 1;
                }
            }
        }
        counted
    }

    pub(crate) fn most_of(&self, tag: &str) -> u32 {
        let [queue, kind, share] = self.setup.limits;
        match tag.as_bytes()[0] {
            b'q' => queue,
            b'k' => kind,
            _ => share,
        }
    }
}
