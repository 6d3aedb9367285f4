//! What an answer means for the job, and what is told of it.

use std::time::Duration;

use brasa_jobs::{JobError, Verdict};
use brasa_tests::eventually;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::inside;
use super::server::{Server, answer};

/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a call did not succeed.
async fn failed(server: &Server, more: &str) -> JobError {
    let inline = inside(&server.url("/"), more);
    inline.run("http.post", json!({ "name": "orders" })).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_what_says_that_we_are_wrong_is_not() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let error = failed(&Server::answering(answer(status, "", "so it is")).await, "").await;
        assert_eq!(error.verdict, Verdict::Retry, "{status}");
        assert!(error.to_string().starts_with(&format!("endpoint `orders` answered {status} ")), "{error}");
        assert!(error.to_string().ends_with(": so it is"), "{error}");
    }
    for status in [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451] {
        let error = failed(&Server::answering(answer(status, "", "so it is")).await, "").await;
        assert_eq!(error.verdict, Verdict::Bury, "{status}");
        assert!(error.to_string().contains(&format!("answered {status} ")), "{error}");
    }
    for status in [200, 201, 202, 204, 299] {
        let server = Server::answering(answer(status, "", "")).await;
        let done = inside(&server.url("/"), "").run("http.post", json!({ "name": "orders" })).await;
        assert_eq!(done.unwrap(), json!({ "status": status }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_counts_where_an_answer_may_pass() {
    let dates = "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (status, header, least, most) in [
        (503, "retry-after: 100\r\n", 100, 110),
        (429, "retry-after: 999999\r\n", 3_600, 3_960),
        // What is over already leaves the pause that the job would have had.
        (429, dates, 0, 2),
        (500, "retry-after: 7\r\n", 7, 8),
    ] {
        let error = failed(&Server::answering(answer(status, header, "")).await, "").await;
        let Verdict::RetryIn(pause) = error.verdict else { panic!("{error:?}") };
        let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
        assert!((least..=most).contains(&pause), "{header}: {pause:?}");
    }
    let error = failed(&Server::answering(answer(503, "retry-after: soon\r\n", "")).await, "").await;
    assert_eq!(error.verdict, Verdict::Retry);
    let error = failed(&Server::answering(answer(404, "retry-after: 5\r\n", "")).await, "").await;
    assert_eq!(error.verdict, Verdict::Bury);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let canary = Server::answering(answer(200, "", "")).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}\r\n", canary.url("/"));
        let error = failed(&Server::answering(answer(status, &location, "")).await, "").await;
        assert_eq!(error.verdict, Verdict::Bury);
        let told = error.to_string();
        assert!(told.contains(&status.to_string()) && told.contains("are not followed"), "{told}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_answer_is_given_up_in_its_time() {
    let server = Server::start(|_| None).await;

    let error = failed(&server, "timeout = \"1s\"").await;

    assert_eq!(error.verdict, Verdict::Retry);
    assert_eq!(error.to_string(), "endpoint `orders` did not answer within 1s");
    eventually("the endpoint has seen one call", async || server.seen().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_not_there_is_tried_again_and_its_url_is_not_told() {
    let port = Server::answering(String::new()).await.port();
    // No name has a part of more than 63 characters, so nobody is asked for it.
    let absurd = format!("http://{}.example/quiet", "a".repeat(64));
    for url in [format!("http://127.0.0.1:{port}/quiet"), absurd] {
        let error = inside(&url, "").run("http.post", json!({ "name": "orders" })).await.unwrap_err();
        assert_eq!(error.verdict, Verdict::Retry);
        let told = error.to_string();
        assert!(told.starts_with("could not call endpoint `orders`: "), "{told}");
        assert!(!told.contains("quiet"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_without_an_answer_is_tried_again() {
    for broken in ["", "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\nnot all", "220 mail.example ESMTP\r\n"] {
        let error = failed(&Server::answering(broken.to_owned()).await, "").await;
        assert_eq!(error.verdict, Verdict::Retry, "{broken}: {error}");
    }
    // Of one that says that we are wrong the rest does not matter.
    let error = failed(
        &Server::answering("HTTP/1.1 422 No\r\ncontent-length: 90\r\n\r\nnot all".to_owned()).await,
        "",
    )
    .await;
    assert_eq!(error.verdict, Verdict::Bury);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_speak_tls_is_not_sent_anything() {
    let server = Server::start(|_| None).await;
    let url = server.url("/").replace("http:", "https:");

    let inline = inside(&url, "timeout = \"500ms\"");
    let error = inline.run("http.post", json!({ "name": "orders", "body": "for nobody" })).await.unwrap_err();

    assert_eq!(error.verdict, Verdict::Retry);
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_answer_no_more_is_read_than_is_wanted() {
    let body = json!(vec![7; 1_000]);
    let server = Server::answering(answer(200, "", &body.to_string())).await;
    for (max_response, expected) in
        [("1KiB", json!({ "status": 200 })), ("4KiB", json!({ "status": 200, "body": body }))]
    {
        let handler = inside(&server.url("/"), &format!("max_response = \"{max_response}\""));
        let done = handler.run("http.post", json!({ "name": "orders" })).await.unwrap();
        assert_eq!(done, expected, "{max_response}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_is_hung_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let writing = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 500 No\r\nconnection: close\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    // It is not the time that ends it.
    let handler = inside(&url, "max_response = \"1KiB\"\ntimeout = \"10m\"");
    let call = handler.run("http.post", json!({ "name": "orders" }));
    let error = timeout(PATIENCE, call).await.expect("the call returns").unwrap_err();

    assert_eq!(error.verdict, Verdict::Retry);
    assert!(error.to_string().ends_with("xxx…") && error.to_string().len() < 300, "{error}");
    timeout(PATIENCE, writing).await.expect("the connection is closed").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_says_of_itself_is_clipped_and_harmless() {
    let rude = format!("\u{1b}[31mred\u{1b}[0m\r\n\tand\u{0}{}é", "long ".repeat(100));
    let error = failed(&Server::answering(answer(400, "", &rude)).await, "").await;

    let told = error.to_string();
    assert!(told.contains("[31mred [0m and long long"), "{told}");
    assert!(!told.chars().any(char::is_control) && told.ends_with('…'), "{told}");
    assert!(told.chars().count() < 260, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_large_or_no_json_are_left_out() {
    for body in ["<html>", "{\"half\":", "", &format!("\"{}\"", "a".repeat(17 << 10))] {
        let server = Server::answering(answer(200, "", body)).await;
        let done = inside(&server.url("/"), "").run("http.post", json!({ "name": "orders" })).await;
        assert_eq!(done.unwrap(), json!({ "status": 200 }));
    }
}
