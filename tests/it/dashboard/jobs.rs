//! Jobs: found by word, kind and time, a page at a time, and what is known of one.

use std::time::Duration;

use brasa_shared::queue::{Held, Retry};
use brasa_tests::hand::Hand;
use serde_json::json;

use super::{Dashboard, has, part};

#[tokio::test(flavor = "multi_thread")]
async fn a_search_says_what_it_did_not_look_at_and_where_to_go_on() {
    let dashboard = Dashboard::open("select 1", "").await;
    let world = &dashboard.world;
    let mut jobs: Vec<_> = (0..2_100).map(|n| world.job("sql.run", &json!({ "n": n }))).collect();
    jobs.push(world.job("test.rare", &json!({})));
    for chunk in jobs.chunks(500) {
        world.queue("default").enqueue_all(chunk).await.unwrap();
    }
    let rare = &jobs[2_100];

    let page = dashboard.page("viewer", "/jobs?q=test.rare&state=waiting").await;
    has(&page, &["None among the 2\u{202f}000 jobs that were looked at.", "Look further"]);
    let next = page.split("<a href=\"").find_map(|rest| rest.split_once("\" rel=\"next\"")).unwrap().0;
    let next = next.replace("&amp;", "&");
    assert_eq!(next, "/jobs?q=test.rare&state=waiting&after=default%2fwaiting%2f2000");
    has(&dashboard.page("viewer", &next).await, &[&rare.id]);

    let page = dashboard.page("viewer", "/jobs").await;
    has(&page, &["rel=\"next\">More</a>", "value=\"1h\""]);
    let page = dashboard.page("viewer", "/jobs?kind=test.rare&since=1h&after=default%2fwaiting%2f2000").await;
    has(&page, &[&rare.id]);
    let page = dashboard.page("viewer", "/jobs?until=1h").await;
    has(&page, &["None among the", "Look further"]);
    let refused = dashboard.ask("viewer", "GET", "/jobs?since=yesterday", "").await;
    assert_eq!(refused.status, 400);
    has(&refused.body, &["`since`: it is no moment", "such as"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_shows_the_trace_that_it_belongs_to() {
    let dashboard = Dashboard::open("select 1", "").await;
    let mut job = dashboard.world.job("sql.run", &json!({}));
    job.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    dashboard.world.queue("default").enqueue(&job).await.unwrap();
    let page = dashboard.page("viewer", &format!("/jobs/default/{}", job.id)).await;
    has(&page, &["<dt>Trace</dt>", "4bf92f3577b34da6a3ce929d0e0e4736"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_shows_who_held_it_when_and_what_came_of_it() {
    let dashboard = Dashboard::open("select 1", "").await;
    let queue = dashboard.world.queue("default");
    let id = dashboard.world.enqueue("sql.run", json!({})).await;
    let claimed = Hand::new("web-1-8125", &["sql.run"]).claim(&queue, 1).await.remove(0);
    let page = dashboard.page("viewer", &format!("/jobs/default/{id}")).await;
    has(&page, &["</time> enqueued", "</time> attempt 1 began on web-1-8125", "leased for "]);

    let held = Held { id: id.clone(), nonce: claimed.nonce };
    let note = "1785000000000 1 failed on web-1-8125 after 12 ms: no connection".to_owned();
    let again = Retry { held, delay: Duration::from_mins(1), snooze: false, note };
    queue.retry(&[again]).await.unwrap();
    let page = dashboard.page("viewer", &format!("/jobs/default/{id}")).await;
    has(&page, &["</time> attempt 1 failed on web-1-8125 after 12 ms: no connection", "</time> it is due"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_shows_all_of_its_limits() {
    let limits = "[queues.default]\nmax_length = 5000\nconcurrency = 3\nkinds.\"http.post\" = { concurrency = 2, rate = \
                  { starts = 50, per = \"1s\" } }\nper_share = { concurrency = 1 }\n";
    let dashboard = Dashboard::open("select 1", limits).await;
    let card = part(&dashboard.page("viewer", "/queues").await, "queue-default").to_owned();
    has(
        &card,
        &[
            "5\u{202f}000 jobs at most, 3 at once, http.post 2 at once, http.post 50 starts per 1.0 s, each share key 1 at once",
            "nothing waits",
        ],
    );
}
