//! Rows that are merged into those that are there.

use serde_json::json;

use super::{CONFIG, add, done, scene, start};

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_key_become_one_in_the_order_in_which_they_came() {
    let world = scene().await;
    for row in [
        r#"{"page": "/b", "hits": 1, "peak": 5, "title": "old", "first": "one"}"#,
        r#"{"page": "/a", "hits": 10, "peak": 1, "title": "a"}"#,
        r#"{"page": "/b", "hits": 2, "peak": 9, "title": "new", "first": "two"}"#,
        // Other columns: what it does not name stays as it is.
        r#"{"page": "/b", "hits": 4}"#,
        r#"{"page": "/b", "peak": 7, "title": null}"#,
    ] {
        add(&world, "pages", row).await;
    }
    let worker = start(&world, CONFIG);
    done(&world, "pages", 5).await;
    // And again, into what is there by now.
    add(&world, "pages", r#"{"page": "/b", "hits": 100, "peak": 8, "title": "newest", "first": "three"}"#)
        .await;
    done(&world, "pages", 6).await;

    let found = world.rows("select * from pages order by page").await;
    let wanted = json!([
        { "page": "/a", "hits": 10, "peak": 1, "title": "a", "first": null },
        { "page": "/b", "hits": 107, "peak": 9, "title": "newest", "first": "one" },
    ]);
    assert_eq!(found, wanted);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_adds_up_whatever_is_not_its_key() {
    let world = scene().await;
    let config = "[writes.pages]\ntable = \"public.pages\"\nmode = \"counter\"\nkey = [\"page\"]\n";
    let worker = start(&world, config);
    for n in 0..300 {
        add(&world, "pages", &format!(r#"{{"page": "/{}", "hits": 1, "peak": {n}}}"#, n % 3)).await;
    }
    done(&world, "pages", 300).await;

    let found = world.rows("select page, hits, peak from pages order by page").await;
    let sum = |first: i64| (0..100).map(|n| n * 3 + first).sum::<i64>();
    let page = |first: i64| json!({ "page": format!("/{first}"), "hits": 100, "peak": sum(first) });
    assert_eq!(found, json!([page(0), page(1), page(2)]));
    worker.drain().await;
}
