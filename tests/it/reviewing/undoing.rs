//! What is recommended can be undone, and what somebody has locked is not judged.

use brasa_jobs::database::review::{Past, Reviewed, review};
use brasa_shared::db::execute;
use brasa_tests::World;
use serde_json::Value;

use super::{connection, limits, look, of, only, reach, run, scene};

/// A look that knows what statements there were: none.
async fn look_with_statements(world: &World) -> Reviewed {
    let mut connection = connection(world).await;
    let past = Past { statement_uses: Some(Vec::new()), ..Past::default() };
    review(&mut connection, &reach(world, ""), past, limits()).await.unwrap()
}

/// Indexes, constraints and columns of a table, as the catalogue has them.
async fn shape(world: &World) -> Value {
    let query = "select pg_get_indexdef(indexrelid) as it from pg_index where indrelid = 't'::regclass
        union all select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
            where conrelid = 't'::regclass and contype in ('p', 'u')
        union all select attname || ' ' || attnotnull from pg_attribute where attrelid = 't'::regclass and attnum > 0
        order by 1";
    world.rows(query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_did_to_a_table_is_undone_to_the_last_column() {
    for (rule, make) in [
        ("R30", "create table t (a int, b int not null); create unique index t_a_b on t (a, b)"),
        (
            "R05",
            "create table t (a int not null, b int, primary key (a)) partition by range (a);
             alter table t add constraint again unique (a)",
        ),
        ("R05", "create table t (a int primary key, b int); alter table t add constraint again unique (a)"),
    ] {
        let world = scene(make).await;
        let before = shape(&world).await;
        let told = only(&look_with_statements(&world).await, rule).recommendation.clone();
        run(&world, told.statement.as_ref().unwrap()).await;
        assert_ne!(shape(&world).await, before, "{make}");
        run(&world, told.undo.as_ref().unwrap()).await;
        assert_eq!(shape(&world).await, before, "{make}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_constraint_is_dropped_while_nobody_knows_who_names_it() {
    let world =
        scene("create table t (a int primary key); alter table t add constraint again unique (a)").await;
    assert_eq!(only(&look(&world).await, "R05").recommendation.statement, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_locked_is_not_judged() {
    let world = scene(
        "create table target (id int primary key);
         create table t (id int primary key, a int references target, b int, c text);
         create index x on t (a) where b = 1;
         create index y on t (a) where b = 2;
         create index on t (lower(c));
         create index on t (upper(c))",
    )
    .await;
    let judged = |reviewed: &Reviewed| ["R05", "R06", "R10"].map(|rule| of(reviewed, rule).len());
    assert_eq!(judged(&look(&world).await), [0, 0, 1]);
    let other = world.another_pool(1, std::time::Duration::from_secs(10));
    let mut holder = other.acquire().await.unwrap();
    for sql in ["begin", "lock table t in access exclusive mode"] {
        execute(&mut holder, sql, &[]).await.unwrap();
    }
    assert_eq!(judged(&look(&world).await), [0, 0, 0], "their conditions cannot be seen");
    execute(&mut holder, "rollback", &[]).await.unwrap();
    assert_eq!(judged(&look(&world).await), [0, 0, 1]);
}
