//! Making triggers, and seeing how they stand.

use brasa_shared::db::changes::triggers::{LOCK_TIMEOUT, TriggerError, install, remove};
use brasa_tests::eventually;

use super::{FLIGHTS, LONG, NOTHING, SHORT, Scene, TableState, read, run};

const DEP: &str = "flights(origin)";

#[tokio::test]
async fn triggers_that_are_there_are_not_made_again() {
    let mut scene = Scene::with(FLIGHTS).await;
    assert_eq!(scene.state(&[DEP]).await, TableState::Missing);

    let first = scene.install(&[DEP]).await.unwrap();
    assert_eq!((first[0].table.as_str(), &first[0].state), ("public.flights", &TableState::Missing));
    assert_eq!(scene.logged().await, ["table:public.flights(origin) *"]);
    assert!(scene.status(&[DEP]).await.is_good());

    let second = scene.install(&[DEP]).await.unwrap();
    assert_eq!(second[0].state, TableState::Installed);
    assert_eq!(second[0].statements, NOTHING);
    assert_eq!(second[0].sql(LONG), "");
    assert_eq!(scene.logged().await, NOTHING);
}

#[tokio::test]
async fn the_plan_is_a_text_that_does_the_same_when_run_by_hand() {
    let mut scene = Scene::with(FLIGHTS).await;
    let dependencies = [DEP, "flights(origin, day)", "flights"];

    let plan = scene.plan(&dependencies).await.unwrap().remove(0);
    assert_eq!(scene.state(&dependencies).await, TableState::Missing);
    let sql = plan.sql(LOCK_TIMEOUT);
    assert!(sql.contains("set local lock_timeout = '3000ms';"), "{sql}");
    scene.run(&sql).await;

    assert!(scene.status(&dependencies).await.is_good());
}

#[tokio::test]
async fn another_list_of_columns_is_outdated_until_it_is_installed() {
    let mut scene = Scene::watching(&[DEP]).await;
    let changed = ["flights(origin)", "flights(day)"];

    assert_eq!(scene.state(&changed).await, TableState::Outdated);
    let done = scene.install(&changed).await.unwrap();

    assert_eq!(done[0].state, TableState::Outdated);
    let every = ["table:public.flights(day) *", "table:public.flights(origin) *"];
    assert_eq!(scene.logged().await, every);
    assert!(scene.status(&changed).await.is_good());
    let insert = "insert into flights values (1, 'MAD', '2026-01-02')";
    let both = ["table:public.flights(day) 2026-01-02", "table:public.flights(origin) MAD"];
    assert_eq!(scene.logged_by(insert).await, both);
    // Nothing of the first list is left.
    assert_eq!(functions(&mut scene).await, "4");
    assert_eq!(scene.text("select count(*)::text from pg_trigger where not tgisinternal").await, "4");
}

async fn functions(scene: &mut Scene) -> String {
    scene.text("select count(*)::text from pg_proc where proname ~ '^cache_' and prorettype = 'trigger'::regtype").await
}

#[tokio::test]
async fn a_trigger_that_was_disabled_dropped_or_tampered_with_is_seen_and_made_good() {
    let mut scene = Scene::watching(&[DEP]).await;
    let name = scene.text("select tgname::text from pg_trigger where tgname ~ 'update'").await;
    let function = scene.text("select proname::text from pg_proc where proname ~ '^cache_update'").await;
    let tampered = format!(
        "create or replace function brasa.{function}() returns trigger language plpgsql security definer
         set search_path = pg_catalog, brasa, pg_temp as 'begin return null; end'"
    );

    for (broken, state) in [
        (format!("alter table flights disable trigger {name}"), TableState::Disabled),
        (format!("alter table flights enable replica trigger {name}"), TableState::Disabled),
        (format!("drop trigger {name} on flights"), TableState::Outdated),
        (tampered, TableState::Outdated),
        (format!("drop function brasa.{function}() cascade"), TableState::Outdated),
    ] {
        scene.run(&broken).await;
        assert_eq!(scene.state(&[DEP]).await, state, "{broken}");
        scene.install(&[DEP]).await.unwrap();
        assert!(scene.status(&[DEP]).await.is_good(), "{broken}");
        scene.run("truncate flights; insert into flights values (1, 'MAD')").await;
        scene.take_all().await;
        let logged = scene.logged_by("update flights set origin = 'LIS'").await;
        assert_eq!(logged.len(), 2, "{broken}: {logged:?}");
    }
}

