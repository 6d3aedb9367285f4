//! Real flights: what a dashboard of them shows is what the plain query says, after a storm and kills.

use std::time::Duration;

use brasa_shared::db::migrate;
use brasa_tests::process::Brasa;
use brasa_tests::{World, flights};
use rand::RngExt as _;

use super::{installed, settled};

const CONFIG: &str = r#"
[aggregates.delays]
source = "flights"
time = "time_hour"
tz = "America/New_York"
by = ["carrier"]
measures = { flights = "count(*)", arrived = "count(arr_delay)", delay = "sum(arr_delay)" }

[aggregates.cancelled]
source = "flights"
time = "time_hour"
tz = "America/New_York"
bucket = "month"
by = ["origin", "dest"]
where = "dep_time is null"
measures = { flights = "count(*)", miles = "sum(distance)" }

[aggregates.late]
source = "flights"
time = "time_hour"
tz = "America/New_York"
bucket = "week"
by = ["origin"]
measures = { p50 = "percentile(0.5, arr_delay)", p95 = "percentile(0.95, arr_delay)", planes = "distinct(tailnum)" }
"#;

/// The aggregates, with the query that each stands for.
const TRUTHS: [(&str, &str); 3] = [
    (
        "delays",
        "select date_trunc('day', time_hour, 'America/New_York'), carrier, count(arr_delay), sum(arr_delay), count(*)
         from flights group by 1, 2",
    ),
    (
        "cancelled",
        "select date_trunc('month', time_hour, 'America/New_York'), origin, dest, count(*), sum(distance)
         from flights where dep_time is null group by 1, 2, 3",
    ),
    (
        "late",
        "select date_trunc('week', time_hour, 'America/New_York'), origin,
            percentile_cont(0.5) within group (order by arr_delay), percentile_cont(0.95) within group (order by arr_delay),
            count(distinct tailnum) from flights group by 1, 2",
    ),
];

async fn load(world: &World) {
    migrate(&world.pool).await.unwrap();
    flights::load(&world.pool).await.unwrap();
    world.execute("create index on flights (time_hour); alter table flights add column id bigint generated always as identity").await;
    world.execute("create unique index on flights (id); analyze flights").await;
}

/// How many groups an aggregate and its query do not have in common.
async fn differences(world: &World, name: &str, truth: &str) -> i64 {
    let columns = match name {
        "delays" => "bucket, carrier, arrived, delay, flights",
        "cancelled" => "bucket, origin, dest, flights, miles",
        _ => "bucket, origin, p50, p95, planes",
    };
    let known = format!("select {columns} from brasa.agg_{name}");
    let sql = format!(
        "with known as ({known}), truth as ({truth}) select (select count(*) from (select * from known except all select * from
         truth) x) + (select count(*) from (select * from truth except all select * from known) x) as n"
    );
    super::count(&world.rows(&sql).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_of_real_flights_are_exact_after_a_storm_and_kills() {
    let world = World::new().await;
    load(&world).await;
    let config = world.config(CONFIG);
    for (name, _) in TRUTHS {
        installed(&world, &config, name).await;
    }
    let brasa = Brasa::configured(&world, CONFIG);
    let mut worker = brasa.start(["worker"]);
    for round in 0..60 {
        let id = rand::rng().random_range(1..330_000);
        world
            .execute(&format!(
                "update flights set arr_delay = arr_delay + 1 where id between {id} and {id} + 40;
                 update flights set dep_time = null, arr_delay = null where id between {id} + 100 and {id} + 120;
                 update flights set carrier = 'XX', time_hour = time_hour + interval '36 hours' where id between {id} + 200 and {id} + 205;
                 delete from flights where id between {id} + 300 and {id} + 320;
                 insert into flights (carrier, origin, dest, tailnum, arr_delay, distance, time_hour)
                 select 'YY', 'JFK', 'SFO', 'N' || x, x, 2586, timestamptz '2013-01-01Z' + x * interval '5 days' from generate_series(1, 70) x"
            ))
            .await;
        if round % 15 == 14 {
            worker.kill().await;
            worker = brasa.start(["worker"]);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (name, truth) in TRUTHS {
        settled(&world, name).await;
        assert_eq!(differences(&world, name, truth).await, 0, "{name}");
    }
}
