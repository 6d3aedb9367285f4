//! What the demo shows while it runs, and at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use brasa_shared::db::aggregates::{State, versions};
use brasa_shared::queue::Counts;
use brasa_worker::Tally;
use serde_json::json;
use sqlx::{PgPool, Row};

use super::application::Reads;
use crate::app::App;
use crate::failure::{Failure, chain};
use crate::output::{Output, bytes, distance};

/// How many of the next ticks are shown.
const TICKS_SHOWN: usize = 4;
/// How many recommendations are shown at the end.
const TITLES_SHOWN: usize = 5;

/// What the demo shows.
pub(super) struct Summary {
    app: App,
    pool: PgPool,
    reads: Arc<Reads>,
    fired: Arc<AtomicU64>,
    live: bool,
    drawn: usize,
    before: (Instant, u64, u64),
}

impl Summary {
    /// A summary that redraws itself where `live`, and prints line by line elsewhere.
    pub(super) fn new(app: &App, pool: PgPool, reads: Arc<Reads>, fired: Arc<AtomicU64>, live: bool) -> Self {
        Self { app: app.clone(), pool, reads, fired, live, drawn: 0, before: (Instant::now(), 0, 0) }
    }

    /// Draws it once.
    pub(super) async fn draw(&mut self, out: &mut Output) -> Result<(), Failure> {
        if out.json {
            return Ok(());
        }
        let counts = self.counts().await?;
        let (hits, misses) = self.reads.count();
        let figures = self.figures().await?;
        let total = |name: &str| counts.totals.get(name).copied().unwrap_or(0);
        let (then, done_then, reads_then) = self.before;
        let seconds = then.elapsed().as_secs_f64().max(0.001);
        let per_second = |now: u64, then: u64| f64_of(now.saturating_sub(then)) / seconds;
        let lines = [
            format!(
                "jobs      {:>7.0} /s   {:>7} done   {:>3} failed   {:>4} waiting   {:>3} running",
                per_second(total("done"), done_then),
                total("done"),
                total("retried") + total("dead"),
                counts.waiting,
                counts.running
            ),
            format!(
                "cache     {:>7.0} reads/s   {:>6.2} % hits   ({misses} misses of {})",
                per_second(hits + misses, reads_then),
                rate(hits, misses) * 100.0,
                hits + misses
            ),
            figures.line(),
            self.care().await?.line(),
            format!(
                "ticks     {:>7} fired   next: {}",
                self.fired.load(Ordering::Relaxed),
                self.next_ticks()
            ),
        ];
        self.before = (Instant::now(), total("done"), hits + misses);
        if self.live && self.drawn > 0 {
            // Up over what was drawn before; each line then clears the rest of itself.
            out.raw(format!("\x1b[{}A\r", self.drawn + 1))?;
        }
        for line in &lines {
            out.raw(if self.live { format!("{line}\x1b[K") } else { line.clone() })?;
        }
        self.drawn = lines.len();
        Ok(())
    }

    /// Says how it was.
    pub(super) async fn close(&self, tally: Tally, out: &mut Output) -> Result<(), Failure> {
        let (hits, misses) = self.reads.count();
        let tables = self.tables_analyzed().await?;
        let figures = self.figures().await?;
        let care = self.care().await?;
        let fired = self.fired.load(Ordering::Relaxed);
        if out.json {
            let text = json!({
                "jobs_done": tally.done,
                "jobs_failed": tally.failed,
                "ticks_fired": fired,
                "cache_hits": hits,
                "cache_misses": misses,
                "hit_rate": rate(hits, misses),
                "tables_analyzed": tables,
                "aggregates_live": figures.live,
                "changes_moved": figures.moved,
                "groups_compared": figures.compared,
                "groups_wrong": figures.wrong,
                "tables_vacuumed": care.vacuumed,
                "indexes_rebuilt": care.rebuilt,
                "bytes_given_back": care.regained,
                "recommendations": care.titles,
            });
            return out.raw(text.to_string());
        }
        out.line("")?;
        out.line(format!("{} jobs done, {} failed, {fired} ticks fired", tally.done, tally.failed))?;
        out.line(format!("{} cache reads, {:.2} % of them hits", hits + misses, rate(hits, misses) * 100.0))?;
        out.line(format!("{tables} tables analyzed"))?;
        out.line(figures.sentence())?;
        out.line(care.sentence())?;
        for title in care.titles.iter().take(TITLES_SHOWN) {
            out.line(format!("  - {title}"))?;
        }
        out.line("")?;
        out.line(
            "What ran is in cli/demo/brasa.toml. Write your own brasa.toml, then: brasa check && brasa run",
        )
    }

