//! A trace goes on: from who enqueues to the job, to its log lines, its statements, the jobs that it enqueues and the
//! endpoint that it calls; and a collector is told.

mod collector;
mod exporting;
mod outages;
mod statements;

use brasa_shared::queue::State;
use brasa_shared::trace::Trace;
use brasa_tests::process::Brasa;
use brasa_tests::{World, eventually};
use serde_json::{Value, json};

use crate::http::server::{Request, Server, answer};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const AROUND: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn config(server: &Server) -> String {
    format!("[http.orders]\nurl = \"{}\"\nprivate = true\n", server.url("/"))
}

/// The trace that a request came with.
fn trace(request: &Request) -> Option<Trace> {
    request.headers.get("traceparent").map(|text| text.parse().unwrap())
}

/// Enqueues a call with these options and runs it.
async fn call(brasa: &Brasa, options: &[&str]) -> String {
    let args = json!({ "name": "orders", "body": null }).to_string();
    let verb = ["enqueue", "http.post", "--args", &args];
    let _id = brasa.run(verb.iter().chain(options)).await.with_code(0);
    brasa.run(["worker", "--drain"]).await.with_code(0).stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_in_the_trace_of_who_enqueued_it_at_a_place_of_its_own() {
    let world = World::new().await;
    let server = Server::answering(answer(500, "", "no")).await;
    let brasa = Brasa::configured(&world, &config(&server));
    let log = call(&brasa, &["--traceparent", GIVEN, "--attempts", "1"]).await;
    let given: Trace = GIVEN.parse().unwrap();
    let seen = trace(&server.seen()[0]).unwrap();
    assert_eq!(seen.trace_id(), given.trace_id());
    assert_ne!(seen.span_id(), given.span_id());
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let spans: Vec<Value> = lines.map(|line| line["span"].clone()).filter(|span| !span.is_null()).collect();
    assert!(!spans.is_empty(), "{log}");
    for span in spans {
        assert_eq!((&span["trace_id"], &span["span_id"]), (&json!(seen.trace_id()), &json!(seen.span_id())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_around_a_command_is_taken_where_none_is_given_and_nonsense_there_is_left() {
    let world = World::new().await;
    let server = Server::answering(answer(200, "", "{}")).await;
    let brasa = Brasa::configured(&world, &config(&server));
    let _log = call(&brasa.clone().env("TRACEPARENT", AROUND), &[]).await;
    let _log = call(&brasa.clone().env("TRACEPARENT", AROUND), &["--traceparent", GIVEN]).await;
    let _log = call(&brasa.clone().env("TRACEPARENT", "whatever"), &[]).await;
    let ids: Vec<Option<String>> =
        server.seen().iter().map(|request| trace(request).map(|trace| trace.trace_id())).collect();
    let id = |text: &str| Some(text.parse::<Trace>().unwrap().trace_id());
    assert_eq!(ids, [id(AROUND), id(GIVEN), None]);
    let refused = brasa.run(["enqueue", "http.post", "--traceparent", "whatever"]).await.with_code(2);
    assert!(refused.stderr.contains("it is not as in `00-"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_language_says_that_is_no_trace_does_not_keep_the_job_from_running() {
    let world = World::new().await;
    let server = Server::answering(answer(200, "", "{}")).await;
    let brasa = Brasa::configured(&world, &config(&server));
    let mut job = world.job("http.post", &json!({ "name": "orders", "body": 1 }));
    job.trace = Some("no trace".to_owned());
    world.queue("default").enqueue(&job).await.unwrap();
    let _ended = brasa.run(["worker", "--drain"]).await.with_code(0);
    eventually("it is done", async || {
        world.queue("default").list(State::Done, 1).await.is_ok_and(|done| !done.is_empty())
    })
    .await;
    assert_eq!(trace(&server.seen()[0]), None);
}
