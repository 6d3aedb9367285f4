//! Which transactions a reader could see: ours against what Postgres says.

use brasa_shared::db::changes::{Snapshot, horizon};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::Scene;

/// Any snapshot, and a transaction somewhere near.
fn snapshots() -> impl Strategy<Value = (Snapshot, u64)> {
    let running = proptest::collection::btree_set(0_u64..30, 0..12);
    (1_u64..1 << 40, 0_u64..30, running, 0_u64..40).prop_map(|(xmin, wide, running, xid)| {
        let running = running.into_iter().filter(|xid| *xid < wide).map(|xid| xmin + xid).collect();
        (Snapshot { xmin, xmax: xmin + wide, running }, (xmin + xid).saturating_sub(5).max(1))
    })
}

#[tokio::test]
async fn a_snapshot_covers_what_postgres_calls_visible_in_it() {
    let mut scene = Scene::with("select 1").await;
    let mut runner = TestRunner::deterministic();
    let cases: Vec<_> = (0..500).map(|_| snapshots().new_tree(&mut runner).unwrap().current()).collect();
    let texts: Vec<_> = cases.iter().map(|(snapshot, _)| snapshot.to_string()).collect();
    let xids: Vec<_> = cases.iter().map(|(_, xid)| xid.to_string()).collect();

    let ask = "select snapshot::pg_snapshot::text, pg_visible_in_snapshot(xid::xid8, snapshot::pg_snapshot)
               from unnest($1::text[], $2::text[]) with ordinality as case_ (snapshot, xid, place) order by place";
    let answers: Vec<(String, bool)> =
        sqlx::query_as(ask).bind(texts).bind(xids).fetch_all(&mut *scene.app).await.unwrap();

    assert_eq!(answers.len(), cases.len());
    for ((snapshot, xid), (text, visible)) in cases.iter().zip(answers) {
        assert_eq!(Snapshot::parse(&text).as_ref(), Ok(snapshot));
        assert_eq!(snapshot.covers(*xid, false), visible, "{snapshot} {xid}");
        assert!(visible || !snapshot.covers(*xid, true), "{snapshot} {xid}");
    }
}

#[tokio::test]
async fn the_horizon_covers_a_change_only_when_it_is_committed() {
    let mut scene = Scene::watching(&["flights"]).await;
    let mut reader = scene.world.pool.acquire().await.unwrap();
    scene.run("begin; insert into flights values (1, 'MAD')").await;
    let xid: u64 = scene.text("select pg_current_xact_id()::text").await.parse().unwrap();

    let before = horizon(&mut reader).await.unwrap();
    scene.run("commit").await;
    let after = horizon(&mut reader).await.unwrap();

    assert!(!before.covers(xid, false) && !before.covers(xid, true), "{before} {xid}");
    assert!(after.covers(xid, false), "{after} {xid}");
    assert_eq!(scene.take_all().await[0].xid, xid);
}
