//! Jobs: found by word, kind and time, a page at a time, and what is known of one.

use serde_json::json;

use super::{Dashboard, has};

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
