//! Where a case plays: a Redis of its own, workers of the team, and a record of what was promised to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brasa::servers::{RedisOptions, RedisServer, Scratch};
use brasa_jobs::Catalog;
use brasa_shared::db::outbox::OutboxTable;
use brasa_shared::queue::{Counts, Envelope, Fleet, JobView, Keep, Queue, QueueError, State};
use brasa_shared::store::Store;
use brasa_worker::Settings;
use brasa_worker::outbox::{self, Pace};
use redis::InfoDict;
use serde_json::{Value, json};

use super::book::{BOOK, Book};
use super::crew::Crew;
use super::{LIMIT, Report};
use crate::process::{Brasa, within};
use crate::{Worker, World};

/// More jobs than any case has.
const JOBS_MAX: usize = 10_000_000;

/// Looks after the outbox as often as it can, and at everything.
const BUSY: Pace = Pace {
    poll: Duration::from_millis(20),
    reconcile_every: Duration::from_millis(200),
    reconcile_after: Duration::from_secs(1),
    second_look: Duration::from_secs(1),
};

/// A Redis, a queue, and what was enqueued.
pub(super) struct Stage {
    pub(super) queue: Queue,
    /// Jobs of which somebody was told that they are enqueued, and that must have their effect.
    acknowledged: BTreeSet<String>,
    config: String,
    has_database: bool,
    pub(super) world: World,
    // Last: everything above uses it.
    pub(super) redis: RedisServer,
    data: Scratch,
}

impl Stage {
    /// A stage whose workers have these settings.
    pub(super) fn new(worker: &str) -> Self {
        Self::on(worker, RedisOptions::default())
    }

    /// The same on a Redis with settings of its own.
    pub(super) fn on(worker: &str, options: RedisOptions) -> Self {
        let (redis, data) = start(options);
        let world = World::on_redis(redis.url());
        Self::of(worker, redis, data, world, false)
    }

    /// The same with a database, and an outbox in it.
    pub(super) async fn with_outbox(worker: &str) -> Self {
        let (redis, data) = start(RedisOptions::default());
        let world = World::with_database_on_redis(redis.url()).await;
        brasa_shared::db::migrate(&world.pool).await.expect("the outbox is there");
        Self::of(worker, redis, data, world, true)
    }

    fn of(worker: &str, redis: RedisServer, data: Scratch, world: World, has_database: bool) -> Self {
        let config = format!(
            "[worker]\n{worker}\n[queues.default]\nkeep_done = {{ count = {JOBS_MAX}, age = \"12h\" }}\n"
        );
        let queue = world.queue("default");
        Self { queue, acknowledged: BTreeSet::new(), config, has_database, world, redis, data }
    }

    /// The team's program, as it is run here.
    pub(super) fn team(&self) -> Brasa {
        self.as_team(Brasa::configured(&self.world, &self.config))
    }

    /// The same with another configuration.
    pub(super) fn as_team(&self, brasa: Brasa) -> Brasa {
        let brasa = brasa.from_binary("team-brasa");
        let brasa = brasa.env(BOOK, self.book_path()).env("RUST_LOG", "warn");
        if self.has_database { brasa } else { brasa.without("DATABASE_URL") }
    }

    /// The same where it finds Redis elsewhere.
    pub(super) fn team_through(&self, redis_url: &str) -> Brasa {
        self.team().env("REDIS_URL", redis_url)
    }

    /// The queue as somebody sees it who finds Redis elsewhere.
    pub(super) fn queue_through(&self, redis_url: &str) -> Queue {
        self.queue.clone().over(Store::open(redis_url).expect("an address"))
    }

    /// Ends Redis with SIGKILL as soon as everything that it has acknowledged is in its file. While an earlier write
    /// to a slow disk is not through, `everysec` holds later ones back in memory, for up to two seconds: what a kill
    /// costs then is a matter of Redis, and not of the queue.
    pub(super) async fn kill_redis(&mut self) {
        within(LIMIT, "Redis writes down what it acknowledged", async || {
            self.is_written_down().await.then_some(())
        })
        .await;
        self.redis.kill().expect("Redis is killed");
    }

    /// Whether everything that was acknowledged before this question is in the file.
    pub(super) async fn is_written_down(&self) -> bool {
        let info: InfoDict = self.world.redis(redis::cmd("INFO").arg("persistence")).await;
        info.get::<u64>("aof_buffer_length") == Some(0)
    }

    /// Where Redis keeps its data.
    pub(super) fn data(&self) -> &Path {
        self.data.path()
    }

    /// A worker that runs no jobs, and looks after the outbox more often than the real one does.
    pub(super) fn reconciler(&self) -> Worker {
        let store = self.queue.store().apart();
        let keep = Keep { count: JOBS_MAX as u64, age_ms: 12 * 3_600_000, bytes: 0 };
        let queue = self.queue.clone().over(store.clone()).keeping(keep, keep);
        let table = OutboxTable::of(self.world.another_pool(4, Duration::from_secs(10)));
        Worker::start(Settings {
            fleet: Fleet::new(store, &self.world.prefix, self.world.clock.clone()),
            outbox: Some(outbox::Settings { table, queues: vec![queue.clone()], pace: BUSY }),
            queues: vec![(queue, 1)],
            ..self.world.settings(Catalog::default(), "")
        })
    }

    /// What jobs have written down.
    pub(super) fn book(&self) -> Book {
        Book::read(&self.book_path())
    }

    fn book_path(&self) -> PathBuf {
        self.world.folder().join("book")
    }

    /// A job that is not enqueued yet.
    pub(super) fn job(&self, kind: &str, args: &Value) -> Envelope {
        self.world.job(kind, args)
    }

