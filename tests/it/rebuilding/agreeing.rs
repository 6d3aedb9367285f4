//! Runs as programs call them: what was agreed to is done and nothing else, and what was lent is given back.

use brasa_jobs::database::rebuild::{Built, Report, Run, run};
use brasa_jobs::database::session::{Session, Until};
use brasa_shared::config::{Config, Indexes};
use brasa_tests::World;
use brasa_tests::process::Brasa;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use super::{CONFIG, scene, size};

fn rules() -> Indexes {
    Indexes { size_min: 0, gain_min: 0, ..Indexes::default() }
}

async fn notes(world: &World) -> PgConnection {
    PgConnection::connect_with(&world.pool.connect_options()).await.unwrap()
}

async fn ran(world: &World, notes: &mut PgConnection, agreed: Option<&[(u32, bool)]>) -> Report {
    let mut session = Session::open(&Config::default(), Some(&world.pool)).await.unwrap();
    let until = Until { deadline: None, stop: CancellationToken::new() };
    let wanted = Run { rules: &rules(), named: &[], agreed, actor: "a test", until };
    let report = run(&mut session, notes, &wanted, |_| ()).await.unwrap();
    session.close().await;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_lent_may_be_idle_for_as_long_as_before() {
    let world = scene().await;
    let database = world.rows("select format('%I', current_database()) as name").await;
    let database = database[0]["name"].as_str().unwrap().to_owned();
    world.execute(&format!("alter database {database} set idle_session_timeout = '47min'")).await;
    let (before, mut notes) = (size(&world, "items_k").await, notes(&world).await);
    ran(&world, &mut notes, None).await;
    assert!(size(&world, "items_k").await < before, "something was done");
    let set: String = sqlx::query_scalar("select current_setting('idle_session_timeout')")
        .fetch_one(&mut notes)
        .await
        .unwrap();
    assert_eq!(set, "47min");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_done_in_another_way_than_was_agreed_to_is_put_off() {
    let world = scene().await;
    let (before, mut notes) = (size(&world, "items_k").await, notes(&world).await);
    let oid = world.rows("select 'items_k'::regclass::oid::bigint as oid").await[0]["oid"].as_u64().unwrap();
    let oid = u32::try_from(oid).unwrap();
    let report = ran(&world, &mut notes, Some(&[(oid, true)])).await;
    let [(item, Built::Put(why))] = &report.built[..] else { panic!("{report:?}") };
    assert_eq!(item.index.name, "public.items_k");
    assert!(why.contains("not what was agreed to"), "{why}");
    assert_eq!(size(&world, "items_k").await, before);
    let report = ran(&world, &mut notes, Some(&[(oid, false)])).await;
    assert!(matches!(report.built[..], [(_, Built::Done { .. })]), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_lists_what_it_is_known_by_and_no_more() {
    let world = scene().await;
    world.execute("create index items_id on items (id); insert into items select n, n from generate_series(40001, 90000) n; delete from items where id > 40000; select pg_stat_force_next_flush()").await;
    world.execute("vacuum analyze items").await;
    let brasa = Brasa::configured(&world, &format!("{CONFIG}max_builds = 1\n"));
    let shown = brasa.run(["db", "plan"]).await.with_code(0).stdout;
    assert_eq!(shown.matches("reindex index concurrently").count(), 1, "{shown}");
    assert!(shown.contains("1 more index is worth a rebuild"), "{shown}");
    let dry = brasa.run(["db", "reindex"]).await.with_code(0).stdout;
    assert!(dry.contains("1 index(es) would be rebuilt") && dry.contains("1 more index is worth"), "{dry}");
    let plan = brasa.run(["db", "plan", "--json"]).await.with_code(0).json();
    let hash = plan["plan"].as_str().unwrap();
    let done = brasa.run(["db", "apply", "--plan", hash, "--json"]).await.with_code(0).json();
    let built = done["reindex"]["indexes"].as_array().unwrap();
    assert_eq!(built.len(), 1, "{done}");
    assert!(shown.contains(built[0]["index"].as_str().unwrap()), "{shown}: {done}");
}
