//! The real `brasa`: every door seals, nobody finds what is sealed, and people are told what to do about keys.

use brasa_shared::config::Token;
use brasa_shared::queue::{Finish, State};
use brasa_tests::hand::{Hand, done};
use brasa_tests::process::{Brasa, Running};
use brasa_tests::{World, eventually};
use serde_json::{Value, json};

use super::{KEYS, section};

const TOKEN: &str = "operator-0123456789abcdef0123456789abcdef";

const CONFIG: &str = r#"
[sql.note]
sql = "select $1::text as said"
params = ["args.text"]

[queues.default]
keep_done = { count = 1000, age = "1h" }

[history]
args = true

[schedules.often]
job = "sql.run"
args = { name = "note", text = "canary-scheduled" }
every = "1s"
"#;

fn brasa(world: &World, text: &str) -> Brasa {
    (1..)
        .zip(KEYS)
        .fold(Brasa::configured(world, text), |brasa, (n, key)| brasa.env(&format!("BRASA_KEY_K{n}"), key))
}

/// Where a process of `brasa run` serves the API.
fn web_of(running: &Running) -> Option<String> {
    running.log().lines().find_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        let is_it = record["message"] == "serving the dashboard and the API";
        is_it.then(|| record["address"].as_str().unwrap_or_default().to_owned())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jobs_are_given_and_return_is_found_nowhere_in_redis_and_in_no_log() {
    let world = World::new().await;
    let hash = Token::spell(&Token::hash_of(TOKEN));
    let token = format!("[web]\n[web.tokens.ann]\nrole = \"operator\"\nhash = \"{hash}\"\n");
    let text = format!("{CONFIG}{}{token}", section(&[1], true));
    let brasa = brasa(&world, &text).env("BRASA_WEB_LISTEN", "127.0.0.1:0").env("RUST_LOG", "debug");
    drop(brasa.run(["migrate"]).await.with_code(0));
    let note = |door: &str| json!({ "name": "note", "text": format!("canary-{door}") });

    // What waits, by the doors that need no process, while nobody takes it away.
    let plain = note("cli").to_string();
    let enqueue = ["enqueue", "sql.run", "--args", &plain, "--unique", "canary-unique", "--id", "cli"];
    drop(brasa.run(enqueue).await.with_code(0));
    let step = |door: &str| json!({ "kind": "sql.run", "args": note(door) });
    let flow = json!({ "chain": [step("chain"), step("then")] });
    drop(brasa.feed(&flow.to_string(), ["flow", "-", "--id", "flow"]).await.with_code(0));
    let lines = format!("{}\n{}\n", note("bulk"), note("bulk-2"));
    drop(brasa.feed(&lines, ["enqueue", "sql.run", "--bulk", "-"]).await.with_code(0));
    assert!(!world.all_of_redis().await.contains("canary"));

    let running = brasa.start(["run"]);
    eventually("it serves the API", async || web_of(&running).is_some()).await;
    let _chosen = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "kind": "sql.run", "id": "api", "args": note("api") });
    let to = format!("http://{}/api/v1/jobs", web_of(&running).unwrap());
    let request = client.post(to).bearer_auth(TOKEN).header("content-type", "application/json");
    assert_eq!(request.body(body.to_string()).send().await.unwrap().status().as_u16(), 201);
    world.execute(&format!("select brasa.enqueue('sql.run', '{}', id => 'outbox')", note("outbox"))).await;
    for id in ["cli", "flow.1", "flow.2", "api", "outbox"] {
        world.is(id, State::Done).await;
    }
    let kept = "select result, args from brasa.history where id = 'api'";
    eventually("the history has it", async || world.rows(kept).await != json!([])).await;

    let log = running.log();
    let all = world.all_of_redis().await;
    assert!(!all.contains("canary"), "{all}");
    assert!(!log.contains("canary"), "{log}");
    // Postgres is where the application's own data are: there it is as it was.
    assert_eq!(world.rows(kept).await[0]["args"], note("api"));
    assert_eq!(world.rows(kept).await[0]["result"], json!({ "rows": 1 }));
    let shown = brasa.run(["jobs", "show", "api", "--json"]).await.json();
    assert_eq!((&shown["args"], &shown["sealed"]), (&note("api"), &json!("k1")));
    assert_eq!(shown["outcome"]["result"], json!({ "rows": 1 }));
    // Ticks, too.
    let ticks = brasa.run(["jobs", "list", "--state", "done", "--json"]).await.json().to_string();
    assert!(ticks.contains("canary-scheduled"), "{ticks}");

    // Whoever has no key sees which one it takes, and nothing else.
    let stranger = Brasa::configured(&world, CONFIG);
    let shown = stranger.run(["jobs", "show", "api"]).await.with_code(0).stdout;
    assert!(shown.contains("sealed with key `k1`") && !shown.contains("canary"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_told_apart_and_changed_by_hand() {
    let world = World::of_queues();
    let made = Brasa::new().run(["encryption", "new-key", "k9", "--json"]).await.json();
    assert!(brasa_shared::seal::Key::read(made["key"].as_str().unwrap()).is_ok());
    assert_eq!(made["variable"], "BRASA_KEY_K9");
    let (old, new) = (section(&[1], false), section(&[1, 2], false));
    let (old, new) = (brasa(&world, &format!("{CONFIG}{old}")), brasa(&world, &format!("{CONFIG}{new}")));
    let job = r#"{"name":"note","text":"a"}"#;
    for _ in 0..3 {
        drop(old.run(["enqueue", "sql.run", "--args", job]).await.with_code(0));
    }
    let plain = Brasa::configured(&world, CONFIG);
    drop(plain.run(["enqueue", "sql.run", "--args", job]).await.with_code(0));

    let status = new.run(["encryption", "status", "--json"]).await.json();
    let key = |status: &Value, name: &str| {
        let keys = status["keys"].as_array().unwrap();
        keys.iter().find(|key| key["key"] == name).cloned().unwrap_or_default()
    };
    assert_eq!((key(&status, "k1")["jobs"].clone(), &status["plain"]), (json!(3), &json!(1)));
    assert_eq!(key(&status, "k1")["may_go"], false);
    let rotated = new.run(["encryption", "rotate", "--json"]).await.json();
    assert_eq!(rotated["anew"], 4);
    let status = new.run(["encryption", "status", "--json"]).await.json();
    assert_eq!(
        (key(&status, "k1")["jobs"].clone(), key(&status, "k2")["jobs"].clone()),
        (json!(0), json!(4))
    );
    // The one that hides unique keys stays.
    assert_eq!(key(&status, "k1")["may_go"], false);
    let moved = section(&[1, 2], false).replace("unique = \"k1\"", "unique = \"k2\"");
    let said =
        brasa(&world, &format!("{CONFIG}{moved}")).run(["encryption", "status"]).await.with_code(0).stdout;
    assert!(said.contains("Nothing is sealed with `k1` any more: it may be taken away."), "{said}");

    let refused = plain.run(["encryption", "rotate"]).await.with_code(2);
    assert!(refused.stderr.contains("encryption new-key"), "{refused:?}");
    let left = old.run(["encryption", "rotate", "--json"]).await.with_code(1).json_anyway();
    assert_eq!(left["unopened"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lacks_the_key_that_seals_is_told_of_before_it_buries_anything() {
    let world = World::new().await;
    let old = brasa(&world, &section(&[1], false));
    let worker = old.start(["worker"]);
    eventually("the worker is seen", async || !world.fleet().workers().await.unwrap().is_empty()).await;

    let found = brasa(&world, &section(&[1, 2], false)).run(["doctor"]).await;
    assert!(found.stdout.contains("have not the key that seals here, `k2`"), "{found:?}");
    let found = old.run(["doctor"]).await;
    assert!(found.stdout.contains("every worker has the key that seals, `k1`"), "{found:?}");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_there_were_keys_keeps_no_rotation_from_its_end() {
    let world = World::of_queues();
    let job = r#"{"name":"note","text":"a"}"#;
    let enqueue = ["enqueue", "sql.run", "--args", job];
    drop(Brasa::configured(&world, CONFIG).run(enqueue).await.with_code(0));
    let queue = world.queue("default");
    let claimed = Hand::new("hand", &["sql.run"]).claim_one(&queue).await;
    queue.finish(&[Finish { keep_ms: Some(3_600_000), ..done(&claimed) }]).await.unwrap();

    let keyed = brasa(&world, &format!("{CONFIG}{}", section(&[1], false)));
    let rotated = keyed.run(["encryption", "rotate", "--json"]).await.json();

    assert_eq!((&rotated["anew"], &rotated["done_plain"]), (&json!(0), &json!(1)));
}