    /// As many jobs that write down what they do, which takes them so long.
    pub(super) fn notes(&self, mut each_ms: impl FnMut() -> u64, count: usize) -> Vec<Envelope> {
        (0..count).map(|_| self.job("team.note", &json!({ "ms": each_ms() }))).collect()
    }

    /// Enqueues jobs that must have their effect.
    pub(super) async fn enqueue(&mut self, jobs: &[Envelope]) {
        let queue = self.queue.clone();
        self.enqueue_through(&queue, jobs).await;
    }

    /// The same by somebody who finds Redis elsewhere, and who says it again until he is answered.
    pub(super) async fn enqueue_through(&mut self, queue: &Queue, jobs: &[Envelope]) {
        let begun = Instant::now();
        while let Err(error) = queue.enqueue_all(jobs).await {
            assert!(begun.elapsed() < LIMIT, "jobs could not be enqueued: {error}");
        }
        self.acknowledge(jobs);
    }

    /// Somebody was told that these are enqueued.
    pub(super) fn acknowledge(&mut self, jobs: &[Envelope]) {
        self.acknowledged.extend(jobs.iter().map(|job| job.id.clone()));
    }

    /// Somebody was told that this one is enqueued.
    pub(super) fn acknowledge_one(&mut self, id: String) {
        self.acknowledged.insert(id);
    }

    /// Waits until no more jobs are open than this.
    pub(super) async fn open_at_most(&self, most: u64) {
        within(LIMIT, "the workers get through the jobs", async || {
            self.open().await.is_ok_and(|open| open <= most).then_some(())
        })
        .await;
    }

    /// The same with workers that fall, and are replaced; says how many fell.
    pub(super) async fn open_at_most_by(&self, most: u64, crew: &mut Crew) -> usize {
        let mut fallen = 0;
        within(LIMIT, "the workers get through the jobs", async || {
            fallen += crew.replace_the_fallen();
            self.open().await.is_ok_and(|open| open <= most).then_some(())
        })
        .await;
        fallen
    }

    async fn open(&self) -> Result<u64, QueueError> {
        self.queue.counts().await.map(|counts| counts.open())
    }

    /// Waits until nothing is open any more, counted from the last fault.
    pub(super) async fn drained(&self, report: &mut Report, last_fault: Instant) {
        self.open_at_most(0).await;
        report.drained = last_fault.elapsed();
    }

    /// The same, which may take no longer than this.
    pub(super) async fn drained_within(&self, report: &mut Report, last_fault: Instant, limit: Duration) {
        self.drained(report, last_fault).await;
        report.demand(report.drained < limit, format!("it was to be drained within {limit:?}"));
    }

    /// Everything that is done, as people look at it.
    pub(super) async fn done(&self) -> Vec<JobView> {
        self.queue.list(State::Done, JOBS_MAX).await.expect("the jobs that are done")
    }

    /// The jobs that somebody was promised, and that never had their effect.
    pub(super) fn lost(&self) -> Vec<String> {
        let book = self.book();
        self.acknowledged.iter().filter(|id| book.ended(id).is_empty()).cloned().collect()
    }

    /// Holds what jobs wrote down, and how they ended, against what was promised.
    pub(super) async fn judge(&self, report: &mut Report) {
        self.judge_by_counts(report).await;
        let (book, views) = (self.book(), self.done().await);
        let jobs: BTreeMap<&str, &JobView> = views.iter().map(|view| (view.id.as_str(), view)).collect();
        report.doubled += views.len() - jobs.len();
        report.stale_accepted = jobs.values().filter(|view| is_stale(view, &book)).count();
        let is_stranger = |id: &&str| jobs.contains_key(id) && !self.acknowledged.contains(*id);
        let strangers = book.jobs().filter(is_stranger).count();
        report.demand(strangers == 0, format!("{strangers} jobs ran that nobody was told of"));
    }

    /// The same where all jobs are good and no worker may end by itself; sends the workers home.
    pub(super) async fn judge_all_good(&self, report: &mut Report, mut crew: Crew) -> Counts {
        self.judge(report).await;
        crew.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
        crew.dismiss().await;
        let counts = self.queue.counts().await.expect("counts");
        report.demand(counts.dead == 0, format!("{} good jobs are in the dead letter", counts.dead));
        counts
    }

    /// As `judge`, without a look at each job, where nobody was given up and there are too many of them.
    pub(super) async fn judge_by_counts(&self, report: &mut Report) {
        let (book, counts) = (self.book(), self.queue.counts().await.expect("counts"));
        let total = |name: &str| counts.totals.get(name).copied().unwrap_or(0);
        report.acknowledged = self.acknowledged.len();
        report.executions = book.executions();
        report.repeated = book.repeated();
        report.lost = self.lost().len();
        // Counters count every outcome that was accepted, whatever became of it later.
        let outcomes = total("done") + total("cancelled") + total("dead");
        let beyond = outcomes.saturating_sub(total("enqueued"));
        report.doubled = usize::try_from(beyond).unwrap_or(usize::MAX);
        let (done, kept) = (total("done"), counts.done);
        report.demand(done == kept, format!("{done} outcomes were accepted, and {kept} are kept"));
    }
}

/// A Redis that keeps its data where one can get at it.
fn start(options: RedisOptions) -> (RedisServer, Scratch) {
    let data = Scratch::new().expect("a folder for the data of Redis");
    let options = RedisOptions { dir: Some(data.path().to_owned()), ..options };
    (RedisServer::start(options).expect("a Redis"), data)
}

/// Whether the outcome is that of an attempt after which another one began.
fn is_stale(view: &JobView, book: &Book) -> bool {
    let last = book.begun(&view.id).iter().max();
    view.outcome.as_ref().zip(last).is_some_and(|(outcome, last)| outcome.attempt < *last)
}
