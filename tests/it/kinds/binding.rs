//! `sql.run` binds JSON as the types that Postgres says its parameters have: strictly, and beside the statement.

use std::fmt::Write as _;

use brasa_shared::queue::State;
use brasa_tests::World;
use serde_json::{Value, json};

use super::{ended, execute, reason, start, text};

/// Types of columns, what is bound to them, and how Postgres shows it then.
fn fitting() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let uuid = "6f1c2f2e-0c4b-4b8e-9d3a-2f6f0a1b2c3d";
    let mut cases = vec![
        ("bool", json!(true), "true"),
        ("bool", json!(false), "false"),
        ("int2", json!(-32768), "-32768"),
        ("int4", json!(2_147_483_647), "2147483647"),
        ("int8", json!(-9_223_372_036_854_775_808_i64), "-9223372036854775808"),
        ("oid", json!(4_294_967_295_u32), "4294967295"),
        ("float4", json!(1.5), "1.5"),
        ("float8", json!(0.1), "0.1"),
        ("float8", json!(7), "7"),
        ("float8", json!(-1e300), "-1e+300"),
        ("numeric", json!(0.25), "0.25"),
        ("numeric", json!(-7), "-7"),
        ("numeric", json!("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        ("numeric", json!("-0.0500"), "-0.0500"),
        ("numeric", json!("1e20"), "100000000000000000000"),
        ("numeric", json!("0.00000001"), "0.00000001"),
        ("numeric(10,2)", json!("12.345"), "12.35"),
        ("text", json!("'; drop table pupils; -- ñ \\ \" $1"), "'; drop table pupils; -- ñ \\ \" $1"),
        ("text", json!(""), ""),
        ("varchar", json!("a\nb"), "a\nb"),
        ("varchar(5)", json!("añoñó"), "añoñó"),
        ("char(4)", json!("ab"), "ab"),
        ("\"char\"", json!("x"), "x"),
        ("name", json!("brasa"), "brasa"),
        ("json", json!({ "a": [1, null, "x"] }), r#"{"a":[1,null,"x"]}"#),
        ("json", json!("text"), r#""text""#),
        ("jsonb", json!({ "b": 1, "a": [true] }), r#"{"a": [true], "b": 1}"#),
        ("jsonb", json!(7), "7"),
        ("uuid", json!(uuid), uuid),
        ("uuid", json!(uuid.replace('-', "").to_uppercase()), uuid),
        ("timestamptz", json!("2026-01-31T08:00:00+02:00"), "2026-01-31 06:00:00+00"),
        ("timestamptz", json!("1999-12-31T23:59:59.123456Z"), "1999-12-31 23:59:59.123456+00"),
        ("timestamp", json!("2026-01-31T08:00:00"), "2026-01-31 08:00:00"),
        ("timestamp", json!("1969-07-20T20:17:40.5"), "1969-07-20 20:17:40.5"),
        ("date", json!("2026-02-28"), "2026-02-28"),
        ("date", json!("1900-01-01"), "1900-01-01"),
        ("bytea", json!("año"), "\\x61c3b16f"),
        ("int4[]", json!([1, null, 3]), "{1,NULL,3}"),
        ("int4[]", json!([]), "{}"),
        ("text[]", json!(["a", "b,c", "\""]), r#"{a,"b,c","\""}"#),
        ("bool[]", json!([true, false]), "{t,f}"),
        ("numeric[]", json!([1, "2.50"]), "{1,2.50}"),
        ("date[]", json!(["2026-02-28"]), "{2026-02-28}"),
        ("jsonb[]", json!([{ "a": 1 }]), r#"{"{\"a\": 1}"}"#),
        ("mood", json!("sad"), "sad"),
        ("mood[]", json!(["sad", "so so"]), r#"{sad,"so so"}"#),
        ("positive", json!(7), "7"),
        ("word", json!("olá"), "olá"),
    ];
    cases.push(("uuid[]", json!([uuid]), "{6f1c2f2e-0c4b-4b8e-9d3a-2f6f0a1b2c3d}"));
    let mut cases: Vec<_> =
        cases.into_iter().map(|(kind, value, shown)| (kind, value, Some(shown))).collect();
    let nullable =
        ["bool", "int4", "numeric", "text", "jsonb", "uuid", "timestamptz", "int4[]", "mood", "positive"];
    cases.extend(nullable.map(|kind| (kind, Value::Null, None)));
    cases
}

/// Types of columns, what does not fit them, and how that is put.
fn unfit() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("bool", json!("true"), "expected true or false (bool), found a text of 4 characters"),
        ("bool", json!(1), "expected true or false (bool), found a number"),
        ("int2", json!(32_768), "expected a whole number (int2), found a number"),
        ("int4", json!(1.5), "expected a whole number (int4), found a number"),
        ("int4", json!(2_147_483_648_i64), "expected a whole number (int4)"),
        ("int8", json!("7"), "expected a whole number (int8), found a text of 1 character"),
        ("oid", json!(-1), "expected a whole number (oid)"),
        ("float8", json!("1.5"), "expected a number (float8)"),
        (
            "numeric",
            json!("12,5"),
            "expected a number, or a text with one (numeric), found a text of 4 characters",
        ),
        ("numeric", json!(true), "found true or false"),
        ("text", json!(7), "expected a text (text), found a number"),
        ("text", json!(["a"]), "found an array"),
        ("varchar", json!({}), "expected a text (varchar), found an object"),
        ("uuid", json!("6f1c"), "expected a text with a UUID (uuid)"),
        ("timestamptz", json!("yesterday"), "expected a text with an instant such as"),
        ("timestamptz", json!("2026-01-31T08:00:00"), "expected a text with an instant such as"),
        ("timestamp", json!("2026-01-31T08:00:00Z"), "expected a text with a date and time such as"),
        ("date", json!("2026-02-30"), "expected a text with a date such as"),
        ("bytea", json!([1, 2]), "expected a text (bytea)"),
        (
            "mood",
            json!("furious"),
            "expected one of the labels of the enum (mood), found a text of 7 characters",
        ),
        ("int4[]", json!(7), "expected an array"),
        ("int4[]", json!([1, "x"]), "expected a whole number (int4), found a text of 1 character"),
        ("int4[]", json!([[1]]), "expected a whole number (int4), found an array"),
        ("positive", json!("7"), "expected a whole number (int4)"),
        ("interval", json!("1 day"), "pass a text and cast it"),
        ("inet", json!("127.0.0.1"), "pass a text and cast it"),
    ]
}

/// A world with the types above, and a table and a statement for each case: `insert into cN`.
async fn with_statements<'k>(kinds: impl IntoIterator<Item = &'k str>) -> (World, String) {
    let world = World::new().await;
    execute(
        &world.pool,
        "create type mood as enum ('sad', 'so so', 'glad');
         create domain positive as int4 check (value > 0);
         create domain word as text",
    )
    .await;
    let (mut tables, mut config) = (String::new(), String::new());
    for (n, kind) in kinds.into_iter().enumerate() {
        writeln!(tables, "create table c{n} (v {kind});").unwrap();
        writeln!(config, "[sql.c{n}]\nsql = \"insert into c{n} (v) values ($1)\"\nparams = [\"args.v\"]")
            .unwrap();
    }
    execute(&world.pool, &tables).await;
    (world, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_bound_as_itself_and_read_back_as_it_was() {
    let cases = fitting();
    let (world, config) = with_statements(cases.iter().map(|(kind, ..)| *kind)).await;
    let worker = start(&world, &config);
    for (n, (_, value, _)) in cases.iter().enumerate() {
        world.enqueue("sql.run", json!({ "name": format!("c{n}"), "v": value })).await;
    }
    worker.drain_when_idle(&world).await;

    let mut wrong = Vec::new();
    for dead in world.queue("default").list(State::Dead, 100).await.unwrap() {
        wrong.push(format!("{}: {}", dead.args, reason(&dead)));
    }
    for (n, (kind, value, expected)) in cases.iter().enumerate() {
        let rows = text(&world.pool, &format!("select count(*)::text from c{n}")).await;
        let sql = format!("select (select v::text from c{n} limit 1)");
        let found = text(&world.pool, &sql).await;
        if rows.as_deref() != Some("1") || found.as_deref() != *expected {
            wrong.push(format!("{kind}: {value} became {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_another_type_is_buried_with_a_sentence_about_it() {
    let cases = unfit();
    let (world, config) = with_statements(cases.iter().map(|(kind, ..)| *kind)).await;
    let worker = start(&world, &config);
    let mut ids = Vec::new();
    for (n, (_, value, _)) in cases.iter().enumerate() {
        ids.push(world.enqueue("sql.run", json!({ "name": format!("c{n}"), "v": value })).await);
    }

    let mut wrong = Vec::new();
    for (id, (kind, value, expected)) in ids.iter().zip(&cases) {
        let view = ended(&world, id).await;
        let said = view.outcome.as_ref().unwrap().reason.as_deref().unwrap_or("nothing");
        let is_right = view.state == State::Dead && view.attempt == 1 && said.contains(expected);
        if !is_right || !said.starts_with("args.v for $1: ") {
            wrong.push(format!("{kind}: {value}: {said}"));
        }
    }
    worker.drain().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_binding_can_be_passed_as_a_text_and_cast() {
    let world = World::new().await;
    execute(&world.pool, "create table waits (v interval, n int8)").await;
    let config = r#"
        [sql.wait]
        sql = "insert into waits (v, n) values ($1::text::interval, $2::text::int8)"
        params = ["args.v", "args.n"]
    "#;
    let worker = start(&world, config);
    let id = world.enqueue("sql.run", json!({ "name": "wait", "v": "1 day 2 hours", "n": "7" })).await;

    let view = ended(&world, &id).await;

    assert_eq!(view.state, State::Done, "{view:?}");
    let kept = text(&world.pool, "select v::text || ' ' || n from waits").await;
    assert_eq!(kept.as_deref(), Some("1 day 02:00:00 7"));
    worker.drain().await;
}
