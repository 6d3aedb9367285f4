//! The overview: charts of the last hour and day, with what is needed to read them.

use std::time::Duration;

use brasa_shared::minutes::{Vitals, Work, bucket_of};
use brasa_tests::eventually;

use super::{Dashboard, has, part};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_and_how_long_it_took_is_drawn_and_said_in_words() {
    let dashboard = Dashboard::open("select 1", "").await;
    has(
        &dashboard.page("viewer", "/").await,
        &["No job ran in the last hour.", "aria-current=\"true\">Last hour"],
    );
    has(&dashboard.page("viewer", "/?span=day").await, &["No job ran in the last day."]);

    let mut work = Work { done: 1_234, failed: 7, ..Work::default() };
    work.ran.add(bucket_of(Duration::from_millis(42)), 1_200);
    work.ran.add(bucket_of(Duration::from_secs(9)), 34);
    work.waited.add(bucket_of(Duration::from_micros(300)), 1_234);
    dashboard.world.fleet().minutes().count(&work).await.unwrap();
    for path in ["/", "/?span=day"] {
        let page = dashboard.page("viewer", path).await;
        has(
            &page,
            &["<p class=\"big\">1\u{202f}234</p>", "<p class=\"big\">7</p>", "role=\"img\"", "As a table"],
        );
        let ran = part(&page, "ran");
        has(ran, &["<title id=\"ran-title\">", "half (p50): latest 41 ms", "99 % (p99)", "id=\"ran-table\""]);
        has(part(&page, "waited"), &["latest &lt; 1 ms"]);
        assert!(!page.contains("style="), "no page holds a style of its own: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_machine_is_a_line_and_what_is_too_much_is_said() {
    let dashboard = Dashboard::open("select 1", "[alerts]\ndatabase_pool = 0.5\n").await;
    let minutes = dashboard.world.fleet().minutes();
    for (n, host) in
        ["one", "two<b>", "three", "four", "five", "six", "seven", "eight"].into_iter().enumerate()
    {
        let n = u32::try_from(n).unwrap();
        let vitals = Vitals {
            host: host.to_owned(),
            pid: n,
            cpu: Some(0.95 - f64::from(n) / 10.0),
            memory: Some(0.5),
            pool: Some(0.6),
            redis: Some(900 << 30),
            redis_max: Some(1_000 << 30),
            ..Vitals::default()
        };
        minutes.tell(&vitals).await.unwrap();
    }
    let page = dashboard.page("viewer", "/").await;
    let cpu = part(&page, "cpu");
    has(cpu, &["one", "95 % · too much", "two&lt;b&gt;", "More than 80 % is too much."]);
    assert!(!cpu.contains("eight") && page.contains("machines that were below all the while"), "{cpu}");
    has(part(&page, "pool"), &["60 % · too much", "More than 50 % is too much."]);
    has(part(&page, "redis"), &["90 % · too much", "900.0 GiB of 1000.0 GiB"]);
    assert!(!part(&page, "memory").contains("50 % · too much"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_database_suffers_from_is_said_in_a_few_figures() {
    let tables = "create table t (id serial primary key); select setval('t_id_seq', 2147000000)";
    let dashboard = Dashboard::open(tables, "").await;
    drop(dashboard.brasa.run(["db", "review"]).await.with_code(0));
    let mut holder = dashboard.world.pool.begin().await.unwrap();
    sqlx::query("select txid_current()").execute(&mut *holder).await.unwrap();

    eventually("it was looked at", async || {
        let page = dashboard.page("viewer", "/").await;
        page.contains("<dt>Connections</dt>") && page.contains("<dt>Oldest transaction</dt>")
    })
    .await;

    has(&dashboard.page("viewer", "/").await, &[", 1 critical", "seen "]);
}
