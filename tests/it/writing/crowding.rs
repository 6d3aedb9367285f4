//! Many rows at once, whatever they have in them and wherever they go.

use brasa_shared::streams::{Room, Streams};
use brasa_tests::World;
use serde_json::json;

use super::{CONFIG, add, buried, done, scene, start, streams};

/// More than one batch has at first.
const ROWS: i64 = 1_500;

async fn add_all(world: &World, row: impl Fn(i64) -> String) {
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    let room = Room { entries: 10_000, drops_oldest: false };
    let streams: Streams = streams(world);
    for rows in rows.chunks(500) {
        let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
        streams.add("visits", 0, &rows, room).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_text_has_in_it_arrives_as_it_was() {
    let world = scene().await;
    let notes = ["\\N", "\\.", "", "a\tb\nc\rd\\", "\\t", "NULL", "\"'{}", "é🦀\u{8}\u{b}", "\n"];
    add_all(&world, |id| {
        let place = usize::try_from(id).unwrap() % (notes.len() + 1);
        let note = notes.get(place);
        json!({
            "id": id, "page": "/", "took": 12.34, "note": note, "more": { "note": note }, "tags": [note, "x"],
        })
        .to_string()
    })
    .await;
    let worker = start(&world, CONFIG);
    done(&world, "visits", ROWS).await;

    assert_eq!(buried(&world, "visits").await, []);
    let found = world
        .rows(
            "select note, count(*) as n, count(*) filter (where more ->> 'note' is not distinct from note
                and tags is not distinct from array[note, 'x'] and took = 12.3 and at is not null) as whole
            from visits group by note order by min(id)",
        )
        .await;
    let each = ROWS / 10;
    let wanted = notes.iter().map(|note| json!({ "note": note, "n": each, "whole": each }));
    let wanted: Vec<_> = wanted.chain([json!({ "note": null, "n": each, "whole": each })]).collect();
    assert_eq!(found, json!(wanted));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_written_is_found_among_very_many() {
    let world = scene().await;
    add_all(&world, |id| {
        let page = if id % 700 == 650 { "longer than twenty characters" } else { "/" };
        format!(r#"{{"id": {id}, "page": "{page}"}}"#)
    })
    .await;
    let worker = start(&world, CONFIG);
    done(&world, "visits", ROWS).await;

    assert_eq!(world.rows("select count(*) as n from visits").await, json!([{ "n": ROWS - 2 }]));
    let dead = buried(&world, "visits").await;
    let found: Vec<_> = dead.iter().map(|dead| dead.buried.sqlstate.as_deref()).collect();
    assert_eq!(found, [Some("22001"); 2], "{dead:?}");
    // The connection is as good as before.
    add(&world, "visits", r#"{"id": 9000, "page": "/"}"#).await;
    done(&world, "visits", ROWS + 1).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_table_sees_every_row() {
    let world = scene().await;
    world
        .execute(
            "create table seen (id int);
         create rule also as on insert to visits do also insert into seen values (new.id)",
        )
        .await;
    add_all(&world, |id| format!(r#"{{"id": {id}, "page": "/"}}"#)).await;
    let worker = start(&world, CONFIG);
    done(&world, "visits", ROWS).await;

    assert_eq!(world.rows("select count(*) as n from seen").await, json!([{ "n": ROWS }]));
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_go_through_a_view_into_their_table() {
    let world = scene().await;
    world
        .execute("alter table visits rename to kept; create view visits as select id, page, note from kept")
        .await;
    add_all(&world, |id| format!(r#"{{"id": {id}, "page": "/"}}"#)).await;
    let worker = start(&world, CONFIG);
    done(&world, "visits", ROWS).await;

    assert_eq!(buried(&world, "visits").await, []);
    assert_eq!(world.rows("select count(*) as n from kept").await, json!([{ "n": ROWS }]));
    worker.drain().await;
}
