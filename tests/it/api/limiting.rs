//! How often a token may ask.

use serde_json::json;

use super::{SLOW, VIEWER, scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_asks_too_often_is_told_when_to_come_again_and_others_are_not() {
    let scene = scene().await;
    for _ in 0..3 {
        let _listed = scene.get(SLOW, "/api/v1/queues").await.with(200);
    }
    let refused = scene.get(SLOW, "/api/v1/queues").await.with(429);
    assert_eq!(refused.problem(), "`slow` asks too often");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1_000..=1_200).contains(&seconds), "{seconds}");
    // Refused before anything else is looked at, whatever is asked for.
    let _refused = scene.post(SLOW, "/api/v1/jobs", &json!({})).await.with(429);
    let _refused = scene.get(SLOW, "/api/v1/absent").await.with(429);
    let _listed = scene.get(VIEWER, "/api/v1/queues").await.with(200);
}
