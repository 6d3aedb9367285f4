//! Workers and the dashboard as the roles of `deploy/postgres`, which may do what they need and no more.

use std::process::Stdio;

use brasa_shared::queue::State;
use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::process::Brasa;
use redis::cmd;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{Dashboard, has};

const ROLES: &str = include_str!("../../../deploy/postgres/roles.sql");
const GRANTS: &str = include_str!("../../../deploy/postgres/grants.sql");

const TABLES: &str = "create table sales (id int generated always as identity, at timestamptz not null default now(), amount numeric);
    insert into sales (amount) select n from generate_series(1, 50) n;
    create index sales_at on sales (at); create index sales_at_amount on sales (at, amount);
    create table visits (id int primary key, page varchar(20) not null);
    create table t (id serial primary key); select setval('t_id_seq', 2147000000)";

/// What the owners of an application's tables give, as docs/production.md says.
const GIVEN: &str =
    "grant select on sales, t to ROLE_worker; grant select, insert on visits to ROLE_worker, ROLE_web;
    grant select, update, trigger on sales to ROLE_owner";

const CONFIG: &str = r#"
[sql.fine]
sql = "select 1"
[sql.wrong]
sql = "select 1/0"
[warm.sales]
sql = "select id, amount as value from sales"
key = "KEY:sale:{id}"
ttl = "1h"
depends_on = ["sales"]
[aggregates.sales]
source = "sales"
time = "at"
measures = { turnover = "sum(amount)" }
[writes.visits]
table = "visits"
[schedules.nightly]
job = "sql.run"
args = { name = "fine" }
cron = "30 3 * * *"
"#;

/// A world whose processes are of one role each.
struct Split {
    role: String,
    dashboard: Dashboard,
}

impl Split {
    async fn new() -> Self {
        let world = World::new().await;
        let role = world.prefix.replace('-', "_");
        let named = |text: &str| text.replace("brasa_", &format!("{role}_"));
        world.execute(TABLES).await;
        world.execute(&format!("create role {role}_app login password 'modest'")).await;
        psql(&world, &world.database_url, &named(ROLES)).await;
        for who in ["owner", "worker", "web"] {
            world.execute(&format!("alter role {role}_{who} password 'modest'")).await;
        }
        world.execute(&GIVEN.replace("ROLE", &role)).await;
        let of = |who: &str| url(&world, &format!("{role}_{who}"));
        let (owner, web) = (of("owner"), of("web"));
        let config = CONFIG.replace("KEY", &world.prefix);
        let by_owner = Brasa::configured(&world, &config).env("DATABASE_URL", &owner);
        drop(by_owner.run(["migrate"]).await.with_code(0));
        // Each time anew, as after a migration.
        for _ in 0..2 {
            psql(&world, &owner, &named(GRANTS).replace(":\"app\"", &format!("{role}_app"))).await;
        }
        for verb in [&["cache", "triggers", "install"][..], &["aggregates", "install", "sales"]] {
            drop(by_owner.run(verb).await.with_code(0));
        }
        let tables = "grant select, insert, update, delete on brasa.agg_sales_v1 to ROLE_worker;
            grant select, delete on brasa.agg_sales_v1_log to ROLE_worker;
            grant select on brasa.agg_sales_v1_log to ROLE_web";
        psql(&world, &owner, &tables.replace("ROLE", &role)).await;
        drop(by_owner.run(["aggregates", "backfill", "sales"]).await.with_code(0));
        drop(by_owner.run(["db", "review"]).await.with_code(0));
        let dashboard = Dashboard::connected_as(world, CONFIG, &web).await;
        Self { role, dashboard }
    }

    /// `brasa` as one of the roles.
    fn brasa(&self, who: &str) -> Brasa {
        let address = url(&self.dashboard.world, &format!("{}_{who}", self.role));
        self.dashboard.brasa.clone().env("DATABASE_URL", address)
    }
}

/// The address of a world's database for a role.
fn url(world: &World, role: &str) -> String {
    let (_, place) = world.database_url.rsplit_once('@').unwrap();
    format!("postgres://{role}:modest@{place}")
}

