//! A database is looked after by the workers of one prefix: others would take what is meant for them.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use brasa_shared::db::{adopt, own, owner};
use brasa_tests::World;
use brasa_tests::process::{Brasa, within};
use std::time::Duration;

/// A program of another prefix in the same world.
fn stranger(world: &World) -> Brasa {
    let path = world.folder().join("stranger.toml");
    std::fs::write(&path, "[redis]\nprefix = \"stranger\"\n").unwrap();
    Brasa::in_world(world).env("BRASA_LISTEN", "off").env("BRASA_CONFIG", path)
}

#[tokio::test]
async fn workers_of_another_prefix_do_not_start_until_the_database_is_handed_over() {
    let world = World::new().await;
    let (ours, theirs) = (Brasa::configured(&world, ""), stranger(&world));
    drop(ours.run(["migrate"]).await.with_code(0));
    drop(ours.run(["worker", "--drain"]).await.with_code(0));

    for (verb, code) in [(&["worker", "--drain"][..], 1), (&["check"], 2), (&["doctor"], 1)] {
        let said = theirs.run(verb).await.with_code(code);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(
            all.contains(&format!("workers with the prefix `{}` look after this", world.prefix)),
            "{all}"
        );
        assert!(all.contains("brasa migrate --adopt"), "{all}");
    }
    // What needs no database of its own goes on.
    drop(theirs.run(["enqueue", "db.analyze"]).await.with_code(0));

    drop(theirs.run(["migrate", "--adopt"]).await.with_code(0));
    drop(theirs.run(["check"]).await.with_code(0));
    drop(ours.run(["worker", "--drain"]).await.with_code(1));
}

#[tokio::test]
async fn the_first_who_asks_has_a_database_and_nobody_before_its_migration() {
    let world = World::new().await;
    let mut connection = world.pool.acquire().await.unwrap();
    assert_eq!(own(&mut connection, "first").await.unwrap(), None);
    brasa_shared::db::migrate(&world.pool).await.unwrap();
    assert_eq!(owner(&mut connection).await.unwrap(), None);
    for prefix in ["first", "second"] {
        assert_eq!(own(&mut connection, prefix).await.unwrap().unwrap().prefix, "first");
    }
    adopt(&mut connection, "second").await.unwrap();
    assert_eq!(own(&mut connection, "first").await.unwrap().unwrap().prefix, "second");
}

#[tokio::test]
async fn a_running_worker_ends_once_its_database_is_handed_over() {
    let world = World::new().await;
    let (ours, theirs) = (Brasa::configured(&world, ""), stranger(&world));
    drop(ours.run(["migrate"]).await.with_code(0));
    let worker = ours.start(["worker"]);
    within(Duration::from_secs(30), "the worker looks after the database", async || {
        owner(&mut world.pool.acquire().await.unwrap()).await.unwrap()
    })
    .await;

    let said = theirs.run(["migrate", "--adopt"]).await.with_code(0);
    assert!(said.stdout.contains("those of another end within seconds"), "{}", said.stdout);
    drop(worker.ended(Duration::from_mins(1)).await.with_code(0));
}

#[tokio::test]
async fn a_role_that_may_take_what_is_noted_and_not_see_for_whom_is_refused() {
    let world = World::new().await;
    let ours = Brasa::configured(&world, "");
    drop(ours.run(["migrate"]).await.with_code(0));
    let role = world.prefix.replace('-', "_");
    world.execute(&format!("create role {role}; grant usage on schema brasa to {role}")).await;
    let mark = if world.database_url.contains('?') { '&' } else { '?' };
    let url = format!("{}{mark}options=-crole%3D{role}", world.database_url);
    let weak = Brasa::configured(&world, "").env("DATABASE_URL", url);

    for (verb, code) in [(&["worker", "--drain"][..], 1), (&["check"], 2), (&["doctor"], 1)] {
        let said = weak.run(verb).await.with_code(code);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(all.contains("grant select, insert on brasa.owner to ROLE"), "{verb:?}: {all}");
    }
    world.execute(&format!("drop owned by {role}; drop role {role}")).await;
}
