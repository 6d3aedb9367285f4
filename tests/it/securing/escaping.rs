//! Statements that load values for the cache read, whatever they are written to do.

use brasa_tests::World;
use brasa_tests::process::Brasa;
use serde_json::json;

/// What must not come of any of them.
const TRACES: &str = "select (select count(*) from pg_class where relname like 'escaped%')::int as tables,
    (select count(*) from victims)::int as victims, (select last_value from numbers)::int as number,
    (select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database
      where datname = current_database()) and objid = 4711)::int as locks";

/// Ways out of a statement that is to read and nothing else.
const ESCAPES: [&str; 16] = [
    "copy (select 1) to program 'touch /tmp/brasa-escaped'",
    "select 1 as id, 2 as value; create table escaped (n int)",
    "commit; create table escaped (n int)",
    "set transaction read write",
    "select 1 as id, set_config('transaction_read_only', 'off', false) as value",
    "with gone as (delete from victims returning 1) select 1 as id, 2 as value from gone",
    "select 1 as id, 2 as value into escaped",
    "create table escaped as select 1 as id, 2 as value",
    "select 1 as id, nextval('numbers') as value",
    "do $$ begin create table escaped (n int); end $$",
    "select 1 as id, mean() as value",
    "select n as id, n as value from victims for update",
    "insert into victims values (7) returning 1 as id, 2 as value",
    "select 1 as id, lo_from_bytea(0, 'x')::text as value",
    "select 1 as id, pg_advisory_lock(4711)::text as value",
    "call raid()",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_a_warmer_gets_out_in_none_of_the_known_ways() {
    let world = World::new().await;
    world
        .execute(
            "create table victims (n int primary key); insert into victims select generate_series(1, 5);
             create sequence numbers; select nextval('numbers');
             create function mean() returns int language plpgsql as 'begin delete from victims; return 1; end';
             create procedure raid() language plpgsql as 'begin delete from victims; commit; end'",
        )
        .await;
    drop(Brasa::configured(&world, "").run(["migrate"]).await.with_code(0));
    let before = world.rows(TRACES).await;
    let mut refused = 0;
    for escape in ESCAPES {
        let text = format!(
            "[warm.way]\nfor_each = {{ sql = \"select 1 as id\", params = [\"id int\"] }}\nsql = {}\nkey = \"way:{{id}}\"\n\
             ttl = \"1h\"\n",
            json!(escape)
        );
        let brasa = Brasa::configured(&world, &text);
        refused += usize::from(brasa.run(["check"]).await.code != Some(0));
        // Nor does it get out where nobody checks.
        let _enqueued = brasa.run(["cache", "warm", "way"]).await;
        let _drained = brasa.run(["worker", "--drain"]).await;
        assert_eq!(world.rows(TRACES).await, before, "{escape}");
        assert!(!std::path::Path::new("/tmp/brasa-escaped").exists(), "{escape}");
    }
    assert!(refused >= 10, "{refused}");
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
