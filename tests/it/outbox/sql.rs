//! What `brasa.enqueue` takes, refuses, and lets whom do.

use brasa_tests::{World, eventually};
use sqlx::{AssertSqlSafe, PgPool, Row as _};

use super::{BUSY, Scene, count};

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
        ("brasa.enqueue('a', traceparent => '')", "`` cannot be a traceparent", "as in 00-"),
        (
            "brasa.enqueue('a', traceparent => repeat('0', 1000000))",
            "cannot be a traceparent",
            "leave it out",
        ),
        (
            "brasa.enqueue('a', traceparent => '00-00000000000000000000000000000000-00f067aa0ba902b7-01')",
            "cannot be a traceparent",
            "leave it out",
        ),
        (
            "brasa.enqueue('a', traceparent => '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01')",
            "cannot be a traceparent",
            "leave it out",
        ),
        (
            "brasa.enqueue('a', traceparent => '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01*/')",
            "cannot be a traceparent",
            "leave it out",
        ),
        (
            "brasa.enqueue('a', traceparent => '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x')",
            "cannot be a traceparent",
            "leave it out",
        ),
        (
            "brasa.enqueue('a', traceparent => E'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\\r\\nx: y')",
            "cannot be a traceparent",
            "leave it out",
        ),
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

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_of_a_traceparent_says_more_is_left_out() {
    let scene = Scene::new().await;
    let place = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (id, given) in [("now", format!("00-{place}")), ("later", format!("01-{place}-*/ more"))] {
        let query = sqlx::query("select brasa.enqueue('test.echo', id => $1, traceparent => $2)");
        query.bind(id).bind(given).execute(scene.pool()).await.unwrap();
    }
    let _untraced: String =
        sqlx::query_scalar("select brasa.enqueue('test.echo', '{}', 'default', null, null, 0, 'none', 1)")
            .fetch_one(scene.pool())
            .await
            .unwrap();
    let worker = scene.relay(BUSY);
    for (id, expected) in
        [("now", Some(format!("00-{place}"))), ("later", Some(format!("00-{place}"))), ("none", None)]
    {
        eventually("it is in Redis", async || scene.queue.envelope(id).await.is_ok_and(|job| job.is_some()))
            .await;
        assert_eq!(scene.queue.envelope(id).await.unwrap().unwrap().unwrap().trace, expected, "{id}");
    }
    let _tally = worker.drain().await;
}

/// The function as the release before had it.
fn as_before() -> &'static str {
    let text = include_str!("../../../migrations/0002_create_outbox.sql");
    &text[text.find("create function brasa.enqueue(").unwrap()..]
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_grants_and_rows_of_the_release_before_go_on() {
    let scene = Scene::new().await;
    let name = format!("{}-web", scene.world.prefix);
    let role = format!("\"{name}\"");
    let say = async |sql: &str| {
        let said = sqlx::raw_sql(AssertSqlSafe(sql)).execute(scene.pool()).await;
        said.unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    say("drop function brasa.enqueue; alter table brasa.outbox drop column traceparent;
         delete from brasa._sqlx_migrations where version >= 13")
    .await;
    say(as_before()).await;
    say(&format!("create role {role}; grant execute on function brasa.enqueue to {role} with grant option"))
        .await;
    // Workers of this release are there before it is migrated.
    say("select brasa.enqueue('test.echo', id => 'before')").await;
    let worker = scene.relay(BUSY);
    eventually("it is in Redis", async || {
        scene.queue.envelope("before").await.is_ok_and(|job| job.is_some())
    })
    .await;

    let ran = brasa_shared::db::migrate(scene.pool()).await.unwrap();

    assert!(ran >= 1);
    say("select brasa.enqueue('test.echo', '{}', 'default', null, null, 0, 'after', 1)").await;
    eventually("it is in Redis", async || scene.queue.envelope("after").await.is_ok_and(|job| job.is_some()))
        .await;
    let rights = format!(
        "select has_function_privilege('{name}', p.oid, 'execute with grant option')::int
            + 2 * (exists (select from aclexplode(p.proacl) a where a.grantee = 0))::int
         from pg_proc p where p.pronamespace = 'brasa'::regnamespace and p.proname = 'enqueue'"
    );
    let rights: Vec<i32> = sqlx::query_scalar(AssertSqlSafe(rights)).fetch_all(scene.pool()).await.unwrap();
    say(&format!("drop owned by {role}; drop role {role}")).await;
    assert_eq!(rights, [1], "one function, for that role and not for everybody");
    let _tally = worker.drain().await;
}
