//! Others are at work on the table meanwhile: whoever changes it, whoever builds on it, whoever upserts into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brasa_jobs::database::rebuild::{Built, Report as Run, Run as Wanted, run};
use brasa_jobs::database::session::{Session, Until};
use brasa_shared::config::{Config, Indexes, Upserts};
use brasa_shared::db::migrate;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use super::super::{Plan, Report};
use super::Blockers;
use crate::World;

/// How long a change of the table may wait for us.
const YIELD: Duration = Duration::from_secs(3);
/// Who upserts at once, and into how few rows.
const UPSERTERS: (usize, u32) = (8, 30);

const ITEMS: &str = "create table items (id int, k int, note text) with (autovacuum_enabled = off);
    insert into items select n, n from generate_series(1, 5000) n; create index items_k on items (k);
    delete from items where id % 10 > 0";

/// A world with a table most of whose index is waste.
async fn scene() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.expect("schema brasa");
    world.execute_counted(ITEMS).await;
    world.execute("vacuum analyze items").await;
    world
}

fn rules(upserts: Upserts) -> Indexes {
    Indexes { size_min: 0, gain_min: 0, upserts, ..Indexes::default() }
}

/// Rebuilds one index in a session of its own.
async fn rebuild(world: &World, index: &str, upserts: Upserts) -> Run {
    let mut session = Session::open(&Config::default(), Some(&world.pool)).await.expect("a session");
    let mut notes = world.pool.acquire().await.expect("a connection");
    let until = Until { deadline: None, stop: CancellationToken::new() };
    let (rules, named) = (rules(upserts), [index.to_owned()]);
    let wanted = Wanted { rules: &rules, named: &named, agreed: None, actor: "a test", until };
    let report = run(&mut session, &mut notes, &wanted, |_| ()).await.expect("a run");
    session.close().await;
    report
}

async fn count(world: &World, what: &str) -> i64 {
    let sql = AssertSqlSafe(format!("select count(*) {what}"));
    sqlx::query_scalar(sql).fetch_one(&world.pool).await.expect("a count")
}

/// A change of the table comes while we wait for somebody's snapshot: it does not wait for us.
pub(in super::super) async fn yields(plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut longest = Duration::ZERO;
    for round in 0..plan.rounds {
        let world = scene().await;
        let mut blockers = Blockers::of(&world.database_url, "items").await;
        let building = rebuild(&world, "items_k", Upserts::Skip);
        let others = async {
            blockers.lead_to(&world.pool, 2).await;
            let began = Instant::now();
            world.execute("alter table items add column more int").await;
            began.elapsed()
        };
        let (ran, waited) = tokio::join!(building, others);
        blockers.release().await;
        longest = longest.max(waited);
        report.demand(waited <= YIELD, format!("round {round}: a change waited for {waited:?}"));
        let is_failed = matches!(ran.built.first(), Some((_, Built::Failed(_))));
        report.demand(is_failed, format!("round {round}: it gave way, and came to {:?}", ran.built));
        let invalid = count(&world, "from pg_index where not indisvalid").await;
        report.demand(invalid == 0, format!("round {round}: {invalid} invalid indexes are left"));
        report.acknowledged += 1;
        report.executions += 1;
    }
    report.note(format!("the longest that a change waited for us was {longest:?}"));
    report
}

