//! Looking at all that Redis holds, and whether it is what the model says.

use std::collections::{BTreeMap, BTreeSet};

use redis::{FromRedisValue, Value};

use super::op::KINDS;
use super::state::{Model, Place};
use crate::recount::Sums;

type Judged = Result<(), String>;

/// The queue is asked for its own numbers in one step of so many: it asks Redis for much.
const COUNT_EVERY: u32 = 5;

/// What Redis holds.
struct Facts {
    jobs: BTreeMap<String, Vec<u8>>,
    outcomes: BTreeMap<String, Vec<u8>>,
    claims: BTreeMap<String, String>,
    delayed: BTreeMap<String, f64>,
    dead: BTreeSet<String>,
    blocked: BTreeMap<String, u32>,
    gone: BTreeMap<String, String>,
    running: BTreeMap<String, u32>,
    locks: BTreeMap<String, String>,
    counts: BTreeMap<String, i64>,
    bytes: Option<i64>,
    parked: Vec<String>,
    /// Entries by lane.
    lanes: Vec<(String, Vec<String>)>,
}

impl Facts {
    /// What is held, counted afresh.
    fn counted(&self) -> Sums {
        let length = |found: Option<&Vec<u8>>| i64::try_from(found.map_or(0, Vec::len)).unwrap_or(i64::MAX);
        let size = |id: &String| length(self.jobs.get(id)) + length(self.outcomes.get(id));
        let whole = |map: &BTreeMap<_, Vec<u8>>| map.values().map(|text| length(Some(text))).sum::<i64>();
        let (dead, ended) =
            (self.dead.iter().map(size).sum::<i64>(), self.outcomes.keys().map(size).sum::<i64>());
        Sums {
            bytes: whole(&self.jobs) + whole(&self.outcomes),
            done: i64::try_from(self.outcomes.len() - self.dead.len()).unwrap_or(i64::MAX),
            done_bytes: ended - dead,
            dead_bytes: dead,
        }
    }

    /// What the queue says that it holds.
    fn said(&self) -> Sums {
        let count = |name: &str| self.counts.get(name).copied().unwrap_or(0);
        let bytes = self.bytes.unwrap_or(0);
        Sums { bytes, done: count("done"), done_bytes: count("done_bytes"), dead_bytes: count("dead_bytes") }
    }
}

