//! Runs as programs call them: what was agreed to is done and nothing else, and what was lent is given back.

use brasa_jobs::database::rebuild::{Report, Run, run};
use brasa_jobs::database::session::{Session, Until};
use brasa_shared::config::{Config, Indexes};
use brasa_tests::World;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use super::{scene, size};

fn rules() -> Indexes {
    Indexes { size_min: 0, gain_min: 0, ..Indexes::default() }
}

async fn notes(world: &World) -> PgConnection {
    PgConnection::connect_with(&world.pool.connect_options()).await.unwrap()
}

async fn ran(world: &World, notes: &mut PgConnection) -> Report {
    let mut session = Session::open(&Config::default(), Some(&world.pool)).await.unwrap();
    let until = Until { deadline: None, stop: CancellationToken::new() };
    let wanted = Run { rules: &rules(), named: &[], agreed: None, actor: "a test", until };
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
    ran(&world, &mut notes).await;
    assert!(size(&world, "items_k").await < before, "something was done");
    let set: String = sqlx::query_scalar("select current_setting('idle_session_timeout')")
        .fetch_one(&mut notes)
        .await
        .unwrap();
    assert_eq!(set, "47min");
}
