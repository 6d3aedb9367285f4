//! The page of aggregates.

use brasa_shared::queue::State;

use super::{Dashboard, has, part};

const TABLES: &str = "create table sales (at timestamptz not null, shop text not null, total int not null);
    insert into sales select '2026-03-01Z'::timestamptz + n * interval '1 hour', 'a', n from generate_series(1, 100) n";

const CONFIG: &str = r#"
[aggregates.daily]
source = "sales"
time = "at"
by = ["shop"]
measures = { n = "count(*)", units = "sum(total)" }

[aggregates.other]
source = "sales"
time = "at"
measures = { n = "count(*)" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_is_shown_refreshed_and_compared() {
    let dashboard = Dashboard::open(TABLES, CONFIG).await;
    let page = dashboard.page("viewer", "/aggregates").await;
    has(part(&page, "aggregate-other"), &["Not installed.", "brasa aggregates install other"]);

    let _done = dashboard.brasa.run(["aggregates", "install", "daily"]).await.with_code(0);
    let page = dashboard.page("operator", "/aggregates").await;
    has(
        part(&page, "aggregate-daily"),
        &["Nothing from before it was installed has been built yet", "Refresh"],
    );
    assert!(
        !part(&page, "aggregate-daily").contains("Compare with"),
        "there is nothing to compare yet: {page}"
    );

    let _done = dashboard.brasa.run(["aggregates", "backfill", "daily"]).await.with_code(0);
    dashboard
        .world
        .execute("insert into sales values ('2026-03-02Z', 'a', 1), ('2026-03-02Z', 'b', 1)")
        .await;
    let page = dashboard.page("viewer", "/aggregates").await;
    let card = part(&page, "aggregate-daily");
    has(
        card,
        &[">Live<", "<dt>Rows waiting</dt><dd>2</dd>", "brasa.&quot;agg_daily&quot;", "<dd>never</dd>"],
    );

    dashboard.refuses_viewers(&["/aggregates/daily/refresh", "/aggregates/daily/check"]).await;
    let refresh = dashboard.act("operator", "/aggregates/daily/refresh", "").await;
    let refresh = refresh.strip_prefix("/jobs/default/").expect(&refresh);
    // Only what was asked for is at work: a process with the roles of a worker would keep aggregates by itself.
    let catalog = brasa_jobs::catalog();
    let _worker = brasa_tests::Worker::start(dashboard.world.settings(catalog, CONFIG));
    assert_eq!(dashboard.world.result(refresh).await["rows"], 2);
    let check = dashboard.act("operator", "/aggregates/daily/check", "").await;
    dashboard.world.is(check.strip_prefix("/jobs/default/").expect(&check), State::Done).await;

    let page = dashboard.page("viewer", "/aggregates").await;
    let card = part(&page, "aggregate-daily");
    has(
        card,
        &["<dt>Rows waiting</dt><dd>0</dd>", "<dt>Behind</dt><dd>-</dd>", "<dt>Rows folded</dt><dd>2</dd>"],
    );
    has(card, &["all 6 groups are what the source says"]);
    let absent = dashboard.send("operator", "/aggregates/nothing/refresh", "").await;
    assert_eq!(absent.status, 400, "{absent:?}");
    dashboard
        .has_noted(&[("operator", "aggregate.refresh", "daily"), ("operator", "aggregate.check", "daily")])
        .await;
}
