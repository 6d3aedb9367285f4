//! Statements that load values for the cache read, whatever they are written to do.

use std::fmt::Write as _;

use brasa_tests::process::{Brasa, Running};
use brasa_tests::{World, eventually};
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

/// What must not come of any of them.
const TRACES: &str = "select (select count(*) from pg_class where relname like 'escaped%')::int as tables,
    (select count(*) from victims)::int as victims, (select last_value from numbers)::int as number,
    (select count(*) from pg_largeobject_metadata)::int as objects,
    (select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database
      where datname = current_database()) and objid = 4711)::int as locks";

/// Ways out that are seen before anything runs, and what is said of them.
const SEEN: [(&str, &str); 15] = [
    ("copy (select 1) to program 'touch /tmp/brasa-escaped'", "it returns nothing"),
    ("select 1 as id, 2 as value; create table escaped (n int)", "cannot insert multiple commands"),
    ("commit; create table escaped (n int)", "cannot insert multiple commands"),
    (
        "select 1 as id, 2 as value) t) r on true; create table escaped (n int); --",
        "syntax error at or near \")\"",
    ),
    ("set transaction read write", "it returns nothing"),
    ("set statement_timeout = 0", "it returns nothing"),
    ("with gone as (delete from victims returning 1) select 1 as id, 2 as value from gone", "data-modifying"),
    ("select 1 as id, 2 as value into escaped", "it returns nothing"),
    ("create table escaped as select 1 as id, 2 as value", "it returns nothing"),
    ("do $$ begin create table escaped (n int); end $$", "it returns nothing"),
    ("insert into victims values (7) returning 1 as id, 2 as value", "syntax error at or near \"into\""),
    ("call raid()", "it returns nothing"),
    ("notify escaped, 'x'", "it returns nothing"),
    ("lock table victims in access exclusive mode", "it returns nothing"),
    ("explain analyze delete from victims", "returns no column `value`"),
];

/// Those that the database refuses as they run.
const STOPPED: [(&str, &str); 5] = [
    ("select 1 as id, set_config('transaction_read_only', 'off', false) as value", "read-write mode"),
    ("select 1 as id, nextval('numbers') as value", "cannot execute nextval() in a read-only transaction"),
    ("select 1 as id, mean() as value", "cannot execute DELETE in a read-only transaction"),
    ("select n as id, n as value from victims for update", "cannot execute SELECT FOR UPDATE in a read-only"),
    (
        "select 1 as id, query_to_xml('delete from victims returning n', true, true, '') as value",
        "DELETE is not allowed in a non-volatile function",
    ),
];

/// Those that run, and of which nothing is left: not even for whoever gets the connection next.
const UNDONE: [&str; 6] = [
    "select 1 as id, set_config('statement_timeout', '0', false) as value",
    "select 1 as id, set_config('search_path', 'escaped', false) as value",
    "select 1 as id, set_config('default_transaction_read_only', 'on', false) as value",
    "select 1 as id, hold() as value",
    "select 1 as id, pg_notify('escaped', 'x')::text as value",
    // From version 16 on the database refuses it.
    "select 1 as id, lo_from_bytea(0, 'x')::text as value",
];

/// Notes how the session is set.
const NOTE: &str = "insert into notes (text) select concat_ws(', ', current_setting('statement_timeout'),
    current_setting('search_path'), current_setting('default_transaction_read_only'),
    current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'))";

/// A configuration with a warmer for each statement: `way0`, `way1`, ...
fn warmers<'s>(world: &World, statements: impl IntoIterator<Item = &'s str>) -> String {
    let mut text = String::new();
    for (number, statement) in statements.into_iter().enumerate() {
        let key = format!("{}:way{number}:{{id}}", world.prefix);
        let sql = json!(statement);
        writeln!(text, "[warm.way{number}]\nsql = {sql}\nkey = \"{key}\"\nttl = \"1h\"\nwarm_on = []")
            .unwrap();
    }
    text
}

/// Runs a job that has one attempt; returns its id.
async fn enqueue(world: &World, kind: &str, args: Value) -> String {
    let mut job = world.job(kind, &args);
    job.attempts = Some(1);
    world.queue("default").enqueue(&job).await.unwrap();
    job.id
}

