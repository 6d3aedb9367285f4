//! Who works.

use brasa_tests::eventually;
use serde_json::json;

use super::{Dashboard, has};

const NAP: &str = "[sql.nap]\nsql = \"select pg_sleep($1)\"\nparams = [\"args.seconds\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_shown_with_what_it_runs_and_what_it_takes_of_the_machine() {
    let dashboard = Dashboard::open("select 1", NAP).await;
    has(&dashboard.page("viewer", "/workers").await, &["No worker was seen within the last 20 seconds."]);
    let worker = dashboard.brasa.start(["worker", "--concurrency", "7"]);
    let id = dashboard.world.enqueue("sql.run", json!({ "name": "nap", "seconds": 30 })).await;

    eventually("all is told", async || {
        let page = dashboard.page("viewer", "/workers").await;
        let process = format!("process {}", worker.pid());
        [&process, "1 of 7 places taken", &format!("/jobs/default/{id}"), "MiB of memory"]
            .iter()
            .all(|word| page.contains(word))
    })
    .await;
}