/// All lanes that jobs of a run can stand in.
fn lanes() -> Vec<String> {
    let of_kind = |kind: &str| {
        let shares =
            ["", "~"].into_iter().flat_map(|share| ["", ":1", ":2"].map(|urgent| format!("{share}{urgent}")));
        let names: Vec<_> = shares.chain(["!".to_owned()]).map(|rest| format!("{kind}{rest}")).collect();
        names
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

impl Model {
    async fn facts(&self) -> Facts {
        let k = self.queue.keys();
        let mut pipe = redis::pipe();
        for hash in [&k.jobs, &k.outcomes, &k.claims] {
            pipe.cmd("HGETALL").arg(hash);
        }
        pipe.cmd("ZRANGE").arg(&k.delayed).arg(0).arg(-1).arg("WITHSCORES");
        pipe.cmd("ZRANGE").arg(&k.dead).arg(0).arg(-1);
        for hash in [&k.blocked, &k.gone, &k.running, &k.locks, &k.counts] {
            pipe.cmd("HGETALL").arg(hash);
        }
        pipe.cmd("GET").arg(&k.bytes).cmd("ZRANGE").arg(&k.parked).arg(0).arg(-1);
        let lanes = lanes();
        for lane in &lanes {
            let walk = if lane.contains('~') { "ZRANGE" } else { "LRANGE" };
            pipe.cmd(walk).arg(k.lane(lane)).arg(0).arg(-1);
        }
        let found: Vec<Value> = self.world.store.run_all("look at all", &pipe).await.expect("Redis answers");
        let mut found = found.into_iter();
        let mut next = || found.next().unwrap_or(Value::Nil);
        Facts {
            jobs: read(next()),
            outcomes: read(next()),
            claims: read(next()),
            delayed: read(next()),
            dead: read(next()),
            blocked: read(next()),
            gone: read(next()),
            running: read(next()),
            locks: read(next()),
            counts: read(next()),
            bytes: read(next()),
            parked: read(next()),
            lanes: lanes.into_iter().map(|lane| (lane, read(next()))).collect(),
        }
    }

    /// The entries of all lanes, and of those that wait for their keys: id -> the lanes that it stands in.
    fn entries(facts: &Facts) -> BTreeMap<String, Vec<String>> {
        let mut entries: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (lane, found) in &facts.lanes {
            for entry in found {
                let id = entry[9..].split(' ').next().unwrap_or_default().to_owned();
                entries.entry(id).or_default().push(lane.clone());
            }
        }
        for member in &facts.parked {
            let words: Vec<_> = member.splitn(3, ' ').collect();
            entries.entry(words[2][9..].to_owned()).or_default().push(words[1].to_owned());
        }
        entries
    }

    /// Whether everything is where it must be.
    pub(crate) async fn check(&mut self) -> Judged {
        let facts = self.facts().await;
        self.forget_what_was_dropped(&facts)?;
        let known: BTreeSet<_> = self.jobs.keys().cloned().collect();
        same(&facts.jobs.keys().cloned().collect(), &known, "the jobs that are known")?;
        for (id, job) in &self.jobs {
            let place = place_of(id, &facts)?;
            let expected = match &job.place {
                Place::Waiting => "waiting".to_owned(),
                Place::Delayed(due) => format!("delayed until {due}"),
                Place::Blocked(count) => format!("blocked by {count}"),
                Place::Running(..) => "running".to_owned(),
                Place::Done(_) => "done".to_owned(),
                Place::Dead => "dead".to_owned(),
            };
            same(&place, &expected, &format!("the place of `{id}`"))?;
        }
        let counted = self.counted();
        same(&facts.running, &counted, "what runs under limits")?;
        same(&facts.locks, &self.locks, "the keys to be freed at a start")?;
        self.check_lanes(&facts)?;
        same(&facts.said(), &facts.counted(), "what is held")?;
        self.looks += 1;
        if self.looks.is_multiple_of(COUNT_EVERY) { self.check_counts().await } else { Ok(()) }
    }

    /// Every job that waits has one entry in its lane beside those that it left, and no other job has any.
    fn check_lanes(&self, facts: &Facts) -> Judged {
        let entries = Self::entries(facts);
        let left = |id: &str| -> usize {
            facts.gone.get(id).and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0)
        };
        let mut ids: BTreeSet<&String> = entries.keys().chain(self.jobs.keys()).collect();
        ids.extend(facts.gone.keys().filter(|id| !id.is_empty()));
        for id in ids {
            let waits = self.jobs.get(id).is_some_and(|job| job.place == Place::Waiting);
            let lanes = entries.get(id).cloned().unwrap_or_default();
            let what = format!(
                "the entries of `{id}`, in {lanes:?}, left {:?}, claimed {:?}, {:?}",
                facts.gone.get(id),
                facts.claims.get(id),
                self.jobs.get(id).map(|job| (&job.place, job.envelope.lane(), job.lost))
            );
            same(&lanes.len(), &(left(id) + usize::from(waits)), &what)?;
            if let Some(job) = self.jobs.get(id).filter(|_| waits) {
                let (lane, _) = job.envelope.lane_after(job.lost.into());
                same(&lanes.contains(&lane), &true, &format!("`{id}` stands in `{lane}`, of {lanes:?}"))?;
            }
        }
        let sum: usize = facts.gone.keys().filter(|id| !id.is_empty()).map(|id| left(id)).sum();
        same(&left(""), &sum, "the sum of entries that were left")
    }

    async fn check_counts(&self) -> Judged {
        let counts = self.queue.counts().await.map_err(|error| error.to_string())?;
        let count = |is: fn(&Place) -> bool| self.ids(is).len() as u64;
        let is = [counts.waiting, counts.delayed, counts.blocked, counts.running, counts.done, counts.dead];
        let expected = [
            count(|place| *place == Place::Waiting),
            count(|place| matches!(place, Place::Delayed(_))),
            count(|place| matches!(place, Place::Blocked(_))),
            count(|place| matches!(place, Place::Running(..))),
            count(|place| matches!(place, Place::Done(_))),
            count(|place| *place == Place::Dead),
        ];
        same(&is, &expected, "how many wait, are delayed, blocked, run, are done and dead")
    }

    /// Done jobs go when their time is over or there is no room for them, and no others.
    fn forget_what_was_dropped(&mut self, facts: &Facts) -> Judged {
        let now = self.now();
        let done = self.ids(|place| matches!(place, Place::Done(_)));
        let is_crowded = done.len() as u64 + 4 >= self.setup.keep;
        for id in done.iter().filter(|id| !facts.jobs.contains_key(*id)) {
            let is_over = matches!(self.jobs[id].place, Place::Done(until) if until <= now);
            same(&(is_over || is_crowded), &true, &format!("there was a reason to drop `{id}`"))?;
            self.jobs.remove(id);
        }
        Ok(())
    }

    /// A holder was lost: its job comes back within a moment, is quarantined, or has ended where it was to stop.
    pub(crate) async fn lose(&mut self, id: &str) -> Judged {
        let facts = self.facts().await;
        let now = self.now();
        let Some(job) = self.jobs.get_mut(id) else { return Ok(()) };
        job.lost += 1;
        if job.stop_asked {
            self.end(id, Place::Done(now + super::state::KEEP_MS), false);
        } else if facts.dead.contains(id) {
            same(&(job.lost >= 3), &true, &format!("`{id}` was lost often enough to be quarantined"))?;
            self.end(id, Place::Dead, false);
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "scores are whole milliseconds")]
            let due = facts.delayed.get(id).map_or(0, |due| *due as i64);
            same(&(now..now + 1_500).contains(&due), &true, &format!("`{id}` comes back in {}", due - now))?;
            job.place = Place::Delayed(due);
        }
        Ok(())
    }

    /// In the end everything runs that may, and nothing is left.
    pub(crate) async fn drain(&mut self) -> Judged {
        use super::op::Op;

        self.make(&Op::Pause(true)).await?;
        self.make(&Op::Pause(false)).await?;
        for _ in 0..400 {
            self.advance(300);
            self.promote_due().await?;
            for hand in 0..3 {
                self.claim(hand, 4).await?;
            }
            let running = self.running();
            self.make(&Op::Finish((0..=u8::try_from(running.len()).unwrap_or(u8::MAX)).collect())).await?;
            self.check().await?;
            if self.ids(|place| matches!(place, Place::Waiting | Place::Running(..))).is_empty()
                && self.ids(|place| matches!(place, Place::Delayed(_))).is_empty()
            {
                return Ok(());
            }
        }
        Err(format!(
            "these never ended: {:?}",
            self.ids(|place| !matches!(place, Place::Done(_) | Place::Dead | Place::Blocked(_)))
        ))
    }
}

fn read<T: FromRedisValue>(value: Value) -> T {
    redis::from_redis_value(value).expect("an answer of the kind that was asked for")
}

fn same<T: PartialEq + std::fmt::Debug>(is: &T, expected: &T, what: &str) -> Judged {
    if is == expected { Ok(()) } else { Err(format!("{what}: it is {is:?} and not {expected:?}")) }
}

/// The one place where a job is.
fn place_of(id: &str, facts: &Facts) -> Result<String, String> {
    let is_held = facts.claims.get(id).is_some_and(|claim| !claim.starts_with(['-', '~']));
    let mut places = Vec::new();
    if facts.dead.contains(id) {
        places.push("dead".to_owned());
    } else if facts.outcomes.contains_key(id) {
        places.push("done".to_owned());
    }
    if is_held {
        places.push("running".to_owned());
    }
    if let Some(due) = facts.delayed.get(id) {
        places.push(format!("delayed until {due}"));
    }
    if let Some(count) = facts.blocked.get(id) {
        places.push(format!("blocked by {count}"));
    }
    match places.len() {
        0 => Ok("waiting".to_owned()),
        1 => Ok(places.remove(0)),
        _ => Err(format!("`{id}` is in several places: {places:?}")),
    }
}
