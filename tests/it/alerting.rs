//! Telling somebody what is wrong: once when it begins, once when it is over, whoever leads.

mod cache;
mod database;
mod looks;
mod queues;

use std::time::Duration;

use brasa_shared::queue::State;
use brasa_tests::process::{Brasa, Running, Signal};
use brasa_tests::{World, eventually};
use serde_json::{Value, json};

use crate::http::server::{Request, Server, answer};

/// What is behind the host of a webhook is a secret.
const PATH: &str = "/services/T1/B2/a-secret-of-the-test";

/// Watches over queues and nothing else, and tells at once.
fn config(server: &Server) -> String {
    format!(
        r#"
[alerts]
webhook = "{}"
private = true
every = "1s"
for = "1s"
queue_oldest = "1s"
workers = "off"
database_pool = "off"
database_connections = "off"
critical_recommendations = "off"

[sql.tick]
sql = "select 1"
"#,
        server.url(PATH)
    )
}

fn text(request: &Request) -> String {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    body["text"].as_str().unwrap().to_owned()
}

/// What was told so far.
fn told(server: &Server) -> Vec<String> {
    server.seen().iter().map(text).collect()
}

async fn leads(scheduler: &Running) {
    eventually("it leads", async || scheduler.log().contains("\"leading\"")).await;
}

async fn enqueue(brasa: &Brasa) {
    let args = r#"{"name": "tick"}"#;
    let _id = brasa.run(["enqueue", "sql.run", "--args", args]).await.with_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trouble_is_told_once_and_its_end_once_by_whoever_leads_then() {
    let world = World::new().await;
    let server = Server::answering(answer(200, "", "ok")).await;
    let brasa = Brasa::configured(&world, &config(&server));
    let mut first = brasa.start(["scheduler"]);
    leads(&first).await;
    enqueue(&brasa).await;
    eventually("it is told that the queue waits", async || !told(&server).is_empty()).await;
    let status = brasa.run(["alerts", "status", "--json"]).await.json();
    let own = status["alerts"].as_array().unwrap().iter().find(|one| one["name"] == "queue_oldest").unwrap();
    assert_eq!((&own["subject"], &own["state"]), (&json!("default"), &json!("wrong")), "{status}");
    assert!(own["told_ms"].is_i64(), "{status}");

    first.kill().await;
    let second = brasa.start(["scheduler"]);
    leads(&second).await;
    let worker = brasa.start(["worker"]);
    eventually("the job is done", async || {
        world.queue("default").list(State::Done, 1).await.is_ok_and(|done| !done.is_empty())
    })
    .await;
    eventually("its end is told", async || told(&server).len() > 1).await;
    let all = told(&server);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("1 began\n") && all[0].contains("queue `default`: 1 job(s) wait"), "{all:?}");
    assert!(all[1].contains("1 ended\n") && all[1].contains("ended after"), "{all:?}");
    assert_eq!(server.seen()[0].headers["content-type"], "application/json");
    assert!(server.seen()[0].line.starts_with(&format!("POST {PATH} ")));

    let status = brasa.run(["alerts", "status"]).await.with_code(0).stdout;
    let line = status.lines().find(|line| line.starts_with("queue_oldest")).unwrap();
    assert!(line.contains("well"), "{status}");
    worker.signal(Signal::Terminate);
    second.signal(Signal::Terminate);
    for process in [worker, second] {
        let ended = process.ended(Duration::from_secs(20)).await.with_code(0);
        assert!(!ended.stderr.contains("a-secret-of-the-test"), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_arrive_is_said_without_the_secret_and_told_once_it_does() {
    let world = World::new().await;
    // As those do who repeat what they do not know.
    let server = Server::start(|number| {
        Some(if number < 2 {
            answer(404, "", &format!("no such place: {PATH}"))
        } else {
            answer(200, "", "ok")
        })
    })
    .await;
    let brasa = Brasa::configured(&world, &config(&server));
    let failed = brasa.run(["alerts", "test"]).await.with_code(1);
    assert!(failed.stderr.contains("the webhook answered 404 Not Found"), "{}", failed.stderr);
    assert!(failed.stderr.contains("alerts.webhook"), "{}", failed.stderr);
    enqueue(&brasa).await;
    let scheduler = brasa.start(["scheduler"]);
    eventually("it says that nobody was told", async || {
        scheduler.log().contains("could not be told") && scheduler.log().contains("answered 404")
    })
    .await;
    eventually("it arrives", async || told(&server).len() >= 3).await;
    assert!(told(&server)[2].contains("queue `default`"), "{:?}", told(&server));
    let arrived = brasa.run(["alerts", "test"]).await.with_code(0);
    assert!(arrived.stdout.contains("the test arrived: the webhook answered 200 OK: ok"), "{arrived:?}");
    for said in [&scheduler.log(), &failed.stderr, &failed.stdout, &arrived.stdout, &arrived.stderr] {
        assert!(!said.contains("a-secret-of-the-test"), "{said}");
    }
}

#[tokio::test]
async fn a_place_inside_of_the_network_is_not_told_unless_the_configuration_says_so() {
    let world = World::of_queues();
    let server = Server::answering(answer(200, "", "ok")).await;
    let named = format!("[alerts]\nwebhook = \"http://localhost:{}/\"\n", server.port());
    let refused = Brasa::configured(&world, &named).run(["alerts", "test"]).await.with_code(1);
    assert!(refused.stderr.contains("must not be called") && refused.stderr.contains("private = true"));
    assert_eq!(server.connections(), 0);
    let nobody = Brasa::configured(&world, "").run(["alerts", "test"]).await.with_code(2);
    assert!(nobody.stderr.contains("[alerts] has no webhook"), "{}", nobody.stderr);
}
