//! Who may do what: roles that write, roles that install, and roles that mean ill.

use brasa_shared::db::changes::triggers::{install, remove};

use super::{FLIGHTS, LONG, Scene, read, run};

const DEP: &str = "flights(origin)";

/// Roles belong to the whole server: they are gone when the transaction ends, which is never committed.
async fn as_role(scene: &mut Scene, grants: &[&str]) -> String {
    let role = format!("{}-role", scene.world.prefix);
    scene.run(&format!("begin; create role \"{role}\"")).await;
    for grant in grants {
        scene.run(&format!("grant {grant} to \"{role}\"")).await;
    }
    scene.run(&format!("set local role \"{role}\"")).await;
    role
}

/// What is told to a role with these rights that wants to install.
async fn told(grants: &[&str]) -> String {
    let mut scene = Scene::with(FLIGHTS).await;
    let role = as_role(&mut scene, grants).await;
    let result = install(&mut scene.app, &read(&[DEP]), LONG).await;
    scene.run("rollback").await;
    result.map_or_else(|error| error.to_string().replace(&role, "R"), |_| "done".to_owned())
}

const SCHEMA: &str = "usage, create on schema brasa";
const LOG: &str = "insert on brasa.cache_log";
const TABLE: &str = "trigger on flights";

#[tokio::test]
async fn a_role_that_lacks_a_right_is_told_which() {
    let create = r#"role `R` may not create functions in schema `brasa`: let the owner say `grant usage, create on schema brasa to "R"`"#;
    assert_eq!(told(&[]).await, create);
    assert_eq!(told(&["usage on schema brasa", LOG, TABLE]).await, create);
    assert_eq!(
        told(&[SCHEMA, TABLE]).await,
        r#"role `R` may not append to the change log: let the owner say `grant insert on brasa.cache_log to "R"`"#
    );
    assert_eq!(
        told(&[SCHEMA, LOG]).await,
        r#"role `R` may not make triggers on `public.flights`: let the owner say `grant trigger on public.flights to "R"`"#
    );
}

#[tokio::test]
async fn a_role_with_these_rights_installs_replaces_and_removes_without_owning_the_table() {
    let mut scene = Scene::with(FLIGHTS).await;
    as_role(&mut scene, &[SCHEMA, LOG, TABLE]).await;

    install(&mut scene.app, &read(&[DEP]), LONG).await.unwrap();
    assert!(scene.status(&[DEP]).await.is_good());
    install(&mut scene.app, &read(&["flights(day)"]), LONG).await.unwrap();
    assert!(scene.status(&["flights(day)"]).await.is_good());
    remove(&mut scene.app, None, LONG).await.unwrap();

    let status = scene.status(&[]).await;
    assert!(status.is_good(), "{status:?}");
    scene.run("rollback").await;
}

#[tokio::test]
async fn a_role_that_may_write_to_the_table_needs_no_right_of_ours() {
    let mut scene = Scene::watching(&[DEP]).await;

    as_role(&mut scene, &["insert, update, select, delete, truncate on flights"]).await;
    scene
        .run("insert into flights values (1, 'MAD'); update flights set price = 1; delete from flights")
        .await;
    scene.run("truncate flights").await;
    scene.run("reset role").await;

    assert_eq!(scene.text("select count(*)::text from brasa.cache_log").await, "4");
    scene.run("rollback").await;
}

#[tokio::test]
async fn triggers_of_another_role_are_not_touched() {
    let mut scene = Scene::watching(&[DEP]).await;
    let owner = scene.text("select current_user::text").await;

    as_role(&mut scene, &[SCHEMA, LOG, TABLE]).await;
    let error = install(&mut scene.app, &read(&["flights(day)"]), LONG).await.unwrap_err().to_string();
    assert!(error.contains(&format!("`public.flights` were made by role `{owner}`")), "{error}");
    let error = remove(&mut scene.app, None, LONG).await.unwrap_err().to_string();
    assert!(error.contains(&format!("were made by role `{owner}`")), "{error}");
    scene.run("rollback").await;
}

#[tokio::test]
async fn a_table_in_a_schema_that_a_role_may_not_use_is_refused() {
    let mut scene = Scene::with("create schema hidden; create table hidden.flights (origin text)").await;

    let role = as_role(&mut scene, &[SCHEMA, LOG, "trigger on hidden.flights"]).await;
    let error = install(&mut scene.app, &read(&["hidden.flights"]), LONG).await.unwrap_err().to_string();

    assert!(error.contains(&format!(r#"grant usage on schema hidden to "{role}""#)), "{error}");
    scene.run("rollback").await;
}

/// Whoever calls cannot make the functions, which run with the rights of their owner, call or write anything else.
#[tokio::test]
async fn an_application_cannot_make_the_functions_do_something_else() {
    let evil = "create type public.mood as enum ('good');
        create table moods (mood mood);
        create schema evil;
        create table evil.cache_log (dep text, keys text[]);
        create function evil.steal(mood) returns text language plpgsql as
            'begin raise exception ''stolen''; end';
        create cast (mood as text) with function evil.steal(mood) as implicit;
        create function evil.format(text, anyelement) returns text language plpgsql as
            'begin raise exception ''stolen''; end';
        create function evil.equal(text, text) returns boolean language plpgsql as
            'begin raise exception ''stolen''; end';
        create operator evil.= (leftarg = text, rightarg = text, function = evil.equal);
        create function evil.cardinality(text[]) returns integer language plpgsql as
            'begin raise exception ''stolen''; end'";
    let mut scene = Scene::with(&format!("{FLIGHTS}; {evil}")).await;
    scene.install(&[DEP, "flights", "moods(mood)"]).await.unwrap();
    scene.take_all().await;

    scene.run("create temporary table cache_log (dep text, keys text[]); create temporary table new_rows (origin text);
               create temporary table old_rows (origin text); create temporary table changed (origin text);
               set search_path = pg_temp, evil, public, pg_catalog").await;
    scene.run("insert into flights values (1, 'MAD'); insert into moods values ('good')").await;
    scene.run("update flights set price = 1; delete from flights; truncate moods; select brasa.invalidate_key('a')").await;
    scene.run("reset search_path").await;

    let logged = scene.logged().await;
    assert_eq!(logged.len(), 9, "{logged:?}");
    assert!(logged.contains(&"table:public.moods(mood) good".to_owned()), "{logged:?}");
}

#[tokio::test]
async fn nobody_can_hang_the_functions_on_a_table_of_their_own() {
    let mut scene = Scene::watching(&[DEP]).await;
    let function = scene.text("select proname::text from pg_proc where proname ~ '^cache_truncate'").await;
    scene.run("create table mine (id int); grant all on schema public to public; grant trigger on mine to public").await;

    as_role(&mut scene, &["usage on schema brasa"]).await;
    let hang = format!(
        "create trigger mine after truncate on mine for each statement execute function brasa.{function}()"
    );
    let error = run(&mut scene.app, &hang).await.unwrap_err();

    assert!(error.to_string().contains("permission denied for function"), "{error}");
    scene.run("rollback").await;
}
