//! What the database counted, kept over time: nothing is judged by counters that began anew.

use std::time::{Duration, Instant};

use brasa_jobs::catalog;
use brasa_jobs::database::history::{
    IndexUse, LookError, Looked, RAW_DAYS, index_uses, look, spells, table_uses,
};
use brasa_shared::db::migrate;
use brasa_tests::{Worker, World, eventually};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

mod servers;
mod statements;

/// Noon of a day, counted from 2026-01-01.
fn noon(day: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + day * 86_400 + 43_200).unwrap()
}

const ORDERS: &str = "create table orders (id int, customer int, note text);
    insert into orders select n, n % 10, 'x' from generate_series(1, 1000) n;
    create index by_customer on orders (customer);
    create index by_note on orders (note) where id > 5";

/// A world with a table, two indexes and a place for the history.
async fn scene() -> World {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world.execute(&format!("{ORDERS}; select pg_stat_force_next_flush()")).await;
    world
}

async fn look_at(pool: &PgPool, replica: Option<&PgPool>, now: Timestamp) -> Looked {
    let mut connection = pool.acquire().await.unwrap();
    let looked = look(&mut connection, replica, now).await.unwrap();
    assert!(!looked.is_somebody_elses);
    looked
}

/// Scans index `by_customer` so many times, and has it counted.
async fn scan(pool: &PgPool, times: u32) {
    let mut connection = pool.acquire().await.unwrap().detach();
    run(&mut connection, "set enable_seqscan = off; set enable_bitmapscan = off").await;
    for _ in 0..times {
        run(&mut connection, "select count(*) from orders where customer = 3").await;
    }
    run(&mut connection, "select pg_stat_force_next_flush()").await;
    connection.close().await.unwrap();
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

/// What is known of an index in the last 35 days and the present one.
async fn uses(pool: &PgPool, now: Timestamp, nodes: &[&str], index: &str) -> IndexUse {
    let mut connection = pool.acquire().await.unwrap();
    let all = index_uses(&mut connection, now, nodes, 35).await.unwrap();
    let found = all.into_iter().find(|one| one.index == index);
    found.unwrap_or_else(|| panic!("nothing is known of {index}"))
}

/// Whether somebody would say that it is unused.
fn is_said_unused(one: &IndexUse) -> bool {
    one.scans == 0 && one.days >= 35 && one.unknown_on.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn scans_are_counted_by_the_day_and_only_after_enough_whole_days_is_an_index_unused() {
    let world = scene().await;
    scan(&world.pool, 4).await;
    for day in 0..=36 {
        if day == 3 || day == 20 {
            scan(&world.pool, 2).await;
        }
        let looked = look_at(&world.pool, None, noon(day)).await;
        assert_eq!(looked.nodes[0].began.is_some(), day == 0, "{looked:?}");
        if day == 35 {
            let early = uses(&world.pool, noon(day), &["primary"], "by_note").await;
            assert_eq!((early.days, is_said_unused(&early)), (34, false));
        }
    }
    let used = uses(&world.pool, noon(36), &["primary"], "by_customer").await;
    assert_eq!(
        (used.scans, used.days, used.unknown_on.len()),
        (4, 35, 0),
        "not those from before the first look"
    );
    assert!(used.scanned_at.is_some());
    let unused = uses(&world.pool, noon(36), &["primary"], "by_note").await;
    assert!(is_said_unused(&unused), "{unused:?}");
    // Nobody looked for weeks: then nothing is known of now.
    let later = uses(&world.pool, noon(50), &["primary"], "by_note").await;
    assert_eq!((later.unknown_on, later.days), (vec!["primary".to_owned()], 21));
    let missing = uses(&world.pool, noon(36), &["primary", "replica"], "by_note").await;
    assert_eq!((missing.unknown_on, missing.days), (vec!["replica".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_of_everything_or_of_one_index_begins_another_spell_and_never_counts_backwards() {
    for (reset, told) in [
        ("pg_stat_reset()", ("somebody reset counters", true)),
        // Of one only: the server's are not lost.
        (
            "pg_stat_reset_single_table_counters('by_customer'::regclass)",
            ("somebody reset some of the counters", false),
        ),
    ] {
        let world = scene().await;
        // A database that has seen some days: what it counts anew does not come near to what it had by the next look.
        world
            .execute_counted(
                "do $$ begin for n in 1 .. 300 loop perform count(*) from pg_attribute; end loop; end $$",
            )
            .await;
        for day in 0..=36 {
            match day {
                1 => scan(&world.pool, 5).await,
                // Two scans are lost, and the three after the reset are counted.
                2 => {
                    scan(&world.pool, 2).await;
                    world.execute(&format!("select {reset}")).await;
                    scan(&world.pool, 3).await;
                }
                _ => {}
            }
            look_at(&world.pool, None, noon(day)).await;
        }
        let used = uses(&world.pool, noon(36), &["primary"], "by_customer").await;
        assert_eq!(used.scans, 8, "{reset}");
        let other = uses(&world.pool, noon(36), &["primary"], "by_note").await;
        // The looks are at noon: it was at some time between two of them, so neither day is known whole.
        assert_eq!((other.scans, other.days), (0, 33), "{reset}");
        let mut connection = world.pool.acquire().await.unwrap();
        let spells = spells(&mut connection).await.unwrap();
        let why: Vec<_> = spells.iter().map(|spell| (spell.why.as_str(), spell.is_loss)).collect();
        assert_eq!(why, [told, ("it was looked at for the first time", false)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_rebuilt_goes_on_and_one_that_was_renamed_or_made_anew_begins() {
    let world = scene().await;
    look_at(&world.pool, None, noon(0)).await;
    scan(&world.pool, 5).await;
    look_at(&world.pool, None, noon(1)).await;
    let before = uses(&world.pool, noon(1), &["primary"], "by_customer").await;
    world.execute("reindex index concurrently by_customer").await;
    world.execute("alter index by_note rename to \"by \"\"note\"").await;
    scan(&world.pool, 2).await;
    look_at(&world.pool, None, noon(2)).await;
    let rebuilt = uses(&world.pool, noon(2), &["primary"], "by_customer").await;
    assert_eq!((rebuilt.scans, &rebuilt.signature), (7, &before.signature));
    // The same name and the same use, but another index, whose counter is lower.
    world.execute("drop index by_customer; create index by_customer on orders (customer)").await;
    scan(&world.pool, 1).await;
    // The same name, and another use.
    world.execute("drop index \"by \"\"note\"; create index \"by \"\"note\" on orders (note)").await;
    for day in 3..=37 {
        look_at(&world.pool, None, noon(day)).await;
    }
    let anew = uses(&world.pool, noon(37), &["primary"], "by_customer").await;
    assert_eq!((anew.scans, anew.days), (3, 33), "its days begin with it, and its scans with the window");
    let renamed = uses(&world.pool, noon(37), &["primary"], "by \"note").await;
    assert_eq!((renamed.days, is_said_unused(&renamed)), (33, false));
    let known = world.rows("select index from brasa.care_index_last order by 1").await;
    assert_eq!(
        known,
        json!([{ "index": "by \"note" }, { "index": "by_customer" }]),
        "what is gone is forgotten"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_look_at_once_count_once() {
    let world = scene().await;
    look_at(&world.pool, None, noon(0)).await;
    let mut done = 0;
    for round in 1..=20_i64 {
        scan(&world.pool, 1).await;
        let now = Timestamp::from_second(noon(0).as_second() + round).unwrap();
        let one = async { look(&mut world.pool.acquire().await.unwrap(), None, now).await.unwrap() };
        let other = async { look(&mut world.pool.acquire().await.unwrap(), None, now).await.unwrap() };
        let (one, other) = tokio::join!(one, other);
        done += [one, other].iter().filter(|looked| !looked.is_somebody_elses).count();
    }
    assert!(done >= 20, "one of two looks each time: {done}");
    look_at(&world.pool, None, noon(1)).await;
    assert_eq!(uses(&world.pool, noon(1), &["primary"], "by_customer").await.scans, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for_who_holds_a_table() {
    let world = scene().await;
    look_at(&world.pool, None, noon(0)).await;
    scan(&world.pool, 3).await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("lock table orders in access exclusive mode").execute(&mut *holder).await.unwrap();
    let began = Instant::now();
    look_at(&world.pool, None, noon(1)).await;
    let took = began.elapsed();
    holder.rollback().await.unwrap();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(uses(&world.pool, noon(1), &["primary"], "by_customer").await.scans, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_the_history_are_made_ahead_and_dropped_when_they_are_old() {
    let world = scene().await;
    let parts = async |table: &str| {
        let query = format!(
            "select count(*) as n, min(inhrelid::regclass::text) as first, max(inhrelid::regclass::text) as last
             from pg_inherits where inhparent = 'brasa.{table}'::regclass"
        );
        world.rows(&query).await
    };
    look_at(&world.pool, None, noon(0)).await;
    let first = json!([{
        "n": 5,
        "first": "brasa.care_statement_deltas_p20251231",
        "last": "brasa.care_statement_deltas_p20260104",
    }]);
    assert_eq!(parts("care_statement_deltas").await, first);
    let looked = look_at(&world.pool, None, noon(1)).await;
    assert_eq!(looked.parts, (2, 0), "one more day of what is kept by the day");
    scan(&world.pool, 1).await;
    look_at(&world.pool, None, noon(2)).await;
    // Somebody reads what is to be dropped: it is let be, and nothing else is lost by that.
    let mut reader = world.pool.begin().await.unwrap();
    sqlx::query("select count(*) from brasa.care_looks").execute(&mut *reader).await.unwrap();
    let late = i64::from(RAW_DAYS) + 3;
    let mut connection = world.pool.acquire().await.unwrap();
    let refused = look(&mut connection, None, noon(late)).await;
    assert!(matches!(refused, Err(LookError::Postgres(..))), "there is no part for it: {refused:?}");
    reader.rollback().await.unwrap();
    look_at(&world.pool, None, noon(late)).await;
    let deltas = parts("care_looks").await;
    assert_eq!(deltas[0]["first"], "brasa.care_looks_p20260104", "{deltas}");
    assert_eq!(uses(&world.pool, noon(late), &["primary"], "by_customer").await.scans, 1);
    look_at(&world.pool, None, noon(500)).await;
    let left = world.rows("select count(*) as n from brasa.care_index_days").await;
    assert_eq!(left[0]["n"], 0, "of more than 400 days ago");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_counted_by_what_was_done_with_them() {
    let world = scene().await;
    look_at(&world.pool, None, noon(0)).await;
    let mut connection = world.pool.acquire().await.unwrap();
    run(
        &mut connection,
        "set enable_indexscan = off; set enable_bitmapscan = off;
         select count(*) from orders where id = 7; insert into orders values (0, 0, 'y');
         update orders set note = 'z' where id <= 2; delete from orders where id = 3",
    )
    .await;
    run(&mut connection, "select pg_stat_force_next_flush()").await;
    look_at(&world.pool, None, noon(1)).await;
    // What was counted since the last look is lost with it, and so is the time.
    world.execute("select pg_stat_reset()").await;
    look_at(&world.pool, None, noon(2)).await;
    for window in [Duration::from_hours(72), Duration::from_hours(2_400)] {
        let uses = table_uses(&mut connection, noon(2), window).await.unwrap();
        assert_eq!(uses.len(), 1, "{uses:?}");
        let one = &uses[0];
        assert_eq!((one.table.as_str(), one.whole_scans, one.inserted), ("public.orders", 3, 1));
        assert_eq!((one.updated, one.deleted, one.index_scans), (3, 1, 0));
        assert!(one.whole_rows >= 3_000 && one.updated_in_place <= 3, "{one:?}");
        assert!((one.seconds - 86_400.0).abs() < 1.0, "{one:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_says_what_it_saw_and_what_it_could_not_see() {
    let world = World::new().await;
    let worker = Worker::start(world.settings(catalog(), ""));
    let early = world.enqueue("db.observe", json!({})).await;
    let why = world.buried(&early).await;
    assert!(why.contains("brasa migrate"), "{why}");
    migrate(&world.pool).await.unwrap();
    world.execute(ORDERS).await;
    let job = world.enqueue("db.observe", json!({})).await;
    let result = world.result(&job).await;
    assert_eq!(result["nodes"][0]["node"], "primary");
    assert_eq!((&result["nodes"][0]["indexes"], &result["nodes"][0]["tables"]), (&json!(2), &json!(1)));
    let problems = result["problems"].to_string();
    assert!(problems.contains("create extension pg_stat_statements"), "{problems}");
    eventually("it is kept", async || {
        world.rows("select 1 as one from brasa.care_spells").await == json!([{ "one": 1 }])
    })
    .await;
    worker.drain().await;
}