/// Others build indexes on a table on which we have something to tidy: none of them loses its build.
pub(in super::super) async fn neighbours(plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let (mut lost, mut tidied) = (0, 0);
    for round in 0..plan.rounds {
        let world = scene().await;
        leave_something(&world).await;
        let mut blockers = Blockers::of(&world.database_url, "items").await;
        let url = world.database_url.clone();
        // Half of them are builds, half are rebuilds.
        let sql = if round % 2 == 0 {
            "create index concurrently theirs on items (id)"
        } else {
            "reindex index concurrently items_k"
        };
        let builder = tokio::spawn(async move {
            let mut connection = PgConnection::connect(&url).await.expect("a connection");
            sqlx::raw_sql(sql).execute(&mut connection).await
        });
        blockers.lead_to(&world.pool, (round / 2) as usize % 3).await;
        let held = rebuild(&world, "items_k", Upserts::Skip).await;
        report.demand(
            matches!(held.recovered.first().and_then(|found| found.built.as_ref()), Some(Built::Left(_))),
            format!(
                "round {round}: with a builder beside it nothing is dropped, and it came to {:?}",
                held.recovered
            ),
        );
        blockers.release().await;
        if let Err(error) = builder.await.expect("a builder") {
            lost += 1;
            report.demand(false, format!("round {round}: the builder failed: {error}"));
        }
        rebuild(&world, "items_k", Upserts::Skip).await;
        let invalid = count(&world, "from pg_index where not indisvalid").await;
        report.demand(invalid == 0, format!("round {round}: {invalid} invalid indexes are left"));
        tidied += u32::from(invalid == 0);
        report.acknowledged += 1;
        report.executions += 1;
    }
    report.note(format!("{lost} builds of others were lost, {tidied} times all was tidied in the end"));
    report
}

/// A rebuild of ours is interrupted, and its note stays open.
async fn leave_something(world: &World) {
    let mut blockers = Blockers::of(&world.database_url, "items").await;
    let mut session = Session::open(&Config::default(), Some(&world.pool)).await.expect("a session");
    let mut notes = world.pool.acquire().await.expect("a connection");
    let until = Until { deadline: None, stop: CancellationToken::new() };
    let (rules, named) = (rules(Upserts::Skip), ["items_k".to_owned()]);
    let wanted = Wanted { rules: &rules, named: &named, agreed: None, actor: "a test", until };
    {
        let building = run(&mut session, &mut notes, &wanted, |_| ());
        tokio::pin!(building);
        tokio::select! {
            _ = &mut building => panic!("it waits for whoever writes"),
            () = blockers.lead_to(&world.pool, 1) => {}
        }
    }
    // Whoever drops it in the middle is gone for Postgres, which ends it.
    drop(session);
    crate::eventually("it is ended", async || {
        count(world, "from pg_stat_progress_create_index where datname = current_database()").await == 0
    })
    .await;
    blockers.release().await;
}

/// Rows are upserted without a rest while a unique index is rebuilt again and again: nobody gets an error.
pub(in super::super) async fn upserts(plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let world = scene().await;
    world.execute("create table hot (id int primary key, n bigint not null default 0)").await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..UPSERTERS.0)
        .map(|_| tokio::spawn(upsert(world.database_url.clone(), Arc::clone(&stop), Arc::clone(&done))))
        .collect();
    let (mut rebuilt, mut put_off) = (0, 0);
    for round in 0..plan.rounds {
        // Every other round asks as somebody who has not said what he wants: then nothing is done.
        let policy = if round % 2 == 0 { Upserts::Blocking } else { Upserts::Skip };
        match rebuild(&world, "hot_pkey", policy).await.built.first() {
            Some((_, Built::Done { .. })) => rebuilt += 1,
            Some((_, Built::Put(_) | Built::Failed(_))) => put_off += 1,
            other => report.demand(false, format!("round {round}: it came to {other:?}")),
        }
        // It rests for a while after each, so as not to be what is measured.
        sqlx::raw_sql("delete from brasa.care_indexes").execute(&world.pool).await.expect("it forgets");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        if let Err(error) = writer.await.expect("a writer") {
            report.demand(false, format!("an upsert failed: {error}"));
        }
    }
    report.acknowledged = usize::try_from(done.load(Ordering::Relaxed)).unwrap_or(0);
    report.executions = report.acknowledged;
    report.demand(rebuilt > plan.rounds / 4, format!("only {rebuilt} rebuilds: that proves nothing"));
    report.note(format!(
        "{rebuilt} rebuilds, {put_off} times nothing was done, {} upserts",
        report.acknowledged
    ));
    report
}

async fn upsert(url: String, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&url).await?;
    let mut id = 0;
    while !stop.load(Ordering::Relaxed) {
        id = (id + 7) % UPSERTERS.1;
        let sql = "insert into hot (id) values ($1) on conflict (id) do update set n = hot.n + 1";
        sqlx::query(sql).bind(i32::try_from(id).unwrap_or(0)).execute(&mut connection).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
