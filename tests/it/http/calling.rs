//! What an endpoint is sent, by a worker and by a handler alone.

use brasa_jobs::catalog;
use brasa_jobs::testing::{CancellationToken, Inline};
use brasa_shared::queue::State;
use brasa_tests::{Worker, World, eventually};
use serde_json::{Value, json};

use super::server::{Server, answer};
use super::{OLDER, SECRET, TOKEN, inside, parse};

/// The settings of a worker that knows these endpoints. Its queue needs Redis alone.
fn worker(world: &World, text: &str) -> Worker {
    let mut settings = world.settings(catalog(), "");
    let mut reach = brasa_jobs::Reach::clone(&settings.reach);
    reach.config = parse(text).unwrap().into();
    settings.reach = reach.into();
    Worker::start(settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_the_body_as_it_came_and_is_told_which_job_it_is() {
    let world = World::of_queues();
    let server = Server::answering(answer(201, "", r#"{"took": [1, 2.5]}"#)).await;
    let worker = worker(
        &world,
        &format!(
            "[http.orders]\nurl = \"{}\"\nprivate = true\nmethod = \"PUT\"\nsecret = \"${{SECRET}}\"\n\
             headers = {{ authorization = \"Bearer ${{TOKEN}}\", x-tenant = \"7\" }}",
            server.url("/hook?a=b")
        ),
    );
    let body = json!({ "order": 18_446_744_073_709_551_615_u64, "name": "Zoë", "lines": [] });
    let id = world.enqueue("http.post", json!({ "name": "orders", "body": body })).await;

    let result = world.result(&id).await;
    worker.drain().await;

    assert_eq!(result, json!({ "status": 201, "body": { "took": [1, 2.5] } }));
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{seen:#?}");
    let header = |name: &str| seen[0].headers.get(name).map(String::as_str);
    assert_eq!(seen[0].line, "PUT /hook?a=b HTTP/1.1");
    assert_eq!(serde_json::from_str::<Value>(&seen[0].body).unwrap(), body);
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("idempotency-key"), Some(id.as_str()));
    assert_eq!(header("brasa-attempt"), Some("1"));
    assert_eq!(header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(header("x-tenant"), Some("7"));
    assert!(header("user-agent").unwrap().starts_with("brasa/"));
    assert_eq!((header("cookie"), header("referer")), (None, None));
    assert!(header("brasa-signature").unwrap().starts_with("t="), "{seen:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_secret_takes_over_requests_are_signed_with_both() {
    let server = Server::answering(answer(204, "", "")).await;
    let signed = async |secret: &str| {
        let inline = inside(&server.url("/"), secret).id("01J");
        inline.run("http.post", json!({ "name": "orders", "body": [1] })).await.unwrap();
        server.seen().pop().unwrap().headers.remove("brasa-signature")
    };

    assert_eq!(signed("").await, None);
    for (secret, secrets) in [
        ("secret = \"${SECRET}\"", vec![SECRET]),
        ("secret = [\"${SECRET}\", \"${OLDER}\"]", vec![SECRET, OLDER]),
    ] {
        let value = signed(secret).await.unwrap();
        let (seconds, rest) = value.strip_prefix("t=").unwrap().split_once(',').unwrap();
        let expected: Vec<String> = secrets
            .iter()
            .map(|secret| format!("v1={}", hmac(secret, &format!("{seconds}.01J.[1]"))))
            .collect();
        assert_eq!(rest, expected.join(","));
    }
}

/// As somebody else computes it.
fn hmac(secret: &str, text: &str) -> String {
    use hmac::{KeyInit as _, Mac as _};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes
        .chunks(16)
        .map(|half| u128::from_be_bytes(half.try_into().unwrap()))
        .fold(String::new(), |hex, half| hex + &format!("{half:032x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_has_the_same_key_and_a_number_of_its_own() {
    let world = World::of_queues();
    let server = Server::start(|number| {
        Some(if number < 2 { answer(503, "retry-after: 0\r\n", "") } else { answer(200, "", "not JSON") })
    })
    .await;
    let worker = worker(&world, &format!("[http.orders]\nurl = \"{}\"\nprivate = true", server.url("/")));
    let id = world.enqueue("http.post", json!({ "name": "orders" })).await;

    assert_eq!(world.result(&id).await, json!({ "status": 200 }));
    worker.drain().await;

    let seen = server.seen();
    let attempts: Vec<_> = seen.iter().map(|request| request.headers["brasa-attempt"].as_str()).collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    assert!(seen.iter().all(|request| request.headers["idempotency-key"] == id));
    assert!(seen.iter().all(|request| request.body == "null"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_puts_us_off_is_left_alone_for_as_long() {
    let world = World::of_queues();
    let server = Server::answering(answer(429, "retry-after: 1800\r\n", "slow down")).await;
    let worker = worker(&world, &format!("[http.orders]\nurl = \"{}\"\nprivate = true", server.url("/")));
    let begun = world.clock.now().as_millisecond();
    let id = world.enqueue("http.post", json!({ "name": "orders" })).await;

    world.is(&id, State::Delayed).await;
    worker.drain().await;

    // Half an hour after it was asked, and up to a tenth later.
    let due = world.show(&id).await.state_ms - begun;
    let now = world.clock.now().as_millisecond() - begun;
    assert!((1_800_000..=1_980_000 + now).contains(&due), "{due}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_to_stop_waits_for_no_answer() {
    let server = Server::start(|_| None).await;
    let stop = CancellationToken::new();
    let inline = inside(&server.url("/"), "timeout = \"5m\"").stop(stop.clone());
    let running = tokio::spawn(async move { inline.run("http.post", json!({ "name": "orders" })).await });
    eventually("it is asked", async || server.seen().len() == 1).await;

    stop.cancel();

    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "stopped before there was an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_checked_before_they_are_enqueued() {
    let text = "[http.orders]\nurl = \"https://a.example\"\nmax_body = \"10B\"";
    let inline = Inline::new(catalog()).config(parse(text).unwrap());
    let checked = |args: &Value| inline.check("http.post", args).unwrap_err();

    let unknown = checked(&json!({ "name": "oders" }));
    assert!(unknown.contains("no endpoint `oders`") && unknown.contains("`orders`"), "{unknown}");
    let large = checked(&json!({ "name": "orders", "body": "a".repeat(9) }));
    assert!(large.contains("11 bytes") && large.contains("at most 10"), "{large}");
    let elsewhere = checked(&json!({ "name": "orders", "url": "http://127.0.0.1/" }));
    assert!(elsewhere.contains("unknown field `url`"), "{elsewhere}");
    assert!(checked(&json!({ "body": 1 })).contains("missing field `name`"));
    inline.check("http.post", &json!({ "name": "orders", "body": "12345678" })).unwrap();
}
