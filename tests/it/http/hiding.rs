//! Secrets that stay where they are, and an environment that is not asked.

use brasa_tests::World;
use brasa_tests::process::{Brasa, http_get};
use serde_json::{Value, json};

use super::server::{Server, answer};
use super::{SECRET, TOKEN, inside};

/// An endpoint with all the secrets that one can have.
fn secretive(server: &Server) -> String {
    format!(
        "[http.orders]\nurl = \"{}${{TOKEN}}\"\nprivate = true\nsecret = \"${{SECRET}}\"\n\
         headers = {{ authorization = \"Bearer ${{TOKEN}}\" }}\n",
        server.url("/hooks/")
    )
}

fn brasa(world: &World, server: &Server) -> Brasa {
    Brasa::configured(world, &secretive(server))
        .without("DATABASE_URL")
        .env("TOKEN", TOKEN)
        .env("SECRET", SECRET)
        .env("RUST_LOG", "trace")
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_log_no_reason_and_no_result() {
    let world = World::of_queues();
    // It repeats what it was sent, as some do.
    let echo = json!({ "path": format!("/hooks/{TOKEN}"), "why": format!("Bearer {TOKEN} and {SECRET}") });
    let server =
        Server::start(move |number| Some(answer(if number == 0 { 200 } else { 403 }, "", &echo.to_string())))
            .await;
    let brasa = brasa(&world, &server);
    let worker = brasa.start(["worker"]);
    let args = r#"{"name": "orders", "body": {"n": 1}}"#;

    let done =
        brasa.run(["enqueue", "http.post", "--args", args, "--id", "one", "--wait"]).await.with_code(0);
    let dead = brasa.run(["enqueue", "http.post", "--args", args, "--id", "two", "--wait"]).await;
    let mut written = vec![format!("{done:?}{dead:?}"), worker.log()];
    for args in [
        &["jobs", "show", "one"][..],
        &["jobs", "show", "two"],
        &["jobs", "show", "two", "--json"],
        &["dead", "list", "--json"],
        &["check", "--offline"],
    ] {
        written.push(format!("{:?}", brasa.run(args).await));
    }
    let written = written.concat();

    assert!(written.contains("/hooks/(hidden)") && written.contains("(hidden) and (hidden)"), "{written}");
    assert!(!written.contains(TOKEN) && !written.contains(SECRET), "{written}");
    assert_eq!(server.seen().len(), 2);
    assert!(server.seen()[0].line.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_not_asked_and_calls_are_counted() {
    let world = World::of_queues();
    let server = Server::answering(answer(200, "", "{}")).await;
    let proxy = Server::answering(answer(200, "", "{}")).await;
    let mut brasa = brasa(&world, &server);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        brasa = brasa.env(name, proxy.url("/"));
    }
    let worker = brasa.env("RUST_LOG", "info").start(["worker", "--listen", "127.0.0.1:0"]);
    let id = world.enqueue("http.post", json!({ "name": "orders" })).await;

    assert_eq!(world.result(&id).await, json!({ "status": 200, "body": {} }));
    assert_eq!((server.connections(), proxy.connections()), (1, 0));
    let (status, metrics) = http_get(worker.address().await, "/metrics").await.unwrap();
    assert_eq!(status, 200);
    let counted = r#"brasa_http_calls_total{endpoint="orders",status="2xx"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains(r#"brasa_http_call_seconds_count{endpoint="orders"} 1"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_held_against_the_endpoints_that_there_are() {
    let world = World::of_queues();
    let text = "[http.orders]\nurl = \"https://a.example\"\n\
        [schedules.nightly]\njob = \"http.post\"\nargs = { name = \"oders\" }\nevery = \"1h\"\n";
    let brasa = Brasa::new().env("BRASA_CONFIG", world.write_config(text));
    let said: Value = brasa.run(["check", "--offline", "--json"]).await.json_anyway();
    let message = said[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("no endpoint `oders`") && message.contains("`orders`"), "{said}");
    assert_eq!(said[0]["path"], "schedules.nightly.args");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_says_about_itself_hides_them_too() {
    let server = Server::answering(answer(500, "", SECRET)).await;
    let handler = inside(&server.url("/"), "secret = \"${SECRET}\"");
    let error = handler.run("http.post", json!({ "name": "orders" })).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_hidden_however_json_writes_them() {
    let escaped = TOKEN.replace('-', "\\u002d");
    let echo = format!(r#"{{"{escaped}": ["it was \u0061{}", "{escaped}"]}}"#, &TOKEN[1..]);
    let body = echo.clone();
    let server =
        Server::start(move |number| Some(answer(if number == 0 { 200 } else { 403 }, "", &body))).await;
    let handler = inside(&server.url("/"), "headers = { authorization = \"Bearer ${TOKEN}\" }");
    let args = json!({ "name": "orders" });
    let kept = handler.run("http.post", args.clone()).await.unwrap();
    assert_eq!(kept["body"], json!({ "(hidden)": ["it was (hidden)", "(hidden)"] }));
    let error = handler.run("http.post", args).await.unwrap_err();
    assert!(error.to_string().contains(r#"{"(hidden)": ["it was (hidden)", "(hidden)"]}"#), "{error}");
}