    async fn figures(&self) -> Result<Figures, Failure> {
        let known = versions(&mut *self.pool.acquire().await?, None).await?;
        let mut figures = Figures { all: known.len(), ..Figures::default() };
        for version in known {
            figures.live += usize::from(version.state == State::Live);
            figures.moved += version.done.rows;
            figures.compared += version.done.compared;
            figures.wrong += version.done.wrong;
        }
        Ok(figures)
    }

    async fn counts(&self) -> Result<Counts, Failure> {
        let mut sum = Counts::default();
        for queue in self.app.queues().values() {
            let counts = queue.counts().await?;
            sum.waiting += counts.waiting;
            sum.running += counts.running;
            for (name, count) in counts.totals {
                *sum.totals.entry(name).or_default() += count;
            }
        }
        Ok(sum)
    }

    fn next_ticks(&self) -> String {
        let now = self.app.clock.now();
        let schedules = self.app.config.schedules.iter();
        let mut next: Vec<_> = schedules
            .filter_map(|(name, schedule)| Some((schedule.when.next_after(&schedule.zone, now)?, name)))
            .collect();
        next.sort();
        let told = next
            .iter()
            .take(TICKS_SHOWN)
            .map(|(at, name)| format!("{name} {}", distance(at.duration_since(now))));
        told.collect::<Vec<_>>().join(", ")
    }

    /// What was done to the database, and what a review recommends.
    async fn care(&self) -> Result<Care, Failure> {
        let done = "select count(*) filter (where kind = 'vacuum') as vacuumed, count(*) filter (where kind = 'reindex') as rebuilt,
                coalesce(sum(bytes_before - bytes_after) filter (where kind = 'reindex'), 0)::bigint as regained
            from brasa.care_actions where state = 'done'";
        let titles = "select body ->> 'title' from brasa.care_recommendations
            where cleared_at is null and dismissed_at is null
            order by array_position(array['critical', 'warning', 'info'], severity), rule, object";
        let failed = |error| Failure::environment(chain(&error));
        let row = sqlx::query(done).fetch_one(&self.pool).await.map_err(failed)?;
        let titles = sqlx::query_scalar(titles).fetch_all(&self.pool).await.map_err(failed)?;
        let (vacuumed, rebuilt, regained) = (row.get("vacuumed"), row.get("rebuilt"), row.get("regained"));
        Ok(Care { vacuumed, rebuilt, regained, titles })
    }

    /// How many tables Postgres itself says were analyzed by hand since it started.
    async fn tables_analyzed(&self) -> Result<i64, Failure> {
        let query = "select count(*) from pg_stat_user_tables where last_analyze is not null and schemaname <> 'brasa'";
        let row = sqlx::query(query).fetch_one(&self.pool).await;
        row.map(|row| row.get(0)).map_err(|error| Failure::environment(chain(&error)))
    }
}

/// What is known about the aggregates.
#[derive(Debug, Default)]
struct Figures {
    all: usize,
    live: usize,
    moved: i64,
    compared: i64,
    wrong: i64,
}

impl Figures {
    fn line(&self) -> String {
        let Self { all, live, moved, compared, wrong } = self;
        format!(
            "figures   {moved:>7} changes moved   {live} of {all} aggregates built   {wrong} of {compared} groups wrong"
        )
    }

    fn sentence(&self) -> String {
        let Self { all, live, moved, compared, wrong } = self;
        format!(
            "{live} of {all} aggregates built, {moved} changes moved into them, {wrong} of {compared} groups wrong"
        )
    }
}

/// What was done to the database, and what a review recommends.
#[derive(Debug)]
struct Care {
    vacuumed: i64,
    rebuilt: i64,
    regained: i64,
    titles: Vec<String>,
}

impl Care {
    fn line(&self) -> String {
        format!(
            "database  {:>7} indexes rebuilt, {} given back   {} tables vacuumed   {} recommendations",
            self.rebuilt,
            bytes(self.regained.unsigned_abs()),
            self.vacuumed,
            self.titles.len()
        )
    }

    fn sentence(&self) -> String {
        format!(
            "{} tables vacuumed, {} indexes rebuilt ({} given back); a review recommends {} things:",
            self.vacuumed,
            self.rebuilt,
            bytes(self.regained.unsigned_abs()),
            self.titles.len()
        )
    }
}

fn rate(hits: u64, misses: u64) -> f64 {
    if hits + misses == 0 { 0.0 } else { f64_of(hits) / f64_of(hits + misses) }
}

#[expect(clippy::cast_precision_loss, reason = "shown to people; exact up to 2^53")]
fn f64_of(count: u64) -> f64 {
    count as f64
}
