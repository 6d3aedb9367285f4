//! The engine by itself: leases, snapshots, marks, tags, epochs.

use std::time::Duration;

use brasa_shared::cache::{
    Caches, Cause, Content, Entry, Filled, Filling, Source, Standing, TAGS_KEPT_MIN, Why, params_of,
};
use brasa_tests::World;
use redis::cmd;

use super::caches;

pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// A world with an epoch, and one entry of it.
pub(super) async fn scene() -> (World, Caches, Entry) {
    let world = World::of_queues();
    let caches = caches(&world);
    assert!(caches.begin_epoch("run", 1).await.unwrap());
    let entry = Entry { key: format!("{}:it", world.prefix), params: params_of(&["it"]) };
    (world, caches, entry)
}

pub(super) fn source(snapshot: &str, is_replica: bool) -> Source {
    Source {
        snapshot: snapshot.to_owned(),
        is_replica,
        version: "v1".to_owned(),
        who: "a test".to_owned(),
        tags_kept: MINUTE,
    }
}

pub(super) fn filling(entry: &Entry, token: &str, value: &str, tags: &[&str]) -> Filling {
    Filling {
        key: entry.key.clone(),
        params: entry.params.clone(),
        token: token.to_owned(),
        content: Content::Value(value.as_bytes().to_vec()),
        life: MINUTE,
        fresh: MINUTE,
        cost: Duration::from_millis(1),
        due: None,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        negatives_max: 10,
    }
}

/// Leases, and fills with a value from this snapshot.
async fn load(caches: &Caches, entry: &Entry, snapshot: &str, is_replica: bool, tags: &[&str]) -> Filled {
    let namespace = caches.namespace("w");
    assert_eq!(namespace.take(&[&entry.key], "t", MINUTE).await.unwrap(), [true]);
    let filled = namespace.fill(&source(snapshot, is_replica), &[filling(entry, "t", "1", tags)]).await;
    filled.unwrap()[0]
}

