//! Pairs of indexes, and foreign keys with indexes: which say the same, and which do not.

use brasa_tests::World;

use super::{look, of, scene};

/// What is made, and the index of which it is said that it may go; `R05` or `R06`.
const PAIRS: [(&str, Option<(&str, &str)>); 26] = [
    ("create index x on t (a); create index y on t (a)", Some(("R05", "y"))),
    ("create index x on t (a, b); create index y on t (a, b)", Some(("R05", "y"))),
    ("create index x on t (a) where b > 5; create index y on t (a) where b > 5", Some(("R05", "y"))),
    ("create index x on t (lower(c)); create index y on t (lower(c))", Some(("R05", "y"))),
    ("create index x on t using hash (a); create index y on t using hash (a)", Some(("R05", "y"))),
    ("create index x on t (a) include (b, c); create index y on t (a) include (c, b)", Some(("R05", "y"))),
    ("create unique index x on t (a); alter table t add constraint y unique (a)", Some(("R05", "x"))),
    ("alter table t add constraint x unique (id)", Some(("R05", "x"))),
    ("create index x on t (a); create index y on t (a, b)", Some(("R06", "x"))),
    ("create index x on t (a); create unique index y on t (a)", Some(("R06", "x"))),
    ("create index x on t (a); create index y on t (a) include (b)", Some(("R06", "x"))),
    ("create index x on t (a desc); create index y on t (a)", Some(("R06", "x"))),
    ("create index x on t (id)", Some(("R06", "x"))),
    ("create index x on t (a) where b > 5; create index y on t (a, b) where b > 5", Some(("R06", "x"))),
    ("create index x on t (b); create index y on t (a, b)", None),
    ("create unique index x on t (a); create unique index y on t (a, b)", None),
    ("create index x on t (a) where b > 5; create index y on t (a)", None),
    ("create index x on t (c); create index y on t (c text_pattern_ops)", None),
    ("create index x on t (c); create index y on t (c collate \"C\")", None),
    ("create index x on t (a); create index y on t using hash (a)", None),
    ("create index x on t (a desc, b); create index y on t (a, b)", None),
    ("create index x on t (a) include (c); create index y on t (a, b)", None),
    ("create index x on t (lower(c)); create index y on t (upper(c))", None),
    ("create index x on t using brin (a); create index y on t using brin (a)", Some(("R05", "y"))),
    (
        "create index x on t using brin (a); create index y on t using brin (a) with (pages_per_range = 8)",
        None,
    ),
    ("alter table t add constraint x unique (a) deferrable; create unique index y on t (a)", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn of_pairs_of_indexes_those_that_say_the_same_are_found_and_no_others() {
    let each = |(place, (make, _)): (usize, &(&str, _))| {
        format!(
            "create schema s{place}; set search_path = s{place};
             create table t (id int primary key, a int, b int, c text); {make};"
        )
    };
    let sql: Vec<String> = PAIRS.iter().enumerate().map(each).collect();
    let world = scene(&sql.concat()).await;
    let found = look(&world).await;
    let said: Vec<(&str, &str)> = ["R05", "R06"]
        .into_iter()
        .flat_map(|rule| of(&found, rule).into_iter().map(move |one| (rule, &*one.recommendation.object)))
        .collect();
    for (place, (make, expected)) in PAIRS.iter().enumerate() {
        let schema = format!("s{place}.");
        let here: Vec<_> = said.iter().filter(|(_, object)| object.starts_with(&schema)).collect();
        let expected = expected.map(|(rule, index)| (rule, format!("{schema}{index}")));
        let expected: Vec<_> = expected.iter().map(|(rule, index)| (*rule, index.as_str())).collect();
        assert_eq!(here.into_iter().copied().collect::<Vec<_>>(), expected, "{make}");
    }
}

/// What is made beside `t (a int, b int)` and `target (x, y)`, and whether the key has an index that finds its rows.
const KEYS: [(&str, &str, bool); 16] = [
    ("(a) references one", "", false),
    ("(a) references one", "create index on t (a)", true),
    ("(a) references one", "create index on t (a, b)", true),
    ("(a) references one", "create index on t (b, a)", false),
    ("(a) references one", "create index on t (a) where a is not null", true),
    ("(a) references one", "create index on t (a) where b > 5", false),
    ("(a) references one", "create index on t using brin (a)", false),
    ("(a) references one", "create index on t using hash (a)", true),
    ("(a, b) references two", "create index on t (b, a)", true),
    ("(a, b) references two", "create index on t (a)", false),
    ("(a, b) references two", "create index on t (a, c, b)", false),
    ("(a, b) references two", "create index on t (a, b) where a is not null and b is not null", true),
    ("(a) references one", "create index on t (abs(a))", false),
    ("(a, b) references two", "create unique index on t (b, a, c)", true),
    ("(d) references three", "create index on t (d)", true),
    ("(d) references three", "create index on t (d collate \"C\")", false),
];

#[tokio::test(flavor = "multi_thread")]
async fn of_foreign_keys_those_without_an_index_are_found_and_no_others() {
    let each = |(place, (key, index, _)): (usize, &(&str, &str, bool))| {
        format!(
            "create schema s{place}; set search_path = s{place};
             create table one (x int primary key); create table two (x int, y int, primary key (x, y));
             create table three (x text primary key);
             create table t (id int primary key, a int, b int, c int, d text, foreign key {key}); {index};"
        )
    };
    let sql: Vec<String> = KEYS.iter().enumerate().map(each).collect();
    let world = scene(&sql.concat()).await;
    let found = look(&world).await;
    let said: Vec<&str> = of(&found, "R10").into_iter().map(|one| &*one.recommendation.object).collect();
    for (place, (key, index, is_covered)) in KEYS.iter().enumerate() {
        let is_said = said.iter().any(|object| object.starts_with(&format!("s{place}.")));
        assert_eq!(is_said, !is_covered, "{key}; {index}");
    }
}

async fn parts(index: &str) -> World {
    scene(&format!(
        "create table target (x int primary key);
         create table t (id int, a int references target) partition by range (id);
         create table t1 partition of t for values from (0) to (10);
         create table t2 (gone int, a int, id int);
         alter table t2 drop column gone;
         alter table t attach partition t2 for values from (10) to (20);
         {index}"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_of_a_partitioned_table_is_judged_by_all_its_parts() {
    for (index, wanted) in [
        ("", Some(2)),
        ("create index on t1 (a);", Some(1)),
        ("create index on t1 (a); create index on t2 (a);", None),
        ("create index on t (a);", None),
        ("create index on only t (a); create index on t2 (a);", Some(1)),
    ] {
        let world = parts(index).await;
        let found = look(&world).await;
        let statement = of(&found, "R10").first().and_then(|one| one.recommendation.statement.clone());
        assert_eq!(statement.as_ref().map(|statement| statement.lines().count()), wanted, "{index}");
        if let Some(statement) = statement {
            super::run(&world, &statement).await;
            assert_eq!(of(&look(&world).await, "R10").len(), 0, "{index}");
        }
    }
}
