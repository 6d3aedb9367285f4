//! The page of batched writes.

use brasa_tests::process::Running;
use brasa_tests::{World, eventually};
use redis::cmd;
use serde_json::json;

use super::{Dashboard, has, part};

const TABLES: &str = "create table visits (id int primary key, page varchar(20) not null)";

const CONFIG: &str = "[writes.visits]\ntable = \"visits\"\n";

async fn add(world: &World, row: &str) {
    let key = format!("{}:writes:{{visits:0}}", world.prefix);
    world.redis::<String>(cmd("XADD").arg(key).arg("*").arg("d").arg(row)).await;
}

/// A dashboard with five rows written, and three that could not be.
async fn scene() -> (Dashboard, Running) {
    let dashboard = Dashboard::open(TABLES, CONFIG).await;
    for id in 1..=5 {
        add(&dashboard.world, &format!("{{\"id\": {id}, \"page\": \"/\"}}")).await;
    }
    for row in [r#"{"id": 6, "page": "a <b>secret</b> that is too long"}"#, r#"{"id": 7}"#, "nonsense <i>"] {
        add(&dashboard.world, row).await;
    }
    let worker = dashboard.brasa.start(["worker"]);
    eventually("the rows are written or buried", async || dead(&dashboard).await.len() == 3).await;
    (dashboard, worker)
}

/// The numbers of the rows that could not be written, in the order in which they came.
async fn dead(dashboard: &Dashboard) -> Vec<i64> {
    let rows = dashboard.world.rows("select id from brasa.write_dead order by id").await;
    rows.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_are_counted_and_writing_is_paused_and_resumed() {
    let dashboard = Dashboard::open(TABLES, CONFIG).await;
    for id in 1..=5 {
        add(&dashboard.world, &format!("{{\"id\": {id}, \"page\": \"/\"}}")).await;
    }
    let page = dashboard.page("viewer", "/writes").await;
    let card = part(&page, "writes-visits");
    has(
        card,
        &["<dt>Waiting</dt><dd>5</dd>", "no worker has been here", "appended to", "&quot;visits&quot;"],
    );
    assert!(!card.contains("Pause"), "a viewer cannot act: {card}");

    dashboard
        .refuses_viewers(&["/writes/visits/pause", "/writes/visits/resume", "/writes/visits/replay"])
        .await;
    assert_eq!(dashboard.act("operator", "/writes/visits/pause", "reason=the+disk+is+full").await, "/writes");
    has(&dashboard.page("viewer", "/writes").await, &["Paused by operator: the disk is full", ">nobody<"]);
    let paused = dashboard.world.rows("select paused_by, paused_why from brasa.write_offsets").await;
    assert_eq!(paused, json!([{ "paused_by": "operator", "paused_why": "the disk is full" }]));

    dashboard.act("operator", "/writes/visits/resume", "").await;
    let page = dashboard.page("operator", "/writes").await;
    assert!(!page.contains("Paused by"), "{page}");
    assert_eq!(dashboard.send("operator", "/writes/nothing/pause", "reason=").await.status, 404);
    dashboard
        .has_noted(&[("operator", "writes.pause", "visits"), ("operator", "writes.resume", "visits")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_could_not_be_written_are_shown_to_operators_only() {
    let (dashboard, _worker) = scene().await;

    let page = dashboard.page("viewer", "/writes").await;
    has(&page, &["SQLSTATE <code>22001</code>", "a text is too long", "SQLSTATE <code>23502</code>"]);
    has(part(&page, "writes-visits"), &["<a href=\"#dead\">3</a>", "<dt>Written</dt><dd>5</dd>"]);
    for hidden in ["secret", "nonsense", "too long for", "textarea", "Write it again"] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    let page = dashboard.page("operator", "/writes").await;
    has(&page, &["a &lt;b&gt;secret&lt;/b&gt; that", "nonsense &lt;i&gt;", "too long for", "textarea"]);
    assert!(!page.contains("/delete"), "deleting is for admins: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_could_not_be_written_are_mended_written_and_deleted() {
    let (dashboard, _worker) = scene().await;
    let dead_rows = dead(&dashboard).await;
    let to = |place: usize, verb: &str| format!("/writes/dead/{}/{verb}", dead_rows[place]);
    dashboard.refuses_viewers(&[&to(0, "replay"), &to(0, "delete")]).await;

    // As it came it is refused as it was, and stays.
    let refused = dashboard.send("operator", &to(0, "replay"), "").await;
    assert!(refused.status == 409 && refused.body.contains("too long"), "{refused:?}");
    let mended = "row=%7B%22id%22%3A+6%2C+%22page%22%3A+%22%2Fmended%22%7D";
    assert_eq!(dashboard.act("operator", &to(0, "replay"), mended).await, "/writes");
    assert_eq!(
        dashboard.world.rows("select page from visits where id = 6").await,
        json!([{ "page": "/mended" }])
    );
    assert_eq!(dashboard.send("operator", &to(0, "replay"), mended).await.status, 404);

    dashboard.world.execute("alter table visits alter page set default '/'").await;
    let partly = dashboard.send("operator", "/writes/visits/replay", "").await;
    assert!(partly.status == 409 && partly.body.contains("1 of 2 rows were written"), "{partly:?}");
    assert_eq!(dashboard.send("operator", &to(2, "delete"), "").await.status, 403);
    dashboard.act("admin", &to(2, "delete"), "").await;
    assert_eq!(dead(&dashboard).await, Vec::<i64>::new());
    assert_eq!(dashboard.world.rows("select count(*) as n from visits").await, json!([{ "n": 7 }]));

    let replayed = ("operator", "writes.replay", "visits");
    dashboard.has_noted(&[replayed, replayed, replayed, ("admin", "writes.delete", "visits")]).await;
    let noted = dashboard.world.rows("select detail::text as detail from brasa.audit").await.to_string();
    assert!(!noted.contains("mended\\\\\"}") && !noted.contains("secret"), "acts are for everybody: {noted}");
}
