//! Every way in which rows of a source can change.

use brasa_jobs::aggregates::{PlanState, check};
use serde_json::json;

use super::{
    CONFIG, built, count, differences, folded, installed, is_exact, kept, scene, stay_exact, version,
};

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_deletes_are_seen_whatever_they_change() {
    let (world, _config) = kept().await;
    for sql in [
        "update sales set units = units + 1 where id % 3 = 0",
        "update sales set shop = null where shop = 'a' and id < 500",
        "update sales set shop = 'a' where shop is null and id % 2 = 0",
        "update sales set at = at + interval '1 day' where id % 10 = 0",
        "update sales set at = null where id % 50 = 0",
        "update sales set status = 'draft' where id % 9 = 0",
        "update sales set total = null where id % 4 = 0",
        "update sales set total = 'NaN' where id = 1000",
        "update sales set total = 12.5 where id = 1000",
        "update sales set note = 'nothing that counts'",
        "delete from sales where id % 13 = 0",
        "delete from sales where shop = 'b'",
        "with gone as (delete from sales where id < 100 returning *) insert into sales (at, shop, units)
             select at, 'moved', units from gone",
        "insert into sales (id, at, shop) overriding system value values (500, '2026-03-02Z', 'x')
             on conflict (id) do update set shop = excluded.shop, at = excluded.at",
        "delete from sales",
    ] {
        world.execute(sql).await;
        stay_exact(&world).await;
    }
    assert_eq!(world.rows("select * from brasa.agg_daily").await, json!([]));
    let left = world.rows("select count(*) as n from brasa.agg_daily_v1").await;
    assert_eq!(count(&left), 0, "groups without rows are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_that_counts_leaves_no_row_in_the_log() {
    let (world, _config) = kept().await;
    world.execute("update sales set note = 'x'; update sales set units = units").await;
    for name in super::NAMES {
        let log = format!("select count(*) as n from brasa.agg_{name}_v1_log");
        assert_eq!(count(&world.rows(&log).await), 0, "{name}");
    }
    world.execute("update sales set units = units + 1").await;
    let groups = count(&world.rows("select count(*) as n from brasa.agg_daily").await);
    let rows = count(&world.rows("select count(*) as n from brasa.agg_daily_v1_log").await);
    assert!(rows > 0 && rows <= groups, "one row for each group: {rows} of {groups}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_one_row_are_noted_like_those_of_many() {
    let (world, _config) = kept().await;
    // Where everything is published, a log without a key could not be emptied.
    world.execute("create publication everything for all tables").await;
    for row in [
        "('2026-03-02Z', 'one', 1, 'sold', true, 3, 2.5)",
        "('2026-03-02Z', 'one', 1, 'sold', false, null, null)",
        "('2026-03-02Z', null, null, 'sold', true, 3, 2.5)",
        "('2026-03-02Z', 'one', 1, 'draft', true, 3, 2.5)",
        "(null, 'one', 1, 'sold', true, 3, 2.5)",
        "('infinity', 'one', 1, 'sold', true, 3, 2.5)",
        "('2026-03-02Z', 'one', 1, 'sold', true, 3, 'NaN')",
        "('2026-03-02Z', 'one', 1, 'sold', true, 3, 1), ('2026-03-02Z', 'one', 1, 'sold', true, 4, 2)",
    ] {
        let sql = format!("insert into sales (at, shop, kind, status, paid, units, total) values {row}");
        world.execute(&sql).await;
        stay_exact(&world).await;
    }
    let ids = world.rows("select id from sales where shop = 'one' or shop is null order by id desc").await;
    for row in ids.as_array().unwrap().iter().take(10) {
        world.execute(&format!("delete from sales where id = {}", row["id"])).await;
        stay_exact(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_table_is_seen_with_what_comes_before_and_after() {
    let (world, _config) = kept().await;
    world
        .execute(
            "insert into sales (at, shop, units) values ('2026-03-02Z', 'before', 1);
             begin; insert into sales (at, shop, units) values ('2026-03-02Z', 'in', 1); truncate sales;
             insert into sales (at, shop, units) values ('2026-03-02Z', 'after', 7), ('2026-03-02Z', 'a', 8); commit;
             insert into sales (at, shop, units) values ('2026-03-02Z', 'after', 1)",
        )
        .await;
    stay_exact(&world).await;
    let found = world.rows("select shop, units from brasa.agg_daily order by shop").await;
    assert_eq!(found, json!([{ "shop": "a", "units": 8 }, { "shop": "after", "units": 8 }]));
    // What was taken back did not happen.
    world.execute("begin; truncate sales; rollback").await;
    stay_exact(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoints_that_are_taken_back_and_copies_count_as_the_source_says() {
    let (world, _config) = kept().await;
    world
        .execute(
            "begin; insert into sales (at, shop, units) values ('2026-03-02Z', 'one', 1);
             savepoint s; insert into sales (at, shop, units) values ('2026-03-02Z', 'two', 2);
             update sales set units = 100; rollback to s; insert into sales (at, shop, units) values ('2026-03-02Z', 'three', 3);
             commit",
        )
        .await;
    let mut copy = world.pool.acquire().await.unwrap();
    let mut into = copy.copy_in_raw("copy sales (at, shop, units) from stdin (format csv)").await.unwrap();
    into.send("2026-03-02 10:00:00+00,copied,5\n2026-03-02 11:00:00+00,copied,6\n".as_bytes()).await.unwrap();
    into.finish().await.unwrap();
    stay_exact(&world).await;
    let found = world
        .rows("select sum(units) as n from brasa.agg_daily where shop in ('one', 'two', 'three', 'copied')");
    assert_eq!(count(&found.await), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_table_are_watched_and_new_ones_are_noticed() {
    let world = scene().await;
    world
        .execute(
            "create table parted (like sales including defaults) partition by range (at);
             create table parted_2026 partition of parted for values from ('2026-01-01Z') to ('2027-01-01Z');
             create index on parted (at); alter table sales rename to old_sales;
             create view sales as select * from parted;
             insert into parted select * from old_sales where at >= '2026-01-01Z' and isfinite(at)",
        )
        .await;
    let config = world.config(&CONFIG.replace("\"sales\"", "\"parted\"").replace("public.sales", "parted"));
    for name in super::NAMES {
        installed(&world, &config, name).await;
        built(&world, name).await;
    }
    world
        .execute(
            "insert into parted (id, at, shop, units) values (90001, '2026-04-01Z', 'whole', 1);
             insert into parted_2026 (id, at, shop, units) values (90002, '2026-04-01Z', 'part', 1);
             update parted_2026 set units = 5 where shop = 'whole'; delete from parted where id = 10; truncate parted_2026;
             insert into parted_2026 (id, at, shop, units) values (90003, '2026-04-01Z', 'part', 2)",
        )
        .await;
    stay_exact(&world).await;

    // Rows that are in a new part before it is watched are not known: until it is.
    world
        .execute(
            "create table parted_2025 (like parted including defaults);
             insert into parted_2025 (id, at, shop, units) values (90004, '2025-04-01Z', 'new', 4);
             alter table parted attach partition parted_2025 for values from ('2025-01-01Z') to ('2026-01-01Z');
             create index on parted_2025 (at)",
        )
        .await;
    let mut connection = world.pool.acquire().await.unwrap();
    assert_eq!(differences(&mut connection, "daily").await.len(), 1);
    for name in super::NAMES {
        assert_eq!(installed(&world, &config, name).await, PlanState::Unwatched);
        assert_eq!(installed(&world, &config, name).await, PlanState::Installed);
    }
    world
        .execute("insert into parted_2025 (id, at, shop, units) values (90005, '2025-04-01Z', 'new', 5)")
        .await;
    stay_exact(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_behind_the_triggers_backs_is_found_and_repaired() {
    let (world, _config) = kept().await;
    let checked = async |repairs| {
        let mut connection = world.pool.acquire().await.unwrap();
        check(&mut connection, &version(&world, "daily").await, repairs, |_, _| true).await.unwrap()
    };
    let all = checked(false).await;
    assert_eq!((all.wrong, all.examples.len()), (0, 0));
    assert!(all.compared > 50, "{all:?}");

    world
        .execute(
            "set session_replication_role = replica;
             insert into sales (at, shop, kind, units) values ('2026-03-03Z', 'smuggled', 1, 2);
             delete from sales where shop = 'b' and at < '2026-03-02Z';
             reset session_replication_role;
             insert into sales (at, shop, kind, units) values ('2026-03-04Z', 'seen', 1, 2)",
        )
        .await;
    let found = checked(false).await;
    assert!(found.wrong >= 2, "{found:?}");
    assert!(found.examples.iter().any(|text| text.contains("smuggled")), "{found:?}");
    assert!(checked(true).await.is_repaired);
    folded(&world, "daily").await;
    is_exact(&world, "daily").await;
    assert_eq!(checked(false).await.wrong, 0);
    assert_eq!(version(&world, "daily").await.done.wrong, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_that_are_old_enough_stay_as_they_are_whatever_becomes_of_their_rows() {
    let (world, _config) = kept().await;
    let config = format!("{}\n", CONFIG.replacen("tz =", "frozen_after = \"30d\"\ntz =", 1));
    world.execute("insert into sales (at, shop, kind, units) values (now(), 'now', 1, 1)").await;
    let worker = super::start(&world, &config);
    brasa_tests::eventually("old buckets are frozen", async || {
        version(&world, "daily").await.frozen_until != "-infinity"
    })
    .await;
    let before = count(&world.rows("select sum(n) as n from brasa.agg_daily").await);

    world.execute("delete from sales where at < now() - interval '60 days'").await;
    world.execute("insert into sales (at, shop, kind, units) values ('2026-03-03Z', 'late', 1, 2), (now(), 'now', 1, 1)").await;
    super::settled(&world, "daily").await;
    assert_eq!(count(&world.rows("select sum(n) as n from brasa.agg_daily").await), before + 1);
    assert_eq!(version(&world, "daily").await.done.late, 1, "who came too late is counted");
    let mut connection = world.pool.acquire().await.unwrap();
    let checked = check(&mut connection, &version(&world, "daily").await, false, |_, _| true).await.unwrap();
    assert_eq!(checked.wrong, 0, "what is frozen is not compared: {checked:?}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_of_a_zone_whose_clocks_go_back_at_midnight_are_whole() {
    let world = scene().await;
    world
        .execute(
            "truncate sales; insert into sales (at, shop, units)
             select timestamptz '2025-10-30Z' + n * interval '13 minutes', 'a', n % 3 from generate_series(1, 800) n",
        )
        .await;
    for (zone, bucket) in [
        ("America/Havana", "day"),
        ("Australia/Lord_Howe", "hour"),
        ("Asia/Kathmandu", "30m"),
        ("America/Havana", "week"),
    ] {
        let text = format!(
            "[aggregates.zoned]\nsource = \"sales\"\ntime = \"at\"\ntz = \"{zone}\"\nbucket = \"{bucket}\"\nmode = \"recompute\"\n\
             measures = {{ n = \"count(*)\", units = \"sum(units)\" }}\n"
        );
        let config = world.config(&text);
        let mut connection = world.pool.acquire().await.unwrap();
        installed(&world, &config, "zoned").await;
        built(&world, "zoned").await;
        // All are computed again by their buckets.
        world.execute("update sales set units = units + 1").await;
        folded(&world, "zoned").await;
        let checked =
            check(&mut connection, &version(&world, "zoned").await, false, |_, _| true).await.unwrap();
        assert_eq!(checked.wrong, 0, "{zone} {bucket}: {checked:?}");
        let sums = "select (select sum(n) from brasa.agg_zoned) - (select count(*) from sales where isfinite(at)) as n";
        assert_eq!(count(&world.rows(sums).await), 0, "{zone} {bucket}");
    }
}
