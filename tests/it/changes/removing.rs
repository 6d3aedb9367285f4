//! Taking triggers away.

use brasa_shared::db::changes::triggers::plan_removal;

use super::{FLIGHTS, LONG, NOTHING, Scene, TableState};

const TWO: [&str; 2] = ["airports", "flights(origin)"];

async fn two_tables() -> Scene {
    let mut scene = Scene::with(&format!("{FLIGHTS}; create table airports (code text)")).await;
    scene.install(&TWO).await.unwrap();
    scene.take_all().await;
    scene
}

#[tokio::test]
async fn nothing_is_left_of_what_is_removed() {
    let mut scene = two_tables().await;
    let left = "select (select count(*) from pg_trigger where not tgisinternal)::text || ' '
        || (select count(*) from pg_proc where proname ~ '^cache_' and prorettype = 'trigger'::regtype)";
    assert_eq!(scene.text(left).await, "8 8");

    let planned = plan_removal(&mut scene.app, None).await.unwrap();
    let removed = scene.remove(None).await.unwrap();

    assert_eq!(planned, removed);
    let mut tables: Vec<_> = removed.into_iter().flat_map(|removal| removal.tables).collect();
    tables.sort();
    assert_eq!(tables, ["public.airports", "public.flights"]);
    assert_eq!(scene.text(left).await, "0 0");
    assert_eq!(scene.logged_by("insert into flights values (1, 'MAD')").await, NOTHING);
    assert!(scene.remove(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_table_can_be_removed_and_the_others_keep_their_triggers() {
    let mut scene = two_tables().await;

    let removed = scene.remove(Some(&["flights"])).await.unwrap();

    assert_eq!(removed.len(), 1);
    let status = scene.status(&TWO).await;
    let all: Vec<_> = status.tables.iter().map(|table| &table.state).collect();
    assert_eq!(all, [&TableState::Installed, &TableState::Missing]);
    let error = scene.remove(Some(&["nowhere"])).await.unwrap_err();
    assert!(error.to_string().contains("there is no table `nowhere`"), "{error}");
}

#[tokio::test]
async fn the_plan_of_a_removal_is_a_text_that_does_the_same_when_run_by_hand() {
    let mut scene = two_tables().await;

    for removal in plan_removal(&mut scene.app, None).await.unwrap() {
        scene.run(&removal.sql(LONG)).await;
    }

    let status = scene.status(&[]).await;
    assert!(status.is_good(), "{status:?}");
}

#[tokio::test]
async fn what_nothing_depends_on_any_more_is_seen_and_removed_with_the_functions_of_tables_that_are_gone() {
    let mut scene = two_tables().await;

    scene.run("drop table airports").await;
    let status = scene.status(&[]).await;
    assert_eq!(status.leftover_tables, ["public.flights"]);
    assert_eq!(status.leftover_functions.len(), 4);
    assert!(!status.is_good());
    scene.remove(None).await.unwrap();

    assert!(scene.status(&[]).await.is_good());
}