async fn standing(caches: &Caches, entry: &Entry) -> (Standing, Option<Why>) {
    let answer = caches.namespace("w").read(entry, brasa_shared::cache::Asking::default()).await.unwrap();
    (answer.standing, answer.why)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_stands_once_its_holder_has_filled_it() {
    let (_world, caches, entry) = scene().await;
    assert_eq!(standing(&caches, &entry).await, (Standing::Missing, Some(Why::Cold)));

    assert_eq!(load(&caches, &entry, "10:10:", false, &[]).await, Filled::Filled);

    assert_eq!(standing(&caches, &entry).await, (Standing::Fresh, None));
    let look = caches.look(&entry.key).await.unwrap();
    assert!(look.is_standing && look.lease.is_none(), "{look:?}");
    assert_eq!(look.note.unwrap().who, "atest");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_leases_a_value_that_is_being_loaded_and_only_its_holder_fills_it() {
    let (_world, caches, entry) = scene().await;
    let namespace = caches.namespace("w");
    assert_eq!(namespace.take(&[&entry.key], "one", MINUTE).await.unwrap(), [true]);
    assert_eq!(namespace.take(&[&entry.key], "other", MINUTE).await.unwrap(), [false]);
    assert_eq!(standing(&caches, &entry).await.0, Standing::Busy);

    let filled = namespace.fill(&source("1:1:", false), &[filling(&entry, "other", "1", &[])]).await;
    assert_eq!(filled.unwrap(), [Filled::Lease]);

    let filled = namespace.fill(&source("1:1:", false), &[filling(&entry, "one", "1", &[])]).await;
    assert_eq!(filled.unwrap(), [Filled::Filled]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_over_can_be_taken_and_its_late_holder_is_refused() {
    let world = World::with_manual_clock();
    let caches = caches(&world);
    caches.begin_epoch("run", 1).await.unwrap();
    let entry = Entry { key: format!("{}:it", world.prefix), params: params_of(&["it"]) };
    let namespace = caches.namespace("w");
    namespace.take(&[&entry.key], "one", Duration::from_secs(2)).await.unwrap();
    world.advance(Duration::from_secs(3));

    assert_eq!(namespace.take(&[&entry.key], "other", MINUTE).await.unwrap(), [true]);

    let filled = namespace.fill(&source("1:1:", false), &[filling(&entry, "one", "1", &[])]).await;
    assert_eq!(filled.unwrap(), [Filled::Lease]);
}

/// The heart of it: which snapshots are refused after which invalidations.
#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_has_not_seen_what_invalidated_the_value_meanwhile_is_refused() {
    let cases = [
        // Transaction 20 was told while the value was loaded. The primary had seen it, or not:
        ("21:21:", false, Filled::Filled),
        ("15:25:18,22", false, Filled::Filled),
        ("15:25:18,20", false, Filled::Behind),
        ("20:20:", false, Filled::Behind),
        ("15:20:", false, Filled::Behind),
        // A replica does not know what runs, so only xmin counts.
        ("21:21:", true, Filled::Filled),
        ("20:25:", true, Filled::Behind),
        ("15:25:", true, Filled::Behind),
    ];
    for (snapshot, is_replica, expected) in cases {
        for by_tag in [false, true] {
            let (_world, caches, entry) = scene().await;
            let namespace = caches.namespace("w");
            namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
            let cause = Cause::Transaction(20);
            if by_tag {
                caches.invalidate_tags(&["tag".to_owned()], cause, MINUTE).await.unwrap();
            } else {
                namespace.invalidate(std::slice::from_ref(&entry), cause).await.unwrap();
            }

            let filling = filling(&entry, "t", "1", &["tag"]);
            let filled = namespace.fill(&source(snapshot, is_replica), &[filling]).await.unwrap();

            assert_eq!(filled, [expected], "{snapshot} from a replica: {is_replica}, by tag: {by_tag}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_before_the_lease_binds_a_replica_and_not_the_primary() {
    let (_world, caches, entry) = scene().await;
    let namespace = caches.namespace("w");
    namespace.invalidate(std::slice::from_ref(&entry), Cause::Transaction(20)).await.unwrap();

    assert_eq!(load(&caches, &entry, "15:19:", true, &[]).await, Filled::Behind);
    // It was committed before it was told, and told before the lease: whatever the primary shows has seen it.
    assert_eq!(load(&caches, &entry, "15:19:", false, &[]).await, Filled::Filled);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_transaction_that_is_told_after_a_newer_one_is_not_forgotten() {
    let (_world, caches, entry) = scene().await;
    let namespace = caches.namespace("w");
    namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
    for xid in [30, 20] {
        namespace.invalidate(std::slice::from_ref(&entry), Cause::Transaction(xid)).await.unwrap();
    }

    // 30 is over in it, 20 was still running.
    let filled = namespace.fill(&source("20:31:20", false), &[filling(&entry, "t", "1", &[])]).await;

    assert_eq!(filled.unwrap(), [Filled::Behind]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_invalidations_during_a_load_than_are_remembered_refuse_it() {
    let (_world, caches, entry) = scene().await;
    let namespace = caches.namespace("w");
    namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
    for xid in 10..30 {
        namespace.invalidate(std::slice::from_ref(&entry), Cause::Transaction(xid)).await.unwrap();
    }

    let filled = namespace.fill(&source("99:99:", false), &[filling(&entry, "t", "1", &[])]).await;

    assert_eq!(filled.unwrap(), [Filled::Behind]);
    assert_eq!(load(&caches, &entry, "99:99:", false, &[]).await, Filled::Filled);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_by_nobody_refuses_whatever_is_being_loaded_and_nothing_after_it() {
    let (_world, caches, entry) = scene().await;
    let namespace = caches.namespace("w");
    namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
    namespace.invalidate(std::slice::from_ref(&entry), Cause::Nobody).await.unwrap();

    let filled = namespace.fill(&source("99:99:", false), &[filling(&entry, "t", "1", &[])]).await;

    assert_eq!(filled.unwrap(), [Filled::Behind]);
    assert_eq!(standing(&caches, &entry).await, (Standing::Missing, Some(Why::Refused)));
    assert_eq!(load(&caches, &entry, "1:1:", false, &[]).await, Filled::Filled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_ends_every_value_that_has_it_and_no_other() {
    let (world, caches, entry) = scene().await;
    let other = Entry { key: format!("{}:other", world.prefix), params: params_of(&["other"]) };
    load(&caches, &entry, "1:1:", false, &["flights", "origin:JFK"]).await;
    load(&caches, &other, "1:1:", false, &["flights", "origin:LGA"]).await;

    caches.invalidate_tags(&["origin:JFK".to_owned()], Cause::Nobody, MINUTE).await.unwrap();

    assert_eq!(standing(&caches, &entry).await, (Standing::Missing, Some(Why::Invalidated)));
    assert_eq!(standing(&caches, &other).await.0, Standing::Fresh);
    // A plain GET finds it until it is swept.
    let namespace = caches.namespace("w");
    assert_eq!(namespace.sweep(&[entry.clone(), other.clone()]).await.unwrap(), 1);
    assert_eq!(caches.look(&entry.key).await.unwrap().bytes, None);
    assert_eq!(caches.look(&other.key).await.unwrap().bytes, Some(1));
    assert_eq!(load(&caches, &entry, "1:1:", false, &["flights", "origin:JFK"]).await, Filled::Filled);
    assert_eq!(standing(&caches, &entry).await.0, Standing::Fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_whose_mark_is_lost_ends_its_values_rather_than_being_mistaken_for_a_new_one() {
    let (world, caches, entry) = scene().await;
    load(&caches, &entry, "1:1:", false, &["flights"]).await;

    world.redis::<i64>(redis::cmd("HDEL").arg(&caches.keys().tags).arg("flights")).await;

    assert_eq!(standing(&caches, &entry).await, (Standing::Missing, Some(Why::Invalidated)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_epoch_nothing_is_taken_and_with_a_new_one_nothing_stands() {
    let (world, caches, entry) = scene().await;
    load(&caches, &entry, "1:1:", false, &[]).await;
    let namespace = caches.namespace("w");

    // The same run goes on with its epoch.
    assert!(!caches.begin_epoch("run", 50).await.unwrap());
    assert_eq!(standing(&caches, &entry).await.0, Standing::Fresh);

    namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
    world.redis::<i64>(redis::cmd("DEL").arg(&caches.keys().tags)).await;
    let filled = namespace.fill(&source("99:99:", false), &[filling(&entry, "t", "2", &[])]).await;
    assert_eq!(filled.unwrap(), [Filled::Epoch]);

    // A lease from before it is worth nothing, and a replica has to have seen everything from before it.
    namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
    assert!(caches.begin_epoch("another-run", 50).await.unwrap());
    assert_eq!(standing(&caches, &entry).await.0, Standing::Busy);
    let filled = namespace.fill(&source("99:99:", false), &[filling(&entry, "t", "2", &[])]).await;
    assert_eq!(filled.unwrap(), [Filled::Epoch]);
    assert_eq!(load(&caches, &entry, "49:60:", true, &[]).await, Filled::Behind);
    assert_eq!(load(&caches, &entry, "50:60:", true, &[]).await, Filled::Filled);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mark_says_is_kept_for_as_long_as_it_matters() {
    let world = World::with_manual_clock();
    let caches = caches(&world);
    caches.begin_epoch("run", 1).await.unwrap();
    caches.invalidate_tags(&["tag".to_owned()], Cause::Nobody, Duration::ZERO).await.unwrap();

    world.advance(TAGS_KEPT_MIN.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(caches.forget_tags().await.unwrap(), 0);
    world.advance(Duration::from_secs(2));
    assert_eq!(caches.forget_tags().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_marks_have_ended_all_are_forgotten() {
    let world = World::with_manual_clock();
    let caches = caches(&world);
    let tags: Vec<String> = (0..2_500).map(|n| format!("row:{n}")).collect();
    caches.invalidate_tags(&tags, Cause::Transaction(7), Duration::ZERO).await.unwrap();

    world.advance(TAGS_KEPT_MIN + Duration::from_secs(1));

    assert_eq!(caches.forget_tags().await.unwrap(), 2_500);
    assert_eq!(
        world.redis::<i64>(cmd("EXISTS").arg(&caches.keys().tags).arg(&caches.keys().tag_ends)).await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_why_a_value_is_missing() {
    let world = World::of_queues();
    let caches = caches(&world);
    caches.begin_epoch("run", 1).await.unwrap();
    let entry = Entry { key: format!("{}:it", world.prefix), params: params_of(&["it"]) };
    assert_eq!(standing(&caches, &entry).await.1, Some(Why::Cold));

    load(&caches, &entry, "1:1:", false, &[]).await;
    world.redis::<i64>(redis::cmd("DEL").arg(&entry.key)).await;
    assert_eq!(standing(&caches, &entry).await.1, Some(Why::Evicted));

    let namespace = caches.namespace("w");
    namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
    let mut short = filling(&entry, "t", "1", &[]);
    (short.life, short.fresh) = (Duration::from_millis(40), Duration::from_millis(40));
    namespace.fill(&source("1:1:", false), &[short]).await.unwrap();
    brasa_tests::eventually("it expires", async || {
        standing(&caches, &entry).await == (Standing::Missing, Some(Why::Expired))
            || caches.look(&entry.key).await.unwrap().note.is_none()
    })
    .await;

    load(&caches, &entry, "1:1:", false, &[]).await;
    namespace.invalidate(std::slice::from_ref(&entry), Cause::Transaction(7)).await.unwrap();
    assert_eq!(standing(&caches, &entry).await.1, Some(Why::Invalidated));
}

#[tokio::test(flavor = "multi_thread")]
async fn knowing_that_there_is_nothing_is_kept_apart_and_capped() {
    let (world, caches, _) = scene().await;
    let namespace = caches.namespace("w");
    let mut said = Vec::new();
    for n in 0..12 {
        let entry = Entry { key: format!("{}:none:{n}", world.prefix), params: params_of(&[n.to_string()]) };
        namespace.take(&[&entry.key], "t", MINUTE).await.unwrap();
        let none = Filling { content: Content::None, ..filling(&entry, "t", "", &[]) };
        said.push(namespace.fill(&source("1:1:", false), &[none]).await.unwrap()[0]);
    }
    assert_eq!(said, [vec![Filled::None; 10], vec![Filled::Capped; 2]].concat());
    let first = Entry { key: format!("{}:none:0", world.prefix), params: params_of(&["0"]) };
    assert_eq!(standing(&caches, &first).await.0, Standing::None);
    assert_eq!(caches.look(&first.key).await.unwrap().bytes, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_whom_nobody_answers_do_not_fill_the_memory() {
    let (world, caches, entry) = scene().await;
    let namespace = caches.namespace("w");
    let waiting = vec!["x"; 30_000];
    world.redis::<i64>(redis::cmd("RPUSH").arg(&namespace.keys().asks).arg(waiting)).await;

    let asking = brasa_shared::cache::Asking { token: Some("t"), lease: MINUTE, ..Default::default() };

    assert_eq!(namespace.read(&entry, asking).await.unwrap().standing, Standing::Missing);
    assert_eq!(caches.look(&entry.key).await.unwrap().lease, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_whose_clock_was_evicted_is_over_and_the_next_takes_values() {
    let (world, caches, entry) = scene().await;
    assert_eq!(load(&caches, &entry, "10:10:", false, &[]).await, Filled::Filled);
    world.redis::<i64>(cmd("DEL").arg(&caches.keys().clock)).await;

    assert_eq!(load(&caches, &entry, "10:10:", false, &[]).await, Filled::Epoch);
    assert_eq!(caches.epoch().await.unwrap(), None);

    assert!(caches.begin_epoch("run", 1).await.unwrap());
    assert_eq!(load(&caches, &entry, "10:10:", false, &[]).await, Filled::Filled);
    assert!(!caches.begin_epoch("run", 1).await.unwrap());
}