/// A worker, on a database that is ready for it.
async fn worker(brasa: &Brasa) -> Running {
    drop(brasa.run(["migrate"]).await.with_code(0));
    brasa.start(["worker"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_a_warmer_gets_out_in_none_of_the_known_ways() {
    let world = World::new().await;
    world
        .execute(
            "create table victims (n int primary key); insert into victims select generate_series(1, 5);
             create table notes (n serial primary key, text text);
             create sequence numbers; select nextval('numbers');
             create function mean() returns int language plpgsql as 'begin delete from victims; return 1; end';
             create function hold() returns text language sql as 'select pg_advisory_lock(4711)::text';
             create procedure raid() language plpgsql as 'begin delete from victims; commit; end'",
        )
        .await;
    let before = world.rows(TRACES).await;
    let mut listener = PgListener::connect_with(&world.pool).await.unwrap();
    listener.listen("escaped").await.unwrap();
    let refused = SEEN.into_iter().chain(STOPPED);
    let statements = refused.clone().map(|(statement, _)| statement).chain(UNDONE);
    // One connection, so that each job gets what the one before it has left.
    let text = format!(
        "[postgres]\npool = {{ max = 1, acquire_timeout = \"30s\" }}\n[worker]\nconcurrency = 1\n\
         [sql.note]\nsql = {}\n{}",
        json!(NOTE),
        warmers(&world, statements)
    );
    let brasa = Brasa::configured(&world, &text);
    let checked = brasa.run(["check"]).await.with_code(2);
    let checked = format!("{}{}", checked.stdout, checked.stderr);
    for (number, (escape, told)) in refused.clone().enumerate() {
        let line = checked.lines().find(|line| line.contains(&format!(" warm.way{number}.")));
        let is_seen = line.is_some_and(|line| line.contains(told));
        assert_eq!(is_seen, number < SEEN.len(), "{escape}: {line:?}");
    }
    assert_eq!(checked.lines().filter(|line| line.contains(" warm.way")).count(), SEEN.len(), "{checked}");

    // Nor does any get out where nobody checks.
    let running = worker(&brasa).await;
    let note = enqueue(&world, "sql.run", json!({ "name": "note" })).await;
    world.result(&note).await;
    for (number, (escape, told)) in refused.enumerate() {
        let id = enqueue(&world, "cache.warm", json!({ "name": format!("way{number}") })).await;
        let reason = world.buried(&id).await;
        assert!(reason.contains(told), "{escape}: {reason}");
        assert_eq!(world.rows(TRACES).await, before, "{escape}");
    }
    for (number, escape) in UNDONE.into_iter().enumerate() {
        let name = format!("way{}", SEEN.len() + STOPPED.len() + number);
        let id = enqueue(&world, "cache.warm", json!({ "name": name })).await;
        eventually("it has run", async || world.show(&id).await.outcome.is_some()).await;
        let reason = world.show(&id).await.outcome.unwrap().reason;
        let is_refused = reason.as_ref().is_some_and(|reason| reason.contains("read-only transaction"));
        assert!(is_refused || reason.is_none(), "{escape}: {reason:?}");
        let note = enqueue(&world, "sql.run", json!({ "name": "note" })).await;
        world.result(&note).await;
        let notes = "select count(*)::int as notes, count(distinct text)::int as kinds from notes";
        assert_eq!(world.rows(notes).await, json!([{ "notes": number + 2, "kinds": 1 }]), "{escape}");
        assert_eq!(world.rows(TRACES).await, before, "{escape}");
    }
    world.execute("notify escaped, 'the end'").await;
    assert_eq!(listener.recv().await.unwrap().payload(), "the end");
    assert!(!std::path::Path::new("/tmp/brasa-escaped").exists());
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_hides_one_of_the_database_is_not_called_for_what_brasa_asks() {
    let world = World::new().await;
    world
        .execute(
            "create schema shadow;
             create function shadow.to_json(int) returns json language sql as $$ select '\"shadow\"'::json $$;
             do $$ begin execute format('alter database %I set search_path = shadow, pg_catalog, public',
                 current_database()); end $$",
        )
        .await;
    let brasa = Brasa::configured(&world, &warmers(&world, ["select 1 as id, 7 as value"]));
    let _running = worker(&brasa).await;
    let id = enqueue(&world, "cache.warm", json!({ "name": "way0" })).await;
    world.result(&id).await;
    let mut get = redis::cmd("GET");
    get.arg(format!("{}:way0:1", world.prefix));
    assert_eq!(world.redis::<String>(&get).await, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_role_may_not_read_no_statement_of_a_warmer_reads() {
    let world = World::new().await;
    let role = format!("{}-reader", world.prefix);
    drop(Brasa::configured(&world, "").run(["migrate"]).await.with_code(0));
    world
        .execute(&format!(
            r#"create role "{role}" login password 'secret'; create table secrets (n int);
               grant usage on schema brasa to "{role}"; grant all on all tables in schema brasa to "{role}""#
        ))
        .await;
    let ways = [
        "select 1 as id, pg_read_file('/etc/passwd') as value",
        "select 1 as id, pg_ls_dir('/')::text as value",
        "select 1 as id, lo_export(1, '/tmp/brasa-escaped') as value",
        "select 1 as id, lo_import('/etc/passwd')::text as value",
        "select n as id, n as value from secrets",
    ];
    let (_, place) = world.database_url.split_once('@').unwrap();
    let brasa = Brasa::configured(&world, &warmers(&world, ways))
        .env("DATABASE_URL", format!("postgres://{role}:secret@{place}"));
    let running = brasa.start(["worker"]);
    for (number, way) in ways.into_iter().enumerate() {
        let id = enqueue(&world, "cache.warm", json!({ "name": format!("way{number}") })).await;
        let reason = world.buried(&id).await;
        assert!(reason.contains("permission denied for"), "{way}: {reason}");
    }
    assert!(!std::path::Path::new("/tmp/brasa-escaped").exists());
    drop(running);
    // Roles belong to the whole server, so they do not go with the database of the test.
    world.execute(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_anybody_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::of_queues();
    let path = world.write_config("[sql.one]\nsql = \"select 1\"\n");
    let brasa = Brasa::in_world(&world).env("BRASA_CONFIG", &path);
    drop(brasa.run(["check", "--offline"]).await.with_code(0));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
    for verb in [&["check", "--offline"][..], &["worker", "--drain"], &["scheduler"], &["web"]] {
        let said = brasa.run(verb).await.with_code(2);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(all.contains("anybody on this machine may write it") && all.contains("chmod o-w"), "{all}");
    }
    drop(brasa.env("BRASA_TRUST_CONFIG", "1").run(["check", "--offline"]).await.with_code(0));
}
