//! Looking for jobs in a queue, over the command line, and on the page: what was not looked at is never said to be absent.

use std::time::Duration;

use brasa_shared::queue::{Flow, Found, Queue, Search, State};
use brasa_tests::World;
use brasa_tests::hand::{Hand, dead, done};
use brasa_tests::process::Brasa;
use serde_json::{Value, json};

fn ids(found: &Found) -> Vec<&str> {
    found.jobs.iter().map(|view| view.id.as_str()).collect()
}

/// Enqueues this many jobs of a kind, and returns their ids.
async fn several(world: &World, kind: &str, count: usize) -> Vec<String> {
    let jobs: Vec<_> = (0..count).map(|n| world.job(kind, &json!({ "n": n }))).collect();
    world.queue("default").enqueue_all(&jobs).await.unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

/// All that is found, page by page; and how many pages there were.
async fn through(queue: &Queue, wanted: Search<'_>) -> (Vec<String>, usize) {
    let (mut all, mut pages, mut from) = (Vec::new(), 0, Some(0));
    while let Some(passed) = from {
        let found = queue.search(&Search { from: passed, ..wanted }).await.unwrap();
        all.extend(ids(&found).into_iter().map(ToOwned::to_owned));
        (pages, from) = (pages + 1, found.next);
    }
    (all, pages)
}

#[tokio::test]
async fn a_job_behind_many_others_is_found_a_stretch_at_a_time() {
    let world = World::of_queues();
    several(&world, "sql.run", 300).await;
    let rare = several(&world, "test.rare", 2).await;
    let queue = world.queue("default");
    let wanted = Search { kind: Some("test.rare"), looks: 130, ..Search::all(State::Waiting, 50) };

    let first = queue.search(&wanted).await.unwrap();
    assert_eq!((ids(&first).len(), first.looked_at, first.next), (0, 130, Some(130)));
    assert_eq!(through(&queue, wanted).await, (rare.clone(), 3));
    // One that is all that is wanted is the end of a page, too.
    assert_eq!(through(&queue, Search { most: 1, looks: 10_000, ..wanted }).await, (rare, 2));
}

#[tokio::test]
async fn every_job_is_on_one_page_of_a_list_in_every_state() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    several(&world, "test.dead", 7).await;
    let graves: Vec<_> =
        Hand::new("w", &["test.dead"]).claim(&queue, 7).await.iter().map(|job| dead(job, "why")).collect();
    queue.bury(&graves).await.unwrap();
    several(&world, "test.done", 7).await;
    let ended = Hand::new("w", &["test.done"]).claim(&queue, 7).await;
    queue.finish(&ended.iter().map(done).collect::<Vec<_>>()).await.unwrap();
    several(&world, "test.run", 7).await;
    let _held = Hand::new("w", &["test.run"]).claim(&queue, 7).await;
    several(&world, "test.wait", 7).await;
    let mut later: Vec<_> = (0..7).map(|n| world.job("test.later", &json!({ "n": n }))).collect();
    for job in &mut later {
        job.due = Some(world.clock.now().as_millisecond() + 60_000);
    }
    queue.enqueue_all(&later).await.unwrap();

    for state in [State::Dead, State::Done, State::Running, State::Waiting, State::Delayed] {
        let (mut all, pages) = through(&queue, Search::all(state, 3)).await;
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), pages), (7, 3), "{state:?}");
        let over = queue.search(&Search { from: 7, ..Search::all(state, 3) }).await.unwrap();
        assert_eq!((over.jobs.len(), over.next), (0, None), "{state:?}");
        let asks = queue.search(&Search::all(state, 0)).await.unwrap();
        assert_eq!(
            (asks.jobs.len(), asks.next),
            (0, Some(0)),
            "none wanted says whether there are any: {state:?}"
        );
    }
}

#[tokio::test]
async fn jobs_that_take_turns_by_share_key_are_on_one_page_each() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    for share in ["a", "b", "c"] {
        let mut jobs: Vec<_> = (0..300).map(|n| world.job("test.shared", &json!({ "n": n }))).collect();
        jobs.iter_mut().step_by(3).for_each(|job| job.priority = 5);
        for job in &mut jobs {
            job.share = Some(share.to_owned());
        }
        queue.enqueue_all(&jobs).await.unwrap();
        world.advance(Duration::from_mins(1));
    }
    let (mut all, pages) = through(&queue, Search::all(State::Waiting, 50)).await;
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), pages), (900, 18));
}

