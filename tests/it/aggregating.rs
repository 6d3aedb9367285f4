//! Figures that are kept as rows change: exact in every snapshot, whoever dies when.

mod changing;
mod command;
mod crashing;
mod edges;
mod flights;
mod publishing;
mod refusing;

use std::time::Duration;

use brasa_jobs::aggregates::{Fault, Folding, Pace, PlanState, build, fold, install, plan, switch};
use brasa_jobs::catalog;
use brasa_shared::config::Config;
use brasa_shared::db::aggregates::{State, Version, versions};
use brasa_shared::db::migrate;
use brasa_tests::{Worker, World, eventually};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Sales, by day of New York, shop and kind, kept by what changed; and by hour and shop, computed again.
pub(crate) const CONFIG: &str = r#"
[aggregates.daily]
source = "sales"
time = "at"
tz = "America/New_York"
by = ["shop", "kind"]
where = "status <> 'draft'"
measures = { n = "count(*)", paid = "count(*) filter (where paid)", units = "sum(units)", revenue = "sum(total)", mean = "avg(units)" }

[aggregates.peaks]
source = "public.sales"
time = "at"
bucket = "hour"
by = ["shop"]
measures = { n = "count(*)", top = "max(total)", least = "min(total)", buyers = "distinct(buyer)", p90 = "percentile(0.9, total)" }
"#;

pub(crate) const NAMES: [&str; 2] = ["daily", "peaks"];

/// What the view of each should give.
fn truth(name: &str) -> &'static str {
    match name {
        "daily" => {
            "select date_trunc('day', at, 'America/New_York') as bucket, shop, kind, round(avg(units), 9) as mean,
                count(*) as n, count(*) filter (where paid) as paid, sum(total) as revenue, sum(units) as units
             from sales where status <> 'draft' and isfinite(at) group by 1, 2, 3"
        }
        _ => {
            "select date_trunc('hour', at) as bucket, shop, count(distinct buyer) as buyers, min(total) as least,
                count(*) as n, percentile_cont(0.9) within group (order by total) as p90, max(total) as top
             from sales where isfinite(at) group by 1, 2"
        }
    }
}

fn known(name: &str) -> &'static str {
    match name {
        "daily" => {
            "select bucket, shop, kind, round(mean, 9) as mean, n, paid, revenue, units from brasa.agg_daily"
        }
        _ => "select bucket, shop, buyers, least, n, p90, top from brasa.agg_peaks",
    }
}

/// A world whose database has sales of some days in it.
async fn scene() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world
        .execute(
            "create table sales (id int primary key generated always as identity, at timestamptz, shop text, kind int,
                 status text not null default 'sold', paid bool not null default true, units int, total numeric,
                 buyer int, note text);
             create index on sales (at);
             insert into sales (at, shop, kind, status, paid, units, total, buyer)
             select timestamptz '2026-03-01Z' + n * interval '17 minutes', (array['a', 'b', null])[n % 3 + 1], n % 2,
                 (array['sold', 'sold', 'draft'])[n % 3 + 1], n % 4 > 0, n % 5, (n % 7) / 3.0, n % 11
             from generate_series(1, 2000) n;
             insert into sales (at, shop) values (null, 'a'), ('infinity', 'a'), ('-infinity', 'b')",
        )
        .await;
    world
}

/// One of [`CONFIG`], or of another configuration, as a version that is kept.
async fn version(world: &World, name: &str) -> Version {
    let mut connection = world.pool.acquire().await.unwrap();
    let found = versions(&mut connection, Some(name)).await.unwrap();
    found.into_iter().rfind(|version| version.state != State::Old).unwrap()
}

async fn installed(world: &World, config: &Config, name: &str) -> PlanState {
    let mut connection = world.pool.acquire().await.unwrap();
    install(&mut connection, name, &config.aggregates[name], false).await.unwrap().state
}

/// Builds what is from before, and shows it.
async fn built(world: &World, name: &str) {
    let mut connection = world.pool.acquire().await.unwrap();
    let version = version(world, name).await;
    let mut pace = Pace::default();
    loop {
        let step = build(&mut connection, &version, pace).await.unwrap();
        pace = pace.after(step.computing);
        if step.is_done {
            break;
        }
    }
    switch(&mut connection, &version, None).await.unwrap();
}

/// A scene in which all of [`CONFIG`] is installed and built.
pub(crate) async fn kept() -> (World, Config) {
    let world = scene().await;
    let config = world.config(CONFIG);
    for name in NAMES {
        assert_eq!(installed(&world, &config, name).await, PlanState::Missing);
        built(&world, name).await;
    }
    (world, config)
}

const FOLDING: Folding<'_> = Folding { most: 1_000, publish: None, frozen_after: None };

/// Moves everything that changed into the groups; returns how many rows of the log that were.
pub(crate) async fn folded(world: &World, name: &str) -> i64 {
    let mut connection = world.pool.acquire().await.unwrap();
    let (mut rows, version) = (0, version(world, name).await);
    loop {
        match fold(&mut connection, &version, FOLDING).await {
            Ok(folded) if folded.rows == 0 => return rows,
            Ok(folded) => rows += folded.rows,
            Err(Fault::Busy) => {}
            Err(fault) => panic!("{fault:?}"),
        }
    }
}

