//! Verbs that cannot be undone want to be told so.

use brasa_tests::World;
use brasa_tests::process::Brasa;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_is_not_done_without_a_yes() {
    let world = World::new().await;
    let config = "[sql.fine]\nsql = \"select 1\"\n[aggregates.sales]\nsource = \"sales\"\ntime = \"at\"\n\
        measures = { n = \"count(*)\" }\n[warm.sales]\nsql = \"select n as id, n as value from sales\"\n\
        key = \"sale:{id}\"\nttl = \"1h\"\ndepends_on = [\"sales\"]\n[maintenance.prune.sales]\ntable = \"sales\"\n\
        where = \"at < now()\"\n";
    world
        .execute("create table sales (n int, at timestamptz); insert into sales values (1, '2020-01-01')")
        .await;
    let brasa = Brasa::configured(&world, config);
    for verb in [&["migrate"][..], &["aggregates", "install", "sales"], &["cache", "triggers", "install"]] {
        drop(brasa.run(verb).await.with_code(0));
    }
    let mut later = world.job("sql.run", &json!({ "name": "fine" }));
    later.due = Some(world.clock.now().as_millisecond() + 3_600_000);
    world.queue("default").enqueue(&later).await.unwrap();
    let before = (world.all_of_redis().await, world.rows(STATE).await);

    for verb in [
        &["jobs", "cancel", "--all"][..],
        &["jobs", "cancel", "--all", "--kind", "sql.run"],
        &["dead", "delete", "--all"],
        &["outbox", "delete", "1"],
        &["writes", "delete", "1"],
        &["aggregates", "remove", "sales"],
        &["cache", "triggers", "remove"],
    ] {
        let said = brasa.run(verb).await;
        assert!(matches!(said.code, Some(1 | 2)), "{verb:?}: {said:?}");
        assert!(said.stderr.contains("--yes"), "{verb:?}: {said:?}");
    }
    // These say what they would do, and do not.
    for verb in [&["db", "prune"][..], &["db", "reindex"], &["jobs", "cancel", "--all", "--dry-run"]] {
        drop(brasa.run(verb).await.with_code(0));
    }
    assert_eq!((world.all_of_redis().await, world.rows(STATE).await), before);
}

/// What would be gone.
const STATE: &str = "select (select count(*) from sales)::int as sales, (select count(*) from brasa.aggregates)::int as aggregates,
    (select count(*) from pg_trigger where not tgisinternal)::int as triggers";