#[tokio::test]
async fn jobs_that_wait_for_others_are_on_one_page_each() {
    let world = World::of_queues();
    let members: Vec<_> = (0..700).map(|n| world.job("test.member", &json!({ "n": n }))).collect();
    let flow = Flow::chain("c", members).unwrap();
    world.queue("default").enqueue_flow(&flow).await.unwrap();
    let (mut all, _) = through(&world.queue("default"), Search::all(State::Blocked, 50)).await;
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 699);
}

#[tokio::test]
async fn what_jobs_left_behind_in_line_hides_none_behind_them() {
    let world = World::of_queues();
    let queue = world.queue("default");
    for id in several(&world, "test.many", 400).await {
        queue.cancel(&id, "ana", "").await.unwrap();
    }
    let last = several(&world, "test.last", 1).await;
    let listed = queue.list(State::Waiting, 10).await.unwrap();
    assert_eq!(listed.into_iter().map(|view| view.id).collect::<Vec<_>>(), last);
}

#[tokio::test]
async fn the_dead_are_found_by_when_they_died_however_many_died_since() {
    let world = World::with_manual_clock();
    let queue = world.queue("default");
    let mut deaths = Vec::new();
    for _ in 0..3 {
        let died = several(&world, "test.dead", 5).await;
        let jobs = Hand::new("w", &["test.dead"]).claim(&queue, 5).await;
        queue.bury(&jobs.iter().map(|job| dead(job, "Disk FULL")).collect::<Vec<_>>()).await.unwrap();
        deaths.push((world.clock.now().as_millisecond(), died));
        world.advance(Duration::from_mins(10));
    }
    let (at, mut died) = deaths.swap_remove(1);
    died.sort_unstable();
    let wanted = Search {
        since_ms: Some(at - 1_000),
        until_ms: Some(at + 1_000),
        text: Some("disk full"),
        ..Search::all(State::Dead, 50)
    };

    let found = queue.search(&wanted).await.unwrap();

    let mut seen = ids(&found);
    seen.sort_unstable();
    assert_eq!((seen, found.looked_at, found.next), (died.iter().map(String::as_str).collect(), 5, None));
    let others = queue.search(&Search { text: Some("disk fuel"), ..wanted }).await.unwrap();
    assert_eq!((others.jobs.len(), others.looked_at), (0, 5));
}

#[tokio::test]
async fn words_of_arguments_are_found_by_those_who_may_see_them() {
    let world = World::of_queues();
    several(&world, "test.one", 1).await;
    let queue = world.queue("default");
    let wanted = Search { text: Some(r#""N":0"#), ..Search::all(State::Waiting, 50) };
    assert_eq!(queue.search(&wanted).await.unwrap().jobs.len(), 0);
    assert_eq!(queue.search(&Search { in_args: true, ..wanted }).await.unwrap().jobs.len(), 1);
}

#[tokio::test]
async fn the_command_line_finds_by_kind_time_and_words_what_is_behind_its_limit() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, "");
    several(&world, "test.many", 60).await;
    let rare = several(&world, "test.rare", 1).await;
    let list = async |more: &[&str]| brasa.run(["jobs", "list", "--json"].iter().chain(more)).await.json();
    let of = |listed: &Value| -> Vec<String> {
        listed.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };

    assert_eq!(of(&list(&["--kind", "test.rare"]).await), rare);
    assert_eq!(of(&list(&["--text", "TEST.RARE"]).await), rare);
    assert_eq!(of(&list(&["--kind", "test.rare", "--since", "1h"]).await), rare);
    assert_eq!(of(&list(&["--kind", "test.rare", "--until", "1h"]).await), Vec::<String>::new());
    let refused = brasa.run(["jobs", "list", "--since", "yesterday"]).await.with_code(2);
    assert!(refused.stderr.contains("write how long ago"), "{refused:?}");

    let refused = brasa.run(["jobs", "cancel", &rare[0], "--kind", "test.many"]).await.with_code(2);
    assert!(refused.stderr.contains("add --all"), "{refused:?}");
    let refused = brasa.run(["dead", "retry", &rare[0], "--since", "1h"]).await.with_code(2);
    assert!(refused.stderr.contains("add --all"), "{refused:?}");
    let refused = brasa.run(["dead", "delete", "--group", "g", "--since", "1h", "--yes"]).await.with_code(2);
    assert!(refused.stderr.contains("beside a group"), "{refused:?}");
    // A variable of the shell that is not set would choose all.
    let refused = brasa.run(["jobs", "cancel", "--all", "--text", "", "--yes"]).await.with_code(2);
    assert!(refused.stderr.contains("--text"), "{refused:?}");
    let said = brasa.run(["jobs", "cancel", "--all", "--text", "test.rare", "--yes"]).await.with_code(0);
    assert_eq!(said.stdout, format!("{} is cancelled\n", rare[0]));
}
