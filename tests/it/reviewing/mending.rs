//! Problems that are planted are found, and gone once the statement that is recommended has run.

use brasa_jobs::database::review::{Limits, Past, Severity, review};
use brasa_shared::db::execute;
use brasa_tests::{World, eventually};
use serde_json::json;

use super::{limits, look, look_with, of, only, run, scene};

const PLANTED: &str = "
    create table customers (id bigint primary key);
    create table orders (id bigint primary key, customer bigint references customers, a int, b int);
    insert into customers select generate_series(1, 1000);
    insert into orders select n, n % 1000 + 1, n, n from generate_series(1, 20000) n;
    create index orders_a on orders (a);
    create index orders_a_again on orders (a);
    create index orders_b on orders (b);
    create index orders_b_a on orders (b, a);
    create table tickets (id serial primary key);
    select setval('tickets_id_seq', 2000000000);
    create table badges (id int generated always as identity primary key);
    select setval('badges_id_seq', 2140000000);
    create table log (line text);
    create table events (at date not null, n int, primary key (at, n)) partition by range (at);
    create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01');
    insert into events select '2026-01-05', n from generate_series(1, 5000) n;
    create table twice (n int primary key, m int);
    insert into twice select n, 7 from generate_series(1, 10) n;
    select pg_stat_force_next_flush()";

/// Rules about the server, which other tests use, too.
const OF_THE_SERVER: [&str; 3] = ["R24", "R33", "R34"];

/// The rules whose problems are planted, with the severity of each.
const FOUND: [(&str, Severity); 9] = [
    ("R05", Severity::Info),
    ("R06", Severity::Info),
    ("R08", Severity::Warning),
    ("R10", Severity::Warning),
    ("R16", Severity::Warning),
    ("R29", Severity::Critical),
    ("R29", Severity::Warning),
    ("R30", Severity::Info),
    ("R36", Severity::Info),
];

