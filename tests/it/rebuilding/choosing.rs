//! Which indexes are rebuilt, which are not, and what is said of those.

use brasa_tests::process::Brasa;
use brasa_tests::{Worker, World};
use serde_json::{Value, json};

use super::{CONFIG, catalog, ended, first, invalid, notes, returned, run, scene, size};

/// What is decided about an index, and why.
async fn decision(world: &World, config: &str, index: &str) -> (String, String) {
    let plan = Brasa::configured(world, config).run(["db", "plan", "--json"]).await.with_code(0).json();
    let found = plan["reindex"].as_array().unwrap().iter().find(|item| item["index"] == index);
    let found = found.unwrap_or_else(|| panic!("nothing is said of {index}: {plan}"));
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("decision"), text("why"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_index_has_a_decision_and_a_reason() {
    let world = scene().await;
    world
        .execute(
            "create extension btree_gist; create table rooms (id int, during int4range, exclude using gist (during with &&));
             create unique index items_id on items (id);
             create table other (n int) partition by range (n); create table low partition of other for values from (0) to (9);
             create index other_n on other (n);
             create index broken on items (note); update pg_index set indisvalid = false where indexrelid = 'broken'::regclass;
             create index items_gin on items using gin (to_tsvector('simple', note))",
        )
        .await;
    for (index, code) in [
        ("public.items_k", "chosen"),
        ("public.items_note", "lean"),
        ("public.items_id", "lean"),
        ("public.rooms_during_excl", "exclusion"),
        ("public.other_n", "partitioned"),
        ("public.broken", "invalid"),
        ("public.items_gin", "unknown"),
        ("brasa.care_actions_started", "system"),
    ] {
        let (found, why) = decision(&world, CONFIG, index).await;
        assert_eq!(found, code, "{index}: {why}");
    }
    let (found, why) = decision(&world, "", "public.items_k").await;
    assert_eq!((&*found, &*why), ("small", "it is small"), "unless it is said otherwise");
}

/// Nothing but its own past speaks about an index without a model.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_a_model_is_held_against_its_own_past() {
    let world = scene().await;
    world
        .execute(
            "create table words (id int, tags int[]) with (autovacuum_enabled = off);
            insert into words select n, array[n % 1000, n % 777] from generate_series(1, 20000) n;
            create index words_tags on words using gin (tags) with (fastupdate = off)",
        )
        .await;
    world.execute("vacuum analyze words").await;
    // Its size is noted.
    run(&world, CONFIG, json!({ "indexes": ["words_tags"] })).await;
    world
        .execute(
            "delete from brasa.care_actions; update brasa.care_indexes set rebuilt_at = null, gained = null",
        )
        .await;
    for _ in 0..3 {
        world.execute("update words set tags = array[id % 1000 + 1000, id % 777]; update words set tags = array[id % 1000, id % 777]").await;
    }
    world.execute("vacuum analyze words").await;
    let (before, view) = (size(&world, "words_tags").await, run(&world, CONFIG, json!({})).await);
    let rebuilt =
        returned(&view)["rebuilt"].as_array().unwrap().iter().any(|one| one["index"] == "public.words_tags");
    let after = size(&world, "words_tags").await;
    assert!(rebuilt && after * 2 < before, "{before} became {after}: {:?}", returned(&view));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_is_left_alone_where_somebody_may_upsert() {
    let world = scene().await;
    world.execute("drop index items_k; create unique index items_id on items (id)").await;
    world.execute("insert into items select n, n from generate_series(40001, 80000) n; delete from items where id > 40000; select pg_stat_force_next_flush()").await;
    world.execute("vacuum analyze items").await;
    let (code, why) = decision(&world, CONFIG, "public.items_id").await;
    assert_eq!(code, "perhaps-upserts");
    assert!(why.contains("pg_stat_statements") && why.contains("without_upserts"), "{why}");
    let declared = format!("{CONFIG}without_upserts = [\"items\"]");
    assert_eq!(decision(&world, &declared, "public.items_id").await.0, "chosen");
    let retry = format!("{CONFIG}upserts = \"retry\"");
    assert_eq!(decision(&world, &retry, "public.items_id").await.0, "chosen");
    // Where writes may wait for it, it is done in one piece.
    let blocking = format!("{CONFIG}upserts = \"blocking\"");
    let before = size(&world, "items_id").await;
    let view = run(&world, &blocking, json!({ "indexes": ["items_id"] })).await;
    assert_eq!(first(&view, "rebuilt")["index"], "public.items_id", "{:?}", returned(&view));
    assert!(size(&world, "items_id").await * 5 < before);
    assert_eq!(notes(&world).await, json!([{ "index_name": "items_id", "state": "done" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_speaks_against_it_is_said_and_nothing_is_begun() {
    let world = scene().await;
    let put_off = async || {
        let view = run(&world, CONFIG, json!({ "indexes": ["items_k"] })).await;
        first(&view, "put_off")["why"].as_str().unwrap().to_owned()
    };
    let mut other = world.pool.begin().await.unwrap();
    sqlx::query("lock table items in share update exclusive mode").execute(&mut *other).await.unwrap();
    assert!(put_off().await.contains("at work on the table"));
    other.rollback().await.unwrap();
    let mut holder = world.pool.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(7)").execute(&mut *holder).await.unwrap();
    let pool = world.pool.clone();
    let waiter = tokio::spawn(async move {
        let mut connection = pool.acquire().await.unwrap();
        sqlx::query("select pg_advisory_lock(7), pg_advisory_unlock(7)")
            .execute(&mut *connection)
            .await
            .unwrap();
    });
    brasa_tests::eventually("somebody waits", async || {
        world.rows("select count(*) as n from pg_locks where locktype = 'advisory' and not granted").await[0]
            ["n"]
            != 0
    })
    .await;
    assert!(put_off().await.contains("waits for an advisory lock"));
    sqlx::query("select pg_advisory_unlock_all()").execute(&mut *holder).await.unwrap();
    waiter.await.unwrap();
    let full = format!("{CONFIG}disk = \"1MiB\"");
    let view = run(&world, &full, json!({ "indexes": ["items_k"] })).await;
    assert!(
        first(&view, "put_off")["why"].as_str().unwrap().contains("the disk has 0 MB"),
        "{:?}",
        returned(&view)
    );
    assert_eq!((notes(&world).await, invalid(&world).await), (json!([]), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_role_is_left_alone_with_the_words_that_would_give_the_right() {
    let world = scene().await;
    let role = format!("{}-role", world.prefix);
    world
        .execute(&format!(
            r#"create role "{role}" login password 'secret'; grant pg_monitor, pg_read_all_data to "{role}""#
        ))
        .await;
    let url = world.database_url.replacen("://", &format!("://{role}:secret@"), 1);
    let url = match url.split_once("secret@").and_then(|(head, tail)| Some((head, tail.split_once('@')?))) {
        Some((head, (_, place))) => format!("{head}secret@{place}"),
        None => url,
    };
    let config = format!("[maintenance]\nurl = \"{url}\"{CONFIG}");
    let view = run(&world, &config, json!({ "indexes": ["items_k"] })).await;
    let why = first(&view, "put_off")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("it belongs to") && why.contains(&format!("to \"{role}\"")), "{why}");
    assert_eq!(notes(&world).await, json!([]));
    let status = Brasa::configured(&world, &config).run(["db", "status", "--json"]).await.with_code(0).json();
    let missing: Vec<&Value> = status["capabilities"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["standing"] == "missing")
        .collect();
    let whats: Vec<_> = missing.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert!(
        whats.contains(&"rebuild every index") && whats.contains(&"analyze and vacuum every table"),
        "{whats:?}"
    );
    world.execute(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_once_one_waits_for_the_other() {
    let world = scene().await;
    let mut other = world.pool.acquire().await.unwrap();
    sqlx::query("select pg_try_advisory_lock(1651663219, 1)").execute(&mut *other).await.unwrap();
    let brasa = Brasa::configured(&world, CONFIG);
    let busy = brasa.run(["db", "reindex", "--yes"]).await.with_code(1).stderr;
    assert!(busy.contains("another session is rebuilding indexes in this database"), "{busy}");
    let worker = Worker::start(world.settings(catalog(), CONFIG));
    let id = world.enqueue("db.reindex", json!({})).await;
    brasa_tests::eventually("it waits", async || {
        world.show(&id).await.state == brasa_shared::queue::State::Delayed
    })
    .await;
    sqlx::query("select pg_advisory_unlock_all()").execute(&mut *other).await.unwrap();
    let again = world.enqueue("db.reindex", json!({})).await;
    assert_eq!(first(&ended(&world, &again).await, "rebuilt")["index"], "public.items_k");
    worker.drain().await;
}

/// A note in one database says nothing of another: whoever closed it there would leave something for ever.
#[tokio::test(flavor = "multi_thread")]
async fn two_addresses_that_lead_to_different_databases_are_refused() {
    let (world, other) = (scene().await, World::new().await);
    let config = format!("[maintenance]\nurl = \"{}\"{CONFIG}", other.database_url);
    let refused =
        Brasa::configured(&world, &config).run(["db", "reindex", "--yes"]).await.with_code(2).stderr;
    assert!(refused.contains("lead to different databases"), "{refused}");
}

/// A table has upserts also where they go to the table that it is a part of, or through a function.
#[tokio::test(flavor = "multi_thread")]
async fn upserts_are_seen_through_functions_and_wholes() {
    let world = scene().await;
    world
        .execute(
            "create table whole (id int, k int) partition by range (id);
             create table low partition of whole for values from (0) to (100000);
             create unique index low_id on low (id);
             create function put(int) returns void language plpgsql as
                 $$ begin insert into whole values ($1) on conflict do nothing; end $$",
        )
        .await;
    let why = async || {
        let view = run(&world, CONFIG, json!({ "indexes": ["low_id"] })).await;
        first(&view, "put_off")["why"].as_str().unwrap().to_owned()
    };
    assert!(why().await.contains("upserts into its table would fail"));
    world.execute("drop function put").await;
    assert!(!why().await.contains("upserts into its table would fail"), "nobody knows of any");
    // One whose text is not kept, but what was parsed of it.
    let parsed = "create function put(int) returns void language sql
         begin atomic insert into whole values ($1) on conflict do nothing; end";
    world.execute(parsed).await;
    assert!(why().await.contains("upserts into its table would fail"));
    world.execute("drop function put").await;
    assert!(!why().await.contains("upserts into its table would fail"), "nobody knows of any");
    // One that was recorded, however long ago it ran.
    world
        .execute(
            "insert into brasa.care_statement_texts
             values ('f', 'insert into Whole values ($1) on  conflict do nothing', false, now() - interval '40 days')",
        )
        .await;
    assert!(why().await.contains("upserts into its table would fail"));
}

/// That no upsert was counted says something only where upserts are counted.
#[tokio::test(flavor = "multi_thread")]
async fn counters_that_were_told_not_to_count_vouch_for_nothing() {
    let world = scene().await;
    let rows =
        world.rows("select count(*) as n from pg_settings where name = 'pg_stat_statements.track'").await;
    if rows[0]["n"] == 0 {
        return;
    }
    world
        .execute(
            "drop index items_k; create unique index items_id on items (id);
             insert into items select n, n from generate_series(40001, 80000) n; delete from items where id > 40000;
             select pg_stat_force_next_flush(); create extension pg_stat_statements;
             create or replace view pg_stat_statements_info as
                 select 0::bigint as dealloc, now() - interval '30 days' as stats_reset",
        )
        .await;
    world.execute("vacuum analyze items").await;
    let reason = async || decision(&world, CONFIG, "public.items_id").await.0;
    assert_eq!(reason().await, "chosen", "all are counted, and there is none");
    let database = world.rows("select format('%I', current_database()) as name").await;
    let database = database[0]["name"].as_str().unwrap().to_owned();
    world.execute(&format!("alter database {database} set pg_stat_statements.track = 'none'")).await;
    assert_eq!(reason().await, "perhaps-upserts");
}
