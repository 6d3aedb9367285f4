//! Which tables are analyzed and vacuumed without being named.

use brasa_tests::{World, eventually};
use serde_json::{Value, json};

use super::{returned, run_once, text};

async fn run(world: &World, kind: &str) -> Value {
    returned(&run_once(world, "", kind, &json!({})).await).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_analyzed_once_and_again_only_when_something_is_owed_to_it() {
    let world = World::new().await;
    world.execute_counted("create table one as select n, n % 7 as m from generate_series(1, 1000) n").await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!(["public.one"]));
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!([]), "nothing changed");
    // An index on an expression, and statistics of two columns: nobody else would come for them.
    world.execute_counted("create index on one (abs(n))").await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!(["public.one"]));
    world.execute_counted("create statistics pairs (ndistinct) on n, m from one").await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!(["public.one"]));
    world.execute_counted("alter table one add column more int").await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!(["public.one"]));
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!([]));
    world.execute_counted("insert into one select generate_series(1, 600)").await;
    eventually("the change is counted", async || {
        text(&world.pool, "select n_mod_since_analyze::text from pg_stat_all_tables where relname = 'one'")
            .await
            == Some("600".to_owned())
    })
    .await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!(["public.one"]), "half of it are others");
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_are_analyzed_after_their_parts() {
    let world = World::new().await;
    world
        .execute_counted(
            "create table parent (n int) partition by range (n);
             create table low partition of parent for values from (0) to (1000);
             create table deep partition of parent for values from (1000) to (3000) partition by range (n);
             create table deeper partition of deep for values from (1000) to (2000);
             insert into parent select generate_series(0, 1999); analyze low; analyze deeper",
        )
        .await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!(["public.parent"]));
    let count = "select count(*)::text from pg_stats where tablename = 'parent' and inherited";
    assert_eq!(text(&world.pool, count).await, Some("1".to_owned()));
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!([]));
    world.execute_counted("insert into parent select 1500 from generate_series(1, 400)").await;
    let counted =
        "select (n_mod_since_analyze >= 400)::text from pg_stat_all_tables where relname = 'deeper'";
    eventually("the change is counted", async || text(&world.pool, counted).await == Some("true".to_owned()))
        .await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!(["public.parent"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_loss_of_counters_everything_is_analyzed() {
    let world = World::new().await;
    world
        .execute_counted(
            "create table one as select generate_series(1, 100) n; create table two as select 1 n",
        )
        .await;
    world.execute("analyze").await;
    assert_eq!(run(&world, "db.analyze").await["analyzed"], json!([]));
    world.execute_counted("select pg_stat_reset()").await;
    let analyzed = run(&world, "db.analyze").await["analyzed"].clone();
    assert_eq!(analyzed, json!(["public.two", "public.one"]), "small ones first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_vacuumed_where_autovacuum_does_not_come_and_where_its_rows_are_old() {
    let world = World::new().await;
    world.execute_counted(
            "create table one (n int) with (autovacuum_enabled = off); insert into one select generate_series(1, 40000);
             create table two (n int) with (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000);
             insert into two values (1); delete from one where n % 2 = 0",
        )
        .await;
    eventually("the rows are known to be gone", async || {
        text(&world.pool, "select n_dead_tup::text from pg_stat_all_tables where relname = 'one'").await
            == Some("20000".to_owned())
    })
    .await;
    let result = run(&world, "db.vacuum").await;
    assert_eq!(result["vacuumed"], json!(["public.one"]));
    // Autovacuum may have been at the catalogue of the new database just then, which holds rows as any transaction does.
    eventually("nobody holds its rows", async || {
        let view = run_once(&world, "", "db.vacuum", &json!({ "tables": ["one"] })).await;
        returned(&view)["held"] == json!([])
    })
    .await;
    let dead = "select n_dead_tup::text from pg_stat_all_tables where relname = 'one'";
    assert_eq!(text(&world.pool, dead).await, Some("0".to_owned()));
    assert_eq!(run(&world, "db.vacuum").await["vacuumed"], json!([]));
    // Many transactions in one call.
    world
        .execute_counted(
            "create procedure age() language plpgsql as
                 $$ begin for i in 1 .. 81000 loop perform pg_current_xact_id(); commit; end loop; end $$",
        )
        .await;
    world.execute("call age()").await;
    assert_eq!(run(&world, "db.vacuum").await["vacuumed"], json!(["public.two"]));
    let age = "select (age(relfrozenxid) < 80000)::text from pg_class where relname = 'two'";
    assert_eq!(text(&world.pool, age).await, Some("true".to_owned()));
    assert_eq!(run(&world, "db.vacuum").await["vacuumed"], json!([]));
}
