//! The page of the cache.

use brasa_shared::cache::Caches;
use brasa_shared::queue::State;

use super::{Dashboard, has, part};

const TABLES: &str = "create table things (id int primary key, name text not null);
    insert into things select n, 'thing ' || n from generate_series(1, 50) n";

const CONFIG: &str = r#"
[warm.thing]
sql = "select id, jsonb_build_object('name', name) as value from things where id = any($1)"
for_each = { sql = "select id from things", params = ["id"] }
key = "KEY:thing:{id}"
ttl = "10m"
refresh_ahead = "1m"
warm_on = []
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_is_shown_with_what_it_holds_and_how_it_serves() {
    let dashboard = Dashboard::open(TABLES, CONFIG).await;
    let page = dashboard.page("viewer", "/cache").await;
    has(
        part(&page, "warmer-thing"),
        &["No worker has told of this definition yet", "No read of it was counted yet"],
    );
    has(&page, &["There is no epoch", "Attended by nobody"]);

    let _worker = dashboard.brasa.start(["worker"]);
    let _warmed = dashboard.brasa.run(["cache", "warm", "thing", "--wait=20s"]).await.with_code(0);
    let world = &dashboard.world;
    let caches = Caches::new(world.store.clone(), &world.prefix, world.clock.clone());
    let counters = [("read_fresh", 30), ("read_cold", 6), ("read_expired", 4)];
    let counters = counters.map(|(name, by)| (name.to_owned(), by));
    caches.namespace("thing").count(&counters, &[]).await.unwrap();

    let page = dashboard.page("viewer", "/cache").await;
    let card = part(&page, "warmer-thing");
    has(
        card,
        &[
            "<dt>Kept warm</dt><dd>50</dd>",
            "75.0 % since they are counted",
            "Missed: cold",
            "60.0 % of the misses",
        ],
    );
    has(card, &["from a sample of 50", "<dt>Next refresh</dt><dd>in ", "in the middle to load one"]);
    has(&page, &["Attended by "]);
    assert!(!card.contains("Warm it now"), "a viewer cannot act: {card}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_is_warmed_and_invalidated_by_operators() {
    let dashboard = Dashboard::open(TABLES, CONFIG).await;
    dashboard.refuses_viewers(&["/cache/thing/warm", "/cache/thing/invalidate"]).await;
    has(
        &dashboard.page("operator", "/cache").await,
        &["Warm it now", "Invalidate all of it", "data-ask=\"Make all 0"],
    );

    let location = dashboard.act("operator", "/cache/thing/warm", "").await;
    let id = location.strip_prefix("/jobs/default/").expect(&location);
    let job = dashboard.world.show(id).await;
    assert_eq!((job.kind.as_str(), &job.args["name"]), ("cache.warm", &"thing".into()));
    let _worker = dashboard.brasa.start(["worker"]);
    dashboard.world.is(id, State::Done).await;
    let there = dashboard.brasa.run(["cache", "get", "thing", "7", "--json"]).await.with_code(0).json();
    assert_eq!(there["standing"], "fresh");

    assert_eq!(dashboard.act("operator", "/cache/thing/invalidate", "").await, "/cache");
    let changed = dashboard.brasa.run(["cache", "why", "thing", "7", "--json"]).await.json_anyway();
    assert!(changed.to_string().contains("~warmer:thing"), "{changed}");

    let absent = dashboard.send("operator", "/cache/nothing/warm", "").await;
    assert!(absent.status == 404 && absent.body.contains("there are: thing"), "{absent:?}");
    dashboard
        .has_noted(&[("operator", "cache.warm", "thing"), ("operator", "cache.invalidate", "thing")])
        .await;
    let noted =
        dashboard.world.rows("select detail from brasa.audit where action = 'cache.invalidate'").await;
    assert_eq!(noted[0]["detail"]["values"], 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_their_section_say_what_to_write() {
    let dashboard = Dashboard::open("select 1", "").await;
    for (path, section) in
        [("/cache", "[warm.NAME]"), ("/aggregates", "[aggregates.NAME]"), ("/writes", "[writes.NAME]")]
    {
        has(&dashboard.page("viewer", path).await, &["class=\"nothing\"", section]);
    }
}
