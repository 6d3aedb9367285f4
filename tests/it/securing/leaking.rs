//! Where secrets end up: nowhere but where they are needed.

use brasa_shared::config::Token;
use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::process::{Brasa, http_get};
use serde_json::json;

const CANARIES: [&str; 4] = [
    "canary-token-0123456789abcdef0123456789",
    "canary-signing-0123456789abcdef",
    "canary-header-0123456789abcdef",
    "canary-path-0123456789abcdef",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_log_no_figure_no_page_no_key_and_no_list_of_processes() {
    let world = World::new().await;
    let [token, signing, header, path] = CANARIES;
    let text = "[http.hook]\nurl = \"https://localhost:1/${CANARY_PATH}\"\nprivate = true\nsecret = \"${CANARY_SIGNING}\"\n\
         headers = { authorization = \"Bearer ${CANARY_HEADER}\" }\n[sql.wrong]\nsql = \"select 1/0\"\n\
         [web]\n[web.tokens.ann]\nrole = \"admin\"\ntoken = \"${CANARY_TOKEN}\"\n";
    let brasa = Brasa::configured(&world, text)
        .env("BRASA_LISTEN", "127.0.0.1:0")
        .env("BRASA_WEB_LISTEN", "127.0.0.1:0")
        .env("CANARY_TOKEN", token)
        .env("CANARY_SIGNING", signing)
        .env("CANARY_HEADER", header)
        .env("CANARY_PATH", path);
    drop(brasa.run(["migrate"]).await.with_code(0));
    let running = brasa.start(["run"]);
    let metrics = running.address().await;
    for (kind, args) in
        [("http.post", json!({ "to": "hook", "body": {} })), ("sql.run", json!({ "name": "wrong" }))]
    {
        let mut job = world.job(kind, &args);
        job.attempts = Some(1);
        world.queue("default").enqueue(&job).await.unwrap();
    }
    eventually("both are dead", async || world.counts().await.dead == 2).await;

    let web = running.log().lines().find_map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        (record["message"] == "serving the dashboard and the API")
            .then(|| record["address"].as_str().unwrap().to_owned())
    });
    let web = web.unwrap();
    let _chosen = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut places = vec![("log".to_owned(), running.log())];
    for page in ["/", "/queues", "/jobs?state=dead", "/dead", "/schedules", "/workers", "/about", "/audit"] {
        let answer = client.get(format!("http://{web}{page}")).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{page}");
        places.push((page.to_owned(), answer.text().await.unwrap()));
    }
    places.push(("metrics".to_owned(), http_get(metrics, "/metrics").await.unwrap().1));
    places.push(("Redis".to_owned(), world.all_of_redis().await));
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", running.pid())).unwrap();
    places.push(("command line".to_owned(), command));
    for verb in
        [&["jobs", "list", "--state", "dead"][..], &["check"], &["doctor"], &["dead", "groups", "--json"]]
    {
        let said = brasa.run(verb).await;
        places.push((format!("{verb:?}"), format!("{}{}", said.stdout, said.stderr)));
    }
    let password = world.database_url.split("://").nth(1).unwrap().split('@').next().unwrap();
    let password = password.split(':').nth(1).unwrap_or("there-is-no-password").to_owned();
    let hash = Token::spell(&Token::hash_of(token));
    for secret in CANARIES.into_iter().chain([password.as_str(), hash.trim_start_matches("sha256:")]) {
        for (place, text) in &places {
            assert!(!text.contains(secret), "{secret} is in {place}: {text}");
        }
    }
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
