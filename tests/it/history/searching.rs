//! People look for what became of jobs.

use std::time::Duration;

use brasa_jobs::history::{Book, Search, find, search};
use brasa_shared::queue::{Ended, Ending};
use brasa_tests::World;
use brasa_tests::process::Brasa;
use jiff::{Timestamp, ToSpan as _};

use super::keeping::ended;
use super::scene;

/// Jobs of two queues, by age in hours.
async fn filled(world: &World) -> Timestamp {
    let now = world.clock.now();
    let ago = |hours: i64| now.checked_sub(hours.hours()).unwrap();
    let mut book = Book::keeping(Duration::from_hours(30 * 24));
    let mut connection = world.pool.acquire().await.unwrap();
    let dead = Ended {
        ending: Ending::Dead,
        reason: Some("could not open 100% of `a_b`: No such thing".to_owned()),
        ..ended("dead", ago(1))
    };
    let again = Ended { ended_ms: ago(0).as_millisecond(), ..ended("dead", ago(0)) };
    let old = Ended {
        kind: "test.old".to_owned(),
        reason: Some("no such THING, too".to_owned()),
        ..ended("old", ago(240))
    };
    book.write(&mut connection, "default", &[ended("one", ago(2)), dead, again, old], now).await.unwrap();
    let slow = Ended { ending: Ending::Expired, result: Some("[1]".to_owned()), ..ended("slow", ago(3)) };
    book.write(&mut connection, "slow", &[slow], now).await.unwrap();
    now
}

async fn found(world: &World, wanted: Search) -> Vec<String> {
    let limit = if wanted.limit == 0 { 100 } else { wanted.limit };
    let found =
        search(&world.pool, &Search { limit, ..wanted }.within_reason(world.clock.now())).await.unwrap();
    found.into_iter().map(|past| format!("{} {}", past.id, past.ending)).collect()
}

#[tokio::test]
async fn each_filter_finds_what_it_is_about_the_latest_first() {
    let world = scene().await;
    let now = filled(&world).await;
    let any = Search::default;
    let text = |text: &str| Some(text.to_owned());
    let ago = |hours: i64| now.checked_sub(hours.hours()).ok();

    let all = ["dead done", "dead dead", "one done", "slow expired", "old done"];
    assert_eq!(found(&world, any()).await, all);
    assert_eq!(found(&world, Search { limit: 2, ..any() }).await, all[..2]);
    assert_eq!(found(&world, Search { queue: text("slow"), ..any() }).await, all[3..4]);
    assert_eq!(found(&world, Search { kind: text("test.old"), ..any() }).await, all[4..]);
    assert_eq!(found(&world, Search { ending: Some(Ending::Dead), ..any() }).await, all[1..2]);
    assert_eq!(found(&world, Search { id: text("dead"), ..any() }).await, all[..2]);
    assert_eq!(found(&world, Search { since: ago(2), until: ago(1), ..any() }).await, all[1..3]);
    // A text in reasons: of the last week, unless a time is given; and what stands for others stands for itself.
    assert_eq!(found(&world, Search { text: text("SUCH thing"), ..any() }).await, all[1..2]);
    let longer = Search { text: text("such thing"), since: ago(1_000), ..any() };
    assert_eq!(found(&world, longer).await, ["dead dead", "old done"]);
    assert_eq!(found(&world, Search { text: text("100% of `a_b`"), ..any() }).await, all[1..2]);
    assert_eq!(found(&world, Search { text: text("o_en"), ..any() }).await, Vec::<String>::new());
    assert_eq!(
        found(&world, Search { queue: text("slow"), kind: text("test.old"), ..any() }).await,
        Vec::<String>::new()
    );

    let ends = find(&world.pool, "dead").await.unwrap();
    assert_eq!(ends.iter().map(|past| past.ending.as_str()).collect::<Vec<_>>(), ["done", "dead"]);
}

#[tokio::test]
async fn the_command_line_lists_them_and_shows_those_that_redis_no_longer_knows() {
    let world = scene().await;
    filled(&world).await;
    let brasa = Brasa::configured(&world, "");
    let list = async |args: &[&str]| {
        let all = [&["jobs", "list", "--history", "--json"], args].concat();
        let found = brasa.run(&all).await.json();
        found
            .as_array()
            .unwrap()
            .iter()
            .map(|past| past["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&["--limit", "1"]).await, ["dead"]);
    assert_eq!(list(&["--ending", "expired"]).await, ["slow"]);
    assert_eq!(list(&["--since", "150m", "--until", "30m"]).await, ["dead", "one"]);
    assert_eq!(list(&["--text", "such thing", "--queue", "default"]).await, ["dead"]);
    assert_eq!(list(&["--kind", "test.old", "--until", "2100-01-01T00:00:00Z"]).await, ["old"]);
    let table = brasa.run(["jobs", "list", "--history"]).await.with_code(0).stdout;
    assert!(table.contains("ENDING") && table.contains("could not open 100%"), "{table}");
    let _ended = brasa.run(["jobs", "list", "--ending", "dead"]).await.with_code(2);

    let shown = brasa.run(["jobs", "show", "slow", "--json"]).await.json();
    assert_eq!((&shown["ending"], &shown["result"][0]), (&"expired".into(), &1.into()));
    let shown = brasa.run(["jobs", "show", "dead"]).await.with_code(0).stdout;
    assert!(shown.contains("done (of the history") && shown.contains("before"), "{shown}");
    let why = brasa.run(["jobs", "why", "slow"]).await.with_code(0).stdout;
    assert!(why.contains("it ended") && why.contains("expired"), "{why}");
    for verb in ["show", "why"] {
        let unknown = brasa.run(["jobs", verb, "nobody"]).await.with_code(1);
        assert!(unknown.stderr.contains("[history]"), "{unknown:?}");
    }
}
