//! The page of recommendations.

use serde_json::json;

use super::{Dashboard, has, part};

const TABLES: &str = "create table no_key (n int); create table t (id serial primary key);
    select setval('t_id_seq', 2147000000)";

#[tokio::test(flavor = "multi_thread")]
async fn recommendations_are_shown_dismissed_with_a_reason_and_reopened() {
    let dashboard = Dashboard::open(TABLES, "").await;
    has(&dashboard.page("viewer", "/recommendations").await, &["Nothing is recommended.", "db.review"]);
    let _done = dashboard.brasa.run(["db", "review"]).await.with_code(0);
    let listed = dashboard.brasa.run(["db", "recommendations", "--json"]).await.json();
    let worst = &listed["recommendations"][0];
    let (rule, fingerprint) = (worst["rule"].as_str().unwrap(), worst["fingerprint"].as_str().unwrap());
    assert_eq!(rule, "R29");

    let page = dashboard.page("viewer", "/recommendations").await;
    let card = part(&page, &format!("is-{fingerprint}"));
    has(
        card,
        &["R29", "critical", "ALTER TABLE public.t ALTER COLUMN id TYPE bigint;", "Goes away when: ", "<dt>"],
    );
    assert!(!page.contains("Dismiss<"), "a viewer cannot act: {page}");
    let critical = page.find("<h2>Critical</h2>").unwrap();
    assert!(page.find("R30").is_some_and(|other| other > critical), "the worst come first: {page}");

    let to = |verb: &str| format!("/recommendations/{fingerprint}/{verb}");
    dashboard.refuses_viewers(&[&to("dismiss"), &to("reopen"), "/recommendations/review"]).await;
    assert_eq!(dashboard.send("operator", &to("dismiss"), "reason=x").await.status, 403);
    assert_eq!(dashboard.send("admin", &to("dismiss"), "reason=+").await.status, 400);
    assert_eq!(dashboard.send("admin", "/recommendations/0/dismiss", "reason=x").await.status, 404);
    dashboard.act("admin", &to("dismiss"), "reason=it+is+%3Cold%3E").await;
    let kept =
        "select dismissed_by, dismissed_why from brasa.care_recommendations where dismissed_at is not null";
    assert_eq!(
        dashboard.world.rows(kept).await,
        json!([{ "dismissed_by": "admin", "dismissed_why": "it is <old>" }])
    );
    let page = dashboard.page("admin", "/recommendations").await;
    let folded = page.find("<details id=\"dismissed\">").unwrap();
    assert!(page.find(&format!("is-{fingerprint}")).is_some_and(|place| place > folded), "{page}");
    has(&page, &["it is &lt;old&gt;", "Reopen"]);

    dashboard.act("admin", &to("reopen"), "").await;
    assert_eq!(dashboard.world.rows(kept).await, json!([]));
    let location = dashboard.act("operator", "/recommendations/review", "").await;
    let id = location.strip_prefix("/jobs/default/").expect(&location);
    assert_eq!(dashboard.world.show(id).await.kind, "db.review");
    dashboard
        .has_noted(&[
            ("admin", "recommendation.dismiss", fingerprint),
            ("admin", "recommendation.reopen", fingerprint),
            ("operator", "db.review", "database"),
        ])
        .await;
}
