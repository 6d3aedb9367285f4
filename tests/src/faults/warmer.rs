//! Warmers are killed between load and fill, and Redis now and then, while rows are written and values are read.

use std::time::{Duration, Instant};

use brasa_shared::cache::{Asking, Caches, Entry, Standing, params_of};
use brasa_shared::db::changes::{ChangeLog, Dependency, triggers};
use brasa_shared::db::migrate;
use rand::RngExt as _;

use super::crew::Crew;
use super::stage::Stage;
use super::{LIMIT, Plan, Report};
use crate::process::{Brasa, within};

/// The things that there are.
const THINGS: u32 = 40;
/// The longest lease that anybody may have.
const LEASE_MAX: Duration = Duration::from_secs(30);
/// The lease that readers here take for whoever loads.
const LEASE: Duration = Duration::from_secs(2);
/// One kill in so many is one of Redis.
const REDIS_SHARE: u32 = 10;

pub(super) async fn run(mut plan: Plan) -> Report {
    let mut report = Report::of(&plan);
    let mut stage = Stage::with_outbox("concurrency = 2").await;
    prepare(&stage).await;
    let config = format!(
        "[outbox]\nenabled = false\n[warm.thing]\nttl = \"1h\"\nkey = \"{}:thing:{{id}}\"\nparams = [\"id\"]\n\
         sql = \"select id, v as value from things, pg_sleep(0.02) where id = any($1)\"\n\
         depends_on = [\"things(id)\"]\n",
        stage.world.prefix
    );
    let brasa = stage.as_team(Brasa::configured(&stage.world, &config));
    let mut crew = Crew::start(brasa, 2);
    let mut hit = 0;
    for round in 0..plan.rounds {
        for _ in 0..6 {
            let id = plan.dice.random_range(0..THINGS);
            write(&stage, id).await;
            // Redis may be on its way up.
            drop(read(&stage, id).await);
        }
        tokio::time::sleep(Duration::from_millis(plan.dice.random_range(0..60))).await;
        hit += leased(&stage, &mut report).await;
        if round % REDIS_SHARE == REDIS_SHARE - 1 {
            stage.redis.kill().expect("Redis is killed");
            stage.redis.restart().expect("Redis starts again");
        } else {
            crew.kill_any(&mut plan.dice).await;
        }
    }
    settle(&stage, &mut report).await;
    crew.fallen().into_iter().for_each(|fallen| report.demand(false, fallen));
    crew.dismiss().await;
    report.demand(hit > 0, "no kill met a load: that proves nothing");
    report.note(format!("{hit} values were being loaded when somebody was killed"));
    report
}

async fn prepare(stage: &Stage) {
    let pool = &stage.world.pool;
    migrate(pool).await.expect("schema brasa");
    sqlx::query("create table things (id int primary key, v int not null)")
        .execute(pool)
        .await
        .expect("a table");
    let rows = "insert into things select n, 0 from generate_series(0, $1) n";
    sqlx::query(rows).bind(i32::try_from(THINGS).expect("few")).execute(pool).await.expect("rows");
    let mut connection = pool.acquire().await.expect("a connection");
    let dependency = Dependency::parse("things(id)").expect("a dependency");
    triggers::install(&mut connection, &[dependency], LIMIT).await.expect("triggers");
}

fn caches(stage: &Stage) -> Caches {
    Caches::new(stage.world.store.clone(), &stage.world.prefix, stage.world.clock.clone())
}

fn entry(stage: &Stage, id: u32) -> Entry {
    Entry { key: format!("{}:thing:{id}", stage.world.prefix), params: params_of(&[id.to_string()]) }
}

async fn write(stage: &Stage, id: u32) {
    let id = i32::try_from(id).expect("a small number");
    let update = sqlx::query("update things set v = v + 1 where id = $1").bind(id);
    update.execute(&stage.world.pool).await.expect("a row is written");
}

async fn read(stage: &Stage, id: u32) -> Option<(Standing, String)> {
    let token = format!("r{:x}", rand::random::<u64>());
    let asking = Asking { token: Some(&token), lease: LEASE, is_counted: false, hot: 0 };
    let answer = caches(stage).namespace("thing").read(&entry(stage, id), asking).await.ok()?;
    Some((answer.standing, String::from_utf8_lossy(&answer.bytes).into_owned()))
}

/// How many values somebody is loading; nobody may do so for longer than a lease lasts.
async fn leased(stage: &Stage, report: &mut Report) -> usize {
    let mut count = 0;
    let most = i64::try_from(LEASE_MAX.as_millis()).expect("a short time");
    for id in 0..THINGS {
        let Ok(look) = caches(stage).look(&entry(stage, id).key).await else { continue };
        let now = stage.world.clock.now().as_millisecond();
        if let Some((_, until)) = look.lease.filter(|(_, until)| *until > now) {
            count += 1;
            report.demand(until - now <= most, format!("thing {id} is leased for {} ms", until - now));
        }
    }
    count
}

/// Waits until everything is told and loaded, and holds it against the truth.
async fn settle(stage: &Stage, report: &mut Report) {
    let log = ChangeLog::of(stage.world.pool.clone());
    within(LIMIT, "all changes are told", async || {
        log.is_empty().await.is_ok_and(|is_empty| is_empty).then_some(())
    })
    .await;
    let begun = Instant::now();
    for id in 0..THINGS {
        let truth: i32 = sqlx::query_scalar("select v from things where id = $1")
            .bind(i32::try_from(id).expect("a small number"))
            .fetch_one(&stage.world.pool)
            .await
            .expect("the truth");
        let found = within(LIMIT, "a value is there", async || {
            let (standing, text) = read(stage, id).await?;
            (standing == Standing::Fresh).then_some(text)
        })
        .await;
        report.acknowledged += 1;
        report.executions += 1;
        report
            .demand(found == truth.to_string(), format!("thing {id} is {truth} and the cache says {found}"));
    }
    let took = begun.elapsed();
    report.demand(took < LEASE_MAX + LEASE, format!("it took {took:?} until all values could be loaded"));
    report.note(format!("all values were there {took:?} after the last fault"));
}
