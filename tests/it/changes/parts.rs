//! Tables with partitions, and tables that inherit.

use super::{NOTHING, Scene, TableState};

const DEP: &str = "flights(origin)";
const LINE: &str = "table:public.flights(origin)";

/// By year, and 2027 by origin as well.
const PARTITIONED: &str = "create table flights (origin text, day date, price int) partition by range (day);
    create table flights_2026 partition of flights for values from ('2026-01-01') to ('2027-01-01');
    create table flights_2027 partition of flights for values from ('2027-01-01') to ('2028-01-01')
        partition by list (origin);
    create table flights_2027_mad partition of flights_2027 for values in ('MAD');
    create table flights_2027_rest partition of flights_2027 default";

async fn partitioned() -> Scene {
    let mut scene = Scene::with(PARTITIONED).await;
    scene.install(&[DEP]).await.unwrap();
    scene.take_all().await;
    scene
}

#[tokio::test]
async fn what_is_written_through_a_partitioned_table_is_logged_once() {
    let mut scene = partitioned().await;

    let insert =
        "insert into flights values ('MAD', '2026-05-05'), ('LIS', '2027-05-05'), ('MAD', '2027-05-05')";
    assert_eq!(scene.logged_by(insert).await, [format!("{LINE} LIS"), format!("{LINE} MAD")]);
    let update = "update flights set price = 1 where origin = 'LIS'";
    assert_eq!(scene.logged_by(update).await, [format!("{LINE} LIS")]);
    let moved = "update flights set day = '2026-06-06', origin = 'OPO' where origin = 'LIS'";
    assert_eq!(scene.logged_by(moved).await, [format!("{LINE} LIS"), format!("{LINE} OPO")]);
    assert_eq!(scene.logged_by("delete from flights where origin = 'MAD'").await, [format!("{LINE} MAD")]);
    let truncated = scene.logged_by("truncate flights").await;
    assert!(
        !truncated.is_empty() && truncated.iter().all(|line| *line == format!("{LINE} *")),
        "{truncated:?}"
    );
}

#[tokio::test]
async fn what_is_written_into_a_partition_directly_is_logged_for_the_table() {
    let mut scene = partitioned().await;

    let leaf = "insert into flights_2026 values ('MAD', '2026-05-05')";
    assert_eq!(scene.logged_by(leaf).await, [format!("{LINE} MAD")]);
    let middle = "insert into flights_2027 values ('LIS', '2027-05-05')";
    assert_eq!(scene.logged_by(middle).await, [format!("{LINE} LIS")]);
    let update = "update flights_2027_rest set price = 1";
    assert_eq!(scene.logged_by(update).await, [format!("{LINE} LIS")]);
    assert_eq!(scene.logged_by("truncate flights_2026").await, [format!("{LINE} *")]);
}

#[tokio::test]
async fn a_partition_that_came_later_is_named_until_it_has_its_triggers() {
    let mut scene = partitioned().await;
    assert!(scene.status(&[DEP]).await.is_good());

    scene
        .run(
            "create table flights_2028 partition of flights for values from ('2028-01-01') to ('2029-01-01')",
        )
        .await;

    let insert = "insert into flights_2028 values ('MAD', '2028-05-05')";
    assert_eq!(scene.logged_by(insert).await, NOTHING);
    let status = scene.status(&[DEP]).await;
    assert_eq!(status.tables[0].state, TableState::Installed);
    assert_eq!(status.tables[0].missing_partitions, ["public.flights_2028"]);
    assert!(!status.is_good());
    let done = scene.install(&[DEP]).await.unwrap();
    let made = done[0].statements.iter().filter(|sql| sql.starts_with("create or replace trigger"));
    assert_eq!(made.count(), 4);
    assert_eq!(scene.logged().await, [format!("{LINE} *")]);
    assert!(scene.status(&[DEP]).await.is_good());
    assert_eq!(scene.logged_by(insert).await, [format!("{LINE} MAD")]);
}

#[tokio::test]
async fn a_partition_that_was_detached_is_left_over_until_it_is_removed() {
    let mut scene = partitioned().await;
    scene.run("alter table flights detach partition flights_2026").await;

    let status = scene.status(&[DEP]).await;
    assert_eq!(status.leftover_tables, ["public.flights_2026"]);
    assert!(status.tables[0].is_good());
    let removed = scene.remove(Some(&["flights_2026"])).await.unwrap();
    assert_eq!(removed[0].tables, ["public.flights_2026"]);

    assert!(scene.status(&[DEP]).await.is_good());
    assert_eq!(scene.logged_by("insert into flights_2026 values ('MAD', '2026-05-05')").await, NOTHING);
    let still = "insert into flights values ('MAD', '2027-05-05')";
    assert_eq!(scene.logged_by(still).await, [format!("{LINE} MAD")]);
    scene.run("create table other (like flights); insert into other values ('LIS', '2026-05-05')").await;
    scene
        .run("alter table flights attach partition other for values from ('2026-01-01') to ('2027-01-01')")
        .await;
    assert_eq!(scene.status(&[DEP]).await.tables[0].missing_partitions, ["public.other"]);
}

#[tokio::test]
async fn nothing_can_depend_on_a_partition_that_is_written_through_its_table() {
    let mut scene = Scene::with(PARTITIONED).await;

    let error = scene.install(&["flights_2027_mad"]).await.unwrap_err();

    assert!(error.to_string().contains("is a part of `public.flights_2027`"), "{error}");
}

#[tokio::test]
async fn tables_that_inherit_are_parts_of_the_one_that_they_inherit_from() {
    let tables =
        "create table flights (origin text, price int); create table charters (who text) inherits (flights)";
    let mut scene = Scene::with(tables).await;
    scene.install(&[DEP]).await.unwrap();
    scene.take_all().await;

    let insert = "insert into charters values ('MAD', 1, 'us')";
    assert_eq!(scene.logged_by(insert).await, [format!("{LINE} MAD")]);
    assert_eq!(scene.logged_by("update flights set price = 2").await, [format!("{LINE} MAD")]);
    let error = scene.plan(&["charters"]).await.unwrap_err();
    assert!(error.to_string().contains("is a part of `public.flights`"), "{error}");
}

#[tokio::test]
async fn another_list_of_columns_reaches_every_partition() {
    let mut scene = partitioned().await;

    let both = [DEP, "flights(day)"];
    assert_eq!(scene.state(&both).await, TableState::Outdated);
    scene.install(&both).await.unwrap();
    scene.take_all().await;

    assert!(scene.status(&both).await.is_good());
    let leaf = "insert into flights_2026 values ('MAD', '2026-05-05')";
    assert_eq!(
        scene.logged_by(leaf).await,
        ["table:public.flights(day) 2026-05-05".to_owned(), format!("{LINE} MAD")]
    );
}
