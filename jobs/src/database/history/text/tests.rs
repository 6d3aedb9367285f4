//! What may be kept of statements, and what not.

use super::*;

fn kept(text: &str) -> String {
    read_text(text).text
}

#[test]
fn literals_and_comments_are_gone_and_names_stay() {
    assert_eq!(
        kept(
            "select  a1, \"b 2\" -- it's 5\nfrom t where x = 'it''s' and y=$1 /* a /* b */ 'c' */ and z > -1.5e3"
        ),
        "select a1, \"b 2\" from t where x = ? and y=$1 and z > -?"
    );
    assert_eq!(kept("do $body$ begin perform 'x'; end $body$"), "do ?");
    assert_eq!(kept("select E'a\\'b', U&'c', x'ff', 0x1F, $$d$$, e, t$1"), "select ?, ?, ?, ?, ?, e, t$1");
    assert_eq!(kept("select 'it never ends"), "select ?");
    assert_eq!(kept("select ä 'ü'"), "select ä ?");
    assert_eq!(kept(&format!("select {}", "ä".repeat(5_000))).len(), 4_095);
}

#[test]
fn what_may_hold_a_secret_is_named_by_its_kind_only() {
    for text in [
        "create role bob login password 'hunter2'",
        "ALTER USER bob WITH ENCRYPTED PASSWORD 'hunter2'",
        "/* x */ create user mapping for bob server s options (user 'hunter2')",
        "create server s foreign data wrapper w options (host 'hunter2')",
        "create subscription s connection 'host=a password=hunter2' publication p",
        "set app.jwt_secret = hunter2",
        "do 'hunter2 \\' password hunter2'",
        "insert into t values ('\\'), ('hunter2')",
    ] {
        let read = read_text(text);
        assert!(!read.text.contains("hunter2") && read.text.contains("not kept"), "{read:?}");
    }
    assert_eq!(kept("set work_mem to hunter2"), "set work_mem to");
    for (text, left) in [
        ("alter function f() set app.key = hunter2", "alter function f() set app.key ="),
        ("alter routine f(int) set \"app\".key to \"hunter2\"", "alter routine f(int) set \"app\".key to"),
        (
            "create or replace function f() returns int language sql set app.key = hunter2 as 'select 1'",
            "create or replace function f() returns int language sql set app.key =",
        ),
        (
            "create procedure p() set search_path = a set app.key to hunter2",
            "create procedure p() set search_path =",
        ),
        ("set local app.key = \"hunter2\"", "set local app.key ="),
        ("set session app.key to a, hunter2", "set session app.key to"),
        ("listen \"hunter2\"", "listen"),
        ("notify hunter2, 'hunter2'", "notify"),
        ("UNLISTEN hunter2", "UNLISTEN"),
    ] {
        assert_eq!(kept(text), left);
    }
    let alters = ["hunter2", "hunter3"].map(|secret| {
        ["alter system set app.key = ", "alter role bob set app.key to ", "alter database d set app.key = "]
            .map(|text| read_text(&format!("{text}{secret}")))
    });
    assert_eq!(alters[0], alters[1], "neither in the text nor in the hash");
    assert!(alters[0].iter().all(|read| read.text.contains("not kept")), "{alters:?}");
    assert_eq!(kept("update t set a = b where c = $1"), "update t set a = b where c = $1");
    assert_eq!(kept("alter table t set (fillfactor = 70)"), "alter table t set (fillfactor = ?)");
    assert_eq!(
        kept("select password_hash from users where id = $1"),
        "select password_hash from users where id = $1"
    );
    let twice =
        ["create role a password 'x'", "create role a password 'y'"].map(|text| read_text(text).fingerprint);
    assert_eq!(twice[0], twice[1], "and the secret is not in the hash");
}

#[test]
fn a_fingerprint_is_of_what_stays_the_same() {
    let of = |text: &str| read_text(text).fingerprint;
    assert_eq!(of("select * from t where a = 1"), of("select *\n from t -- why\n where a = $1"));
    assert_eq!(of("select 'x'"), of("select /* y */ E'\\''"));
    assert_ne!(of("select a from t"), of("select b from t"));
}

#[test]
fn statements_that_touch_our_own_tables_only_are_ours() {
    let ours = |text: &str| read_text(text).is_ours;
    assert!(ours("with seen as (select 1) insert into brasa.x select * from seen join \"brasa\".y on true"));
    assert!(ours("update brasa.x set a = $1 where b is distinct from c"));
    assert!(ours("select id from only brasa.x, unnest($1) for update skip locked"));
    assert!(!ours("select * from brasa.x join orders on true"));
    assert!(!ours("select * from orders"));
    assert!(!ours("select 1"));
    assert!(ours("create table if not exists brasa.x partition of brasa.y for values from ('a') to ('b')"));
    assert!(ours("select extract($1 from last_at) from brasa.x"));
    assert!(ours("/* brasa */ select * from pg_stat_archiver"));
}

#[test]
fn what_only_keeps_sessions_going_is_nothing_of_the_application() {
    let ours = |text: &str| read_text(text).is_ours;
    for text in [
        "BEGIN isolation level serializable",
        "start transaction",
        "set search_path = a",
        "rollback to savepoint a",
        "release savepoint a",
        "listen a",
        "select set_config($1, $2, $3), set_config($4, $5, $6)",
        "select pg_notify($1, $2)",
    ] {
        assert!(ours(text), "{text}");
    }
    assert!(!ours("commit") && !ours("select pg_notify($1, a) from orders") && !ours("select set_config"));
}
