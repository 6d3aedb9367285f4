//! Indexes from before rows of equal keys shared entries.

use brasa_jobs::database::review::facts::Subject;
use brasa_jobs::database::review::{Limits, Past, Reviewed, gather};
use brasa_tests::World;
use serde_json::json;

use super::{limits, look_with, of, only, reach, run, scene};

/// As if the server had been upgraded: when it was built, nothing said of its keys that they may share an entry, and now
/// something does.
const OLD: &str = "
    create table orders (id bigint primary key, customer int, day int) with (autovacuum_enabled = off);
    insert into orders select n, n % 90, n % 80 from generate_series(1, 90000) n;
    create operator class old_ops for type int4 using btree as
        operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(int4, int4);
    create index orders_customer on orders (customer old_ops);
    create index orders_day on orders (day);
    create index orders_one on orders (id old_ops8);
    alter operator family old_ops using btree add function 4 (int4) btequalimage(oid);
    alter operator family old_ops8 using btree add function 4 (int8) btequalimage(oid);
    select pg_stat_force_next_flush()";

fn old() -> String {
    let eight = "create operator class old_ops8 for type int8 using btree as
        operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint8cmp(int8, int8);";
    OLD.replacen("create index", &format!("{eight} create index"), 1)
}

async fn review(world: &World) -> Reviewed {
    look_with(world, Limits { bloated_bytes: 1 << 18, bloat_bytes: 1 << 17, ..limits() }).await
}

/// What is said of first pages that were not read.
fn gap(reviewed: &Reviewed) -> Option<(String, Option<String>)> {
    let gap = reviewed.report.gaps.iter().find(|gap| gap.subject == Subject::Metapages)?;
    Some((gap.why.clone(), gap.grant.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_from_before_entries_were_shared_is_found_until_it_is_rebuilt() {
    let world = scene(&old()).await;
    world.execute("vacuum analyze orders").await;
    world.execute("create extension pageinspect").await;
    let flags = "select (bt_metap('orders_customer')).allequalimage as old, (bt_metap('orders_day')).allequalimage as new";
    assert_eq!(world.rows(flags).await, json!([{ "old": false, "new": true }]));
    let found = review(&world).await;
    let told = &only(&found, "R13").recommendation;
    assert_eq!(told.object, "public.orders_customer", "the others share, or have nothing to share");
    assert_eq!((of(&found, "R01").len(), gap(&found)), (0, None), "once, and nothing is left open");
    run(&world, told.statement.as_ref().unwrap()).await;
    world.execute("vacuum analyze orders").await;
    let second = review(&world).await;
    assert_eq!((of(&second, "R13").len(), of(&second, "R01").len()), (0, 0));
    assert!(second.cleared >= 1);
    run(&world, told.undo.as_ref().unwrap()).await;
    world.execute("vacuum analyze orders").await;
    assert_eq!(of(&review(&world).await, "R13").len(), 0, "somebody wants it so");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_worn_out_is_not_taken_for_an_old_one() {
    let world = scene(&old()).await;
    world
        .execute(
            "create extension pageinspect; delete from orders where id % 10 > 0;
             select pg_stat_force_next_flush()",
        )
        .await;
    world.execute("vacuum analyze orders").await;
    let found = review(&world).await;
    let told: Vec<_> = of(&found, "R13").iter().map(|shown| shown.recommendation.object.clone()).collect();
    assert_eq!(told, ["public.orders_customer", "public.orders_one"]);
    assert!(of(&found, "R01").iter().any(|shown| shown.recommendation.object == "public.orders_day"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_first_pages_cannot_be_read_that_is_said_and_only_where_it_matters() {
    let world = scene(&old()).await;
    world.execute("vacuum analyze orders").await;
    let (why, grant) = gap(&review(&world).await).unwrap();
    assert!(why.starts_with("1 index is so large"), "{why}");
    assert_eq!(grant.as_deref(), Some("CREATE EXTENSION pageinspect;"));
    let role = format!("{}-looks", world.prefix);
    world.execute(&format!(r#"create role "{role}"; grant pg_monitor, pg_read_all_data to "{role}""#)).await;
    let mut connection = super::connection(&world).await;
    brasa_shared::db::execute(&mut connection, &format!(r#"set role "{role}""#), &[]).await.unwrap();
    let limits = Limits { bloated_bytes: 1 << 18, bloat_bytes: 1 << 17, ..limits() };
    let facts = gather(&mut connection, &reach(&world, ""), Past::default(), limits).await.unwrap();
    let why = facts.gaps.iter().find(|gap| gap.subject == Subject::Metapages).map(|gap| gap.why.clone());
    assert!(why.as_ref().is_some_and(|why| why.contains("Only a superuser")), "{why:?} {:?}", facts.gaps);
    drop(connection);
    world.execute("create extension pageinspect; reindex index orders_customer").await;
    world.execute(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
    assert_eq!(gap(&review(&world).await), None);
}
