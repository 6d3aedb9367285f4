//! Servers that crash, that only read, and that take over.

use brasa::servers::{PostgresOptions, PostgresServer, Signal};
use brasa_jobs::database::history::spells;
use brasa_shared::db::migrate;
use brasa_tests::{World, eventually};
use sqlx::PgPool;

use super::{ORDERS, is_said_unused, look_at, noon, scan, uses};

fn fast() -> PostgresOptions {
    PostgresOptions { fsync: false, ..PostgresOptions::default() }
}

async fn scene(postgres: &PostgresServer) -> World {
    let redis = World::of_queues().redis_url;
    let world = World::on_servers(&redis, &postgres.url("postgres")).await;
    migrate(&world.pool).await.unwrap();
    world.execute(ORDERS).await;
    world
}

/// Why spells began, the oldest first.
async fn why(pool: &PgPool) -> Vec<String> {
    let mut connection = pool.acquire().await.unwrap();
    let mut spells = spells(&mut connection).await.unwrap();
    spells.reverse();
    spells.into_iter().map(|spell| format!("{}: {}", spell.node, spell.why)).collect()
}

/// Kills a process of the server as a fault of it would, and waits until the server is back.
pub(super) async fn crash(world: &World) {
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&world.pool).await.unwrap();
    let before = started_with(world).await.unwrap();
    Signal::Kill.send(u32::try_from(pid).unwrap()).unwrap();
    eventually("the server is back after a crash", async || {
        started_with(world).await.is_some_and(|after| after != before)
    })
    .await;
}

/// When counters of the whole server began.
async fn started_with(world: &World) -> Option<String> {
    let query = "select stats_reset::text from pg_stat_archiver";
    sqlx::query_scalar(query).fetch_one(&world.pool).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_crashes_and_restarts_no_index_that_is_used_is_said_to_be_unused() {
    let mut postgres = PostgresServer::start(fast()).unwrap();
    let world = scene(&postgres).await;
    for day in 0..=40 {
        match day {
            // Its only uses in all these days.
            2 => scan(&world.pool, 6).await,
            3 => {
                crash(&world).await;
                // More often than before: its counter has not fallen at the next look.
                scan(&world.pool, 7).await;
            }
            // Shut down without asking anybody, and in good order.
            5 => postgres.restart().unwrap(),
            10 => {
                postgres.kill().unwrap();
                postgres.restart().unwrap();
            }
            _ => {}
        }
        if [5, 10].contains(&day) {
            eventually("the server is back", async || started_with(&world).await.is_some()).await;
        }
        look_at(&world.pool, None, noon(day)).await;
        let used = uses(&world.pool, noon(day), &["primary"], "by_customer").await;
        assert!(!is_said_unused(&used), "day {day}: {used:?}");
    }
    let used = uses(&world.pool, noon(37), &["primary"], "by_customer").await;
    assert_eq!(used.scans, 13, "six before the crash, and seven since");
    // Of the last 35 days those three do not count in which, by looks at noon, a server may have gone down.
    let other = uses(&world.pool, noon(40), &["primary"], "by_note").await;
    assert_eq!((other.days, other.scans), (32, 0), "{:?}", why(&world.pool).await);
    let why = why(&world.pool).await;
    assert_eq!(why[1], "primary: the server crashed");
    assert!(why[2..].iter().all(|why| why.contains("without a shutdown")), "{why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_replica_uses_is_used_also_after_it_took_over() {
    let mut primary = PostgresServer::start(fast()).unwrap();
    let world = scene(&primary).await;
    let standby = primary.standby(fast()).unwrap();
    let replica = world.pool_at(&standby.url(&world.prefix));
    let both = ["primary", "replica"];
    for day in 0..=36 {
        if day == 4 {
            scan(&replica, 3).await;
        }
        look_at(&world.pool, Some(&replica), noon(day)).await;
    }
    let used = uses(&world.pool, noon(36), &both, "by_customer").await;
    assert_eq!((used.scans, used.days), (3, 35));
    assert!(
        is_said_unused(&uses(&world.pool, noon(36), &["primary"], "by_customer").await),
        "by the primary alone"
    );
    assert!(is_said_unused(&uses(&world.pool, noon(36), &both, "by_note").await), "by both");

    // The replica is not there for a while, and says nothing.
    let stranger = world.pool_at(&primary.url("postgres").replace("postgres://", "postgres://nobody"));
    let blind = look_at(&world.pool, Some(&stranger), noon(38)).await;
    assert!(
        blind.problems.iter().any(|problem| problem.contains("the replica was not looked at")),
        "{blind:?}"
    );
    assert_eq!(uses(&world.pool, noon(38), &both, "by_note").await.unknown_on, ["replica"]);
    look_at(&world.pool, Some(&replica), noon(38)).await;

    // It takes over: its counters, which count years of another life, are not taken for the primary's.
    eventually("the replica has all", async || {
        let query = "select count(*) from brasa.care_looks where taken_at = to_timestamp($1::bigint)";
        let asked = sqlx::query_scalar::<_, i64>(query).bind(noon(38).as_second()).fetch_one(&replica).await;
        asked.is_ok_and(|rows| rows == 2)
    })
    .await;
    primary.stop().unwrap();
    sqlx::query("select pg_promote()").execute(&replica).await.unwrap();
    eventually("it takes writes", async || {
        sqlx::query_scalar::<_, bool>("select pg_is_in_recovery()")
            .fetch_one(&replica)
            .await
            .is_ok_and(|it| !it)
    })
    .await;
    let looked = look_at(&replica, None, noon(39)).await;
    assert_eq!(looked.nodes[0].began.as_deref(), Some("another server took over"));
    scan(&replica, 1).await;
    look_at(&replica, None, noon(40)).await;
    let used = uses(&replica, noon(40), &["primary"], "by_customer").await;
    assert_eq!(used.scans, 1, "none of the three from before");
    let other = uses(&replica, noon(40), &["primary"], "by_note").await;
    assert_eq!(
        (other.days, is_said_unused(&other)),
        (33, false),
        "the days around the failover do not count"
    );
    // So that the world can leave it.
    primary.restart().unwrap();
}
