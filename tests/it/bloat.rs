//! How large indexes would be if they were made anew.

use std::time::{Duration, Instant};

use brasa_jobs::database::indexes::{
    Index, Scope, Size, Trust, Withheld, exact, look, look_closer, tables_named,
};
use brasa_tests::World;
use brasa_tests::process::Brasa;
use brasa_tests::shapes::{Fixture, SEEN, Shape, UNSEEN};

/// The indexes of a world.
async fn all(world: &World) -> Vec<Index> {
    let mut connection = world.pool.acquire().await.unwrap();
    look(&mut connection, Scope::All).await.unwrap()
}

async fn one(world: &World, name: &str) -> Index {
    let found = all(world).await;
    found.into_iter().find(|index| index.bare == name).unwrap_or_else(|| panic!("there is no index {name}"))
}

/// Some indexes of a table, new and worn out: their estimates are near what a new one really has.
async fn hold(fixture: &Fixture, names: &[&str]) {
    let world = World::new().await;
    let mut connection = world.pool.acquire().await.unwrap();
    let wanted: Vec<Shape> =
        fixture.shapes.iter().filter(|shape| names.contains(&shape.name)).copied().collect();
    assert_eq!(wanted.len(), names.len(), "a shape has another name");
    fixture.make(&mut connection, 40_000, &wanted).await.unwrap();
    for is_fresh in [true, false] {
        let indexes = look(&mut connection, Scope::All).await.unwrap();
        for shape in &wanted {
            let index = indexes.iter().find(|index| index.bare == shape.name).unwrap();
            let truth = fixture.twin(&mut connection, shape).await.unwrap();
            let estimate = index.estimate.unwrap_or_else(|why| panic!("{}: {why:?}", shape.name));
            let off = 100 * estimate.bytes.abs_diff(truth) / truth;
            let (_, share) = index.bloat().unwrap();
            let words =
                format!("{}: {estimate:?} is off by {off} % of {truth}, of {:?}", shape.name, index.size);
            assert!(off <= 10, "{words}");
            // How much is waste of one that is worn out depends on what Postgres could clear away meanwhile.
            assert!(if is_fresh { share <= 0.1 } else { share >= 0.15 }, "{words}: {share}");
        }
        if is_fresh {
            fixture.churn(&mut connection).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_of_common_indexes_are_near_the_truth() {
    let names = [
        "int",
        "few texts",
        "80 % NULL",
        "skewed reference",
        "tenant and status",
        "partial, not NULL",
        "text of any length",
        "unique pair",
    ];
    hold(&SEEN, &names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_of_uncommon_indexes_are_near_the_truth() {
    let names = [
        "two texts",
        "three with NULLs",
        "skewed pair, counted",
        "boolean and bigint",
        "time of an event",
        "text out of JSON",
        "enumeration",
    ];
    hold(&UNSEEN, &names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_where_statistics_are_missing_or_say_nothing() {
    let world = World::new().await;
    world
        .execute(
            "create table t (id bigint primary key, a int, doc jsonb) with (autovacuum_enabled = off);
             insert into t select n, n % 9, '{}' from generate_series(1, 5000) n;
             create index by_a on t (a); create index by_doc on t using gin (doc);
             select pg_stat_force_next_flush()",
        )
        .await;
    world.execute("analyze t; create index by_sum on t ((a + 1)); create index by_both on t (a, id)").await;
    assert_eq!(one(&world, "by_doc").await.estimate, Err(Withheld::Method));
    assert_eq!(
        one(&world, "by_sum").await.estimate,
        Err(Withheld::NoStatistics),
        "nobody has analyzed it since"
    );
    assert!(one(&world, "by_a").await.estimate.is_ok());
    world.execute("insert into t select n, n % 9, '{}' from generate_series(5001, 90000) n").await;
    // Its size says so, even where the counters of changes are lost.
    assert_eq!(one(&world, "by_both").await.estimate, Err(Withheld::Stale));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_sees_no_statistics_is_told_so() {
    let world = World::new().await;
    let role = format!("{}-stranger", world.prefix);
    world
        .execute(&format!(
            "create table t (id bigint primary key, a int); insert into t select n, n % 9 from generate_series(1, 5000) n;
             create index by_a on t (a); analyze t; create role \"{role}\" login"
        ))
        .await;
    let mut connection = world.pool.acquire().await.unwrap();
    let become_ = format!("set role \"{role}\"");
    brasa_shared::db::execute(&mut connection, &become_, &[]).await.unwrap();
    let found = look(&mut connection, Scope::All).await.unwrap();
    let estimate = |name: &str| found.iter().find(|index| index.bare == name).unwrap().estimate;
    assert_eq!(estimate("by_a"), Err(Withheld::NoStatistics));
    // Keys of one size, each once: that takes no statistics.
    assert_eq!(estimate("t_pkey").unwrap().trust, Trust::High);
    brasa_shared::db::execute(&mut connection, "reset role", &[]).await.unwrap();
    drop(connection);
    world.execute(&format!("drop role \"{role}\"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for() {
    let world = World::new().await;
    world
        .execute(
            "create table held (a int); create index by_held on held (a) where a > 0;
             create table queued (a int); create index by_queued on queued (a);
             create table free (a int); create index by_free on free (a); analyze",
        )
        .await;
    let before = one(&world, "by_held").await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("lock table held in access exclusive mode").execute(&mut *holder).await.unwrap();
    let mut reader = world.pool.begin().await.unwrap();
    sqlx::query("lock table queued in access share mode").execute(&mut *reader).await.unwrap();
    let waiting = world.another_pool(1, Duration::from_secs(5));
    let waiter = tokio::spawn(async move {
        let mut transaction = waiting.begin().await.unwrap();
        drop(sqlx::query("lock table queued in access exclusive mode").execute(&mut *transaction).await);
    });
    brasa_tests::eventually("somebody waits for the table", async || {
        world.rows("select 1 from pg_locks where not granted").await != serde_json::json!([])
    })
    .await;
    let began = Instant::now();
    let found = all(&world).await;
    // Far less than the limit that would have been hit, had anything waited.
    let took = began.elapsed();
    let size = |name: &str| found.iter().find(|index| index.bare == name).unwrap().size;
    assert_eq!((size("by_held"), size("by_queued")), (Size::Locked, Size::Locked));
    assert_eq!(size("by_free"), Size::Bytes(8_192));
    assert_eq!(one(&world, "by_held").await.signature, before.signature, "it is known without its text");
    let mut connection = world.pool.acquire().await.unwrap();
    assert_eq!(exact(&mut connection, &before).await.unwrap(), None);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let waits =
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%pg_index i%'";
    assert_eq!(world.rows(waits).await, serde_json::json!([]));
    reader.rollback().await.unwrap();
    holder.rollback().await.unwrap();
    waiter.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_do_the_same_have_the_same_signature() {
    let world = World::new().await;
    let name = format!("{}\"{}", "x".repeat(30), "y".repeat(32));
    let quoted = name.replace('"', "\"\"");
    world
        .execute(&format!(
            "create table \"Odd \"\"table\" (a int, b text, c text); create table other (a int, b text, c text);
             create index \"{quoted}\" on \"Odd \"\"table\" (a, lower(b)) where a > 3;
             create index same on \"Odd \"\"table\" using btree (a,   lower(b)) where ((a) > 3);
             create index more on \"Odd \"\"table\" (a, lower(b)) where a > 4;
             create index turned on \"Odd \"\"table\" (a desc, lower(b)) where a > 3;
             create index filled on \"Odd \"\"table\" (a, lower(b)) with (fillfactor = 70) where a > 3;
             create index classed on \"Odd \"\"table\" (b text_pattern_ops); create index collated on \"Odd \"\"table\" (b collate \"C\");
             create index plain on \"Odd \"\"table\" (b); create unique index single on \"Odd \"\"table\" (b);
             create index holding on \"Odd \"\"table\" (b) include (c); create index pair on \"Odd \"\"table\" (b, c);
             create index hashed on \"Odd \"\"table\" using hash (b)"
        ))
        .await;
    let found = all(&world).await;
    let of = |name: &str| found.iter().find(|index| index.bare == name).unwrap().clone();
    let odd = of(&name);
    assert_eq!(odd.bare.len(), 63);
    assert_eq!(odd.signature, of("same").signature);
    let mut others: Vec<String> = found.iter().map(|index| index.signature.clone()).collect();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), found.len() - 1, "all others differ");
    assert_eq!(odd.table, r#"public."Odd ""table""#);
    assert_eq!(odd.keys[1].text, "lower(b)");
    assert_eq!(odd.predicate.as_deref(), Some("(a > 3)"));
    brasa_shared::db::execute(
        &mut world.pool.acquire().await.unwrap(),
        &format!("reindex index concurrently {}", odd.name),
        &[],
    )
    .await
    .unwrap();
    let rebuilt = one(&world, &name).await;
    assert_ne!(rebuilt.oid, odd.oid);
    assert_eq!(rebuilt.signature, odd.signature);
    let mut connection = world.pool.acquire().await.unwrap();
    let tables = tables_named(&mut connection, r#""Odd ""table""#).await.unwrap();
    assert_eq!(look(&mut connection, Scope::Tables(&tables)).await.unwrap().len(), found.len());
    assert_eq!(look(&mut connection, Scope::Indexes(&[rebuilt.oid])).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_told_as_it_is() {
    let world = World::new().await;
    world
        .execute(
            "create table parts (id int, at date, room int4range, primary key (id, at)) partition by range (at);
             create table part partition of parts for values from ('2026-01-01') to ('2027-01-01');
             create table rooms (id int unique nulls not distinct, room int4range, kind int,
                 exclude using gist (room with &&), constraint late unique (kind) deferrable);
             create index held on rooms (id) include (kind);
             alter table rooms replica identity full; cluster rooms using held;
             create extension pgstattuple",
        )
        .await;
    let of = |found: &[Index], name: &str| found.iter().find(|index| index.bare == name).unwrap().clone();
    let found = all(&world).await;
    let (parent, part) = (of(&found, "parts_pkey"), of(&found, "part_pkey"));
    assert!(parent.is_partitioned && parent.estimate == Err(Withheld::NotThere));
    assert_eq!((part.parent, part.constraint.as_deref()), (Some(parent.oid), Some("part_pkey")));
    assert!(part.is_primary && part.is_unique && part.is_valid && part.is_ready && part.is_live);
    assert!(of(&found, "rooms_id_key").nulls_not_distinct && of(&found, "rooms_room_excl").is_exclusion);
    assert!(!of(&found, "late").is_immediate && of(&found, "rooms_id_key").is_immediate);
    let held = of(&found, "held");
    assert_eq!(
        (held.included.as_slice(), held.keys.len(), held.is_clustered),
        (&["kind".to_owned()][..], 1, true)
    );
    assert!(held.definition.starts_with("CREATE INDEX held ON public.rooms"), "{}", held.definition);
    world.execute("insert into rooms select n, int4range(n, n + 1), n from generate_series(1, 9000) n").await;
    world.execute("delete from rooms where id % 3 > 0").await;
    world.execute("vacuum rooms").await;
    let held = one(&world, "held").await;
    let mut connection = world.pool.acquire().await.unwrap();
    let exact = exact(&mut connection, &held).await.unwrap().unwrap();
    assert!(exact * 2 < held.bytes().unwrap(), "{exact} of {:?}", held.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lists_them_with_what_there_is_to_gain() {
    let world = World::new().await;
    world
        .execute(
            "create table t (id int, doc jsonb) with (autovacuum_enabled = off);
             insert into t select n, '{}' from generate_series(1, 30000) n;
             create unique index worn on t (id); create index searched on t using gin (doc);
             select pg_stat_force_next_flush()",
        )
        .await;
    world.execute("delete from t where id % 10 > 0; select pg_stat_force_next_flush()").await;
    world.execute("vacuum t").await;
    world.execute("analyze t; create index fresh on t (id)").await;
    let brasa = Brasa::configured(&world, "");
    let text = brasa.run(["db", "indexes"]).await.with_code(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[1].contains("public.worn") && lines[1].contains("87 %") && lines[1].contains("unique"),
        "{text}"
    );
    assert!(text.contains("no model of its method"), "{text}");
    let json = brasa.run(["db", "indexes", "t", "--json"]).await.with_code(0).json();
    assert_eq!(json["indexes"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&json["indexes"][0]["index"], &json["indexes"][0]["entries"]),
        (&"worn".into(), &3000.0.into())
    );
    assert_eq!(
        json["indexes"].as_array().unwrap().iter().find(|i| i["index"] == "fresh").unwrap()["bloat_bytes"],
        0
    );
    let unknown = brasa.run(["db", "indexes", "nothing"]).await.with_code(2).stderr;
    assert!(unknown.contains("there is no table `nothing`"), "{unknown}");
}

/// A column that follows from another, and one that does not: nobody has asked ANALYZE to count the pairs.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_column_follows_from_another_pages_of_the_table_say_how_many_keys_there_are() {
    let world = World::new().await;
    world
        .execute(
            "create table t (id int, region int, store int, free int, hidden int) with (autovacuum_enabled = off);
             insert into t select n, store % 60, store, (random() * 8000)::int, store % 50
                 from (select n, (random() * 9000)::int as store from generate_series(1, 300000) n) n;
             create index follows on t (region, store); create index is_free on t (region, free);
             create index is_hidden on t (hidden, store);
             delete from t where id % 10 > 3; select pg_stat_force_next_flush()",
        )
        .await;
    world.execute("vacuum t").await;
    world.execute("analyze t").await;
    let mut connection = world.pool.acquire().await.unwrap();
    let closer = look_closer(&mut connection, Scope::All).await.unwrap();
    let plain = look(&mut connection, Scope::All).await.unwrap();
    let estimate = |indexes: &[Index], name: &str| {
        indexes.iter().find(|index| index.bare == name).unwrap().estimate.unwrap()
    };
    for name in ["follows", "is_free", "is_hidden"] {
        assert_eq!(estimate(&plain, name).trust, Trust::Low, "{name}: nothing was read");
        let found = estimate(&closer, name);
        assert!(found.trust > Trust::Low, "{name}: {found:?}");
        world.execute(&format!("reindex index {name}")).await;
        let truth = one(&world, name).await.bytes().unwrap();
        let off = 100 * found.bytes.abs_diff(truth) / truth;
        assert!(off <= 10, "{name}: {found:?} is off by {off} % of {truth}");
    }
    // A policy stands before its rows: they are not all that the index has, and whatever it runs is not run by a look.
    world.execute("alter table t enable row level security; alter table t force row level security").await;
    let role = format!("{}-reads", world.prefix);
    world.execute(&format!(r#"create role "{role}"; grant pg_read_all_data to "{role}""#)).await;
    world.execute("insert into t select n, n % 60, n % 900, 1, 1 from generate_series(1, 90000) n").await;
    world.execute("delete from t where id % 10 > 1; select pg_stat_force_next_flush()").await;
    world.execute("vacuum t").await;
    world.execute("analyze t").await;
    brasa_shared::db::execute(&mut connection, &format!(r#"set role "{role}""#), &[]).await.unwrap();
    let found = look_closer(&mut connection, Scope::All).await.unwrap();
    brasa_shared::db::execute(&mut connection, "reset role", &[]).await.unwrap();
    world.execute(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
    let free = found.iter().find(|index| index.bare == "is_free").unwrap();
    assert_eq!(free.estimate, Err(Withheld::NoStatistics));
}
