//! What the document says is so: a program that reads it tries everything that it can think of.

use std::path::Path;
use std::time::Duration;

use brasa_tests::process::Brasa;
use serde_json::json;
use tokio::process::Command;

use super::{ADMIN, CLERK, Scene, whole_scene};
use crate::languages::installed::Language;

/// For how long it may try.
const TRYING_MAX: Duration = Duration::from_mins(2);
/// An answer that is not documented, or one that says that the server failed, is found by these.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn the_document_says_what_there_is_and_how_one_gets_in() {
    let scene = whole_scene().await;
    let _stranger = scene.get("", "/api/v1/openapi.json").await.with(401);
    let document = scene.get(CLERK, "/api/v1/openapi.json").await.with(200).body;
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(document["security"], json!([{ "token": [] }]));
    let enqueue = &document["paths"]["/api/v1/jobs"]["post"];
    for status in ["200", "201", "400", "401", "403", "404", "413", "415", "429", "503"] {
        assert!(
            enqueue["responses"][status]["content"]["application/json"].is_object(),
            "{status}: {enqueue}"
        );
    }
    assert_eq!(document["components"]["schemas"]["NewJob"]["additionalProperties"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_the_server_does_not_fail_and_answers_as_it_is_documented() {
    let Some(installed) = Language::Trying.installed().await else { return };
    let program = installed.folder.join("bin/schemathesis");
    let scene = whole_scene().await;
    let worker = Brasa::configured(&scene.world, &super::CONFIG.replace("KEY", &scene.world.prefix));
    let _worker = worker.start(["worker"]);
    // While queues are closed or paused, others are told 503 or wait: these are tried by themselves.
    attack(&scene, &program, &["--exclude-path-regex", "/(close|pause|wait)$"]).await;
    attack(&scene, &program, &["--include-path-regex", "/(queues|wait)"]).await;
    let _alive = scene.get(ADMIN, "/api/v1/workers").await.with(200);
}

async fn attack(scene: &Scene, program: &Path, what: &[&str]) {
    let document = format!("http://{}/api/v1/openapi.json", scene.address);
    let who = format!("Authorization: Bearer {ADMIN}");
    let mut command = Command::new(program);
    command.args(["run", &document, "--header", &who, "--checks", &CHECKS.replace(' ', "")]);
    command.args(["--max-examples", "5", "--seed", "1", "--no-color", "--continue-on-failure"]).args(what);
    command.current_dir(scene.world.folder()).kill_on_drop(true);
    let ended = tokio::time::timeout(TRYING_MAX, command.output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
}
