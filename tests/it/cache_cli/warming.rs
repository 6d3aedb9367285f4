//! Loading values, and making them invalid.

use brasa_tests::eventually;
use brasa_tests::process::Brasa;
use redis::cmd;
use serde_json::json;

use super::{caches, execute, get, read_until_there, scene, thing, warm_scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_is_warmed_and_what_came_of_it_is_told() {
    let (world, brasa) = scene().await;
    let _worker = brasa.start(["worker"]);

    let said = brasa.run(["cache", "warm", "thing", "--wait"]).await.with_code(0).stdout;
    assert!(
        said.starts_with("warmed thing: 50 value(s), ") && said.contains("1 call(s) of the loader"),
        "{said}"
    );
    assert_eq!(get(&world, &thing(&world, "7")).await.as_deref(), Some(r#"{"name": "thing 7"}"#));

    execute(&world, "update things set name = 'renamed'").await;
    let only = ["cache", "warm", "thing", "--only", "id=7", "--wait=20s", "--json"];
    let said = brasa.run(only).await.json();
    assert_eq!((&said["ending"], &said["tally"]["keys"]), (&json!("done"), &json!(1)), "{said}");
    assert_eq!(get(&world, &thing(&world, "7")).await.as_deref(), Some(r#"{"name": "renamed"}"#));
    assert_eq!(get(&world, &thing(&world, "8")).await.as_deref(), Some(r#"{"name": "thing 8"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn warming_is_a_job_like_any_other_and_a_dry_run_is_none() {
    let (world, brasa) = scene().await;

    let said = brasa.run(["cache", "warm", "thing", "--dry-run"]).await.with_code(0).stdout;
    assert_eq!(said, "would enqueue cache.warm of thing into default\n");
    assert_eq!(world.counts().await.open(), 0);

    let said = brasa.run(["cache", "warm", "thing", "--json"]).await.json();
    let job = brasa.run(["jobs", "show", said["id"].as_str().unwrap(), "--json"]).await.json();
    assert_eq!((&job["kind"], &job["args"]), (&json!("cache.warm"), &json!({ "name": "thing" })));

    // Nobody runs it.
    let said = brasa.run(["cache", "warm", "thing", "--wait=100ms"]).await.with_code(1).stdout;
    assert!(said.contains("has not ended: it is waiting") && said.contains("brasa jobs why"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_that_cannot_be_loaded_says_why() {
    let (world, brasa) = scene().await;
    let _worker = brasa.start(["worker"]);
    execute(&world, "alter table things rename column name to title").await;

    let said = brasa.run(["cache", "warm", "thing", "--wait=20s"]).await.with_code(1).stdout;

    assert!(said.starts_with("dead in ") && said.contains("column \"name\" does not exist"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidated_key_goes_and_comes_back_as_the_database_has_it() {
    let (world, brasa, _worker) = warm_scene().await;
    execute(&world, "update things set name = 'renamed'").await;
    let (known, other) = (thing(&world, "7"), format!("{}:other", world.prefix));

    let look = ["cache", "invalidate", "--key", &known, &other, "--dry-run"];
    let said = brasa.run(look).await.with_code(0).stdout;
    assert_eq!(
        said,
        format!(
            "would invalidate {known} (of thing), which is there\n\
             would invalidate {other} (of no warmer), which is not there\n"
        )
    );
    assert_eq!(get(&world, &known).await.as_deref(), Some(r#"{"name": "thing 7"}"#));

    let said = brasa.run(["cache", "invalidate", "--key", &known, &other]).await.with_code(0).stdout;
    assert!(
        said.starts_with(
            "1 of 2 value(s) were there, and are gone; workers load what they know again at once\n"
        ),
        "{said}"
    );
    assert!(said.contains(&format!("come back when somebody asks: {other}")), "{said}");
    eventually("the value comes back by itself", async || {
        get(&world, &known).await.as_deref() == Some(r#"{"name": "renamed"}"#)
    })
    .await;
    assert_eq!(get(&world, &thing(&world, "8")).await.as_deref(), Some(r#"{"name": "thing 8"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_and_a_warmer_end_all_values_that_they_have() {
    let (world, brasa, _worker) = warm_scene().await;
    read_until_there(&world, "size", "7").await;
    execute(&world, "update things set name = 'renamed', size = 1").await;
    let size = format!("{}:size:7", world.prefix);

    let look = ["cache", "invalidate", "--warmer", "thing", "--tag", "things", "--dry-run", "--json"];
    let said = brasa.run(look).await.json();
    assert_eq!((&said["warmers"][0]["values"], &said["tags"]), (&json!(50), &json!(["things"])), "{said}");

    let said = brasa.run(["cache", "invalidate", "--tag", "things"]).await.with_code(0).stdout;
    assert!(
        said.contains("tag things: what has it is invalid") && said.contains("as the sweep comes by"),
        "{said}"
    );
    eventually("all things come back", async || {
        let mut fresh = true;
        for id in ["1", "25", "50"] {
            fresh &= get(&world, &thing(&world, id)).await.as_deref() == Some(r#"{"name": "renamed"}"#);
        }
        fresh
    })
    .await;
    assert_eq!(get(&world, &size).await.as_deref(), Some("70"));

    let said = brasa.run(["cache", "invalidate", "--warmer", "size", "--json"]).await.json();
    assert_eq!(said["warmers"], json!(["size"]));
    eventually("its values go", async || get(&world, &size).await.as_deref() != Some("70")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_is_a_transaction_of_the_primary_where_there_is_one() {
    let (world, brasa, _worker) = warm_scene().await;
    let key = thing(&world, "7");
    let xid = |said: serde_json::Value| said["transaction"].as_u64();

    let first = xid(brasa.run(["cache", "invalidate", "--key", &key, "--json"]).await.json()).unwrap();
    let second = xid(brasa.run(["cache", "invalidate", "--key", &key, "--json"]).await.json()).unwrap();
    assert!(second > first);
    let mark = caches(&world).look(&key).await.unwrap().mark.unwrap();
    assert!(mark.contains(&format!(":{second} ")) && mark.ends_with(&format!(":{first}")), "{mark}");

    let config = super::CONFIG.replace("KEY", &world.prefix);
    let without = Brasa::configured(&world, &config).without("DATABASE_URL");
    let said = without.run(["cache", "invalidate", "--key", &key, "--json"]).await.json();
    assert_eq!(said["transaction"], json!(null));
    world.redis::<Option<String>>(cmd("GET").arg(&key)).await;
}
