//! What people get wrong, and what they are told. The other warmers are unharmed.

use brasa_jobs::catalog;
use brasa_shared::cache::params_of;
use brasa_shared::queue::State;
use brasa_tests::{Worker, World, eventually};
use serde_json::json;

use super::{caches, execute, get, holds, start, thing, with_things};

/// Runs `cache.warm` of the warmer `thing`, which is described by `text`; returns why it was buried.
async fn buried(world: &World, text: &str) -> String {
    let config = format!("[warm.thing]\nttl = \"1m\"\n{}", text.replace("KEY", &world.prefix));
    let worker = Worker::start(world.settings(catalog(), &config));
    let mut job = world.job("cache.warm", &json!({ "name": "thing" }));
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    eventually("the job ends", async || {
        matches!(world.state(&job.id).await, Some(State::Done | State::Dead))
    })
    .await;
    let view = world.show(&job.id).await;
    worker.drain().await;
    assert_eq!(view.state, State::Dead, "{view:?}");
    view.outcome.unwrap().reason.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_are_refused_with_what_to_do() {
    let world = with_things().await;
    let key = "key = \"KEY:thing:{id}\"\n";
    let cases = [
        (
            "sql = \"select case when id = 7 then null else id end as id, name as value from things\"",
            "`id` is NULL",
            "where id is not null",
        ),
        ("sql = \"select 7 as id, name as value from things\"", "returns `KEY:thing:7` twice", "distinct on"),
        (
            "for_each = { sql = \"select nullif(id, 7) as id from things\", params = [\"id\"] }\nsql = \"select id, name as value from things where id = any($1)\"",
            "a part of the key is NULL",
            "is not null",
        ),
        (
            "for_each = { sql = \"select id from things where id < 3\", params = [\"id\"] }\nsql = \"select id, name as value from things where id = any($1) or id = 9\"",
            "`KEY:thing:9`, which it was not asked for",
            "any($1)",
        ),
        (
            "max_keys = 10\nfor_each = { sql = \"select id from things\", params = [\"id\"] }\nsql = \"select id, name as value from things where id = any($1)\"",
            "`for_each` gives more than 10 keys",
            "max_keys",
        ),
        (
            "max_keys = 10\nsql = \"select id, name as value from things\"",
            "the loader gives more than 10 rows",
            "max_keys",
        ),
        (
            "params = [\"id text\"]\nsql = \"select id, name as value from things where id = any($1)\"",
            "params says id is text, $1 of the loader is integer[]",
            "correct the type",
        ),
    ];
    for (text, message, help) in cases {
        let reason = buried(&world, &format!("{key}{text}")).await;
        let message = message.replace("KEY", &world.prefix);
        assert!(reason.contains(&message) && reason.contains(help), "{text}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_not_chosen_of_a_warmer_that_only_loads_all_of_them() {
    let world = with_things().await;
    let config =
        "[warm.thing]\nttl = \"1m\"\nkey = \"thing:{id}\"\nsql = \"select id, name as value from things\"";
    let config = world.config(config);
    let check = catalog().get("cache.warm").unwrap().check;

    let reason = check(r#"{"name": "thing", "only": {"id": "7"}}"#, &config).unwrap_err();

    assert!(reason.contains("cannot be loaded one by one"), "{reason}");
    assert_eq!(check(r#"{"name": "thing"}"#, &config), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_too_large_is_told_and_the_others_are_warm() {
    let world = with_things().await;
    let text = "key = \"KEY:thing:{id}\"\nmax_bytes = \"100B\"\n\
         sql = \"select id, case when id = 7 then repeat('x', 200) else name end as value from things\"";

    let reason = buried(&world, text).await;

    assert!(
        reason.contains("1 value(s) are larger than 100 bytes") && reason.contains("thing:7"),
        "{reason}"
    );
    assert_eq!(get(&world, &thing(&world, "7").key).await, None);
    assert_eq!(get(&world, &thing(&world, "8").key).await.as_deref(), Some("\"thing 8\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_keys_from_a_careless_for_each_are_refused_before_they_are_loaded() {
    let world = with_things().await;
    let text = "key = \"KEY:thing:{id}\"\n\
        for_each = { sql = \"select a.id * 1000000 + b.id * 1000 + c.id as id from things a, things b, generate_series(1, 400) c(id)\", params = [\"id\"] }\n\
        sql = \"select id, name as value from things where id = any($1)\"";

    let reason = buried(&world, text).await;

    assert!(reason.contains("gives more than 100000 keys"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_whose_table_is_dropped_leaves_the_others_unharmed_and_comes_back_with_the_table() {
    let world = with_things().await;
    execute(&world, "create table others as select * from things").await;
    let warmer = |name: &str, table: &str| {
        format!(
            "[warm.{name}]\nttl = \"1s\"\nrefresh_ahead = \"700ms\"\nkey = \"KEY:{name}:{{id}}\"\n\
             for_each = {{ sql = \"select id from {table}\", params = [\"id\"] }}\n\
             sql = \"select id, name as value from {table} where id = any($1)\"\n"
        )
    };
    let worker = start(&world, &format!("{}{}", warmer("thing", "things"), warmer("other", "others")));
    let other = format!("{}:other:7", world.prefix);
    holds(&world, &thing(&world, "7").key, Some("\"thing 7\"")).await;
    holds(&world, &other, Some("\"thing 7\"")).await;

    execute(&world, "alter table things rename to gone").await;
    holds(&world, &thing(&world, "7").key, None).await;
    execute(&world, "update others set name = 'alive' where id = 7").await;
    holds(&world, &other, Some("\"alive\"")).await;

    execute(&world, "alter table gone rename to things").await;
    holds(&world, &thing(&world, "7").key, Some("\"thing 7\"")).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_is_told_and_the_others_are_warm_and_stay_so() {
    let world = with_things().await;
    let text = r#"
        key = "KEY:thing:{id}"
        for_each = { sql = "select id from things", params = ["id"] }
        sql = """select id, name as value from things, generate_series(1, case when id = 7 then 2 else 1 end)
                 where id = any($1);  -- the seventh twice"""
    "#;

    let reason = buried(&world, text).await;

    let message = format!("the loader returns `{}:thing:7` twice", world.prefix);
    assert!(
        reason.contains("1 value(s) cannot be loaded")
            && reason.contains(&message)
            && reason.contains("49 are"),
        "{reason}"
    );
    assert_eq!(get(&world, &thing(&world, "8").key).await.as_deref(), Some("\"thing 8\""));

    let again = text.replace("the seventh twice", "as before");
    let worker = start(&world, &format!("[warm.thing]\nttl = \"2s\"\nrefresh_ahead = \"1s\"\n{again}"));
    execute(&world, "update things set name = 'new'").await;
    holds(&world, &thing(&world, "8").key, Some("\"new\"")).await;
    execute(&world, "update things set name = 'newer'").await;
    holds(&world, &thing(&world, "8").key, Some("\"newer\"")).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_that_gives_everything_whatever_it_is_asked_for_is_told() {
    let world = with_things().await;
    let text = "key = \"KEY:thing:{id}\"\n\
        for_each = { sql = \"select id from things\", params = [\"id\"] }\n\
        sql = \"select id, name as value from things where $1::int[] is not null or id = any($1)\"\nbatch = 20";

    let reason = buried(&world, text).await;

    assert!(reason.contains("which it was not asked for") && reason.contains("any($1)"), "{reason}");
    assert_eq!(get(&world, &thing(&world, "7").key).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_mean_nothing_among_what_is_read_most_do_not_end_the_job_that_warms_it() {
    let world = with_things().await;
    let config = r#"
        [warm.thing]
        sql = "select id, name as value from things where id = any($1)"
        params = ["id"]
        key = "KEY:thing:{id}"
        ttl = "1m"
        warm_on = []
    "#;
    let namespace = caches(&world).namespace("thing");
    namespace.count(&[], &[(params_of(&["nonsense"]), 50), (params_of(&["7"]), 5)]).await.unwrap();
    let worker = start(&world, config);

    let job = world.job("cache.warm", &json!({ "name": "thing" }));
    world.queue("default").enqueue(&job).await.unwrap();

    eventually("the job is done", async || world.state(&job.id).await == Some(State::Done)).await;
    assert_eq!(get(&world, &thing(&world, "7").key).await.as_deref(), Some("\"thing 7\""));
    let left: Vec<String> = namespace.hot(9).await.unwrap().into_iter().map(|(params, _)| params).collect();
    assert_eq!(left, [params_of(&["7"])]);
    worker.drain().await;
}
