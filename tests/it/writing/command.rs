//! `brasa writes`, as a person or a script uses it.

use brasa_tests::World;
use brasa_tests::process::Brasa;
use serde_json::json;

use super::{CONFIG, add, done, scene, start};

async fn command() -> (World, Brasa) {
    let world = scene().await;
    let brasa = Brasa::configured(&world, CONFIG);
    (world, brasa)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_file_are_handed_over_and_how_far_they_are_is_told() {
    let (world, brasa) = command().await;
    let lines: Vec<String> = (0..1_200).map(|id| format!("{{\"id\": {id}, \"page\": \"/{id}\"}}")).collect();
    let lines = lines.join("\n");

    let pushed =
        brasa.feed(&lines, ["writes", "push", "visits", "--jsonl", "-", "--json"]).await.with_code(0).json();
    assert_eq!(pushed["rows"], 1_200);
    let pages = "page,hits,title\n/a,1,\"one, two\"\n/b,2,\n";
    let pushed = brasa.feed(pages, ["writes", "push", "pages", "--csv", "-"]).await.with_code(0);
    assert!(pushed.stdout.contains("2 row(s) handed over to pages"), "{}", pushed.stdout);

    let status = brasa.run(["writes", "status", "--json"]).await.with_code(0).json();
    let visits = status["writes"].as_array().unwrap().iter().find(|one| one["name"] == "visits").unwrap();
    assert_eq!((visits["waiting"].as_u64(), visits["owner"].as_str()), (Some(1_200), None));

    let worker = start(&world, CONFIG);
    done(&world, "visits", 1_200).await;
    done(&world, "pages", 2).await;
    assert_eq!(
        world.rows("select title from pages order by page").await,
        json!([{ "title": "one, two" }, { "title": null }])
    );
    let status = brasa.run(["writes", "status"]).await.with_code(0).stdout;
    assert!(status.contains("written by") && status.contains("1200"), "{status}");
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_with_a_row_that_cannot_be_written_nothing_is_handed_over() {
    let (_world, brasa) = command().await;
    let lines = "{\"id\": 1, \"page\": \"/\"}\n\n{\"id\": 2, \"pge\": \"/\"}\n{\"id\": 3}\n";

    let refused = brasa.feed(lines, ["writes", "push", "visits", "--jsonl", "-"]).await.with_code(2);

    for said in [
        "2 row(s) cannot be written; nothing was handed over",
        "line 3: the table has no column `pge`",
        "line 4: column `page` is missing",
    ] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    let status = brasa.run(["writes", "status", "visits", "--json"]).await.with_code(0).json();
    assert_eq!(status["writes"][0]["waiting"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_buried_is_listed_mended_and_written_or_deleted() {
    let (world, brasa) = command().await;
    let worker = start(&world, CONFIG);
    for row in [
        r#"{"id": 1, "page": "much longer than twenty"}"#,
        r#"{"id": 2, "page": 7, "took": "x"}"#,
        "nonsense",
    ] {
        add(&world, "visits", row).await;
    }
    done(&world, "visits", 3).await;
    worker.drain().await;

    let listed = brasa.run(["writes", "dead", "visits", "--json"]).await.with_code(0).json();
    let ids: Vec<String> =
        listed["dead"].as_array().unwrap().iter().map(|dead| dead["id"].to_string()).collect();
    assert_eq!(listed["dead"][0]["sqlstate"], "22001");
    // What is replayed as it was is refused as it was, and stays.
    let refused = brasa.run(["writes", "replay", ids[0].as_str()]).await.with_code(1);
    assert!(refused.stdout.contains("too long"), "{}", refused.stdout);
    let mended = r#"{"id": 1, "page": "shorter"}"#;
    let _ended = brasa.run(["writes", "replay", ids[0].as_str(), "--row", mended]).await.with_code(0);
    assert_eq!(world.rows("select id, page from visits").await, json!([{ "id": 1, "page": "shorter" }]));
    let _ended = brasa.run(["writes", "replay", ids[0].as_str(), "--row", mended]).await.with_code(1);

    world.execute("alter table visits alter took type text").await;
    let all = brasa.run(["writes", "replay", "--all", "visits", "--json"]).await.with_code(1).json_anyway();
    assert_eq!((all["written"].as_array().unwrap().len(), all["left"].as_array().unwrap().len()), (1, 1));
    let _ended = brasa.run(["writes", "delete", ids[2].as_str()]).await.with_code(2);
    let _ended = brasa.run(["writes", "delete", ids[2].as_str(), "--yes"]).await.with_code(0);
    let listed = brasa.run(["writes", "dead"]).await.with_code(0).stdout;
    assert!(listed.contains("every row was written"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_fit_its_table_is_told_with_what_to_do() {
    let world = scene().await;
    for (config, said) in [
        ("table = \"visit\"", "there is no table \"visit\""),
        ("table = \"visits\"\norder_by = [\"pge\"]", "the table has no column `pge`"),
        (
            "table = \"visits\"\nmode = \"upsert\"\nkey = [\"page\"]",
            "there is no unique index on exactly these columns",
        ),
        (
            "table = \"visits\"\nmode = \"upsert\"\nkey = [\"id\"]\nmerge = { more = \"sum\" }",
            "with \"last\" or \"first\"",
        ),
        ("table = \"visits\"\nkey = [\"id\"]", "rows are appended, whatever is there"),
        ("table = \"visits\"\nmode = \"counter\"", "needs `key`"),
        (
            "table = \"visits\"\nmode = \"upsert\"\nkey = [\"id\"]\nmerge = { took = \"avg\" }",
            "is not a way to merge",
        ),
    ] {
        let brasa = Brasa::configured(&world, &format!("[writes.visits]\n{config}\n"));
        let checked = brasa.run(["check"]).await.with_code(2);
        assert!(
            checked.stdout.contains(said) || checked.stderr.contains(said),
            "{config}: {}{}",
            checked.stdout,
            checked.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_where_rows_that_wait_are_less_safe_than_they_should_be() {
    let world = scene().await;
    // The Redis of the tests forgets everything when it ends, or writes it down once a second.
    let text = CONFIG.replacen("table = \"visits\"", "table = \"visits\"\ndurability = \"always\"", 1);
    let found = Brasa::configured(&world, &text).run(["check"]).await.with_code(1).stdout;
    assert!(
        found.contains("writes.visits.durability: Redis") && found.contains("or ask for less"),
        "{found}"
    );
    let _fine = Brasa::configured(&world, CONFIG).run(["check"]).await.with_code(0);
}
