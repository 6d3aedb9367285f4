//! Workers are killed between commit, push and mark, while jobs are enqueued in SQL.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use sqlx::PgPool;

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::process::within;

/// Rows that are committed in each round; as many are rolled back.
const ROWS: usize = 4;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage =
        Stage::with_outbox("concurrency = 8\nlease = \"1s\"\ncrashes_max = 100\nisolate = false").await;
    let mut undone = Vec::new();
    for _ in 0..plan.rounds {
        let mut worker = stage.team().start(["worker"]);
        // Some are there when it begins, and the others come while it relays.
        for _ in 0..ROWS {
            stage.acknowledge_one(commit(&stage.world.pool, 0).await);
            undone.push(roll_back(&stage.world.pool).await);
            tokio::time::sleep(Duration::from_micros(plan.dice.random_range(0..60_000))).await;
        }
        worker.kill().await;
    }
    let last = Instant::now();
    let crew = Crew::start(stage.team(), 1);
    let reconciler = stage.reconciler();
    within(LIMIT, "the outbox is empty", async || (rows(&stage.world.pool).await == 0).then_some(())).await;
    stage.drained(&mut report, last).await;
    reconciler.drain().await;
    stage.judge(&mut report).await;
    crew.dismiss().await;
    let (book, counts) = (stage.book(), stage.queue.counts().await.expect("counts"));
    let ran = undone.iter().filter(|id| !book.begun(id).is_empty()).count();
    report.demand(ran == 0, format!("{ran} jobs ran that had been rolled back"));
    let enqueued = counts.totals.get("enqueued").copied().unwrap_or(0);
    let rows = report.acknowledged as u64;
    report.demand(enqueued == rows, format!("{rows} rows became {enqueued} jobs"));
    report.note(format!("{} rows were rolled back, and none of them ran", undone.len()));
    report
}

/// Enqueues a job in a transaction of its own, which is due so much later.
pub(super) async fn commit(pool: &PgPool, later_ms: u32) -> String {
    let sql = "select brasa.enqueue('team.note', run_at => now() + make_interval(secs => $1::float8 / 1000))";
    let query = sqlx::query_scalar(sql).bind(f64::from(later_ms));
    query.fetch_one(pool).await.expect("a job is enqueued in SQL")
}

/// Enqueues a job in a transaction that does not happen.
async fn roll_back(pool: &PgPool) -> String {
    let mut transaction = pool.begin().await.expect("a transaction begins");
    let query = sqlx::query_scalar("select brasa.enqueue('team.note', '{}'::jsonb)");
    let id = query.fetch_one(&mut *transaction).await.expect("a job is enqueued in SQL");
    transaction.rollback().await.expect("a transaction is rolled back");
    id
}

/// How many rows are in the outbox.
pub(super) async fn rows(pool: &PgPool) -> i64 {
    let query = sqlx::query_scalar("select count(*) from brasa.outbox");
    query.fetch_one(pool).await.expect("the rows of the outbox are counted")
}
