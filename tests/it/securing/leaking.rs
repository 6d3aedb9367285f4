//! Where secrets end up: nowhere but where they are needed.

use brasa_shared::config::Token;
use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::process::{Brasa, http_get};
use serde_json::{Value, json};

/// Secrets, and the variables of the environment that hold them.
const CANARIES: [(&str, &str); 8] = [
    ("CANARY_TOKEN", "canary-token-0123456789abcdef0123456789"),
    ("CANARY_SIGNING", "canary-signing-0123456789abcdef"),
    ("CANARY_HEADER", "canary-header-0123456789abcdef"),
    ("CANARY_PATH", "canary-path-0123456789abcdef"),
    ("CANARY_KEY", "6b1f0c9e4d7a28355ef1c0b3a99d47721c8e60fa53b4d2979a0e8f16c3d57b42"),
    ("CANARY_WEBHOOK", "canary-webhook-0123456789abcdef"),
    ("CANARY_COLLECTOR", "canary-collector-0123456789abcdef"),
    ("CANARY_REPLICA", "canary-replica-0123456789abcdef"),
];

/// Every field that takes a secret, and jobs, warmers and alerts that use them. Nothing listens on port 1.
const EVERYWHERE: &str = r#"
[http.hook]
url = "https://localhost:1/${CANARY_PATH}"
private = true
secret = "${CANARY_SIGNING}"
headers = { authorization = "Bearer ${CANARY_HEADER}" }

[sql.wrong]
sql = "select 1/0"

[encryption]
active = "k1"
[encryption.keys.k1]
key = "${CANARY_KEY}"

[alerts]
webhook = "https://localhost:1/${CANARY_WEBHOOK}"
private = true
every = "1s"
for = "1s"
dead_per_hour = 1

[telemetry.otlp]
endpoint = "http://localhost:1"
headers = { authorization = "Bearer ${CANARY_COLLECTOR}" }

[postgres]
replica_url = "postgres://reader:${CANARY_REPLICA}@localhost:1/there"

[warm.far]
sql = "select 1 as value"
key = "KEY"
ttl = "1h"
fill_from = "replica"

[web]
[web.tokens.ann]
role = "admin"
token = "${CANARY_TOKEN}"
"#;

/// What an admin can look at, beside the page of a job.
const PAGES: [&str; 21] = [
    "/",
    "/queues",
    "/jobs?state=dead",
    "/dead",
    "/schedules",
    "/workers",
    "/about",
    "/audit",
    "/cache",
    "/database",
    "/writes",
    "/aggregates",
    "/recommendations",
    "/api/v1/overview",
    "/api/v1/queues",
    "/api/v1/workers",
    "/api/v1/schedules",
    "/api/v1/dead",
    "/api/v1/jobs?state=dead",
    "/api/v1/audit",
    "/api/v1/openapi.json",
];

/// Where the dashboard of a process that does everything is served.
fn web_of(log: &str) -> String {
    let web = log.lines().find_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        (record["message"] == "serving the dashboard and the API")
            .then(|| record["address"].as_str().unwrap().to_owned())
    });
    web.unwrap()
}

