//! What happened lately, for programs.

use std::time::Duration;

use brasa_shared::minutes::{ERROR, Work, bucket_of};
use brasa_tests::eventually;
use brasa_tests::process::Brasa;
use serde_json::{Value, json};

use super::{VIEWER, scene};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_lately_is_told_with_percentiles_that_are_right_to_a_tenth() {
    let scene = scene().await;
    let minutes = scene.world.fleet().minutes();
    // Between them, two workers saw runs of every length from 1 to 1,000 ms.
    for worker in 0..2 {
        let mut work = Work { done: 500, failed: 3, ..Work::default() };
        for ms in (1..=1_000).filter(|ms| ms % 2 == worker) {
            work.ran.add(bucket_of(Duration::from_millis(ms)), 1);
        }
        minutes.count(&work).await.unwrap();
    }
    for (asked, steps, step_ms) in [("", 61, 60_000), ("?span=hour", 61, 60_000), ("?span=day", 97, 900_000)]
    {
        let told = scene.get(VIEWER, &format!("/api/v1/overview{asked}")).await.with(200).body;
        assert_eq!((told["work"].as_array().unwrap().len(), &told["step_ms"]), (steps, &json!(step_ms)));
        let whole = &told["whole"];
        assert_eq!((&whole["done"], &whole["failed"]), (&json!(1_000), &json!(6)));
        for (name, truth) in [("p50_ms", 500.0), ("p95_ms", 950.0), ("p99_ms", 990.0)] {
            let off = whole["ran"][name].as_f64().unwrap() / truth;
            assert!((1.0 / ERROR..=ERROR).contains(&off), "{name}: {whole}");
        }
        assert_eq!(whole["waited"], json!(null));
        let busy = told["work"].as_array().unwrap().iter().filter(|step| step["done"] != json!(0));
        assert!((1..=2).contains(&busy.count()), "{told}");
    }
    for wrong in ["?span=year", "?spam=day", "?span=day&span=hour"] {
        let _refused = scene.get(VIEWER, &format!("/api/v1/overview{wrong}")).await.with(400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_a_machine_tell_how_it_is() {
    let scene = scene().await;
    let _scheduler = Brasa::configured(&scene.world, "").start(["scheduler"]);
    let last = async || {
        let told = scene.get(VIEWER, "/api/v1/overview").await.with(200).body;
        let host = told["hosts"].as_array().unwrap().last().cloned().unwrap_or(Value::Null);
        let redis = told["redis"].as_array().unwrap().last().cloned().unwrap_or(Value::Null);
        (host["minutes"].as_array().and_then(|all| all.last().cloned()).unwrap_or(Value::Null), redis)
    };
    eventually("both tell, and know how busy processors are", async || {
        let (moment, redis) = last().await;
        let is_share = |name: &str| moment[name].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share));
        moment["processes"] == 2
            && ["cpu", "memory", "disk", "own_cpu"].into_iter().all(is_share)
            && moment["own_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20)
            && redis["used_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 16)
    })
    .await;
}
