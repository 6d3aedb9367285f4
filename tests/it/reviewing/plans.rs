//! Missing indexes are found in the plans of statements, none of which is run.

use brasa_jobs::database::history::StatementUse;
use brasa_jobs::database::review::facts::Subject;
use brasa_jobs::database::review::{Past, gather, review};
use brasa_tests::World;
use serde_json::json;

use super::{connection, limits, of, only, reach, run, scene};

fn statement(text: &str) -> StatementUse {
    StatementUse {
        is_ours: false,
        fingerprint: format!("{:016x}", brasa_shared::hash::fnv1a(text)),
        text: text.to_owned(),
        seconds: 86_400.0,
        calls: 1_000,
        total_ms: 50_000.0,
        mean_ms: 50.0,
        deviation_ms: 5.0,
        share: 0.3,
        rows: 1_000,
        hit: 0,
        read: 0,
        temp: 0,
        usual_ms: None,
        is_regressed: false,
    }
}

async fn with_orders() -> World {
    scene(
        "create sequence told;
         create table orders (id int primary key, customer int, state varchar(9), at timestamptz, \"Odd \"\"Name\" int);
         insert into orders select n, n % 5000, 's' || n % 5, now() - n * interval '1 minute', n % 9000
         from generate_series(1, 50000) n;
         analyze orders",
    )
    .await
}

/// What is known of statements, which the role of the test ran.
async fn past(world: &World, texts: &[&str]) -> Past {
    for text in texts {
        let sql = format!(
            "insert into brasa.care_statement_last
             select oid, {1}, true, '{0}', 0, 0, 0, 0, 0, 0, 0, 0, 0 from pg_roles where rolname = current_user
                 and not exists (select from brasa.care_statement_last where fingerprint = '{0}')",
            statement(text).fingerprint,
            brasa_shared::hash::fnv1a(text) >> 1
        );
        world.execute(&sql).await;
    }
    Past { statement_uses: Some(texts.iter().map(|text| statement(text)).collect()), ..Past::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_proposed_that_the_planner_then_uses() {
    let world = with_orders().await;
    for (text, columns) in [
        ("select * from orders where customer = $1", "(\"customer\")"),
        (
            "select * from orders o where o.state = $1 and o.\"Odd \"\"Name\" = $2",
            "(\"Odd \"\"Name\", \"state\")",
        ),
        ("update orders set state = $1 where customer = $2 and at > $3", "(\"customer\", \"at\")"),
        (
            "with a as (select id from orders where \"Odd \"\"Name\" = any($1)) select count(*) from a",
            "(\"Odd \"\"Name\")",
        ),
    ] {
        let mut connection = connection(&world).await;
        let found =
            review(&mut connection, &reach(&world, ""), past(&world, &[text]).await, limits()).await.unwrap();
        let told = &only(&found, "R11").recommendation;
        assert!(told.statement.as_ref().unwrap().contains(columns), "{text}: {:?}", told.statement);
        run(&world, told.statement.as_ref().unwrap()).await;
        let again =
            review(&mut connection, &reach(&world, ""), past(&world, &[text]).await, limits()).await.unwrap();
        assert_eq!(of(&again, "R11").len(), 0, "{text}");
        let facts =
            gather(&mut connection, &reach(&world, ""), past(&world, &[text]).await, limits()).await.unwrap();
        assert!(facts.scans.is_empty(), "the planner uses it for {text}: {:?}", facts.scans);
        run(&world, told.undo.as_ref().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_run_and_what_cannot_be_planned_is_left_out() {
    let world = with_orders().await;
    let texts = [
        "insert into orders select nextval('told')::int + $1, $2, $3",
        "select nextval($2) from orders where customer = $1",
        "delete from orders where customer > $1",
        "select * from gone where a = $1",
        "select * from orders where customer = $1; drop table orders",
        "drop table orders",
        "select * from orders where (customer = $1 or at = $2)",
        "select * from orders where state like $1",
    ];
    let mut connection = connection(&world).await;
    let facts =
        gather(&mut connection, &reach(&world, ""), past(&world, &texts).await, limits()).await.unwrap();
    let columns: Vec<_> =
        facts.scans.iter().flat_map(|scan| &scan.conditions).map(|one| &*one.column).collect();
    assert_eq!(columns, ["customer", "customer"], "{:?}", facts.scans);
    let left = world.rows("select count(*) as n, (select is_called from told) as told from orders").await;
    assert_eq!(left, json!([{ "n": 50_000, "told": false }]));
    let prepared: i64 =
        sqlx::query_scalar("select count(*) from pg_prepared_statements where name = 'planned_by_brasa'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(prepared, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_function_that_somebody_wrote_is_run_by_a_review() {
    let world = with_orders().await;
    world
        .execute(
            "create sequence sprung;
             create function trap(int) returns int language plpgsql immutable as
                 $$ begin perform nextval('public.sprung'); return $1; end $$;
             create function lower(int) returns int language sql immutable as 'select public.trap($1)';
             create function same(int, int) returns bool language plpgsql immutable as
                 $$ begin perform nextval('public.sprung'); return $1 = $2; end $$;
             create operator === (leftarg = int, rightarg = int, function = same);
             create table traps (a int, b int default trap(1));
             create table checked (a int check (a > trap(0)));
             create view seen as select * from orders where customer = trap(7);
             create table ruled (a int);
             create rule r as on insert to ruled do also select trap(1);
             create table guarded (a int);
             alter table guarded enable row level security;
             create policy p on guarded using (a = trap(1))",
        )
        .await;
    let texts = [
        "select * from orders where customer = trap(7)",
        "select * from orders where customer = public.\"trap\" (7)",
        "select * from orders where customer = lower(7)",
        "select * from orders where 7 === 8 and customer = $1",
        "select * from orders where 7 operator(public.===) 8 and customer = $1",
        "select * from seen",
        "insert into traps (a) values ($1)",
        "select * from checked where a = $1",
        "insert into ruled values ($1)",
        "select * from guarded",
    ];
    let mut connection = connection(&world).await;
    let past_of = past(&world, &texts).await;
    let facts = gather(&mut connection, &reach(&world, ""), past_of, limits()).await.unwrap();
    assert!(facts.scans.is_empty(), "{:?}", facts.scans);
    let gap = facts.gaps.iter().find(|gap| gap.subject == Subject::Unplanned).expect("that is said");
    assert!(gap.why.starts_with(&format!("{} of the statements", texts.len())), "{}", gap.why);
    let told = json!([{ "is_called": false }]);
    assert_eq!(world.rows("select is_called from sprung").await, told);
    // That the trap works: the planner runs it.
    world.execute("explain select * from orders where customer = trap(7)").await;
    assert_eq!(world.rows("select is_called from sprung").await, json!([{ "is_called": true }]));
    // What names none of it is planned as ever; nothing is where nobody knows whose it is.
    let text = "select * from orders where customer = $1";
    let past_of = past(&world, &[text]).await;
    let found = review(&mut connection, &reach(&world, ""), past_of.clone(), limits()).await.unwrap();
    assert_eq!(of(&found, "R11").len(), 1);
    world.execute("delete from brasa.care_statement_last").await;
    let found = review(&mut connection, &reach(&world, ""), past_of, limits()).await.unwrap();
    assert_eq!(of(&found, "R11").len(), 0);
}

/// Operators that nobody writes, and statements in which keywords stand for them.
const IMPLIED: &[(&str, &[&str])] = &[
    (
        "=",
        &[
            "select {} in ({}, {})",
            "select {} is distinct from {}",
            "select nullif({}, {})",
            "select case {} when {} then 1 end",
            "select from (select {} as a) x join (select {} as a) y using (a)",
            "select from (select {} as a) x natural join (select {} as a) y",
        ],
    ),
    ("<>", &["select {} not in ({}, {})", "select {} != {}"]),
    (">=", &["select {} between {} and {}"]),
    ("<=", &["select {} between symmetric {} and {}"]),
    ("<", &["select {} not between {} and {}"]),
    (">", &["select {} not between symmetric {} and {}"]),
    ("~~", &["select {} like {}"]),
    ("!~~", &["select {} not like {}"]),
    ("~~*", &["select {} ilike {}"]),
    ("!~~*", &["select {} not ilike {}"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn operators_that_keywords_stand_for_are_looked_at_too() {
    let world = with_orders().await;
    world
        .execute(
            "create sequence sprung;
             create function trap(varchar, varchar) returns bool language plpgsql immutable as
                 $$ begin perform nextval('public.sprung'); return $1::text = $2; end $$",
        )
        .await;
    let mut connection = connection(&world).await;
    for (sign, texts) in IMPLIED {
        let text = |text: &&str| text.replace("{}", "pi()::varchar");
        let texts: Vec<String> = texts.iter().map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world
            .execute(&format!(
                "create operator {sign} (leftarg = varchar, rightarg = varchar, function = trap)"
            ))
            .await;
        let facts =
            gather(&mut connection, &reach(&world, ""), past(&world, &texts).await, limits()).await.unwrap();
        let gap = facts.gaps.iter().find(|gap| gap.subject == Subject::Unplanned);
        let why = gap.map_or_else(String::new, |gap| gap.why.clone());
        assert!(why.starts_with(&format!("{} of the statements", texts.len())), "{sign}: {why}");
        let sprung = "select is_called from sprung";
        assert_eq!(world.rows(sprung).await, json!([{ "is_called": false }]), "{sign}");
        // That the trap works.
        for text in texts {
            world.execute(&format!("explain {text}")).await;
        }
        assert_eq!(world.rows(sprung).await, json!([{ "is_called": true }]), "{sign}");
        let after = format!("drop operator {sign} (varchar, varchar); select setval('sprung', 1, false)");
        world.execute(&after).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opposite_of_an_operator_may_be_a_trap() {
    let world = with_orders().await;
    world
        .execute(
            "create function trap(int, int) returns bool language sql immutable as 'select $1 <> $2';
             create operator !== (leftarg = int, rightarg = int, function = trap);
             create operator === (leftarg = int, rightarg = int, function = int4eq, negator = !==)",
        )
        .await;
    let mut connection = connection(&world).await;
    let past_of = past(&world, &["select from orders where not customer === $1"]).await;
    let facts = gather(&mut connection, &reach(&world, ""), past_of, limits()).await.unwrap();
    assert!(facts.gaps.iter().any(|gap| gap.subject == Subject::Unplanned), "{:?}", facts.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_planned_with_the_rights_of_the_role_that_runs_it() {
    let world = with_orders().await;
    let role = format!("{}_runner", world.prefix);
    world.execute(&format!(r#"create role "{role}""#)).await;
    let past_of = past(&world, &["select * from orders where customer = $1"]).await;
    let owned = format!("update brasa.care_statement_last set userid = '\"{role}\"'::regrole");
    world.execute(&owned).await;
    let mut connection = connection(&world).await;
    let facts = gather(&mut connection, &reach(&world, ""), past_of.clone(), limits()).await.unwrap();
    assert!(
        facts.scans.is_empty() && !facts.knows(Subject::Plans),
        "the role may not read: {:?}",
        facts.gaps
    );
    world.execute(&format!(r#"grant select on orders to "{role}""#)).await;
    let facts = gather(&mut connection, &reach(&world, ""), past_of, limits()).await.unwrap();
    assert!(facts.scans.len() == 1 && facts.knows(Subject::Plans), "{:?}", facts.gaps);
    world.execute(&format!(r#"drop owned by "{role}"; drop role "{role}""#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_compared_as_a_text_wants_no_index() {
    let world = with_orders().await;
    let mut connection = connection(&world).await;
    for (text, columns) in [
        ("select * from orders where customer::text = $1", vec![]),
        ("select * from orders where state = $1", vec!["state"]),
    ] {
        let past_of = past(&world, &[text]).await;
        let facts = gather(&mut connection, &reach(&world, ""), past_of, limits()).await.unwrap();
        let found: Vec<_> =
            facts.scans.iter().flat_map(|scan| &scan.conditions).map(|one| &*one.column).collect();
        assert_eq!(found, columns, "{text}");
    }
}
