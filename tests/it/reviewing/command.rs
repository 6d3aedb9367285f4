//! `brasa db review` and `brasa db recommendations`, as a person or a script uses them, and the job.

use brasa_jobs::catalog;
use brasa_tests::process::{Brasa, http_get};
use brasa_tests::{Worker, World, eventually};
use serde_json::json;

use super::scene;

const PLANTED: &str = "
    create table no_key (n int);
    create table t (id serial primary key);
    select setval('t_id_seq', 2147000000)";

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_shown_in_each_format_and_kept() {
    let world = scene(PLANTED).await;
    let brasa = Brasa::configured(&world, "");
    let text = brasa.run(["db", "review"]).await.with_code(0).stdout;
    assert!(
        text.starts_with("# Review of database")
            && text.contains("ALTER TABLE public.t ALTER COLUMN id TYPE bigint;"),
        "{text}"
    );
    let found = brasa.run(["db", "review", "--json"]).await.with_code(0).json();
    assert_eq!(found["recommendations"][0]["rule"], "R29");
    assert_eq!(found["recommendations"][0]["severity"], "critical");
    assert!(found["review"].as_i64() > Some(0), "{found}");
    let file = world.folder().join("review.html");
    let path = file.to_str().unwrap();
    let said = brasa.run(["db", "review", "--format", "html", "--out", path]).await.with_code(0).stdout;
    assert!(said.contains("1 thing hurts now") && said.contains(path), "{said}");
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("ALTER COLUMN id TYPE bigint"), "{page}");
    let nowhere = brasa.run(["db", "review", "--out", "/no/such/folder/x"]).await.with_code(1).stderr;
    assert!(nowhere.contains("could not write /no/such/folder/x"), "{nowhere}");
    let kept = world.rows("select count(*) as n from brasa.care_reviews").await;
    assert_eq!(kept, json!([{ "n": 4 }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn recommendations_are_listed_dismissed_and_reopened() {
    let world = scene("create table no_key (n int)").await;
    let brasa = Brasa::configured(&world, "");
    let none = brasa.run(["db", "recommendations"]).await.with_code(0).stdout;
    assert!(none.contains("nothing is recommended"), "{none}");
    let _done = brasa.run(["db", "review"]).await.with_code(0);
    let find = |list: &serde_json::Value| {
        let all = list["recommendations"].as_array().unwrap();
        all.iter().find(|one| one["rule"] == "R30").cloned()
    };
    let listed = brasa.run(["db", "recommendations", "--json"]).await.with_code(0).json();
    let fingerprint = find(&listed).unwrap()["fingerprint"].as_str().unwrap().to_owned();
    let _done =
        brasa.run(["db", "recommendations", "dismiss", &fingerprint, "--why", "a log"]).await.with_code(0);
    let listed = brasa.run(["db", "recommendations", "--json"]).await.with_code(0).json();
    assert_eq!(find(&listed), None);
    let all = brasa.run(["db", "recommendations", "--all"]).await.with_code(0).stdout;
    assert!(all.contains("dismissed: a log"), "{all}");
    let _done = brasa.run(["db", "recommendations", "reopen", &fingerprint]).await.with_code(0);
    let listed = brasa.run(["db", "recommendations", "--json"]).await.with_code(0).json();
    assert!(find(&listed).is_some());
    for (args, said) in [
        (vec!["dismiss", "none", "--why", "x"], "there is no recommendation `none`"),
        (vec!["dismiss", &fingerprint, "--why", " "], "a reason is needed"),
        (vec!["dismiss", &fingerprint], "--why"),
        (vec!["reopen", "none"], "there is no recommendation `none`"),
    ] {
        let args = ["db", "recommendations"].into_iter().chain(args);
        let error = brasa.run(args).await.with_code(2).stderr;
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_worker_tells_what_is_open_whoever_reviewed() {
    let world = scene(PLANTED).await;
    let brasa = Brasa::configured(&world, "");
    let worker = brasa.start(["worker", "--listen", "127.0.0.1:0"]);
    let address = worker.address().await;
    let told = async |count: u32| {
        let line = format!("brasa_care_recommendations{{severity=\"critical\"}} {count}\n");
        eventually(&line, async || http_get(address, "/metrics").await.unwrap().1.contains(&line)).await;
    };
    told(0).await;
    let report = brasa.run(["db", "review", "--json"]).await.with_code(0).json();
    told(1).await;
    let found = report["recommendations"].as_array().unwrap().iter();
    let critical: Vec<_> = found.filter(|one| one["severity"] == "critical").collect();
    let fingerprint = critical[0]["fingerprint"].as_str().unwrap();
    let dismiss = ["db", "recommendations", "dismiss", fingerprint, "--why", "it is known"];
    let _done = brasa.run(dismiss).await.with_code(0);
    told(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_tables_a_review_says_what_to_do() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, "");
    for args in [vec!["db", "review"], vec!["db", "recommendations"]] {
        let error = brasa.run(args).await.with_code(1).stderr;
        assert!(error.contains("run `brasa migrate`"), "{error}");
    }
    let worker = Worker::start(world.settings(catalog(), ""));
    let job = world.enqueue("db.review", json!({})).await;
    assert!(world.buried(&job).await.contains("run `brasa migrate`"));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reviews_and_says_how_much_it_found() {
    let world = scene(PLANTED).await;
    let worker = Worker::start(world.settings(catalog(), ""));
    let job = world.enqueue("db.review", json!({})).await;
    let result = world.result(&job).await;
    assert_eq!((result["critical"].as_u64(), result["review"].as_u64()), (Some(1), Some(1)), "{result}");
    let open =
        world.rows("select count(*) as n from brasa.care_recommendations where severity = 'critical'").await;
    assert_eq!(open, json!([{ "n": 1 }]));
    worker.drain().await;
}
