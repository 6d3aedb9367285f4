//! Looking at single values.

use brasa_shared::cache::{Cause, Entry};
use brasa_tests::eventually;
use brasa_tests::process::Brasa;
use redis::cmd;
use serde_json::json;

use super::{caches, execute, get, read, read_until_there, scene, thing, warm_scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_printed_as_its_loader_made_it() {
    let (world, brasa, _worker) = warm_scene().await;
    let key = thing(&world, "7");
    for target in [vec!["thing", "7"], vec![key.as_str()], vec!["--key", key.as_str()]] {
        let said = brasa.run(["cache", "get"].iter().chain(&target)).await.with_code(0);
        assert_eq!(said.stdout, "{\"name\": \"thing 7\"}\n", "{target:?}");
        assert!(said.stderr.starts_with("fresh for ") && said.stderr.contains("19 B"), "{said:?}");
    }

    let said = brasa.run(["cache", "get", "thing", "7", "--json"]).await;
    assert_eq!(said.stderr, "");
    let said = said.json();
    assert_eq!((&said["value"], &said["standing"]), (&json!({ "name": "thing 7" }), &json!("fresh")));
    assert_eq!((&said["key"], &said["warmer"]), (&json!(key), &json!("thing")));

    let said = brasa.run(["cache", "get", "thing", "77"]).await.with_code(1);
    assert!(said.stdout.is_empty() && said.stderr.contains("there is no value at "), "{said:?}");
    let said = brasa.run(["cache", "get", "thing", "77", "--json"]).await.with_code(1).json_anyway();
    assert_eq!((&said["value"], &said["standing"]), (&json!(null), &json!("missing")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_value_is_unpacked_with_its_dictionary() {
    let (world, _) = scene().await;
    let config = r#"
[warm.page]
sql = "select n, jsonb_build_object('title', 'page ' || n, 'text', repeat('all pages have this in common, ', 20)) as value from generate_series(1, 200) n"
key = "KEY:page:{n}"
ttl = "10m"
codec = "zstd"
warm_on = []
"#;
    let brasa = Brasa::configured(&world, &config.replace("KEY", &world.prefix));
    let _worker = brasa.start(["worker"]);
    let _warmed = brasa.run(["cache", "warm", "page", "--wait=20s"]).await.with_code(0);

    let said = brasa.run(["cache", "get", "page", "7", "--json"]).await.json();

    assert_eq!(said["value"]["title"], "page 7");
    assert!(said["stored_bytes"].as_u64().unwrap() * 2 < said["bytes"].as_u64().unwrap(), "{said}");
    let status = brasa.run(["cache", "status", "page", "--json"]).await.json();
    assert!(status["warmers"]["page"]["packed_ratio"].as_f64().unwrap() > 2.0, "{status}");
    let shown = brasa.run(["cache", "status", "page"]).await.with_code(0).stdout;
    assert!(shown.contains("times shorter"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_tells_where_it_came_from_and_what_would_end_it() {
    let (world, brasa, _worker) = warm_scene().await;
    let key = thing(&world, "7");

    let said = brasa.run(["cache", "why", &key]).await.with_code(0).stdout;

    assert!(said.starts_with(&format!("{key} is there, 19 B, fresh, and ends in ")), "{said}");
    for part in [
        "it belongs to warmer thing (id = 7)",
        "read from the primary in snapshot ",
        "none of its tags was invalidated since",
        "it is to be loaded again in ",
        "it would end with its tags: things",
        "it would end with a change of things(id); its triggers are missing",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = brasa.run(["cache", "why", "thing", "7", "--json"]).await.json();
    assert_eq!((&said["standing"], &said["params"]), (&json!("fresh"), &json!(["7"])));
    assert_eq!(said["note"]["from_replica"], json!(false));
    let _installed = brasa.run(["cache", "triggers", "install"]).await.with_code(0);
    let said = brasa.run(["cache", "why", "thing", "7"]).await.with_code(0).stdout;
    assert!(said.contains("a change of things(id); its triggers are installed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_gone_or_does_not_stand_says_who_ended_it() {
    let (world, brasa, mut worker) = warm_scene().await;
    // Nobody sweeps or loads again.
    worker.kill().await;
    let (one, other) = (thing(&world, "7"), thing(&world, "8"));
    let entry = Entry { key: one.clone(), params: String::new() };
    let namespace = caches(&world).namespace("thing");
    for cause in [Cause::Transaction(12), Cause::Nobody] {
        namespace.invalidate(std::slice::from_ref(&entry), cause).await.unwrap();
    }
    namespace.take(&[&one], "some-token", std::time::Duration::from_mins(1)).await.unwrap();
    let _told = brasa.run(["cache", "invalidate", "--tag", "things"]).await.with_code(0);

    let said = brasa.run(["cache", "why", &one]).await.with_code(0).stdout;
    assert!(said.starts_with(&format!("{one} is not there\n")), "{said}");
    assert!(said.contains("by somebody without a transaction, before that by transaction 12"), "{said}");
    assert!(said.contains("somebody loads it now (some-token)"), "{said}");
    let said = brasa.run(["cache", "why", &other]).await.with_code(0).stdout;
    assert!(
        said.contains("does not stand any more") && said.contains("invalidated since by things"),
        "{said}"
    );
    let said = brasa.run(["cache", "get", &other]).await.with_code(0);
    assert!(said.stdout.contains("thing 8") && said.stderr.starts_with("invalidated, "), "{said:?}");
    let said = brasa.run(["cache", "why", "--key", "nobody"]).await.with_code(1).stdout;
    assert!(said.contains("it belongs to no warmer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_table_is_told_with_its_transaction() {
    let (world, brasa, _worker) = warm_scene().await;
    let _installed = brasa.run(["cache", "triggers", "install"]).await.with_code(0);
    let key = thing(&world, "7");
    execute(&world, "update things set name = 'renamed' where id = 7").await;
    eventually("the change is carried and the value loaded again", async || {
        get(&world, &key).await.as_deref() == Some(r#"{"name": "renamed"}"#)
    })
    .await;

    let said = brasa.run(["cache", "why", &key]).await.with_code(0).stdout;

    assert!(said.contains("it was invalidated ") && said.contains(", by transaction "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_most_is_listed_with_its_share() {
    let (world, brasa, _worker) = warm_scene().await;
    let said = brasa.run(["cache", "hot", "size"]).await.with_code(0).stdout;
    assert!(said.starts_with("nobody has told what is read"), "{said}");
    for _ in 0..3 {
        read_until_there(&world, "thing", "7").await;
    }
    read(&world, "thing", "8").await;

    let said = brasa.run(["cache", "hot", "thing", "--json"]).await.json();

    assert_eq!(said["hot"][0]["params"], json!(["7"]));
    assert_eq!((&said["hot"][0]["count"], &said["hot"][0]["share"]), (&json!(3.0), &json!(0.75)));
    let shown = brasa.run(["cache", "hot", "thing", "--limit", "1"]).await.with_code(0).stdout;
    assert!(shown.contains("75.0 %") && shown.contains("19 B") && !shown.contains("25.0 %"), "{shown}");
    world.redis::<i64>(cmd("DEL").arg(thing(&world, "7"))).await;
}
