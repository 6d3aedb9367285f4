//! Jobs that are enqueued: once each, told what they are to be told, and refused for a reason.

use brasa_shared::queue::{OnConflict, State, UniqueUntil};
use brasa_tests::kinds::kinds;
use brasa_tests::{Worker, eventually};
use serde_json::{Value, json};

use super::{CLERK, OPERATOR, VIEWER, scene};

const PATH: &str = "/api/v1/jobs";

fn tick() -> Value {
    json!({ "kind": "sql.run", "args": { "name": "tick" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_enqueued_once_however_often_its_id_is_sent() {
    let scene = scene().await;
    let made = scene.post(OPERATOR, PATH, &tick()).await.with(201);
    let id = made.body["id"].as_str().unwrap();
    assert_eq!((&made.body["state"], &made.body["known"]), (&json!("new"), &json!(false)));
    assert_eq!(made.header("location"), Some(format!("/api/v1/jobs/default/{id}")));
    assert_eq!(scene.world.show(id).await.args, json!({ "name": "tick" }));

    let body = tick().to_string();
    for (key, status) in [("order-1", 201), ("order-1", 200), ("\"order-1\"", 200)] {
        let header = format!("Idempotency-Key: {key}\r\n");
        let answer = scene.post_text(OPERATOR, PATH, &header, &body).await.with(status);
        assert_eq!((&answer.body["id"], answer.body["known"] == true), (&json!("order-1"), status == 200));
    }
    let named = json!({ "id": "order-1", "kind": "sql.run", "args": { "name": "tick" } });
    let said = scene.post(OPERATOR, PATH, &named).await.with(200);
    assert_eq!(said.body, json!({ "id": "order-1", "queue": "default", "state": "known", "known": true }));
    let both = scene.post_text(OPERATOR, PATH, "idempotency-key: other\r\n", &named.to_string()).await;
    assert!(both.with(400).problem().contains("differ"));
    let wrong = scene.post_text(OPERATOR, PATH, "idempotency-key: no spaces\r\n", &body).await;
    assert!(wrong.with(400).problem().contains("cannot be an id"));
    assert_eq!(scene.world.counts().await.waiting, 2);
    assert!(scene.world.fleet().queues().await.unwrap().contains(&"default".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_is_told_on_its_way_stands_in_its_envelope() {
    let scene = scene().await;
    let body = json!({
        "kind": "sql.run", "args": { "name": "tick", "n": 12_345_678_901_234_567_890_u64 }, "queue": "small", "id": "a",
        "due": "2099-01-01T00:00:00Z", "priority": 7, "attempts": 3, "timeout": "90s", "expires": "2h",
        "deadline": "1d", "keep": "1w", "share": "acme", "unique": "u", "unique_until": "started",
        "on_conflict": "extend",
    });
    let _made = scene.post(OPERATOR, PATH, &body).await.with(201);
    let job = scene.world.queue("small").envelope("a").await.unwrap().unwrap().unwrap();
    let now = scene.world.clock.now().as_millisecond();
    assert_eq!(job.args.get(), r#"{"n":12345678901234567890,"name":"tick"}"#);
    assert_eq!(job.due, Some(4_070_908_800_000));
    assert_eq!((job.priority, job.attempts, job.timeout_ms), (7, Some(3), Some(90_000)));
    let about = |at: Option<i64>, hours: i64| (at.unwrap() - now - hours * 3_600_000).abs() < 60_000;
    assert!(about(job.expires, 2) && about(job.deadline, 24), "{job:?}");
    assert_eq!((job.share.as_deref(), job.unique.as_deref()), (Some("acme"), Some("u")));
    assert_eq!((job.unique_until, job.on_conflict), (UniqueUntil::Started, OnConflict::Extend));
    assert_eq!(job.keep_ms, Some(7 * 24 * 3_600_000));

    let waits = json!({ "kind": "sql.run", "args": { "name": "tick" }, "id": "b", "unique": "v", "debounce": "1h",
        "debounce_max": "2h" });
    let _made = scene.post(OPERATOR, PATH, &waits).await.with(201);
    let job = scene.world.queue("default").envelope("b").await.unwrap().unwrap().unwrap();
    assert!(about(job.due, 1), "{job:?}");
    assert_eq!((job.on_conflict, job.latest_ms), (OnConflict::Replace, Some(7_200_000)));
    assert_eq!(scene.world.state("b").await, Some(State::Delayed));

    let held = json!({ "kind": "sql.run", "args": { "name": "tick" }, "unique": "v" });
    let said = scene.post(OPERATOR, PATH, &held).await.with(200);
    assert_eq!(said.body, json!({ "id": "b", "queue": "default", "state": "held", "known": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_said_why() {
    let scene = scene().await;
    for (more, why) in [
        (json!({ "delay": "1s", "due": "2099-01-01T00:00:00Z" }), "`delay` and `due` contradict"),
        (json!({ "unique_for": "1s" }), "`unique_for` says nothing without `unique`"),
        (json!({ "unique": "u", "unique_for": "1s", "unique_until": "started" }), "contradict"),
        (json!({ "debounce_max": "1s" }), "without `debounce`"),
        (json!({ "attempts": 101 }), "`attempts` is 1 to 100"),
        (json!({ "attempts": 0 }), "count from 1"),
        (json!({ "priority": 10 }), "`priority` is 0 to 9"),
        (json!({ "version": 2 }), "nobody reads version 2"),
        (json!({ "delay": "1 s" }), "is not a duration"),
        (json!({ "delay": 1 }), "invalid type"),
        (json!({ "id": "no spaces" }), "cannot be an id"),
        (json!({ "queue": "absent" }), "there is no queue `absent`"),
        (json!({ "args": { "name": "absent" } }), "there is no statement `absent`"),
        (json!({ "args": [] }), "`args` must be a JSON object"),
        (json!({ "kind": "sql.rum" }), "knows the kind `sql.rum`"),
        (json!({ "kind": "Not A Kind" }), "cannot be a kind"),
        (json!({ "next": [] }), "unknown field `next`"),
        (json!({ "outbox": true }), "unknown field `outbox`"),
        (json!({ "args": { "name": "tick", "text": "x".repeat(300_000) } }), "at most 262144 are accepted"),
    ] {
        let mut body = tick();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let said = scene.post(OPERATOR, PATH, &body).await.with(400).problem();
        assert!(said.contains(why), "{why}: {said}");
    }
    assert_eq!(scene.world.counts().await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_a_team_is_enqueued_where_a_worker_that_lives_knows_it() {
    let scene = scene().await;
    let echo = json!({ "kind": "test.echo", "args": { "n": 1 } });
    let said = scene.post(CLERK, PATH, &echo).await.with(400).problem();
    assert!(said.contains("no worker that lives knows the kind `test.echo`"), "{said}");

    let _worker = Worker::start(scene.world.settings(kinds(), ""));
    eventually("the worker says what it can run", async || {
        !scene.world.fleet().live_workers().await.unwrap().is_empty()
    })
    .await;
    let made = scene.post(CLERK, PATH, &echo).await.with(201);
    scene.world.is(made.body["id"].as_str().unwrap(), State::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_enqueuing_enqueues_its_kinds_and_never_what_works_on_the_database() {
    let scene = scene().await;
    let post =
        |kind: &str, queue: &str| json!({ "kind": kind, "queue": queue, "args": { "name": "endpoint" } });
    let _made = scene.post(CLERK, PATH, &post("http.post", "small")).await.with(201);
    for (kind, queue, why) in [
        ("cache.warm", "default", "may not enqueue the kind `cache.warm`"),
        ("writes.flush", "default", "may not enqueue the kind"),
        ("absent", "default", "may not enqueue the kind `absent`"),
        ("http.post", "other", "into the queue `other`"),
        // Its kinds name this one, and still.
        ("sql.run", "default", "`sql.run` takes operator"),
        ("db.vacuum", "default", "`db.vacuum` takes operator"),
        ("aggregate.backfill", "default", "takes operator"),
    ] {
        let said = scene.post(CLERK, PATH, &post(kind, queue)).await.with(403).problem();
        assert!(said.contains(why), "{why}: {said}");
    }
    // Of what every build can do it may call endpoints, and nothing else.
    let catalog = brasa_jobs::catalog();
    let built_in: Vec<_> =
        catalog.kinds().map(|kind| kind.name).filter(|kind| *kind != "http.post").collect();
    assert!(built_in.len() > 10, "{built_in:?}");
    for kind in built_in {
        let said = scene.post(CLERK, PATH, &post(kind, "default")).await.with(403).problem();
        assert!(said.contains(kind), "{kind}: {said}");
    }
    let said = scene.post(VIEWER, PATH, &tick()).await.with(403).problem();
    assert!(said.contains("`viewer` is viewer, and this takes enqueue or operator"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_each_has_an_outcome_of_its_own() {
    let scene = scene().await;
    let mut jobs: Vec<Value> =
        (0..995).map(|n| json!({ "kind": "sql.run", "args": { "name": "tick", "n": n } })).collect();
    let mut twice = tick();
    twice["id"] = json!("twice");
    jobs.extend([twice.clone(), twice, json!({ "kind": "absent" }), json!({ "kind": "sql.run" })]);
    let answer = scene.post(OPERATOR, "/api/v1/jobs/bulk", &json!({ "jobs": jobs })).await.with(200);
    assert_eq!((&answer.body["new"], &answer.body["refused"]), (&json!(996), &json!(2)), "{answer:?}");
    let outcomes = answer.body["jobs"].as_array().unwrap();
    assert_eq!(outcomes.len(), 999);
    assert_eq!((&outcomes[995]["state"], &outcomes[996]["state"]), (&json!("new"), &json!("known")));
    assert_eq!(outcomes[997]["error"]["status"], 400);
    assert!(outcomes[998]["error"]["message"].as_str().unwrap().contains("`args`"), "{}", outcomes[998]);
    assert_eq!(scene.world.counts().await.waiting, 996);

    for number in [0, 1_001] {
        let jobs = vec![tick(); number];
        let said = scene.post(OPERATOR, "/api/v1/jobs/bulk", &json!({ "jobs": jobs })).await.with(400);
        assert!(said.problem().contains(&format!("{number} jobs are too few or too many")));
    }
    let one = json!({ "jobs": [tick()] }).to_string();
    let said = scene.post_text(OPERATOR, "/api/v1/jobs/bulk", "idempotency-key: a\r\n", &one).await;
    assert!(said.with(400).problem().contains("cannot be the id of many"));
    let listed = r#"{"jobs":[["sql.run",{"name":"tick"}]]}"#;
    let said = scene.post_text(OPERATOR, "/api/v1/jobs/bulk", "", listed).await.with(400).problem();
    assert!(said.contains("expected an object"), "{said}");
    let mixed = json!({ "jobs": [tick(), { "kind": "http.post", "args": { "name": "endpoint" } }] });
    let answer = scene.post(CLERK, "/api/v1/jobs/bulk", &mixed).await.with(200);
    assert_eq!(answer.body["jobs"][0]["error"]["status"], 403);
    assert_eq!(answer.body["jobs"][1]["state"], "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_or_closed_says_when_to_come_again() {
    let scene = scene().await;
    let mut body = tick();
    body["queue"] = json!("small");
    let bulk = json!({ "jobs": vec![body.clone(); 5] });
    let some = scene.post(OPERATOR, "/api/v1/jobs/bulk", &bulk).await.with(200);
    assert_eq!((&some.body["new"], &some.body["refused"]), (&json!(2), &json!(3)));
    assert_eq!(
        some.body["jobs"].as_array().unwrap().iter().filter(|one| one["error"]["status"] == 429).count(),
        3
    );
    for (path, body) in [(PATH, &body), ("/api/v1/jobs/bulk", &bulk)] {
        let full = scene.post(OPERATOR, path, body).await.with(429);
        assert!(full.problem().contains("queue `small` is full"));
        assert_eq!(full.header("retry-after").as_deref(), Some("5"));
    }

    scene.world.queue("default").close("ann", "moving").await.unwrap();
    let closed = scene.post(OPERATOR, PATH, &tick()).await.with(503);
    assert!(closed.problem().contains("closed by ann: moving"), "{closed:?}");
    assert!(closed.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_in_the_trace_of_the_request_unless_it_names_another() {
    const ONE: &str = "00-11111111111111111111111111111111-1111111111111111-01";
    const TWO: &str = "00-22222222222222222222222222222222-2222222222222222-00";
    let scene = scene().await;
    let trace =
        async |id: &str| scene.world.queue("default").envelope(id).await.unwrap().unwrap().unwrap().trace;
    let job = |id: &str, trace: Option<&str>| {
        let mut job = tick();
        job["id"] = json!(id);
        if let Some(trace) = trace {
            job["traceparent"] = json!(trace);
        }
        job
    };
    let header = format!("traceparent: {ONE}\r\n");
    let twice = header.repeat(2);
    for (id, headers, body, expected) in [
        ("plain", "", None, None),
        ("header", header.as_str(), None, Some(ONE)),
        ("field", "", Some(TWO), Some(TWO)),
        ("both", header.as_str(), Some(TWO), Some(TWO)),
        // What others put into headers is nobody's trouble but theirs.
        ("nonsense", "traceparent: 00-*/-\r\n", None, None),
        ("twice", twice.as_str(), None, None),
    ] {
        let _made = scene.post_text(OPERATOR, PATH, headers, &job(id, body).to_string()).await.with(201);
        assert_eq!(trace(id).await.as_deref(), expected, "{id}");
    }
    for wrong in ["", "nonsense", &format!("{ONE}\r\nx: y"), &format!("{ONE}*/"), &ONE.repeat(9)] {
        let refused = scene.post(OPERATOR, PATH, &job("refused", Some(wrong))).await.with(400);
        assert!(refused.problem().starts_with("`traceparent`: "), "{refused:?}");
    }
    let many =
        json!({ "jobs": [job("a", None), job("b", Some(TWO)), job("c", Some("nonsense"))] }).to_string();
    let made = scene.post_text(OPERATOR, "/api/v1/jobs/bulk", &header, &many).await.with(200);
    assert_eq!((&made.body["new"], &made.body["refused"]), (&json!(2), &json!(1)));
    assert_eq!((trace("a").await.as_deref(), trace("b").await.as_deref()), (Some(ONE), Some(TWO)));
}
