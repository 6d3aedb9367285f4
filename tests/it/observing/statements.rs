//! What statements cost, on a server that counts them.

use std::time::Duration;

use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_jobs::database::history::{StatementUse, statement_uses};
use brasa_shared::db::migrate;
use brasa_tests::World;
use brasa_tests::process::Brasa;
use jiff::Timestamp;
use sqlx::{PgPool, Row as _};

use super::servers::crash;
use super::{look_at, noon, run};

const BY_KEY: &str = "select v from items where k = $1";

/// A server of its own, since whoever resets these counters does it for all.
async fn scene() -> (PostgresServer, World) {
    scene_with(&[]).await
}

async fn scene_with(settings: &[(&str, &str)]) -> (PostgresServer, World) {
    let extra = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let postgres = PostgresServer::start(PostgresOptions { fsync: false, extra }).unwrap();
    let redis = World::of_queues().redis_url;
    let world = World::on_servers(&redis, &postgres.url("postgres")).await;
    migrate(&world.pool).await.unwrap();
    world
        .execute(
            "create schema tools; create extension pg_stat_statements schema tools;
             create table items (k int, v text);
             insert into items select n, repeat('x', 50) from generate_series(1, 20000) n;
             create index items_k on items (k); analyze items",
        )
        .await;
    (postgres, world)
}

async fn call(pool: &PgPool, times: i32) {
    let mut connection = pool.acquire().await.unwrap();
    for key in 0..times {
        sqlx::query(BY_KEY).bind(key + 1).fetch_all(&mut *connection).await.unwrap();
    }
}

/// So far calls took a twentieth of a millisecond each: a look-up by key is so quick that on a machine with other work
/// some looks find it twice as slow.
async fn at_their_usual_pace(world: &World) {
    for table in ["care_statement_deltas", "care_statement_hours"] {
        world
            .execute(&format!(
                "update brasa.{table} d set total_ms = calls * 0.05, squares = 0
                from brasa.care_statement_texts t where t.fingerprint = d.fingerprint and t.text = '{BY_KEY}'"
            ))
            .await;
    }
}

async fn all(pool: &PgPool, now: Timestamp) -> Vec<StatementUse> {
    let mut connection = pool.acquire().await.unwrap();
    statement_uses(&mut connection, now, Duration::from_hours(240)).await.unwrap()
}

async fn by_key(pool: &PgPool, now: Timestamp) -> StatementUse {
    let found = all(pool, now).await.into_iter().find(|one| one.text == BY_KEY);
    found.expect("the statement is known")
}

