//! The triggers that tell of changes in tables.

use brasa_tests::World;
use brasa_tests::process::Brasa;
use serde_json::{Value, json};

use super::{execute, scene};

/// How many triggers the application's table has.
async fn count(world: &World) -> i64 {
    let ask = "select count(*) from pg_trigger where tgrelid = 'things'::regclass and not tgisinternal";
    sqlx::query_scalar(ask).fetch_one(&world.pool).await.unwrap()
}

async fn status(brasa: &Brasa, code: i32) -> Value {
    brasa.run(["cache", "triggers", "status", "--json"]).await.with_code(code).json_anyway()
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_installed_once_for_all_warmers_of_a_table() {
    let (world, brasa) = scene().await;
    let before = status(&brasa, 1).await;
    assert_eq!(
        before["tables"],
        json!([{ "table": "public.things", "state": "missing", "missing_partitions": [] }])
    );
    let shown = brasa.run(["cache", "triggers", "status"]).await.with_code(1).stdout;
    assert!(shown.contains("public.things  missing") && shown.contains("size, thing"), "{shown}");
    assert!(shown.contains("help: `brasa cache triggers install` makes them"), "{shown}");

    let said = brasa.run(["cache", "triggers", "install"]).await.with_code(0).stdout;
    assert!(said.starts_with("public.things: its triggers are there now (they were missing)"), "{said}");
    assert_eq!(count(&world).await, 4);
    let said = brasa.run(["cache", "triggers", "install", "--table", "things"]).await.with_code(0).stdout;
    assert_eq!(said, "public.things: its triggers are there already\n");
    assert_eq!(status(&brasa, 0).await["good"], json!(true));

    execute(&world, "alter table things disable trigger user").await;
    assert_eq!(status(&brasa, 1).await["tables"][0]["state"], json!("disabled"));
    let only = ["cache", "triggers", "status", "--table", "public.things", "--json"];
    assert_eq!(brasa.run(only).await.with_code(1).json_anyway()["good"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dry_run_prints_is_what_would_be_run() {
    let (world, brasa) = scene().await;

    let said = brasa.run(["cache", "triggers", "install", "--dry-run"]).await.with_code(0).stdout;

    assert!(said.starts_with("-- public.things: missing\nbegin isolation level read committed;\n"), "{said}");
    assert_eq!(count(&world).await, 0);
    let plans = brasa.run(["cache", "triggers", "install", "--dry-run", "--json"]).await.json();
    assert_eq!(
        (&plans[0]["table"], &plans[0]["state"]),
        (&json!("public.things"), &json!("missing")),
        "{plans}"
    );
    assert_eq!(plans[0]["sql"].as_str().unwrap().trim_end(), said.split_once('\n').unwrap().1.trim_end());
    execute(&world, &said).await;
    let done = brasa.run(["cache", "triggers", "install", "--json"]).await.json();
    assert_eq!(done[0]["statements"], json!([]));
    assert_eq!(status(&brasa, 0).await["good"], json!(true));
    let said = brasa.run(["cache", "triggers", "install", "--dry-run"]).await.with_code(0).stdout;
    assert_eq!(said, "-- public.things: nothing to do\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_removed_only_by_those_who_are_sure() {
    let (world, brasa) = scene().await;
    let _installed = brasa.run(["cache", "triggers", "install"]).await.with_code(0);

    let said = brasa.run(["cache", "triggers", "remove"]).await.with_code(2);
    assert!(said.stderr.contains("add --yes, or look first with --dry-run"), "{said:?}");
    let said = brasa.run(["cache", "triggers", "remove", "--dry-run"]).await.with_code(0).stdout;
    assert!(said.contains("drop function if exists brasa.cache_"), "{said}");
    assert_eq!(count(&world).await, 4);

    let remove = ["cache", "triggers", "remove", "--table", "things", "--yes"];
    let said = brasa.run(remove).await.with_code(0).stdout;
    assert_eq!(said, "public.things: the triggers are gone\n");
    assert_eq!(count(&world).await, 0);
    let said = brasa.run(["cache", "triggers", "remove", "--yes", "--json"]).await.json();
    assert_eq!(said, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_that_no_warmer_needs_are_left_over() {
    let (world, brasa) = scene().await;
    let _installed = brasa.run(["cache", "triggers", "install"]).await.with_code(0);
    let alone = Brasa::configured(&world, "");

    let shown = alone.run(["cache", "triggers", "status"]).await.with_code(1).stdout;

    assert!(shown.starts_with("no warmer depends on a table\n"), "{shown}");
    assert!(shown.contains("left over, and needed by no warmer: public.things"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_with_what_grants_it() {
    let (world, brasa) = scene().await;
    let role = world.prefix.replace('-', "_");
    execute(&world, &format!("create role {role}; grant usage on schema brasa to {role}")).await;
    let url = format!("{}{}options=-crole%3D{role}", world.database_url, sep(&world.database_url));
    let weak = brasa.env("DATABASE_URL", url);

    let said = weak.run(["cache", "triggers", "install"]).await.with_code(1).stderr;

    assert!(said.contains(&format!("role `{role}` may not create functions in schema `brasa`")), "{said}");
    assert!(said.contains(&format!("grant usage, create on schema brasa to {role}")), "{said}");
    execute(&world, &format!("drop owned by {role}; drop role {role}")).await;
}

fn sep(url: &str) -> char {
    if url.contains('?') { '&' } else { '?' }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_warns_of_changes_that_would_go_unseen() {
    let (_world, brasa) = scene().await;
    let findings = async || {
        let report = brasa.run(["doctor", "--json"]).await.json_anyway();
        let servers = report["servers"].as_array().unwrap().clone();
        let all = servers.iter().flat_map(|server| server["findings"].as_array().unwrap().clone());
        let told = all.filter(|finding| finding["check"] == "triggers");
        told.map(|finding| [finding["level"].clone(), finding["found"].clone(), finding["help"].clone()])
            .collect::<Vec<_>>()
    };

    let before = findings().await;
    assert_eq!(
        before,
        [[
            json!("warning"),
            json!("public.things has none"),
            json!("brasa cache triggers install --table public.things")
        ]]
    );
    let _installed = brasa.run(["cache", "triggers", "install"]).await.with_code(0);
    assert_eq!(findings().await[0][0], json!("ok"));
}
