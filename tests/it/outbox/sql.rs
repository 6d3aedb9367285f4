//! What `brasa.enqueue` takes, refuses, and lets whom do.

use brasa_tests::World;
use sqlx::{AssertSqlSafe, PgPool, Row as _};

use super::{Scene, count};

/// The SQLSTATE, the message and the hint with which this is refused.
async fn refused(pool: &PgPool, call: &str) -> (String, String, String) {
    let error = sqlx::query(AssertSqlSafe(format!("select {call}"))).execute(pool).await.unwrap_err();
    let error = error.into_database_error().unwrap();
    let code = error.code().unwrap().into_owned();
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    (code, error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_can_never_become_a_job_is_refused_with_what_to_write_instead() {
    let Scene { world, .. } = Scene::new().await;

    for (call, message, hint) in [
        ("brasa.enqueue('Upper')", "`Upper` cannot be a kind", "a-z, 0-9"),
        ("brasa.enqueue(E'a\\n')", "cannot be a kind", "a-z, 0-9"),
        ("brasa.enqueue(repeat('a', 65))", "cannot be a kind", "1 to 64"),
        ("brasa.enqueue(null)", "cannot be a kind", "a-z, 0-9"),
        ("brasa.enqueue('a', queue => 'a b')", "`a b` cannot be a queue", "a-z, 0-9"),
        ("brasa.enqueue('a', '[1]')", "args must be a JSON object, it is array", "{\"name\": value}"),
        ("brasa.enqueue('a', null)", "args must be a JSON object, it is missing", "leave it out"),
        ("brasa.enqueue('a', jsonb_build_object('t', repeat('x', 262144)))", "262153 bytes", "pass its key"),
        ("brasa.enqueue('a', id => 'a b')", "`a b` cannot be an id", "without spaces"),
        ("brasa.enqueue('a', id => '')", "cannot be an id", "without spaces"),
        ("brasa.enqueue('a', id => 'ñ')", "cannot be an id", "ASCII"),
        ("brasa.enqueue('a', id => repeat('x', 129))", "cannot be an id", "1 to 128"),
        ("brasa.enqueue('a', unique_key => 'a b')", "`a b` cannot be a unique_key", "without spaces"),
        ("brasa.enqueue('a', priority => 10)", "10 cannot be a priority", "0 to 9"),
        ("brasa.enqueue('a', priority => null)", "null cannot be a priority", "0 to 9"),
        ("brasa.enqueue('a', kv => 0)", "0 cannot be a kv", "count from 1"),
        ("brasa.enqueue('a', run_at => 'infinity')", "infinity cannot be a run_at", "between the years"),
    ] {
        let (code, said, help) = refused(&world.pool, call).await;
        assert_eq!(code, "22023", "{call}: {said}");
        assert!(said.starts_with("brasa.enqueue: ") && said.contains(message), "{call}: {said}");
        assert!(help.contains(hint), "{call}: {help}");
    }
    assert_eq!(count(&world.pool, "select count(*) from brasa.outbox").await, 0);
}

#[tokio::test]
async fn everything_that_a_job_may_have_is_put_into_its_row() {
    let Scene { world, .. } = Scene::new().await;

    let call = "select brasa.enqueue('a.b-c_1', '{\"n\": 1}', queue => 'low', run_at => '2030-01-01Z',
                                     unique_key => '~!', priority => 9, id => 'order-1', kv => 2)";
    let id: String = sqlx::query_scalar(call).fetch_one(&world.pool).await.unwrap();

    assert_eq!(id, "order-1");
    let row =
        "select kind, args::text, queue, run_at = '2030-01-01Z', unique_key, priority, kv, pushed_at is null
               from brasa.outbox where id = 'order-1'";
    let row = sqlx::query(row).fetch_one(&world.pool).await.unwrap();
    let texts: Vec<String> = [0, 1, 2, 4].into_iter().map(|place: usize| row.get(place)).collect();
    assert_eq!(texts, ["a.b-c_1", r#"{"n": 1}"#, "low", "~!"]);
    assert_eq!((row.get::<i16, _>(5), row.get::<i32, _>(6)), (9, 2));
    assert!(row.get::<bool, _>(3) && row.get::<bool, _>(7));
}

#[tokio::test]
async fn ids_that_are_made_are_uuids_in_the_order_of_time() {
    let Scene { world, .. } = Scene::new().await;
    let make = async || -> String {
        sqlx::query_scalar("select brasa.enqueue('a')").fetch_one(&world.pool).await.unwrap()
    };

    let first = make().await;
    let later = "select pg_sleep(0.002)";
    sqlx::query(later).execute(&world.pool).await.unwrap();
    let second = make().await;

    assert!(first < second, "{first} {second}");
    for id in [first, second] {
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id}");
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
    }
}

#[tokio::test]
async fn an_id_that_is_in_the_outbox_is_given_back_and_nothing_is_changed() {
    let Scene { world, .. } = Scene::new().await;
    let call = "select brasa.enqueue('first', id => 'order-1'), brasa.enqueue('second', id => 'order-1')";

    let row = sqlx::query(call).fetch_one(&world.pool).await.unwrap();

    assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(1)), ("order-1", "order-1"));
    assert_eq!(count(&world.pool, "select count(*) from brasa.outbox where kind = 'first'").await, 1);
    assert_eq!(count(&world.pool, "select count(*) from brasa.outbox").await, 1);
}

/// A role that may do what these grants say, until the transaction ends; then there is no such role.
async fn as_a_role(world: &World, grants: &[&str], call: &str) -> Result<(), sqlx::Error> {
    let role = format!("\"{}-role\"", world.prefix);
    let mut transaction = world.pool.begin().await.unwrap();
    let say = async |transaction: &mut sqlx::PgConnection, sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(transaction).await.map(drop)
    };
    say(&mut transaction, format!("create role {role}")).await.unwrap();
    for grant in grants {
        say(&mut transaction, format!("grant {grant} to {role}")).await.unwrap();
    }
    say(&mut transaction, format!("set local role {role}")).await.unwrap();
    say(&mut transaction, call.to_owned()).await
}

const USAGE: &str = "usage on schema brasa";
const EXECUTE: &str = "execute on function brasa.enqueue";

#[tokio::test]
async fn a_role_that_may_execute_the_function_can_enqueue_and_nothing_else() {
    let Scene { world, .. } = Scene::new().await;

    as_a_role(&world, &[USAGE, EXECUTE], "select brasa.enqueue('a')").await.unwrap();
    for forbidden in
        ["select * from brasa.outbox", "delete from brasa.outbox", "select * from brasa.outbox_turn"]
    {
        let error = as_a_role(&world, &[USAGE, EXECUTE], forbidden).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{forbidden}: {error}");
    }
}

#[tokio::test]
async fn a_role_that_was_granted_nothing_cannot_enqueue() {
    let Scene { world, .. } = Scene::new().await;

    let error = as_a_role(&world, &[USAGE], "select brasa.enqueue('a')").await.unwrap_err();

    assert!(error.to_string().contains("permission denied for function enqueue"), "{error}");
}

#[tokio::test]
async fn a_table_of_the_same_name_in_the_callers_schema_is_not_taken_for_ours() {
    let Scene { world, .. } = Scene::new().await;
    let mut connection = world.pool.acquire().await.unwrap();
    for sql in ["create temporary table outbox (id text)", "set search_path = pg_temp, public"] {
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
    }

    sqlx::query("select brasa.enqueue('a')").execute(&mut *connection).await.unwrap();

    assert_eq!(count(&world.pool, "select count(*) from brasa.outbox").await, 1);
}
