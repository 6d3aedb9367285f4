//! A role that may not write it down.

use brasa_shared::queue::State;
use brasa_tests::World;
use brasa_tests::process::{Brasa, Running, within};
use serde_json::json;
use std::time::Duration;

use super::scene;

const NOTHING: &str = "[sql.nothing]\nsql = \"select 1\"\n";

/// `brasa` as a role that may do all in our schema but write down what became of jobs.
async fn as_somebody(world: &World, role: &str, config: &str) -> Brasa {
    world
        .execute(&format!(
            "create role {role} login password 'modest';
             grant usage on schema brasa to {role};
             grant select, insert, update, delete on all tables in schema brasa to {role};
             revoke insert on brasa.history from {role}"
        ))
        .await;
    let (_, place) = world.database_url.rsplit_once('@').unwrap();
    Brasa::configured(world, config).env("DATABASE_URL", format!("postgres://{role}:modest@{place}"))
}

async fn logs(worker: &Running, words: &str) {
    within(Duration::from_secs(20), "it is said what to grant", async || {
        worker.log().contains(words).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_where_the_role_may_not_and_it_is_said_what_to_grant() {
    let world = scene().await;
    let role = world.prefix.replace('-', "_");
    let asked = format!("[history]\nenabled = true\n{NOTHING}");
    for (n, config) in [NOTHING, &asked].into_iter().enumerate() {
        let role = format!("{role}_{n}");
        let brasa = as_somebody(&world, &role, config).await;
        let worker = brasa.start(["worker"]);
        let id = world.enqueue("sql.run", json!({ "name": "nothing" })).await;
        world.is(&id, State::Done).await;
        logs(&worker, "alter table brasa.history owner to").await;
        let kept: bool =
            world.redis(redis::cmd("EXISTS").arg(&world.queue("default").keys().history_room)).await;
        // Nothing gathers for nobody, unless somebody wants it.
        assert_eq!(kept, config == asked);

        let report = brasa.run(["doctor"]).await;
        let said = report.stdout.lines().find(|line| line.contains("history")).unwrap_or_default();
        assert!(said.contains("warning") && said.contains("may not write down"), "{report:?}");
        drop(worker);
        world.execute(&format!("drop owned by {role}; drop role {role}")).await;
    }
}
