//! For how long it is kept.

use std::time::Duration;

use brasa_jobs::history::{Book, Written};
use brasa_shared::queue::{Ended, Ending};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use super::{rows, scene};

const DAY: Duration = Duration::from_hours(24);

pub(super) fn ended(id: &str, at: Timestamp) -> Ended {
    Ended {
        id: id.to_owned(),
        kind: "test.echo".to_owned(),
        ending: Ending::Done,
        enqueued_ms: at.as_millisecond() - 20,
        started_ms: at.as_millisecond() - 10,
        ended_ms: at.as_millisecond(),
        took_ms: 10,
        attempt: 1,
        worker: "me".to_owned(),
        schedule: None,
        share: None,
        reason: None,
        result: None,
        args: None,
        trace: None,
    }
}

#[tokio::test]
async fn parts_are_made_as_they_are_needed_and_dropped_when_they_are_older_than_is_kept() {
    let world = scene().await;
    let mut connection = world.pool.acquire().await.unwrap();
    let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
    let mut book = Book::keeping(7 * DAY);
    let days = [0, 1, 6, 7, 8].map(|days| now.checked_sub((24 * days).hours()).unwrap());
    let past: Vec<Ended> = days.iter().enumerate().map(|(n, at)| ended(&format!("j{n}"), *at)).collect();
    let future = ended("later", now.checked_add(120.hours()).unwrap());
    let all: Vec<Ended> = past.iter().cloned().chain([future]).collect();

    let written = book.write(&mut connection, "default", &all, now).await.unwrap();
    assert_eq!(written, Written { rows: 4, refused: 0, untimely: 2 });
    let again = book.write(&mut connection, "default", &all, now).await.unwrap();
    assert_eq!((again.rows, rows(&world).await), (0, 4));

    // Another one, four days later.
    let later = now.checked_add(96.hours()).unwrap();
    Book::keeping(7 * DAY).tend(&mut connection, later).await.unwrap();
    assert_eq!(
        world.rows("select id from brasa.history order by id").await,
        json!([{ "id": "j0" }, { "id": "j1" }])
    );
}

#[tokio::test]
async fn a_part_that_somebody_dropped_meanwhile_is_made_again() {
    let world = scene().await;
    let mut connection = world.pool.acquire().await.unwrap();
    let now = world.clock.now();
    let mut book = Book::keeping(7 * DAY);
    book.write(&mut connection, "default", &[ended("a", now)], now).await.unwrap();
    let part: String = sqlx::query_scalar("select tableoid::regclass::text from brasa.history")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    world.execute(&format!("drop table {part}")).await;

    book.write(&mut connection, "default", &[ended("b", now)], now).await.unwrap_err();
    let written = book.write(&mut connection, "default", &[ended("b", now)], now).await.unwrap();
    assert_eq!((written.rows, written.refused), (1, 0));
}
