//! What cannot be written, and that nothing else suffers from it.

use brasa_tests::eventually;
use serde_json::json;

use super::{CONFIG, add, buried, done, scene, start, state};

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_written_are_buried_with_the_reason_and_the_others_are_written() {
    let world = scene().await;
    world.execute("alter table visits add constraint sane check (took < 1000)").await;
    let bad = [
        (r#"{"id": 1000, "page": "longer than twenty characters"}"#, "22001", "too long"),
        (r#"{"id": 1001, "page": "/", "took": 5000}"#, "23514", "sane"),
        (r#"{"id": 1002, "page": "/", "took": "much"}"#, "22P02", "much"),
        (r#"{"id": 3, "page": "/"}"#, "23505", "duplicate key"),
        (r#"{"id": 99999999999, "page": "/"}"#, "22003", "out of range"),
        (r#"{"id": 1003, "page": "a\u0000b"}"#, "22021", "NUL byte"),
        (r#"{"id": 1004, "page": "/", "nme": 1}"#, "42703", "no column `nme`"),
        (r#"{"id": 1005}"#, "23502", "column `page` is missing"),
        ("no JSON", "22032", "no JSON object"),
        (r#"{"id": 1006, "page": "/", "at": "yesterdayish"}"#, "22007", "yesterdayish"),
    ];
    for n in 0..100 {
        add(&world, "visits", &format!(r#"{{"id": {n}, "page": "/{n}"}}"#)).await;
        if n % 10 == 9 {
            add(&world, "visits", bad[n / 10].0).await;
        }
    }
    let worker = start(&world, CONFIG);
    done(&world, "visits", 110).await;

    assert_eq!(
        world.rows("select count(*) as n, max(id) as last from visits").await,
        json!([{ "n": 100, "last": 99 }])
    );
    let dead = buried(&world, "visits").await;
    for (row, sqlstate, why) in bad {
        let found = dead.iter().find(|dead| dead.buried.payload == row.as_bytes());
        let found = &found.unwrap_or_else(|| panic!("{row} is not among {dead:?}")).buried;
        assert_eq!(found.sqlstate.as_deref(), Some(sqlstate), "{row}: {}", found.message);
        assert!(found.message.contains(why), "{row}: {}", found.message);
    }
    assert_eq!(dead.len(), bad.len());
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_breaks_a_constraint_that_waits_for_the_end_is_found_as_well() {
    let world = scene().await;
    world
        .execute(
            "create table known (id int primary key); insert into known values (1), (3);
        alter table visits add foreign key (id) references known deferrable initially deferred",
        )
        .await;
    for id in 1..=3 {
        add(&world, "visits", &format!(r#"{{"id": {id}, "page": "/"}}"#)).await;
    }
    let worker = start(&world, CONFIG);
    done(&world, "visits", 3).await;

    assert_eq!(world.rows("select id from visits order by id").await, json!([{ "id": 1 }, { "id": 3 }]));
    let dead = buried(&world, "visits").await;
    assert_eq!(dead[0].buried.sqlstate.as_deref(), Some("23503"));
    assert_eq!(dead[0].buried.at_fault.as_deref(), Some("visits_id_fkey"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_table_rows_wait_until_somebody_resumes_and_other_names_go_on() {
    let world = scene().await;
    let worker = start(&world, CONFIG);
    add(&world, "visits", r#"{"id": 1, "page": "/"}"#).await;
    done(&world, "visits", 1).await;

    world.execute("alter table visits rename to gone").await;
    add(&world, "visits", r#"{"id": 2, "page": "/"}"#).await;
    eventually("it is paused, with the reason", async || {
        let paused = state(&world, "visits").await.and_then(|state| state.paused);
        paused.is_some_and(|(why, by)| why.contains("visits") && by.is_none())
    })
    .await;
    add(&world, "pages", r#"{"page": "/", "hits": 1}"#).await;
    done(&world, "pages", 1).await;

    world.execute("alter table gone rename to visits").await;
    let stream = state(&world, "visits").await.unwrap().stream;
    let mut connection = world.pool.acquire().await.unwrap();
    assert!(brasa_shared::db::writes::resume(&mut connection, &stream).await.unwrap());
    done(&world, "visits", 2).await;
    assert_eq!(buried(&world, "visits").await, []);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_has_paused_it_nothing_is_written() {
    let world = scene().await;
    let worker = start(&world, CONFIG);
    add(&world, "visits", r#"{"id": 1, "page": "/"}"#).await;
    done(&world, "visits", 1).await;
    let stream = state(&world, "visits").await.unwrap().stream;
    let mut connection = world.pool.acquire().await.unwrap();
    brasa_shared::db::writes::pause(&mut connection, &stream, "a look", Some("ada")).await.unwrap();

    add(&world, "visits", r#"{"id": 2, "page": "/"}"#).await;
    // Longer than it takes to write a row.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(world.rows("select id from visits").await, json!([{ "id": 1 }]));

    brasa_shared::db::writes::resume(&mut connection, &stream).await.unwrap();
    done(&world, "visits", 2).await;
    worker.drain().await;
}
