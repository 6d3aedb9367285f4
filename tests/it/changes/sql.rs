//! What applications say about the cache in SQL.

use sqlx::AssertSqlSafe;

use super::{NOTHING, Scene};

/// The SQLSTATE, the message and the hint with which this is refused.
async fn refused(scene: &mut Scene, call: &str) -> (String, String, String) {
    let query = sqlx::query(AssertSqlSafe(format!("select brasa.{call}")));
    let error = query.execute(&mut *scene.app).await.unwrap_err().into_database_error().unwrap();
    let code = error.code().unwrap().into_owned();
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    (code, error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn keys_tags_and_warmers_are_logged_as_often_as_they_are_named() {
    let mut scene = Scene::with("select 1").await;

    let calls = "select brasa.invalidate_key('departures:MAD'), brasa.invalidate_key('departures:MAD'),
                 brasa.invalidate_tag('ñandú, {\"}'), brasa.invalidate_warmer('departures')";
    let logged = scene.logged_by(calls).await;

    assert_eq!(
        logged,
        ["key: departures:MAD", "key: departures:MAD", "tag: ñandú, {\"}", "warmer: departures"]
    );
}

#[tokio::test]
async fn what_is_rolled_back_is_not_logged() {
    let mut scene = Scene::with("select 1").await;

    let logged = scene.logged_by("begin; select brasa.invalidate_tag('a'); rollback").await;

    assert_eq!(logged, NOTHING);
}

#[tokio::test]
async fn what_can_be_no_name_is_refused_with_what_to_write() {
    let mut scene = Scene::with("select 1").await;

    for function in ["invalidate_key", "invalidate_tag", "invalidate_warmer"] {
        let what = function.rsplit_once('_').unwrap().1;
        for (argument, message, hint) in [
            ("null", format!("the {what} is missing"), format!("write the {what}")),
            ("''", format!("the {what} is missing"), format!("write the {what}")),
            ("repeat('ñ', 257)", format!("the {what} has 514 bytes, at most 512"), "as long".to_owned()),
            ("E'a\\nb'", format!("a {what} has no control characters"), "leave out line ends".to_owned()),
            ("E'\\x7f'", format!("a {what} has no control characters"), "leave out".to_owned()),
            ("E'\\x01'", format!("a {what} has no control characters"), "leave out".to_owned()),
        ] {
            let (code, said, help) = refused(&mut scene, &format!("{function}({argument})")).await;
            assert_eq!(code, "22023", "{said}");
            assert_eq!(said.split(": ").next(), Some(format!("brasa.{function}").as_str()));
            assert!(said.contains(&message), "{said}");
            assert!(help.contains(&hint), "{help}");
        }
        scene.run(&format!("select brasa.{function}(repeat('a', 512))")).await;
    }
    assert_eq!(scene.take_all().await.len(), 3);
}

#[tokio::test]
async fn a_role_needs_to_be_granted_the_functions_and_nothing_else() {
    let mut scene = Scene::with("select 1").await;
    let role = format!("\"{}-role\"", scene.world.prefix);

    scene.run(&format!("begin; create role {role}; grant usage on schema brasa to {role}")).await;
    scene.run(&format!("savepoint a; set local role {role}")).await;
    for call in ["invalidate_key('a')", "invalidate_tag('a')", "invalidate_warmer('a')"] {
        let (_, said, _) = refused(&mut scene, call).await;
        assert!(said.contains("permission denied for function"), "{said}");
        scene.run(&format!("rollback to a; set local role {role}")).await;
    }
    let (_, said, _) = refused(&mut scene, "log_invalidation('a', 'a', 'a')").await;
    assert!(said.contains("permission denied for function"), "{said}");
    scene.run("rollback to a").await;
    scene
        .run(&format!("grant execute on function brasa.invalidate_tag to {role}; set local role {role}"))
        .await;
    scene.run("select brasa.invalidate_tag('a'); reset role").await;
    assert_eq!(scene.text("select count(*)::text from brasa.cache_log").await, "1");
    scene.run("rollback").await;
}

#[tokio::test]
async fn a_row_that_no_reader_could_read_is_refused() {
    let mut scene = Scene::with("select 1").await;

    for row in ["('key:', array[null])", "('key:', array[['a'], ['b']])", "(null, null)"] {
        let insert = format!("insert into brasa.cache_log (dep, keys) values {row}");
        super::run(&mut scene.app, &insert).await.unwrap_err();
    }
    super::run(&mut scene.app, "insert into brasa.cache_log (dep, at) values ('key:', 'infinity')")
        .await
        .unwrap_err();
}
