//! What people get wrong, and what they are told.

use brasa_tests::process::Brasa;

use super::scene;

/// Runs a verb that is refused; returns what it said.
async fn refused(brasa: &Brasa, args: &[&str]) -> String {
    let said = brasa.run(["cache"].iter().chain(args)).await.with_code(2);
    assert_eq!(said.stdout, "", "{args:?}");
    said.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warmer_that_is_misspelt_is_told_with_the_nearest() {
    let (_world, brasa) = scene().await;
    for args in [
        vec!["status", "thng"],
        vec!["warm", "thng"],
        vec!["get", "thng", "7"],
        vec!["why", "thng"],
        vec!["invalidate", "--warmer", "thng"],
        vec!["hot", "thng"],
    ] {
        let said = refused(&brasa, &args).await;
        assert!(
            said.contains("there is no warmer `thng`\n  help: did you mean `thing`?"),
            "{args:?}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_to_be_those_of_the_key() {
    let (world, brasa) = scene().await;
    for args in [vec!["get", "thing"], vec!["why", "thing", "7", "8"]] {
        let said = refused(&brasa, &args).await;
        assert!(said.contains("values of warmer `thing` have 1 parameter(s): id; "), "{said}");
        assert!(said.contains("help: write `brasa cache"), "{said}");
    }
    for (only, complaint) in [
        ("name=x", "`only` names `name`; the key has: id"),
        ("id", "it has no `=`; write it as in origin=JFK"),
        ("=7", "it names no parameter"),
    ] {
        let said = refused(&brasa, &["warm", "thing", "--only", only]).await;
        assert!(said.contains(complaint), "{said}");
    }
    let said = refused(&brasa, &["warm", "thing", "--only", "id=7", "--only", "id=8"]).await;
    assert!(said.contains("`id` is given twice"), "{said}");
    let said = refused(&brasa, &["warm", "thing", "--wait=soon"]).await;
    assert!(said.contains("soon"), "{said}");
    assert_eq!(world.counts().await.open(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_has_to_say_of_what() {
    let (_world, brasa) = scene().await;
    let said = refused(&brasa, &["invalidate"]).await;
    assert!(said.contains("--key") && said.contains("--tag") && said.contains("--warmer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_no_warmer_depends_on_is_told_with_the_nearest() {
    let (world, brasa) = scene().await;
    for verb in ["install", "status"] {
        let said = refused(&brasa, &["triggers", verb, "--table", "thing"]).await;
        assert!(said.contains("there is no table in `depends_on` `thing`"), "{said}");
        assert!(said.contains("did you mean `things`?"), "{said}");
    }
    let said = refused(&brasa, &["triggers", "install", "--table", "a b"]).await;
    assert!(said.contains("--table: `a b` names no table to depend on"), "{said}");
    let said = refused(&brasa, &["triggers", "remove", "--table", "nothing", "--yes"]).await;
    assert!(said.contains("there is no table `nothing` that this role can see"), "{said}");

    let without = brasa.clone().without("DATABASE_URL");
    let said = refused(&without, &["triggers", "status"]).await;
    assert!(said.contains("no address of Postgres"), "{said}");
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_columns_that_are_not_there_are_problems_of_the_configuration() {
    let (world, _) = scene().await;
    let config = r#"
[warm.thing]
sql = "select id, name as value from things where id = any($1)"
params = ["id"]
key = "thing:{id}"
ttl = "1m"
depends_on = ["thungs", "things(number as id)"]
"#;
    let brasa = Brasa::configured(&world, config);

    let said = brasa.run(["check"]).await.with_code(2).stdout;

    assert!(
        said.contains(":7: warm.thing.depends_on: there is no table `thungs` that this role can see\n"),
        "{said}"
    );
    assert!(
        said.contains(":7: warm.thing.depends_on: table `public.things` has no column `number`\n"),
        "{said}"
    );
    assert!(said.contains("help: correct the name, or migrate the database first"), "{said}");
    let said = brasa.run(["cache", "triggers", "install"]).await.with_code(2).stderr;
    assert!(said.contains("there is no table `thungs`") || said.contains("no column `number`"), "{said}");
    let said = brasa.run(["cache", "triggers", "status"]).await.with_code(1).stdout;
    assert!(said.contains("impossible"), "{said}");
}
