//! Requests as endpoints see them: the snippets of the manual, as people copy them, know ours from others.
//!
//! Where an interpreter is not to be had, its test passes, and says so on standard error.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use brasa::servers::Scratch;
use serde_json::{Value, json};

use super::server::{Request, Server, answer};
use super::{OLDER, SECRET, inside};

/// What an endpoint is told of one request, and what it should say.
struct Case {
    told: Value,
    expected: Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_in_python_know_our_requests_from_others() {
    hold("python3", "brasa_http.py", "verifier.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_in_node_know_our_requests_from_others() {
    hold("node", "brasa-http.mjs", "verifier.mjs").await;
}

async fn hold(program: &str, snippet: &str, verifier: &str) {
    if Command::new(program).arg("--version").output().is_err() {
        let note = format!("SKIPPED: nothing is verified, for there is no {program}\n");
        return std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    let cases = cases(&request().await);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Scratch::new().unwrap();
    // Copied, as people do.
    fs::copy(root.join("../docs/snippets").join(snippet), folder.path().join(snippet)).unwrap();
    fs::copy(root.join("it/http").join(verifier), folder.path().join(verifier)).unwrap();
    let mut child = Command::new(program)
        .arg(folder.path().join(verifier))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for case in &cases {
        writeln!(input, "{}", case.told).unwrap();
    }
    drop(input);
    let ended = child.wait_with_output().unwrap();

    assert!(ended.status.success(), "{ended:?}");
    let said = String::from_utf8(ended.stdout).unwrap();
    let said: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), cases.len());
    for (case, said) in cases.iter().zip(&said) {
        assert_eq!(said, &case.expected, "{}", case.told);
    }
}

/// A request that was really made, while one secret takes over from another.
async fn request() -> Request {
    let server = Server::answering(answer(200, "", "")).await;
    let handler = inside(&server.url("/"), "secret = [\"${SECRET}\", \"${OLDER}\"]").id("01J-7.b");
    let args = json!({ "name": "orders", "body": { "who": "Zoë", "n": 1 } });
    handler.run("http.post", args).await.unwrap();
    server.seen().pop().unwrap()
}

fn cases(request: &Request) -> Vec<Case> {
    let signature = request.headers["brasa-signature"].clone();
    let (seconds, signed) = signature.strip_prefix("t=").unwrap().split_once(',').unwrap();
    let made: i64 = seconds.parse().unwrap();
    let told = json!({
        "secrets": [SECRET], "headers": request.headers, "body": request.body, "now": made + 1,
    });
    let with = |pointer: &str, value: Value| {
        let mut told = told.clone();
        *told.pointer_mut(pointer).unwrap() = value;
        told
    };
    let signed_so = |text: &str| with("/headers/brasa-signature", json!(text));
    let unsigned = json!({ "refused": "it is not signed" });
    let old = json!({ "refused": "it was signed too long ago, or clocks differ" });
    let unfit = json!({ "refused": "the signature does not fit" });
    let fine = json!({ "job": "01J-7.b" });
    let cases = [
        (told.clone(), &fine),
        (with("/secrets", json!([OLDER])), &fine),
        (with("/secrets", json!(["a-secret-that-is-to-come", SECRET])), &fine),
        (with("/now", json!(made + 300)), &fine),
        (with("/now", json!(made + 301)), &old),
        (with("/now", json!(made - 301)), &old),
        (with("/secrets", json!(["another-one-altogether"])), &unfit),
        (with("/secrets", json!([])), &unfit),
        (with("/body", json!(request.body.replace('1', "2"))), &unfit),
        (with("/body", json!("")), &unfit),
        (with("/headers/idempotency-key", json!("01J-8.b")), &unfit),
        (with("/headers/idempotency-key", json!("")), &unsigned),
        (signed_so(&format!("t={},{signed}", made + 1)), &unfit),
        (signed_so(&format!("t={seconds}")), &unfit),
        (signed_so(&format!("t={seconds},v1=,v1=é,v2={signed}")), &unfit),
        (signed_so(&format!("t={seconds},{}", signed.replace("v1=", "v0="))), &unfit),
        (signed_so(signed), &unsigned),
        (signed_so("t=soon,v1=00"), &unsigned),
        (signed_so("t=1e9,v1=00"), &unsigned),
        (signed_so("t=1,v1=00"), &old),
        (signed_so(""), &unsigned),
    ];
    cases.map(|(told, expected)| Case { told, expected: expected.clone() }).into()
}
