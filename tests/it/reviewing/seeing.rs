//! What cannot be seen is said with the right that is missing, and never taken for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brasa_jobs::database::review::facts::Subject;
use brasa_jobs::database::review::store::{dismiss, list, reopen};
use brasa_jobs::database::review::{Limits, Past, gather, limit, review};
use brasa_shared::db::execute;
use brasa_tests::{World, eventually};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::{connection, facts, limits, look, look_with, of, only, reach, scene};

const CONFIG: &str = "[maintenance.prune.sessions]\ntable = \"sessions\"\nwhere = \"expires_at < now()\"\n";

/// A connection of a role that may do nothing but log in.
async fn as_a_modest_role(world: &World) -> (String, PgConnection) {
    let role = format!("{}-role", world.prefix);
    world.execute(&format!(r#"create role "{role}" login password 'secret'"#)).await;
    let options = PgConnectOptions::clone(&world.pool.connect_options()).username(&role).password("secret");
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    limit(&mut connection).await.unwrap();
    (role, connection)
}

async fn remove_role(world: &World, role: &str) {
    world.execute(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_is_told_which_it_needs_and_has_them_then() {
    let world = scene(
        "create table sessions (id serial primary key, expires_at timestamptz);
         create table events (at date, n int) partition by range (at);
         create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01')",
    )
    .await;
    let (role, mut connection) = as_a_modest_role(&world).await;
    let found = facts(&world, &mut connection, CONFIG).await;
    let mut grants: Vec<_> =
        found.gaps.iter().filter_map(|gap| Some((gap.subject, gap.grant.clone()?))).collect();
    grants.sort();
    let monitor = format!("GRANT pg_monitor TO \"{role}\";");
    let read = format!("GRANT pg_read_all_data TO \"{role}\";");
    assert_eq!(
        grants,
        [
            (Subject::Statistics, read.clone()),
            (Subject::Holders, monitor.clone()),
            (Subject::Activity, monitor.clone()),
            (Subject::Sequences, read.clone()),
            (Subject::Replication, monitor.clone()),
            (Subject::Expired, format!("GRANT SELECT ON \"sessions\" TO \"{role}\";")),
        ]
    );
    assert_eq!(found.tables.len(), 3, "what may be seen is seen");
    for (_, grant) in grants {
        world.execute(&grant).await;
    }
    let found = facts(&world, &mut connection, CONFIG).await;
    let left: Vec<_> = found.gaps.iter().filter(|gap| gap.grant.is_some()).collect();
    assert!(left.is_empty(), "{left:?}");
    remove_role(&world, &role).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_closes_no_recommendation() {
    let world = scene("create table t (id int primary key); analyze t").await;
    let mut idle = world.pool.acquire().await.unwrap();
    execute(&mut idle, "begin", &[]).await.unwrap();
    let sharp = Limits { idle: 0.0, ..limits() };
    let fingerprint = only(&look_with(&world, sharp.clone()).await, "R27").fingerprint.clone();
    let (role, mut connection) = as_a_modest_role(&world).await;
    world
        .execute(&format!(
            r#"grant usage on schema brasa to "{role}"; grant all on all tables in schema brasa to "{role}";
               grant usage on all sequences in schema brasa to "{role}""#
        ))
        .await;
    let blind = review(&mut connection, &reach(&world, ""), Past::default(), sharp.clone()).await.unwrap();
    assert_eq!(of(&blind, "R27").len(), 0);
    let open = format!(
        "select count(*) as n from brasa.care_recommendations where fingerprint = '{fingerprint}'
            and cleared_at is null"
    );
    assert_eq!(world.rows(&open).await[0]["n"], 1, "nobody saw that it is gone");
    assert!(blind.report.summary.contains("as rights are missing"), "{}", blind.report.summary);
    execute(&mut idle, "commit", &[]).await.unwrap();
    let seen = look_with(&world, sharp).await;
    assert_eq!(of(&seen, "R27").len(), 0);
    let kept = format!(
        "select count(*) as n from brasa.care_recommendations where fingerprint = '{fingerprint}'
            and cleared_at is not null"
    );
    assert_eq!(world.rows(&kept).await[0]["n"], 1);
    remove_role(&world, &role).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_not_waited_for() {
    let world = scene(
        "create table held (id serial primary key, n int); create table wanted (id serial primary key, n int);
         create table parts (n int) partition by range (n);
         create table p1 partition of parts for values from (0) to (9);
         analyze",
    )
    .await;
    let mut holder = world.pool.begin().await.unwrap();
    execute(&mut holder, "lock table held in access exclusive mode", &[]).await.unwrap();
    execute(&mut holder, "lock table p1 in access exclusive mode", &[]).await.unwrap();
    let mut reader = world.pool.begin().await.unwrap();
    execute(&mut reader, "select * from wanted", &[]).await.unwrap();
    let pool = world.pool.clone();
    let queued = tokio::spawn(async move {
        let mut connection = pool.acquire().await.unwrap();
        execute(&mut connection, "alter table wanted add m int", &[]).await.unwrap();
    });
    eventually("somebody waits for the lock", async || {
        let waiting =
            "select count(*) as n from pg_locks where not granted and relation = 'wanted'::regclass";
        world.rows(waiting).await[0]["n"] == 1
    })
    .await;
    let mut connection = connection(&world).await;
    let begun = Instant::now();
    let found = facts(&world, &mut connection, "").await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let size = |name: &str| found.tables.iter().find(|table| table.name == name).unwrap().bytes;
    assert_eq!((size("public.held"), size("public.wanted"), size("public.p1")), (None, None, None));
    assert!(!found.knows(Subject::Tables), "{:?}", found.gaps);
    assert!(
        found.gaps.iter().any(|gap| gap.why.starts_with("Somebody has locked 3 tables")),
        "{:?}",
        found.gaps
    );
    reader.rollback().await.unwrap();
    holder.rollback().await.unwrap();
    queued.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_come_and_go_meanwhile_break_nothing() {
    let world = scene("create table stays (id int primary key); analyze").await;
    let (pool, is_over) = (world.pool.clone(), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&is_over);
    let churn = tokio::spawn(async move {
        let mut connection = pool.acquire().await.unwrap();
        for round in (0..).take_while(|_| !told.load(Ordering::Relaxed)) {
            for sql in [
                format!("create table comes_{round} (id serial primary key, a int references stays)"),
                format!("create index on comes_{round} (a)"),
                format!("drop table comes_{round}"),
            ] {
                execute(&mut connection, &sql, &[]).await.unwrap();
            }
        }
    });
    let mut connection = connection(&world).await;
    // A look that meets a table which is being made or dropped says so: sooner or later one meets none.
    let deadline = Instant::now() + Duration::from_mins(1);
    let (mut looks, mut complete) = (0, 0);
    while looks < 30 || complete == 0 {
        assert!(Instant::now() < deadline, "none of {looks} looks saw everything");
        looks += 1;
        let found = gather(&mut connection, &reach(&world, ""), Past::default(), limits()).await.unwrap();
        assert!(
            !found.knows(Subject::Tables) || found.tables.iter().any(|table| table.name == "public.stays")
        );
        complete += u32::from(found.knows(Subject::Tables) && found.knows(Subject::Indexes));
    }
    is_over.store(true, Ordering::Relaxed);
    churn.await.unwrap();
    let found = gather(&mut connection, &reach(&world, ""), Past::default(), limits()).await.unwrap();
    assert!(found.knows(Subject::Tables) && found.knows(Subject::Indexes), "{:?}", found.gaps);
    assert!(found.tables.iter().any(|table| table.name == "public.stays"), "{:?}", found.tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dismissed_is_counted_apart_until_it_is_reopened() {
    let world = scene("create table t (n int); analyze").await;
    let first = look(&world).await;
    let fingerprint = only(&first, "R30").fingerprint.clone();
    let mut connection = connection(&world).await;
    assert!(dismiss(&mut connection, &fingerprint, "it is a log").await.unwrap());
    let second = look(&world).await;
    let why = only(&second, "R30").dismissed.as_ref().map(|dismissed| dismissed.why.clone());
    assert_eq!((why.as_deref(), second.report.dismissed()), (Some("it is a log"), 1));
    let open = list(&mut connection, false).await.unwrap();
    assert!(open.iter().all(|kept| kept.fingerprint != fingerprint));
    assert!(reopen(&mut connection, &fingerprint).await.unwrap());
    assert!(list(&mut connection, false).await.unwrap().iter().any(|kept| kept.fingerprint == fingerprint));
    assert!(!dismiss(&mut connection, "none", "").await.unwrap());
}