/// Runs a file of SQL as people do.
async fn psql(world: &World, url: &str, text: &str) {
    let database = world.database_url.rsplit_once('/').unwrap().1;
    let mut command = Command::new("psql");
    command.args([
        url,
        "-q",
        "-X",
        "-v",
        "ON_ERROR_STOP=1",
        "-v",
        &format!("database={database}"),
        "-f",
        "-",
    ]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let ended = child.wait_with_output().await.unwrap();
    assert!(ended.status.success(), "{}: {text}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_rights_of_the_manual_workers_do_all_and_the_dashboard_shows_and_does_all() {
    let split = Split::new().await;
    let _worker = split.brasa("worker").start(["worker"]);
    let _scheduler = split.dashboard.brasa.clone().without("DATABASE_URL").start(["scheduler"]);
    all_is_done(&split).await;
    every_page_is_whole(&split).await;
    every_act_takes_place(&split).await;
    nothing_beyond_that(&split).await;
    let world = &split.dashboard.world;
    world.is(&world.enqueue("sql.run", json!({ "name": "fine" })).await, State::Done).await;
}

/// The outbox, the cache, an aggregate, rows that are handed over, and what became of jobs.
async fn all_is_done(split: &Split) {
    let world = &split.dashboard.world;
    let app = world.pool_at(&url(world, &format!("{}_app", split.role)));
    sqlx::query("select brasa.enqueue('sql.run', '{\"name\": \"wrong\"}')").execute(&app).await.unwrap();
    eventually("a job of the outbox dies", async || world.counts().await.dead == 1).await;
    let key = format!("{}:writes:{{visits:0}}", world.prefix);
    for row in
        [r#"{"id": 1, "page": "/"}"#, r#"{"id": 2, "page": "one that is much too long"}"#, r#"{"id": 3}"#]
    {
        world.redis::<String>(cmd("XADD").arg(&key).arg("*").arg("d").arg(row)).await;
    }
    world.execute("insert into sales (amount) values (1000)").await;
    let told = "select (select count(*) from visits)::int as visits, (select count(*) from brasa.write_dead)::int as dead,
        (select count(*) from brasa.history where ending = 'dead')::int as history,
        (select sum(turnover)::int from brasa.agg_sales) as turnover";
    eventually("all is done", async || {
        world.rows(told).await == json!([{ "visits": 1, "dead": 2, "history": 1, "turnover": 2275 }])
    })
    .await;
    eventually("the cache is told", async || {
        world.redis::<u64>(cmd("EXISTS").arg(format!("{}:sale:51", world.prefix))).await == 1
    })
    .await;
}

async fn every_page_is_whole(split: &Split) {
    let dashboard = &split.dashboard;
    for page in [
        "/",
        "/queues",
        "/jobs?state=history",
        "/dead",
        "/schedules",
        "/workers",
        "/cache",
        "/aggregates",
        "/writes",
        "/database",
        "/recommendations",
        "/audit",
        "/about",
    ] {
        let page_text = dashboard.page("admin", page).await;
        for lacking in ["lacks a right", "has no tables for this", "did not answer as it should"] {
            assert!(!page_text.contains(lacking), "{page}: {lacking}: {page_text}");
        }
    }
    has(&dashboard.page("admin", "/jobs?state=history").await, &["sql.run"]);
    let about = dashboard.page("admin", "/about").await;
    let (_, postgres) = about.split_once("id=\"server-postgres\"").unwrap();
    let (postgres, _) = postgres.split_once("</section>").unwrap();
    assert!(!postgres.contains("history") && !postgres.contains("problem"), "{postgres}");
    drop(split.brasa("worker").run(["doctor"]).await.with_code(0));
    has(&dashboard.page("admin", "/writes").await, &["one that is much too long"]);
}

async fn every_act_takes_place(split: &Split) {
    let (world, dashboard) = (&split.dashboard.world, &split.dashboard);
    let listed = split.brasa("owner").run(["db", "recommendations", "--json"]).await.json();
    let fingerprint = listed["recommendations"][0]["fingerprint"].as_str().unwrap().to_owned();
    let dead = world.rows("select id from brasa.write_dead order by id").await;
    let [first, second] = [0, 1].map(|place: usize| dead[place]["id"].as_i64().unwrap());
    let group = split.brasa("worker").run(["dead", "groups", "--json"]).await.json()[0]["signature"]
        .as_str()
        .unwrap()
        .to_owned();
    for (path, form) in [
        (format!("/recommendations/{fingerprint}/dismiss"), "reason=known"),
        (format!("/recommendations/{fingerprint}/reopen"), ""),
        ("/recommendations/review".to_owned(), ""),
        ("/writes/visits/pause".to_owned(), "reason=a+move"),
        ("/writes/visits/resume".to_owned(), ""),
        (format!("/writes/dead/{first}/replay"), "row=%7B%22id%22%3A+2%2C+%22page%22%3A+%22short%22%7D"),
        (format!("/writes/dead/{second}/delete"), ""),
        ("/writes/visits/replay".to_owned(), ""),
        ("/cache/sales/warm".to_owned(), ""),
        ("/cache/sales/invalidate".to_owned(), ""),
        ("/aggregates/sales/refresh".to_owned(), ""),
        ("/aggregates/sales/check".to_owned(), ""),
        ("/schedules/nightly/run".to_owned(), ""),
        ("/schedules/nightly/pause".to_owned(), "reason=x"),
        ("/schedules/nightly/resume".to_owned(), ""),
        ("/queues/default/pause".to_owned(), "reason=x"),
        ("/queues/default/resume".to_owned(), ""),
        (format!("/dead/{group}/retry"), ""),
    ] {
        let _leads = dashboard.act("admin", &path, form).await;
    }
    eventually("the mended row is written", async || {
        world.rows("select page from visits where id = 2").await == json!([{ "page": "short" }])
    })
    .await;
}

/// What was written down of acts is there for good, and what is the application's is none of its business.
async fn nothing_beyond_that(split: &Split) {
    let world = &split.dashboard.world;
    let web = world.pool_at(&url(world, &format!("{}_web", split.role)));
    for attempt in [
        "update brasa.audit set actor = 'somebody else'",
        "delete from brasa.audit",
        "truncate brasa.audit",
        "delete from brasa.history",
        "select * from sales",
        "insert into sales (amount) values (1)",
        "create table brasa.mine (n int)",
    ] {
        let refused = sqlx::query(attempt).execute(&web).await.unwrap_err().to_string();
        assert!(
            refused.contains("permission denied") || refused.contains("must be owner"),
            "{attempt}: {refused}"
        );
    }
    let acts: i64 = sqlx::query_scalar("select count(*) from brasa.audit").fetch_one(&web).await.unwrap();
    assert_eq!(acts, 18);
}