/// A job of each sort that uses secrets and fails: their ids and what they died of.
async fn failed(world: &World) -> Vec<(String, String)> {
    let mut failed = Vec::new();
    for (kind, args) in [
        ("http.post", json!({ "name": "hook", "body": {} })),
        ("sql.run", json!({ "name": "wrong" })),
        ("sql.run", json!({ "name": "nothing" })),
    ] {
        let mut job = world.job(kind, &args);
        job.attempts = Some(1);
        world.queue("default").enqueue(&job).await.unwrap();
        let reason = world.buried(&job.id).await;
        failed.push((job.id, reason));
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_log_no_figure_no_page_no_key_and_no_list_of_processes() {
    let world = World::new().await;
    let text = EVERYWHERE.replace("\"KEY\"", &format!("\"{}:far\"", world.prefix));
    let brasa = Brasa::configured(&world, &text)
        .env("BRASA_LISTEN", "127.0.0.1:0")
        .env("BRASA_WEB_LISTEN", "127.0.0.1:0");
    let brasa = CANARIES.into_iter().fold(brasa, |brasa, (name, value)| brasa.env(name, value));
    drop(brasa.run(["migrate"]).await.with_code(0));
    let running = brasa.start(["run"]);
    let metrics = running.address().await;
    let failed = failed(&world).await;
    // It was tried, with what is in its address, its headers and its signature.
    assert!(failed[0].1.contains("could not call endpoint `hook`"), "{failed:?}");
    let warmed = world.enqueue("cache.warm", json!({ "name": "far" })).await;
    world.result(&warmed).await;
    for said in ["what is wrong could not be told", "spans of traces are not taken"] {
        eventually(said, async || running.log().contains(said)).await;
    }

    let web = web_of(&running.log());
    let token = CANARIES[0].1;
    let _chosen = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut places = Vec::new();
    let jobs = failed.iter().map(|(id, _)| format!("/jobs/default/{id}"));
    for page in PAGES.into_iter().map(ToOwned::to_owned).chain(jobs) {
        let answer = client.get(format!("http://{web}{page}")).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{page}");
        places.push((page, answer.text().await.unwrap()));
    }
    places.push(("metrics".to_owned(), http_get(metrics, "/metrics").await.unwrap().1));
    places.push(("Redis".to_owned(), world.all_of_redis().await));
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", running.pid())).unwrap();
    places.push(("command line".to_owned(), command));
    for verb in [
        &["jobs", "list", "--state", "dead"][..],
        &["check"],
        &["doctor"],
        &["dead", "groups", "--json"],
        &["encryption", "status"],
        &["cache", "status"],
    ] {
        let said = brasa.run(verb).await;
        places.push((format!("{verb:?}"), format!("{}{}", said.stdout, said.stderr)));
    }
    places.push(("log".to_owned(), running.log()));
    let password = world.database_url.split("://").nth(1).unwrap().split('@').next().unwrap();
    let password = password.split(':').nth(1).unwrap_or("there-is-no-password").to_owned();
    let hash = Token::spell(&Token::hash_of(token));
    let canaries = CANARIES.map(|(_, secret)| secret);
    for secret in canaries.into_iter().chain([password.as_str(), hash.trim_start_matches("sha256:")]) {
        for (place, text) in &places {
            assert!(!text.contains(secret), "{secret} is in {place}: {text}");
        }
    }
}

/// Arguments that do not fit, each in another way, and all with the same number of somebody's card.
fn unfit() -> [(&'static str, Value); 6] {
    [
        ("sql.run", json!({ "name": "number", "n": "canary-4111" })),
        ("sql.run", json!({ "name": "number", "n": ["canary-4111"] })),
        ("sql.run", json!({ "name": "cast", "n": "canary-4111" })),
        ("sql.run", json!({ "name": "day", "n": "canary-4111" })),
        ("db.analyze", json!({ "tables": "canary-4111" })),
        ("http.post", json!({ "name": ["canary-4111"] })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_dies_of_tells_nobody_what_it_was_given() {
    let world = World::new().await;
    let token = "viewer-0123456789abcdef0123456789abcdef";
    let hash = Token::spell(&Token::hash_of(token));
    let text = format!(
        "[web.tokens.viewer]\nrole = \"viewer\"\nhash = \"{hash}\"\n\
         [sql.number]\nsql = \"select $1::int\"\nparams = [\"args.n\"]\n\
         [sql.cast]\nsql = \"select $1::text::int\"\nparams = [\"args.n\"]\n\
         [sql.day]\nsql = \"select $1::text::date\"\nparams = [\"args.n\"]\n"
    );
    let brasa = Brasa::configured(&world, &text).env("BRASA_WEB_LISTEN", "127.0.0.1:0");
    drop(brasa.run(["migrate"]).await.with_code(0));
    let running = brasa.start(["run"]);
    let _address = running.address().await;
    let mut paths = ["/", "/dead", "/jobs?state=dead", "/api/v1/dead", "/api/v1/jobs?state=dead"]
        .map(ToOwned::to_owned)
        .to_vec();
    for (kind, args) in unfit() {
        let mut job = world.job(kind, &args);
        job.attempts = Some(1);
        world.queue("default").enqueue(&job).await.unwrap();
        let reason = world.buried(&job.id).await;
        assert!(!reason.contains("4111") && !reason.is_empty(), "{kind} {args}: {reason}");
        paths.push(format!("/jobs/default/{}", job.id));
        paths.push(format!("/api/v1/jobs/default/{}", job.id));
    }
    let web = web_of(&running.log());
    let _chosen = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in paths {
        let answer = client.get(format!("http://{web}{path}")).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains("4111"), "{path}: {page}");
    }
    assert!(!running.log().contains("4111"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_looks_sees_no_arguments_no_results_and_no_logs() {
    let world = World::new().await;
    let tokens = ["viewer", "operator"].map(|role| {
        let hash = Token::spell(&Token::hash_of(&format!("{role}-0123456789abcdef0123456789abcdef")));
        format!("[web.tokens.{role}]\nrole = \"{role}\"\nhash = \"{hash}\"\n")
    });
    let brasa = Brasa::configured(&world, &tokens.concat());
    drop(brasa.run(["migrate"]).await.with_code(0));
    let mut job = world.job("made.up", &json!({ "card": "canary-payload" }));
    job.due = Some(world.clock.now().as_millisecond() + 3_600_000);
    world.queue("default").enqueue(&job).await.unwrap();
    let running = brasa.start(["web", "--listen", "127.0.0.1:0"]);
    let web = running.address().await;
    let _chosen = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (role, sees) in [("viewer", false), ("operator", true)] {
        let one = format!("/jobs/default/{}", job.id);
        for (path, sees) in
            [("/jobs?state=delayed", sees), ("/jobs?q=canary-pay", false), (one.as_str(), sees)]
        {
            let token = format!("{role}-0123456789abcdef0123456789abcdef");
            let answer = client.get(format!("http://{web}{path}")).bearer_auth(token).send().await.unwrap();
            let page = answer.text().await.unwrap();
            // What was looked for stands in its field, and that alone.
            let found = page.contains("canary-payload");
            assert_eq!(found, sees || (role == "operator" && path.contains("q=")), "{role} {path}: {page}");
        }
    }
}
