//! The history: what became of jobs that their queues no longer know.

use std::time::Duration;

use brasa_jobs::history::Book;
use brasa_shared::queue::{Ended, Ending};
use brasa_tests::eventually;
use jiff::ToSpan as _;
use serde_json::json;

use super::{Dashboard, has};

const CONFIG: &str = "[history]\nargs = true\n[sql.wrong]\nsql = \"select 1/0\"\n";

/// Writes down three jobs that Redis never knew, one, two and three hours old.
async fn write(dashboard: &Dashboard) {
    let now = dashboard.world.clock.now();
    let ended = |id: &str, kind: &str, hours: i64| {
        let at_ms = now.checked_sub(hours.hours()).unwrap().as_millisecond();
        Ended {
            id: id.to_owned(),
            kind: kind.to_owned(),
            ending: Ending::Done,
            enqueued_ms: at_ms - 20,
            started_ms: at_ms - 10,
            ended_ms: at_ms,
            took_ms: 10,
            attempt: 2,
            worker: "me".to_owned(),
            schedule: Some("nightly".to_owned()),
            share: Some("tenant-7".to_owned()),
            reason: None,
            result: Some(r#"{"found":"<b>a private word</b>"}"#.to_owned()),
            args: Some(r#"{"of":"a private person"}"#.to_owned()),
            trace: None,
        }
    };
    let lost = Ended {
        ending: Ending::Dead,
        reason: Some("nobody <i>answers</i>".to_owned()),
        ..ended("gone-3", "mail.send", 3)
    };
    let ends = [ended("gone-1", "mail.send", 1), ended("gone-2", "mail.count", 2), lost];
    let mut connection = dashboard.world.pool.acquire().await.unwrap();
    let mut book = Book::keeping(Duration::from_hours(30 * 24));
    let written = book.write(&mut connection, "mail", &ends, now).await.unwrap();
    assert_eq!(written.rows, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_history_knows_is_found_a_page_at_a_time() {
    let dashboard = Dashboard::open("select 1", CONFIG).await;
    has(&dashboard.page("viewer", "/jobs?state=history").await, &["No such jobs in the history."]);
    write(&dashboard).await;

    let page = dashboard.page("viewer", "/jobs?state=history").await;
    has(&page, &["/jobs/mail/gone-1", "/jobs/mail/gone-2", "/jobs/mail/gone-3", "selected>history<"]);
    has(&page, &["state-dead", "nobody &lt;i&gt;answers&lt;/i&gt;", "mail.count"]);
    for (asked, found) in [
        ("kind=mail.count", "gone-2"),
        ("q=NOBODY", "gone-3"),
        ("since=90m", "gone-1"),
        ("until=150m", "gone-3"),
        ("q=gone-2", "gone-2"),
        ("queue=mail&limit=1", "gone-1"),
        ("limit=1&after=1", "gone-2"),
    ] {
        let page = dashboard.page("viewer", &format!("/jobs?state=history&{asked}")).await;
        for id in ["gone-1", "gone-2", "gone-3"] {
            assert_eq!(page.contains(&format!("/jobs/mail/{id}")), id == found, "{asked}: {id}: {page}");
        }
    }
    let page = dashboard.page("viewer", "/jobs?state=history&limit=2").await;
    has(&page, &["/jobs?state=history&amp;limit=2&amp;after=2", "Earlier ones"]);
    let page = dashboard.page("viewer", "/jobs?state=history&limit=2&after=2").await;
    assert!(page.contains("gone-3") && !page.contains("Earlier ones"), "{page}");
    for wrong in ["after=x", "after=1000000", "limit=0", "since=yesterday"] {
        let refused = dashboard.ask("viewer", "GET", &format!("/jobs?state=history&{wrong}"), "").await;
        assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_of_the_history_was_given_and_returned_is_shown_to_operators_only() {
    let dashboard = Dashboard::open("select 1", CONFIG).await;
    write(&dashboard).await;
    let (list, path) = ("/jobs?state=history", "/jobs/mail/gone-1");

    has(&dashboard.page("operator", list).await, &["a private word"]);
    let page = dashboard.page("operator", path).await;
    has(&page, &["this is what the history has", "<h1>mail.send</h1>", "tenant-7", "nightly"]);
    has(&page, &["a private person", "&lt;b&gt;a private word&lt;/b&gt;"]);
    assert!(
        !page.contains("<button>") && !page.contains("Start it now"),
        "there is nothing to start: {page}"
    );
    for path in [list, path] {
        let page = dashboard.page("viewer", path).await;
        has(&page, &["mail.send"]);
        assert!(!page.contains("private"), "{path}: {page}");
    }
    has(&dashboard.page("viewer", path).await, &["Its arguments and its result are shown to operators."]);
    for absent in ["/jobs/default/gone-1", "/jobs/mail/gone-4"] {
        assert_eq!(dashboard.ask("admin", "GET", absent, "").await.status, 404, "{absent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_its_queue_has_forgotten_keeps_its_page() {
    let dashboard = Dashboard::open("select 1", CONFIG).await;
    let _worker = dashboard.brasa.start(["worker"]);
    let queue = dashboard.world.queue("default");
    eventually("somebody wants to know what ends", async || {
        let key = &queue.keys().history_room;
        dashboard.world.redis::<bool>(redis::cmd("EXISTS").arg(key)).await
    })
    .await;
    let id = dashboard.world.enqueue("sql.run", json!({ "name": "wrong", "secret": "a private word" })).await;
    let reason = dashboard.world.buried(&id).await;
    let path = format!("/jobs/default/{id}");
    let page = dashboard.page("operator", &path).await;
    assert!(page.contains("Start it now") && !page.contains("no longer knows"), "{page}");
    eventually("it is written down", async || {
        dashboard.world.rows("select id from brasa.history").await == json!([{ "id": id }])
    })
    .await;
    assert_eq!(queue.forget(std::slice::from_ref(&id)).await.unwrap(), [true]);

    let page = dashboard.page("operator", &path).await;

    has(&page, &["Its queue no longer knows this job", "a private word", "division by zero", "state-dead"]);
    assert!(reason.contains("division by zero"), "{reason}");
    assert!(!page.contains("Start it now"), "{page}");
    assert!(!dashboard.page("viewer", &path).await.contains("private"));
    has(&dashboard.page("viewer", "/jobs?state=history&q=division").await, &[&path]);
}
