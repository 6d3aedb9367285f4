//! `brasa migrate`, on an empty database and again.

use brasa_shared::db::{migrate, ping};
use brasa_tests::World;
use sqlx::{AssertSqlSafe, PgPool};

async fn count(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn an_empty_database_is_brought_up_to_date() {
    let world = World::new().await;
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")).unwrap();
    let files = files
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "sql"));

    assert_eq!(migrate(&world.pool).await.unwrap(), files.count());

    assert_eq!(count(&world.pool, "select count(*) from pg_namespace where nspname = 'brasa'").await, 1);
}

#[tokio::test]
async fn a_database_that_is_up_to_date_is_left_as_it_is() {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();

    assert_eq!(migrate(&world.pool).await.unwrap(), 0);
}

#[tokio::test]
async fn nothing_is_made_outside_our_own_schema() {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();

    let outside = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                   where n.nspname not in ('brasa', 'information_schema') and n.nspname !~ '^pg_'";
    assert_eq!(count(&world.pool, outside).await, 0);
    assert_eq!(count(&world.pool, "select count(*) from brasa._sqlx_migrations where not success").await, 0);
}

#[tokio::test]
async fn two_who_migrate_at_once_do_it_once() {
    let world = World::new().await;

    let (one, two) = tokio::join!(migrate(&world.pool), migrate(&world.pool));

    one.unwrap();
    two.unwrap();
    let twice = "select count(*) - count(distinct version) from brasa._sqlx_migrations";
    assert_eq!(count(&world.pool, twice).await, 0);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_by_its_address_without_the_password() {
    let world = World::of_queues();

    let error = ping(&world.pool).await.unwrap_err();

    let said = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(said.contains(&world.prefix) && said.contains("does not exist"), "{said}");
    let password = world.database_url.split(':').nth(2).unwrap().split('@').next().unwrap();
    assert!(!said.contains(password));
}
