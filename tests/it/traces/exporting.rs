//! What a collector is told of jobs.

use std::net::SocketAddr;
use std::sync::Arc;

use brasa_jobs::http::{Exporter, Post};
use brasa_jobs::{
    Catalog, Clock, Enqueuer as _, Envelope, Job, JobContext, JobResult, Policy, Queues, job_of,
};
use brasa_shared::config::Token;
use brasa_shared::db::migrate;
use brasa_shared::trace::Trace;
use brasa_tests::kinds::{Echo, kinds};
use brasa_tests::process::Brasa;
use brasa_tests::{Worker, World};
use brasa_worker::Settings;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::collector::{Collector, Kind, Mood, Told};
use super::{AROUND, GIVEN};
use crate::http::server::{Server, answer};

/// A worker's settings whose spans go to the collector.
fn traced(world: &World, catalog: Catalog, config: &str) -> (Settings, Exporter) {
    let mut settings = world.settings(catalog, config);
    let (spans, exporter) = Exporter::start(&settings.reach.config, &Clock::System);
    settings.reach = Arc::new((*settings.reach).clone().with_spans(spans));
    (settings, exporter.unwrap())
}

/// Runs everything in `default` to its end, and sends all spans.
async fn run_all(world: &World, catalog: Catalog, config: &str) {
    let (settings, exporter) = traced(world, catalog, config);
    let _tally = Worker::start(settings).drain_when_idle(world).await;
    exporter.end().await;
}

async fn enqueue(world: &World, id: &str, kind: &str, args: Value, trace: Option<&str>) {
    let mut job = world.job(kind, &args);
    (job.id, job.trace) = (id.to_owned(), trace.map(str::to_owned));
    world.queue("default").enqueue(&job).await.unwrap();
}

fn is_below(span: &Told, place: &str) -> bool {
    let place: Trace = place.parse().unwrap();
    (&span.trace, &span.parent) == (&place.trace_id(), &place.span_id())
}

