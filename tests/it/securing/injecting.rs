//! Values of jobs stay beside statements, whatever they are: Postgres sees one text of the statement, and stores the value.

use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_shared::db::migrate;
use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::process::Brasa;
use serde_json::{Value, json};

const CONFIG: &str = "[sql.note]\nsql = \"insert into notes (first, second) values ($1, $2)\"\n\
    params = [\"args.first\", \"args.second\"]\n[sql.count]\nsql = \"update notes set n = $1\"\nparams = [\"args.n\"]\n";

/// What would end a text, a statement or a comment if it was written into one.
const SPLINTERS: [&str; 25] = [
    "'; drop table notes; --",
    "' or '1'='1",
    "'' ; delete from notes ; ''",
    "\"; drop table notes; --",
    "$1",
    "$2::text || $1",
    "$$; drop table notes; $$",
    "$tag$ ' $tag$",
    "\\'; drop table notes; --",
    "\\",
    "E'\\''",
    "U&'\\0027'",
    "/* ' */",
    "*/ drop table notes; /*",
    "-- \n drop table notes",
    ");drop table notes;--",
    "') returning (select 1/0); --",
    "'||(select usename from pg_user limit 1)||'",
    "; copy notes to program 'true'",
    "%27%3B drop table notes",
    "\u{2019}; drop table notes; \u{2018}",
    "\u{bf}\u{27} or 1=1",
    "null",
    "default",
    "{args.first} ${BRASA} :first @first",
];
/// What they stand in: 20 times 25 are 500.
const FRAMES: [(&str, &str); 20] = [
    ("", ""),
    ("'", ""),
    ("", "'"),
    ("'", "'"),
    ("\"", "\""),
    ("(", ")"),
    ("$$", "$$"),
    ("/*", "*/"),
    ("--", "\n"),
    ("\n", "\r\n"),
    ("E'", "'"),
    (";", ";"),
    ("a", "z"),
    ("\\", "\\"),
    ("\t", "\u{a0}"),
    ("ñ", "日本"),
    ("{", "}"),
    ("[", "]"),
    ("x'", "'"),
    ("1;", "--"),
];

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_ways_into_a_statement_leave_it_as_it_is() {
    let postgres = PostgresServer::start(PostgresOptions { fsync: false, extra: Vec::new() }).unwrap();
    let world = World::on_servers(&World::of_queues().redis_url, &postgres.url("postgres")).await;
    migrate(&world.pool).await.unwrap();
    world
        .execute("create extension pg_stat_statements; create table notes (first text, second text, n int)")
        .await;
    let brasa = Brasa::configured(&world, CONFIG);
    let values: Vec<String> = SPLINTERS
        .iter()
        .flat_map(|splinter| FRAMES.map(|(before, after)| format!("{before}{splinter}{after}")))
        .collect();
    assert_eq!(values.len(), 500);
    let _worker = brasa.start(["worker"]);
    for value in &values {
        world.enqueue("sql.run", json!({ "name": "note", "first": value, "second": value })).await;
        // A number is wanted there, and nothing else becomes one.
        world.enqueue("sql.run", json!({ "name": "count", "n": value })).await;
    }
    eventually("all have ended", async || world.counts().await.open() == 0).await;

    assert_eq!(world.counts().await.dead, 500, "those that are no numbers");
    let stored = world.rows("select first, second from notes").await;
    let mut stored: Vec<&str> = stored
        .as_array()
        .unwrap()
        .iter()
        .inspect(|row| assert_eq!(row["first"], row["second"]))
        .map(|row| row["first"].as_str().unwrap())
        .collect();
    let mut sent: Vec<&str> = values.iter().map(String::as_str).collect();
    stored.sort_unstable();
    sent.sort_unstable();
    assert_eq!(stored, sent);
    // What it calls a statement is one text, with places for values and none in it.
    let texts = "select query, calls::int from pg_stat_statements where query ~* 'notes' and query !~* 'create|pg_stat|select first'";
    let seen = world.rows(texts).await;
    assert_eq!(
        seen,
        json!([{ "query": "insert into notes (first, second) values ($1, $2)", "calls": 500 }]),
        "{seen}"
    );
    let left: Value = world.rows("select count(*)::int as n from notes where n is not null").await;
    assert_eq!(left, json!([{ "n": 0 }]));
}