async fn planted() -> World {
    let world = scene(PLANTED).await;
    // After all that was written has been counted: what is counted later are changes since.
    world.execute("analyze customers, orders, tickets, badges, log, events_1, twice").await;
    let mut connection = world.pool.acquire().await.unwrap();
    let failed = execute(&mut connection, "create unique index concurrently twice_m on twice (m)", &[]).await;
    assert!(failed.is_err(), "two rows are the same");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_found_and_what_is_recommended_mends_it() {
    let world = planted().await;
    let first = look(&world).await;
    let found: Vec<_> = first
        .report
        .recommendations
        .iter()
        .map(|shown| (shown.recommendation.rule.as_str(), shown.recommendation.severity))
        .filter(|(rule, _)| !OF_THE_SERVER.contains(rule))
        .collect();
    let mut sorted = found.clone();
    sorted.sort_unstable_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
    assert_eq!(sorted, FOUND, "{:#?}", first.report.recommendations);
    assert_eq!(found[0].0, "R29", "the worst comes first");
    let statements: Vec<_> = [
        ("R05", "DROP INDEX CONCURRENTLY public.orders_a_again;"),
        ("R06", "DROP INDEX CONCURRENTLY public.orders_b;"),
        ("R08", "DROP INDEX CONCURRENTLY public.twice_m;"),
        ("R10", r#"CREATE INDEX CONCURRENTLY "orders_customer_idx" ON public.orders ("customer");"#),
        ("R16", "ANALYZE public.events;"),
    ]
    .map(|(rule, statement)| (only(&first, rule).recommendation.statement.clone(), statement))
    .into();
    for (found, expected) in statements {
        assert_eq!(found.as_deref(), Some(expected));
    }

    for told in first.report.recommendations.iter().map(|shown| &shown.recommendation) {
        if let Some(statement) = told.statement.as_ref().filter(|_| !OF_THE_SERVER.contains(&&*told.rule)) {
            run(&world, statement).await;
        }
    }
    let second = look(&world).await;
    let left: Vec<_> =
        second.report.recommendations.iter().map(|shown| &*shown.recommendation.rule).collect();
    assert!(left.iter().all(|rule| *rule == "R36" || OF_THE_SERVER.contains(rule)), "{left:?}");
    let open =
        "select count(*) as n from brasa.care_recommendations where cleared_at is null and rule < 'R33'
        and rule <> 'R24'";
    assert_eq!(world.rows(open).await, json!([{ "n": 0 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_undone_is_recommended_again_from_then_on() {
    let world = planted().await;
    let first = look(&world).await;
    let before = world.rows("select pg_get_indexdef('orders_a_again'::regclass) as it").await;
    for rule in ["R05", "R10"] {
        run(&world, only(&first, rule).recommendation.statement.as_ref().unwrap()).await;
    }
    let second = look(&world).await;
    assert_eq!((of(&second, "R05").len(), of(&second, "R10").len()), (0, 0));
    assert!(second.cleared >= 2);
    for rule in ["R05", "R10"] {
        run(&world, only(&first, rule).recommendation.undo.as_ref().unwrap()).await;
    }
    assert_eq!(world.rows("select pg_get_indexdef('orders_a_again'::regclass) as it").await, before);
    let third = look(&world).await;
    assert_eq!(only(&third, "R05").fingerprint, only(&first, "R05").fingerprint);
    let kept = world
        .rows(
            "select count(*) as n from brasa.care_recommendations where rule = 'R05' and cleared_at is null",
        )
        .await;
    assert_eq!(kept, json!([{ "n": 1 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_idles_in_a_transaction_is_found_and_ended() {
    let world = scene("create table t (id int primary key); analyze t").await;
    let other = world.another_pool(1, std::time::Duration::from_secs(10));
    let mut idle = other.acquire().await.unwrap();
    for sql in [
        "set application_name = 'the shop'",
        "begin isolation level repeatable read",
        "select count(*) from t",
    ] {
        execute(&mut idle, sql, &[]).await.unwrap();
    }
    assert_eq!(of(&look(&world).await, "R27").len(), 0, "that is not long yet");
    let sharp = Limits { idle: 0.0, holder: 0.0, ..limits() };
    let found = look_with(&world, sharp.clone()).await;
    let told = &only(&found, "R27").recommendation;
    assert!(told.title.starts_with("1 session of the shop (role "), "{}", told.title);
    assert_eq!(only(&found, "R19").recommendation.object, "session of the shop");
    run(&world, told.statement.as_ref().unwrap()).await;
    eventually("the session is gone", async || {
        let seen = look_with(&world, sharp.clone()).await;
        of(&seen, "R27").is_empty() && of(&seen, "R19").is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_others_wait_for_is_found_and_ended() {
    let world = scene("create table t (id int primary key); insert into t values (1); analyze t").await;
    let other = world.another_pool(3, std::time::Duration::from_secs(10));
    let mut holder = other.acquire().await.unwrap();
    execute(&mut holder, "set application_name = 'holder'", &[]).await.unwrap();
    execute(&mut holder, "begin", &[]).await.unwrap();
    execute(&mut holder, "update t set id = 1", &[]).await.unwrap();
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let other = other.clone();
            tokio::spawn(async move {
                let mut waiter = other.acquire().await.unwrap();
                execute(&mut waiter, "update t set id = 1", &[]).await.unwrap()
            })
        })
        .collect();
    let sharp = Limits { blocked: 0.0, ..limits() };
    eventually("both wait", async || {
        let seen = look_with(&world, sharp.clone()).await;
        let told = of(&seen, "R28").first().map(|one| one.recommendation.title.clone());
        told.is_some_and(|title| title.starts_with("2 sessions wait for a lock that holder (role "))
    })
    .await;
    let seen = look_with(&world, sharp.clone()).await;
    let told = &only(&seen, "R28").recommendation;
    assert!(told.evidence.contains(&("Table".to_owned(), "public.t".to_owned())), "{:?}", told.evidence);
    run(&world, told.statement.as_ref().unwrap()).await;
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_stale_until_somebody_analyzes() {
    let world = scene(
        "create table t (id int primary key) with (autovacuum_enabled = false);
         insert into t select generate_series(1, 5000); analyze t;
         insert into t select generate_series(5001, 10000)",
    )
    .await;
    eventually("the changes are counted", async || of(&look(&world).await, "R15").len() == 1).await;
    run(&world, only(&look(&world).await, "R15").recommendation.statement.as_ref().unwrap()).await;
    eventually("the analysis is counted", async || of(&look(&world).await, "R15").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_have_expired_are_told_by_the_planner_alone() {
    let world = scene(
        "create table sessions (id int primary key, expires_at timestamptz not null);
         insert into sessions select n, now() + interval '1 day' - n * interval '1 minute'
         from generate_series(1, 10000) n;
         analyze sessions",
    )
    .await;
    let config = "[maintenance.prune.sessions]\ntable = \"sessions\"\nwhere = \"expires_at < now()\"\n";
    let mut connection = super::connection(&world).await;
    let found = super::facts(&world, &mut connection, config).await;
    let one = &found.expired[0];
    assert!((8_000.0..9_100.0).contains(&one.expired) && (one.rows - 10_000.0).abs() < 1.0, "{one:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_database_gets_no_warning() {
    let world = scene(
        "create table customers (id bigint generated always as identity primary key, mail text unique);
         create table orders (id bigint generated always as identity primary key,
             customer bigint not null references customers,
             at timestamptz not null default now());
         create index on orders (customer, at);
         create table parts (at date not null, id bigint not null, primary key (at, id)) partition by range (at);
         create table parts_1 partition of parts for values from ('2026-01-01') to ('2026-02-01');
         insert into customers (mail) select n || '@example.org' from generate_series(1, 1000) n;
         insert into orders (customer) select n % 1000 + 1 from generate_series(1, 20000) n;
         insert into parts select '2026-01-02', n from generate_series(1, 100) n;
         analyze",
    )
    .await;
    let found = look(&world).await;
    let loud: Vec<_> = found
        .report
        .recommendations
        .iter()
        .filter(|one| one.recommendation.severity > Severity::Info)
        .collect();
    assert_eq!(loud, Vec::<&super::Shown>::new());
    assert!(found.report.summary.starts_with("Nothing hurts."), "{}", found.report.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_names_in_every_statement() {
    let long = "ü".repeat(20) + "\"'; drop table t; --";
    let quoted = brasa_shared::db::quoted(&long);
    let world = scene(
        &format!(
            r#"create schema "My ""Shop""";
           set search_path = "My ""Shop""";
           create table target (id int primary key);
           create table {quoted} (id serial primary key, {quoted} int references target, a int);
           insert into {quoted} (a) select n from generate_series(1, 20000) n;
           create index {quoted}_a on {quoted} (a);
           create index {quoted}_b on {quoted} (a);
           create table "No ""Key" (n int);
           select setval(pg_get_serial_sequence(quote_ident(relname), 'id'), 2000000000) from pg_class
               where relname like 'ü%' and relkind = 'r';
           reset search_path;
           analyze"#
        )
        .replace(&format!("{quoted}_a"), "\"x a\"")
        .replace(&format!("{quoted}_b"), "\"x\"\"b\""),
    )
    .await;
    let first = look(&world).await;
    for rule in ["R05", "R10", "R29", "R30"] {
        run(&world, only(&first, rule).recommendation.statement.as_ref().unwrap()).await;
    }
    let second = look(&world).await;
    for rule in ["R05", "R10", "R29", "R30"] {
        assert_eq!(of(&second, rule).len(), 0, "{rule}");
    }
}

/// A unique index is not rebuilt beside upserts, also where they go to the table that its own is a part of and ran weeks ago.
#[tokio::test(flavor = "multi_thread")]
async fn upserts_through_a_partitioned_table_are_seen_for_as_long_as_statements_are_kept() {
    let world = scene(
        "create table whole (id int, k int) partition by range (id);
         create table low partition of whole for values from (0) to (100000) with (autovacuum_enabled = off);
         create unique index low_id on low (id);
         insert into whole select n, n from generate_series(1, 40000) n;
         delete from whole where id % 10 > 0; select pg_stat_force_next_flush()",
    )
    .await;
    world.execute("vacuum analyze low").await;
    let sharp = Limits { bloated_bytes: 1 << 18, bloat_bytes: 1 << 17, ..limits() };
    let past = || Past { statement_uses: Some(Vec::new()), ..Past::default() };
    let mut connection = super::connection(&world).await;
    let found = review(&mut connection, &super::reach(&world, ""), past(), sharp.clone()).await.unwrap();
    assert_eq!((of(&found, "R01").len(), of(&found, "R02").len()), (1, 0));
    world
        .execute(
            "insert into brasa.care_statement_texts values
                 ('long ago', 'INSERT INTO whole (id) VALUES ($1) ON CONFLICT (id) DO NOTHING', false, now() - interval '40 days'),
                 ('another', 'INSERT INTO wholes (id) VALUES ($1) ON CONFLICT (id) DO NOTHING', false, now())",
        )
        .await;
    let found = review(&mut connection, &super::reach(&world, ""), past(), sharp).await.unwrap();
    assert_eq!(of(&found, "R01").len(), 0);
    let told = &only(&found, "R02").recommendation;
    let evidence = ("Statements with ON CONFLICT".to_owned(), "long ago".to_owned());
    assert!(told.evidence.contains(&evidence), "{:?}", told.evidence);
}