/// Enqueues over HTTP.
async fn post(address: SocketAddr, token: &str, trace: &str, job: &Value) {
    let body = job.to_string();
    let text = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\ntraceparent: {trace}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answered = String::new();
    stream.read_to_string(&mut answered).await.unwrap();
    assert!(answered.starts_with("HTTP/1.1 201"), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_from_each_door_is_a_span_below_who_enqueued_it() {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world.execute("create table notes (id text)").await;
    let collector = Collector::start(Mood::Takes).await;
    let token = "operator-0123456789abcdef0123456789abcdef";
    let more = "service_name = \"shop\"\nheaders = { authorization = \"Bearer ${COLLECTOR_TOKEN}\" }";
    let config = format!(
        "[sql.note]\nsql = \"insert into notes values ($1)\"\nparams = [\"job.id\"]\n{}\n[web.tokens.op]\nrole = \
         \"operator\"\nhash = \"{}\"\n",
        collector.section(more),
        Token::spell(&Token::hash_of(token)),
    );
    let brasa = Brasa::configured(&world, &config).env("COLLECTOR_TOKEN", "a-secret-of-the-test");
    let args = r#"{"name":"note"}"#;
    let verb = ["enqueue", "sql.run", "--args", args, "--id", "by-cli", "--traceparent", GIVEN];
    let _id = brasa.run(verb).await.with_code(0);
    let in_sql = "00-11111111111111111111111111111111-1111111111111111-01";
    for (id, commits) in [("by-sql", true), ("rolled-back", false)] {
        let mut transaction = world.pool.begin().await.unwrap();
        let call = "select brasa.enqueue('sql.run', '{\"name\":\"note\"}', id => $1, traceparent => $2)";
        sqlx::query(call).bind(id).bind(in_sql).execute(&mut *transaction).await.unwrap();
        if commits { transaction.commit().await.unwrap() } else { transaction.rollback().await.unwrap() }
    }
    let over_http = "00-22222222222222222222222222222222-2222222222222222-01";
    let web = brasa.start(["web", "--listen", "127.0.0.1:0"]);
    let job = json!({ "id": "by-api", "kind": "sql.run", "args": { "name": "note" } });
    post(web.address().await, token, over_http, &job).await;

    let _drained = brasa.run(["worker", "--drain"]).await.with_code(0);

    for (id, place) in [("by-cli", GIVEN), ("by-sql", in_sql), ("by-api", over_http)] {
        let attempts = collector.attempts(id);
        let [span] = attempts.as_slice() else { panic!("{id}: {attempts:#?}") };
        assert!(is_below(span, place), "{id}: {span:#?}");
        assert_eq!((span.name.as_str(), span.service.as_str()), ("process sql.run", "shop"));
        assert_eq!(span.failure, None);
        for (name, value) in [
            ("messaging.system", "brasa"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "default"),
            ("brasa.job.kind", "sql.run"),
            ("brasa.job.attempt", "1"),
            ("brasa.job.verdict", "done"),
        ] {
            assert_eq!(span.note(name), value, "{name}");
        }
        let statements = collector.below(span);
        assert_eq!(statements.len(), 1, "{statements:#?}");
        assert_eq!((statements[0].kind, statements[0].name.as_str()), (Kind::Client, "note"));
        assert_eq!(statements[0].note("db.system.name"), "postgresql");
    }
    assert!(collector.attempts("rolled-back").is_empty());
    for head in collector.heads() {
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        assert!(head.contains("authorization: Bearer a-secret-of-the-test"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_failed_says_why_and_the_next_one_is_in_the_same_trace() {
    let world = World::of_queues();
    let collector = Collector::start(Mood::Takes).await;
    enqueue(&world, "given", "test.fail", json!({ "how": "retry", "times": 1 }), Some(GIVEN)).await;
    enqueue(&world, "dead", "test.fail", json!({ "how": "bury" }), Some(GIVEN)).await;
    enqueue(&world, "late", "test.fail", json!({ "how": "snooze", "times": 1 }), Some(GIVEN)).await;
    enqueue(&world, "panics", "test.panic", json!({ "times": 1 }), Some(GIVEN)).await;
    run_all(&world, kinds(), &collector.section("")).await;

    let became = |id: &str| -> Vec<(String, Option<String>)> {
        let attempts = collector.attempts(id);
        assert!(attempts.iter().all(|span| is_below(span, GIVEN)), "{attempts:#?}");
        attempts.into_iter().map(|span| (span.note("brasa.job.verdict").to_owned(), span.failure)).collect()
    };
    let failed = |verdict: &str, why: &str| (verdict.to_owned(), Some(why.to_owned()));
    let done = ("done".to_owned(), None);
    assert_eq!(became("given"), [failed("retried", "it was told to retry in run 1"), done.clone()]);
    assert_eq!(became("dead"), [failed("dead", "it was told to bury in run 1")]);
    assert_eq!(became("late"), [("snoozed".to_owned(), None), done.clone()]);
    assert_eq!(became("panics"), [failed("retried", "the handler panicked: the roof is on fire"), done]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_came_without_a_trace_has_one_of_its_own_for_all_its_attempts() {
    let world = World::of_queues();
    let collector = Collector::start(Mood::Takes).await;
    enqueue(&world, "alone", "test.fail", json!({ "how": "retry", "times": 1 }), None).await;
    enqueue(&world, "nonsense", "test.echo", json!({}), Some("00-*/ no trace")).await;
    run_all(&world, kinds(), &collector.section("")).await;

    let attempts = collector.attempts("alone");
    let spans = collector.spans();
    let is_root = |span: &&Told| span.kind == Kind::Producer && span.trace == attempts[0].trace;
    let roots: Vec<&Told> = spans.iter().filter(is_root).collect();
    assert_eq!((attempts.len(), roots.len()), (2, 1), "{spans:#?}");
    assert_eq!((roots[0].name.as_str(), roots[0].parent.as_str()), ("send test.fail", ""));
    assert!(attempts.iter().all(|span| span.parent == roots[0].span), "{spans:#?}");
    assert!(roots[0].between_ns.0 <= attempts[0].between_ns.0, "{spans:#?}");
    let other = collector.attempts("nonsense");
    assert_eq!(other.len(), 1);
    assert_ne!(other[0].trace, attempts[0].trace);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_began_a_trace_decides_whether_it_is_collected() {
    let world = World::of_queues();
    let collector = Collector::start(Mood::Takes).await;
    enqueue(&world, "wanted", "test.echo", json!({}), Some(GIVEN)).await;
    enqueue(&world, "unwanted", "test.echo", json!({}), Some(AROUND)).await;
    enqueue(&world, "ours", "test.echo", json!({}), None).await;
    run_all(&world, kinds(), &collector.section("sample = 0.0")).await;

    let ids: Vec<String> =
        collector.spans().iter().map(|span| span.note("messaging.message.id").to_owned()).collect();
    assert_eq!(ids, ["wanted"]);
}

/// Enqueues two jobs.
#[derive(Debug, Deserialize)]
struct Parent {
    redis: String,
    prefix: String,
}

impl Job for Parent {
    const KIND: &'static str = "test.parent";
    const ABOUT: &'static str = "Enqueues two jobs";
    const POLICY: Policy = Policy::new();

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let queues = Queues::open(&self.redis, &self.prefix)?;
        let mut first = job_of::<Echo>(&json!({}), &ctx.reach.clock)?;
        "child".clone_into(&mut first.id);
        queues.enqueue("default", first.clone()).await?;
        // One that was made elsewhere, and one that names its place itself.
        let stray = Envelope { id: "stray".to_owned(), trace: None, ..first.clone() };
        queues.enqueue("default", stray).await?;
        let elsewhere = Envelope { id: "elsewhere".to_owned(), trace: Some(GIVEN.to_owned()), ..first };
        queues.enqueue("default", elsewhere).await?;
        Ok(Value::Null)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_enqueues_is_below_its_own_span() {
    let world = World::of_queues();
    let collector = Collector::start(Mood::Takes).await;
    let args = json!({ "redis": world.redis_url, "prefix": world.prefix });
    enqueue(&world, "parent", "test.parent", args, None).await;
    run_all(&world, kinds().with::<Parent>(), &collector.section("")).await;

    let parent = &collector.attempts("parent")[0];
    assert_eq!(parent.failure, None);
    let below = collector.below(parent);
    let mut ids: Vec<&str> = below.iter().map(|span| span.note("messaging.message.id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["child", "stray"]);
    assert!(is_below(&collector.attempts("elsewhere")[0], GIVEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_span_and_the_endpoint_is_below_it_and_secrets_are_told_to_nobody() {
    let world = World::of_queues();
    let collector = Collector::start(Mood::Takes).await;
    let server = Server::answering(answer(400, "", "you said the-secret-of-the-test")).await;
    let config = format!(
        "[http.orders]\nurl = \"{}\"\nprivate = true\nsecret = \"the-secret-of-the-test\"\n{}",
        server.url("/hook/secret-path"),
        collector.section("")
    );
    enqueue(&world, "call", "http.post", json!({ "name": "orders" }), Some(GIVEN)).await;
    run_all(&world, Catalog::default().with::<Post>(), &config).await;

    let attempt = &collector.attempts("call")[0];
    let calls = collector.below(attempt);
    let [call] = calls.as_slice() else { panic!("{calls:#?}") };
    assert_eq!((call.kind, call.name.as_str()), (Kind::Client, "POST orders"));
    assert_eq!((call.note("http.response.status_code"), call.note("server.address")), ("400", "127.0.0.1"));
    let sent: Trace = server.seen()[0].headers["traceparent"].parse().unwrap();
    assert_eq!((sent.trace_id(), sent.span_id()), (call.trace.clone(), call.span.clone()));
    assert!(call.failure.as_ref().unwrap().contains("(hidden)"), "{call:#?}");
    let all = format!("{:?}", collector.spans());
    assert!(!all.contains("the-secret-of-the-test") && !all.contains("secret-path"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_flow_are_in_one_trace() {
    let world = World::new().await;
    let collector = Collector::start(Mood::Takes).await;
    let config = format!("[sql.one]\nsql = \"select 1\"\n{}", collector.section(""));
    let brasa = Brasa::configured(&world, &config);
    let step = json!({ "kind": "sql.run", "args": { "name": "one" } });
    let flow = json!({ "group": [step, step], "then": step }).to_string();
    let _enqueued = brasa.feed(&flow, ["flow", "-", "--id", "f"]).await.with_code(0);
    let _drained = brasa.run(["worker", "--drain"]).await.with_code(0);

    let spans = collector.spans();
    let root = spans.iter().find(|span| span.kind == Kind::Producer).unwrap();
    assert_eq!((root.name.as_str(), root.note("brasa.flow.id")), ("send flow", "f"));
    for id in ["f.1", "f.2", "f.then"] {
        let attempts = collector.attempts(id);
        assert_eq!(attempts.len(), 1, "{id}");
        assert_eq!((&attempts[0].trace, &attempts[0].parent), (&root.trace, &root.span), "{id}");
    }
}