/// What the view of an aggregate and its source do not have in common, as of one snapshot.
async fn differences(connection: &mut PgConnection, name: &str) -> Vec<String> {
    let (known, truth) = (known(name), truth(name));
    let sql = format!(
        "with known as ({known}), truth as ({truth}),
            more as (select * from known except all select * from truth),
            less as (select * from truth except all select * from known)
         select 'too much: ' || to_jsonb(more)::text from more union all select 'missing: ' || to_jsonb(less)::text from less"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await.unwrap()
}

async fn is_exact(world: &World, name: &str) {
    let mut connection = world.pool.acquire().await.unwrap();
    let found = differences(&mut connection, name).await;
    assert!(
        found.is_empty(),
        "{name}: {} differences, such as {:#?}",
        found.len(),
        &found[..found.len().min(4)]
    );
}

/// The same before and after what changed is moved into the groups.
async fn stay_exact(world: &World) {
    for name in NAMES {
        is_exact(world, name).await;
        folded(world, name).await;
        is_exact(world, name).await;
    }
}

fn start(world: &World, config: &str) -> Worker {
    let mut settings = world.settings(catalog(), config);
    let pool = world.another_pool(2, Duration::from_secs(5));
    settings.aggregates = Some(brasa_worker::aggregates::Settings { store: world.store.apart(), pool });
    Worker::start(settings)
}

/// Waits until nothing is left to be moved.
async fn settled(world: &World, name: &str) {
    eventually(&format!("{name} has everything"), async || {
        let version = version(world, name).await;
        let mut connection = world.pool.acquire().await.unwrap();
        let (rows, _) = brasa_jobs::aggregates::waiting(&mut connection, &version).await.unwrap();
        version.state == State::Live && rows == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_is_built_and_what_comes_is_added() {
    let (world, _config) = kept().await;
    stay_exact(&world).await;
    let groups = world.rows("select count(*) as n from brasa.agg_daily").await;
    assert!(groups[0]["n"].as_i64().unwrap() > 50, "{groups}");

    world
        .execute(
            "insert into sales (at, shop, kind, units, total) values ('2026-03-05 10:00Z', 'a', 1, 3, 0.1),
                 ('2024-01-01Z', 'new', null, null, null), (null, 'a', 1, 1, 1)",
        )
        .await;
    stay_exact(&world).await;
    let old = world.rows("select n, units from brasa.agg_daily where shop = 'new'").await;
    assert_eq!(old, json!([{ "n": 1, "units": null }]), "two years late, and there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_builds_moves_and_counts_by_itself() {
    let world = scene().await;
    let worker = start(&world, CONFIG);
    let config = world.config(CONFIG);
    for name in NAMES {
        installed(&world, &config, name).await;
    }
    for name in NAMES {
        settled(&world, name).await;
    }
    world.execute("insert into sales (at, shop, kind, units) values ('2026-03-05Z', 'late', 1, 2)").await;
    for name in NAMES {
        settled(&world, name).await;
        is_exact(&world, name).await;
    }
    assert_eq!(version(&world, "daily").await.done.rows, 1);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_stays_and_another_definition_takes_its_place_when_it_is_built() {
    let (world, config) = kept().await;
    assert_eq!(installed(&world, &config, "daily").await, PlanState::Installed);
    let other = world.config(&CONFIG.replace("sum(units)", "sum(units * 2)"));
    assert_eq!(installed(&world, &other, "daily").await, PlanState::Changed);
    // Until it is built, the one before is shown, and goes on.
    world.execute("insert into sales (at, shop, kind, units) values ('2026-03-05Z', 'x', 1, 2)").await;
    is_exact(&world, "daily").await;

    let units = async || world.rows("select units from brasa.agg_daily where shop = 'x'").await;
    assert_eq!(units().await, json!([{ "units": 2 }]));
    built(&world, "daily").await;
    assert_eq!(units().await, json!([{ "units": 4 }]));

    let worker = start(&world, CONFIG);
    eventually("the one before is gone", async || {
        let mut connection = world.pool.acquire().await.unwrap();
        let left = versions(&mut connection, Some("daily")).await.unwrap();
        left.len() == 1 && left[0].version == 2
    })
    .await;
    worker.drain().await;
    let tables = world.rows("select count(*) as n from pg_class where relname like 'agg_daily_v1%'").await;
    let triggers =
        world.rows("select count(*) as n from pg_trigger where tgname like '%brasa_agg_daily_v1%'").await;
    assert_eq!((tables, triggers), (json!([{ "n": 0 }]), json!([{ "n": 0 }])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing_and_is_what_an_installation_runs() {
    let world = scene().await;
    let config = world.config(CONFIG);
    let mut connection = world.pool.acquire().await.unwrap();
    let planned = plan(&mut connection, "daily", &config.aggregates["daily"], false).await.unwrap();
    assert_eq!(planned.state, PlanState::Missing);
    let ours = "select count(*) as n from pg_class where relname like 'agg\\_%'";
    assert_eq!(world.rows(ours).await, json!([{ "n": 0 }]));
    // By hand, but for the row that says so.
    world.execute(&planned.sql()).await;
    assert_ne!(world.rows(ours).await, json!([{ "n": 0 }]));
}

fn count(rows: &Value) -> i64 {
    rows[0]["n"].as_i64().unwrap()
}
