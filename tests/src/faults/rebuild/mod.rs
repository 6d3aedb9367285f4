//! Rebuilds of indexes are interrupted in every phase, in every way: nothing invalid stays, and nothing else goes.

mod blockers;
mod others;
mod shapes;

use std::time::{Duration, Instant};

use brasa::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use brasa_shared::db::migrate;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

pub use blockers::{Blockers, PHASES};
pub(super) use others::{neighbours, upserts, yields};
pub use shapes::{Shape, shapes};

use super::{LIMIT, Plan, Report};
use crate::process::{Brasa, Running, within};
use crate::{Proxy, World};

/// How soon a build must be gone whose worker is.
const ORPHAN: Duration = Duration::from_secs(3);
/// A step that visits every combination, those that are alike far apart.
const STRIDE: u32 = 53;
/// Ends a rebuild that goes on, and gives up what it wrote so that there is a next one.
const WAYS: [&str; 4] =
    ["the worker is killed", "its session is ended", "the server is killed", "the network breaks"];

const CONFIG: &str = r#"
[worker]
lease = "1s"
[outbox]
enabled = false
[maintenance]
url = "PROXY"
[maintenance.indexes]
min_size = "1KiB"
min_gain = "1KiB"
upserts = "retry"
"#;

/// What everything happens on.
struct Ground {
    world: World,
    brasa: Brasa,
    proxy: Proxy,
    worker: Running,
    longest: Duration,
    // Last: the world's database is taken away on it.
    postgres: PostgresServer,
}

pub(super) async fn run(plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let redis = RedisServer::start(RedisOptions::default()).expect("a Redis");
    let postgres = PostgresServer::start(PostgresOptions::default()).expect("a Postgres");
    let world = World::on_servers(redis.url(), &postgres.url("postgres")).await;
    migrate(&world.pool).await.expect("schema brasa");
    let direct = format!("127.0.0.1:{}", postgres.port());
    let proxy = Proxy::to(&direct).await;
    let through = world.database_url.replace(&direct, &proxy.address().to_string());
    assert_ne!(through, world.database_url, "maintenance goes through the network that breaks");
    let config = CONFIG.replace("PROXY", &through);
    let brasa = Brasa::configured(&world, &config).env("RUST_LOG", "warn");
    let worker = brasa.start(["worker"]);
    let mut ground = Ground { world, brasa, proxy, worker, longest: Duration::ZERO, postgres };
    let shapes = shapes();
    for round in 0..plan.rounds {
        let place = (round * STRIDE) as usize % (WAYS.len() * PHASES.len() * shapes.len());
        let (way, phase) = (place % WAYS.len(), place / WAYS.len() % PHASES.len());
        let shape = &shapes[place / (WAYS.len() * PHASES.len())];
        let what = format!("{} while {}, an index {}", WAYS[way], PHASES[phase], shape.name);
        for breach in ground.round(way, phase, shape).await {
            report.demand(false, format!("{what}: {breach}"));
        }
        report.acknowledged += 1;
        report.executions += 1;
    }
    let orphans = ground.longest;
    report.demand(orphans <= ORPHAN, format!("a build outlived its worker by {orphans:?}"));
    report.note(format!("a build that lost its worker was gone after {orphans:?} at most"));
    ground.worker.kill().await;
    report
}

impl Ground {
    /// A fault, and what is wrong after the next run.
    async fn round(&mut self, way: usize, phase: usize, shape: &Shape) -> Vec<String> {
        let pool = self.world.another_pool(2, Duration::from_secs(20));
        let scene = "drop table if exists parts, items; truncate brasa.care_actions, brasa.care_indexes";
        for sql in [scene, &shape.sql].into_iter().flat_map(|sql| sql.split("; ")) {
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&pool).await.expect("a scene");
        }
        // Somebody else's build failed, long ago, on the same table.
        let stranger = format!("create index \"a stranger\" on {} (note)", shape.table);
        sqlx::raw_sql(AssertSqlSafe(stranger)).execute(&pool).await.expect("an index of somebody else");
        let invalid = "update pg_index set indisvalid = false where indexrelid = '\"a stranger\"'::regclass";
        sqlx::raw_sql(invalid).execute(&pool).await.expect("it is invalid");
        let mut blockers = Blockers::of(&self.world.database_url, &shape.table).await;
        self.world.enqueue("db.reindex", json!({ "indexes": [shape.index] })).await;
        blockers.lead_to(&pool, phase).await;
        let began = Instant::now();
        match way {
            0 => self.worker.kill().await,
            1 => drop(sqlx::query(END).execute(&pool).await),
            2 => {
                self.postgres.kill().expect("Postgres is killed");
                self.postgres.restart().expect("Postgres starts again");
            }
            _ => self.proxy.sever(),
        }
        let pool = self.world.another_pool(2, Duration::from_secs(20));
        within(LIMIT, "the build is gone", async || {
            let builds: i64 = sqlx::query_scalar(BUILDS).fetch_one(&pool).await.ok()?;
            (builds == 0).then_some(())
        })
        .await;
        if way == 0 || way == 3 {
            self.longest = self.longest.max(began.elapsed());
        }
        blockers.release().await;
        if way == 0 {
            self.worker = self.brasa.start(["worker"]);
        }
        // The job that was interrupted may rest for a while before it is tried again: this is the next run.
        let next = self.world.enqueue("db.reindex", json!({ "indexes": [shape.index] })).await;
        within(LIMIT, "the next run ends", async || {
            let state = self.world.state(&next).await?;
            matches!(state, brasa_shared::queue::State::Done | brasa_shared::queue::State::Dead).then_some(())
        })
        .await;
        // The job that was interrupted may have come back meanwhile, and be at it once more.
        within(LIMIT, "nobody is at it", async || {
            let sessions: i64 = sqlx::query_scalar(SESSIONS).fetch_one(&pool).await.ok()?;
            (sessions == 0).then_some(())
        })
        .await;
        judge(&pool, shape).await
    }
}

const SESSIONS: &str = "select count(*) from pg_stat_activity where application_name like 'brasa-care %'";

const END: &str = "select pg_terminate_backend(pid) from pg_stat_progress_create_index";
const BUILDS: &str =
    "select count(*) from pg_stat_activity where query like 'reindex index%' and state = 'active'";

async fn judge(pool: &PgPool, shape: &Shape) -> Vec<String> {
    let mut wrong = Vec::new();
    let invalid: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid where not i.indisvalid",
    )
    .fetch_all(pool)
    .await
    .expect("the invalid ones");
    if invalid != ["a stranger"] {
        wrong.push(format!("invalid are {invalid:?}"));
    }
    let is_there: bool = sqlx::query_scalar(
        "select exists (select from pg_index where indexrelid = to_regclass($1) and indisvalid and indisready and indislive)",
    )
    .bind(&shape.index)
    .fetch_one(pool)
    .await
    .expect("the index");
    if !is_there {
        wrong.push("the index itself is gone".to_owned());
    }
    let count: i64 = sqlx::query_scalar("select count(*) from pg_index where indrelid = to_regclass($1)")
        .bind(&shape.table)
        .fetch_one(pool)
        .await
        .expect("how many there are");
    if count != 2 {
        wrong.push(format!("the table has {count} indexes"));
    }
    let open: Vec<String> = sqlx::query_scalar(
        "select state from brasa.care_actions where state not in
        ('done', 'done_recovered', 'failed_clean', 'aborted_clean', 'skipped')",
    )
    .fetch_all(pool)
    .await
    .expect("the notes");
    if !open.is_empty() {
        wrong.push(format!("notes are {open:?}"));
    }
    wrong
}