#[tokio::test]
async fn a_table_that_was_renamed_is_left_over_and_one_that_came_back_is_installed_anew() {
    let mut scene = Scene::watching(&[DEP]).await;

    scene.run("alter table flights rename to journeys").await;
    let status = scene.status(&[DEP]).await;
    assert_eq!(status.leftover_tables, ["public.journeys"]);
    let TableState::Impossible(why) = &status.tables[0].state else { panic!("{status:?}") };
    assert_eq!(why, "there is no table `flights` that this role can see");

    scene.install(&["journeys(origin)"]).await.unwrap();
    assert!(scene.status(&["journeys(origin)"]).await.is_good());
    assert_eq!(functions(&mut scene).await, "4");
    scene.take_all().await;
    let logged = scene.logged_by("insert into journeys values (1, 'MAD')").await;
    assert_eq!(logged, ["table:public.journeys(origin) MAD"]);

    scene.run("drop table journeys").await;
    let status = scene.status(&[]).await;
    assert_eq!((status.leftover_tables.len(), status.leftover_functions.len()), (0, 4));
    scene.run("create table journeys (id int primary key, origin text)").await;
    scene.install(&["journeys(origin)"]).await.unwrap();
    assert!(scene.status(&["journeys(origin)"]).await.is_good());
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_with_the_reason() {
    let tables = format!(
        "{FLIGHTS}; create view seen as select * from flights; create materialized view kept as select 1 as one;
         create foreign data wrapper far; create server away foreign data wrapper far;
         create foreign table abroad (id int) server away; create temporary table brief (id int);
         create table years (id int) partition by list (id);
         create foreign table year_1 partition of years for values in (1) server away"
    );
    let mut scene = Scene::with(&tables).await;

    for (dependency, why) in [
        ("nowhere", "there is no table `nowhere` that this role can see"),
        ("other.flights(origin)", "there is no table `other.flights` that this role can see"),
        ("flights(origin, nothing)", "table `public.flights` has no column `nothing`"),
        ("flights(ctid)", "table `public.flights` has no column `ctid`"),
        ("seen", "`public.seen` is a view"),
        ("kept", "`public.kept` is a materialized view"),
        ("abroad", "`public.abroad` is a foreign table"),
        ("brief", "is a temporary table"),
        ("pg_class", "`pg_catalog.pg_class` is a table of the database itself"),
        ("information_schema.sql_features", "is a table of the database itself"),
        ("brasa.cache_log", "`brasa.cache_log` is a table of Brasa itself"),
        ("years", "`public.year_1` is a foreign table and a part of `public.years`"),
    ] {
        let error = scene.install(&[dependency]).await.unwrap_err().to_string();
        assert!(error.contains(why), "{dependency}: {error}");
        let TableState::Impossible(shown) = scene.state(&[dependency]).await else { panic!("{dependency}") };
        assert_eq!(shown, error);
    }
    assert_eq!(functions(&mut scene).await, "0");
}

#[tokio::test]
async fn a_database_without_the_log_gets_no_triggers() {
    let mut scene = Scene::with(FLIGHTS).await;
    scene.run("drop schema brasa cascade").await;

    let error = scene.install(&[DEP]).await.unwrap_err();

    assert!(matches!(error, TriggerError::NoLog), "{error}");
    assert!(!scene.log.exists().await.unwrap());
}

#[tokio::test]
async fn a_table_that_is_being_written_to_is_left_alone_after_a_while() {
    let mut scene = Scene::with(FLIGHTS).await;
    let mut other = scene.world.pool.acquire().await.unwrap();
    run(&mut other, "begin; insert into flights values (1, 'MAD')").await.unwrap();

    let error = install(&mut scene.app, &read(&[DEP]), SHORT).await.unwrap_err();

    assert!(matches!(error, TriggerError::Busy { .. }), "{error:?}");
    assert!(error.to_string().contains("`public.flights` is in use"), "{error}");
    assert_eq!(functions(&mut scene).await, "0");
    run(&mut other, "commit").await.unwrap();
    scene.install(&[DEP]).await.unwrap();

    run(&mut other, "begin; insert into flights values (2, 'MAD')").await.unwrap();
    let error = remove(&mut scene.app, None, SHORT).await.unwrap_err();
    assert!(matches!(error, TriggerError::Busy { .. }), "{error:?}");
    run(&mut other, "commit").await.unwrap();
    assert!(scene.status(&[DEP]).await.is_good());
}

#[tokio::test]
async fn readers_do_not_wait_while_triggers_are_replaced() {
    let mut scene = Scene::watching(&[DEP]).await;
    let mut other = scene.world.pool.acquire().await.unwrap();
    run(&mut other, "begin; select * from flights").await.unwrap();

    install(&mut scene.app, &read(&["flights(day)"]), SHORT).await.unwrap();

    run(&mut other, "commit").await.unwrap();
}

#[tokio::test]
async fn two_that_install_at_the_same_time_make_the_triggers_once() {
    let mut scene = Scene::with(FLIGHTS).await;
    let mut other = scene.world.pool.acquire().await.unwrap();
    let mut writer = scene.world.pool.acquire().await.unwrap();
    run(&mut writer, "begin; insert into flights values (1, 'MAD')").await.unwrap();
    let dependencies = read(&[DEP]);

    let both = async {
        tokio::join!(install(&mut scene.app, &dependencies, LONG), install(&mut other, &dependencies, LONG))
    };
    let pool = scene.world.pool.clone();
    let waiting = "select count(*) from pg_locks where not granted";
    let release = async {
        eventually("both wait", async || {
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() == 2
        })
        .await;
        run(&mut writer, "commit").await.unwrap();
    };
    let ((one, two), ()) = tokio::join!(both, release);

    let mut done = [one.unwrap()[0].statements.len(), two.unwrap()[0].statements.len()];
    done.sort_unstable();
    assert!(done[0] == 0 && done[1] > 0, "{done:?}");
    assert!(scene.status(&[DEP]).await.is_good());
}