fn after(at: Timestamp, minutes: i64) -> Timestamp {
    Timestamp::from_second(at.as_second() + minutes * 60).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_of_differences_are_what_the_client_did_whoever_resets_the_counters() {
    let (_postgres, world) = scene().await;
    // From before the first look: in no sum.
    call(&world.pool, 100).await;
    let mut truth = 0;
    for (tick, calls) in [0, 500, 1, 700, 0, 900].into_iter().enumerate() {
        if tick == 2 {
            // Of indexes and tables: what statements cost goes on.
            world.execute("select pg_stat_reset()").await;
        }
        if tick == 3 {
            // More calls than before come after it, so no counter falls.
            world.execute("select tools.pg_stat_statements_reset()").await;
        }
        if tick == 4 {
            crash(&world).await;
        }
        call(&world.pool, calls).await;
        truth += i64::from(calls);
        let looked = look_at(&world.pool, None, after(noon(0), 5 * i64::try_from(tick).unwrap())).await;
        assert!(looked.problems.is_empty(), "{looked:?}");
        assert_eq!(looked.statements.restarts > 0, [3, 4].contains(&tick), "{tick}: {looked:?}");
    }
    let found = by_key(&world.pool, after(noon(0), 25)).await;
    assert_eq!((found.calls, found.rows), (truth, truth));
    assert!(found.total_ms > 0.0 && found.mean_ms > 0.0 && found.hit > truth, "{found:?}");
    assert!((found.seconds - 25.0 * 60.0).abs() < 1.0 && !found.is_ours, "{found:?}");
    let shares: f64 = all(&world.pool, after(noon(0), 25)).await.iter().map(|one| one.share).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    // One that was thrown out and came back begins anew, too.
    let id: i64 = sqlx::query(
        "select queryid, tools.pg_stat_statements_reset(userid, dbid, queryid)
        from tools.pg_stat_statements where query = $1",
    )
    .bind(BY_KEY)
    .fetch_one(&world.pool)
    .await
    .unwrap()
    .get(0);
    assert_ne!(id, 0);
    call(&world.pool, 30).await;
    look_at(&world.pool, None, after(noon(0), 30)).await;
    assert_eq!(by_key(&world.pool, after(noon(0), 30)).await.calls, truth + 30);
    let hourly = world.rows("select sum(calls)::int as n from brasa.care_statement_hours h
        join brasa.care_statement_texts t using (fingerprint) where t.text = 'select v from items where k = $1'").await;
    assert_eq!(hourly[0]["n"], truth + 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_statements_are_thrown_out_all_the_time_none_is_counted_twice_and_busy_ones_are_counted_whole()
{
    let (_postgres, world) = scene_with(&[("pg_stat_statements.max", "100")]).await;
    look_at(&world.pool, None, noon(0)).await;
    let (mut truth, mut evictions) = (0, 0);
    for tick in 1..=8 {
        // Each of them is another statement, and there is room for a hundred.
        for columns in 1..=150 {
            world.execute(&format!("select {} from items limit 0", vec!["k"; columns].join(", "))).await;
            call(&world.pool, 2).await;
            truth += 2;
        }
        let looked = look_at(&world.pool, None, after(noon(0), 5 * tick)).await;
        assert!(looked.problems.is_empty(), "{looked:?}");
        evictions += looked.statements.evictions.unwrap();
    }
    assert!(evictions > 8, "{evictions}");
    let found = by_key(&world.pool, after(noon(0), 40)).await;
    assert_eq!(found.calls, truth);
    let all = all(&world.pool, after(noon(0), 40)).await;
    let rare: Vec<_> = all.iter().filter(|one| one.text.ends_with("from items limit $1")).collect();
    assert!(rare.len() > 50 && rare.iter().all(|one| one.calls <= 8), "{rare:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_never_kept_and_neither_is_a_literal() {
    let (_postgres, world) = scene().await;
    look_at(&world.pool, None, noon(0)).await;
    world.execute("create role guest login password 'hunter2'").await;
    world.execute("alter role guest /* hunter2 */ with password $$hunter2$$").await;
    world.execute("set application_name = 'hunter2'").await;
    world.execute("comment on table items is 'hunter2'").await;
    world.execute("select count(*) from items where v = 'hunter2' -- hunter2").await;
    world.execute("drop role guest").await;
    look_at(&world.pool, None, after(noon(0), 5)).await;
    let texts = world.rows("select text from brasa.care_statement_texts").await.to_string();
    assert!(
        texts.contains("CREATE ROLE (its text") && texts.contains("comment on table items is ?"),
        "{texts}"
    );
    assert!(texts.contains("select count(*) from items where v = $1"), "{texts}");
    let tables =
        "select format('select count(*) as n from brasa.%I t where t::text like ''%%hunter2%%''', tablename)
                      as q
                  from pg_tables where schemaname = 'brasa'";
    let tables = world.rows(tables).await;
    let queries = tables.as_array().unwrap();
    assert!(queries.len() > 20);
    for query in queries {
        let query = query["q"].as_str().unwrap();
        assert_eq!(world.rows(query).await[0]["n"], 0, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_lost_its_index_is_found_in_three_looks_and_not_before() {
    let (_postgres, world) = scene().await;
    for day in 0..7 {
        for hour in [-1, 0, 1] {
            call(&world.pool, 60).await;
            let looked = look_at(&world.pool, None, after(noon(day), hour * 60)).await;
            assert!(looked.problems.is_empty(), "{looked:?}");
        }
    }
    let today = noon(7);
    for tick in 0..3 {
        call(&world.pool, 60).await;
        look_at(&world.pool, None, after(today, 5 * tick)).await;
    }
    at_their_usual_pace(&world).await;
    let usual = by_key(&world.pool, after(today, 10)).await;
    assert!(usual.usual_ms.is_some() && !usual.is_regressed, "{usual:?}");
    world.execute("drop index items_k").await;
    let mut found = Vec::new();
    for tick in 3..6 {
        call(&world.pool, 60).await;
        look_at(&world.pool, None, after(today, 5 * tick)).await;
        found.push(by_key(&world.pool, after(today, 5 * tick)).await.is_regressed);
    }
    assert_eq!(found, [false, false, true]);
    let brasa = Brasa::configured(&world, "");
    let json = brasa.run(["db", "statements", "--since", "5000d", "--json"]).await.with_code(0).json();
    let one =
        json["statements"].as_array().unwrap().iter().find(|one| one["text"] == BY_KEY).cloned().unwrap();
    assert!(one["calls"] == 1_560, "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_see_the_statements_of_others_is_told_so() {
    let (postgres, world) = scene().await;
    call(&world.pool, 10).await;
    let mut connection = world.pool.acquire().await.unwrap();
    run(
        &mut connection,
        "create role plain login password 'plain'; grant usage, create on schema brasa to plain;
         grant usage on schema tools to plain;
         do $$ declare t record; begin for t in select c.oid::regclass as name from pg_class c
               join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'brasa' and c.relkind in ('r', 'p') loop
               execute format('alter table %s owner to plain', t.name); end loop; end $$",
    )
    .await;
    let url = postgres.url(&world.prefix);
    let (_, place) = url.split_once('@').unwrap();
    let plain = world.pool_at(&format!("postgres://plain:plain@{place}"));
    let looked = look_at(&plain, None, noon(0)).await;
    assert!(looked.problems.iter().any(|problem| problem.contains("grant pg_read_all_stats")), "{looked:?}");
    assert_eq!(looked.nodes[0].indexes, 1, "what indexes count everybody may see");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_what_statements_cost_and_how_to_begin() {
    let (_postgres, world) = scene().await;
    let brasa = Brasa::configured(&world, "");
    let nothing = brasa.run(["db", "statements"]).await.with_code(0).stdout;
    assert!(nothing.contains("job   = \"db.observe\"") && nothing.contains("every = \"5m\""), "{nothing}");
    let now = jiff_now();
    look_at(&world.pool, None, after(now, -10)).await;
    call(&world.pool, 1_500).await;
    world.execute("update items set v = 'y' where k < 40").await;
    look_at(&world.pool, None, after(now, -5)).await;
    let shown = brasa.run(["db", "statements", "--by", "calls"]).await.with_code(0).stdout;
    let line = shown.lines().find(|line| line.contains(BY_KEY)).unwrap_or_else(|| panic!("{shown}"));
    assert!(line.trim_start().starts_with("1500") && line.contains("chatty"), "{shown}");
    assert!(!shown.contains("brasa.care_"), "our own are left out: {shown}");
    let json =
        brasa.run(["db", "statements", "--since", "1h", "--limit", "1", "--json"]).await.with_code(0).json();
    assert_eq!(json["statements"].as_array().unwrap().len(), 1);
    let migrated = World::new().await;
    let without = Brasa::configured(&migrated, "").run(["db", "statements"]).await.with_code(1).stderr;
    assert!(without.contains("brasa migrate"), "{without}");
}

/// The command knows no other time than the machine's.
fn jiff_now() -> Timestamp {
    brasa_shared::clock::Clock::System.now()
}
