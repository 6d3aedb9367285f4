//! The processes: which roles they play, when they end by themselves, what they show of themselves, and where
//! their configuration comes from.

use std::fs;
use std::time::{Duration, Instant};

use brasa_shared::queue::State;
use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::process::{Brasa, Signal, http_get};
use serde_json::json;

const CONFIG: &str = r#"
[sql.nap]
sql = "select pg_sleep($1)"
params = ["args.seconds"]

[sql.tick]
sql = "select 1"

[schedules.every-second]
job = "sql.run"
args = { name = "tick" }
every = "1s"
"#;

#[tokio::test]
async fn a_statement_of_the_configuration_runs_with_the_values_that_it_asks_for() {
    let world = World::new().await;
    let table = "create table ledger (job_id text primary key, attempt int not null, n int not null)";
    sqlx::raw_sql(table).execute(&world.pool).await.unwrap();
    let brasa = Brasa::configured(
        &world,
        r#"
[sql.ledger]
sql    = "insert into ledger (job_id, attempt, n) values ($1, $2, $3)"
params = ["job.id", "job.attempt", "args.n"]
"#,
    );
    let args = r#"{"name": "ledger", "n": 7}"#;
    let job = brasa.run(["enqueue", "sql.run", "--args", args, "--json"]).await.json();

    let _ended = brasa.run(["worker", "--drain"]).await.with_code(0);

    let row: (String, i32, i32) =
        sqlx::query_as("select * from ledger").fetch_one(&world.pool).await.unwrap();
    assert_eq!((json!(row.0), row.1, row.2), (job["id"].clone(), 1, 7));
}

#[tokio::test]
async fn a_draining_worker_ends_when_nothing_waits_is_delayed_or_runs_and_not_before() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let (queue, begun) = (world.queue("default"), Instant::now());
    let mut delayed = world.job("sql.run", &json!({ "name": "nap", "seconds": 0.5 }));
    delayed.due = Some(world.clock.now().as_millisecond() + 1_500);
    queue.enqueue(&delayed).await.unwrap();
    for _ in 0..100 {
        world.enqueue("sql.run", json!({ "name": "tick" })).await;
    }

    let tally = brasa.run(["worker", "--drain", "--json"]).await.json();

    assert!(begun.elapsed() > Duration::from_secs(2), "the delayed job has run: {:?}", begun.elapsed());
    assert_eq!(tally, json!({ "done": 101, "failed": 0 }));
    assert_eq!(world.counts().await.open(), 0);
    // With nothing to do it ends at once.
    let _ended = brasa.run(["worker", "--drain"]).await.with_code(0);
}

#[tokio::test]
async fn a_draining_worker_leaves_other_queues_alone() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, &format!("{CONFIG}\n[queues.high]"));
    let other = world.enqueue("sql.run", json!({ "name": "tick" })).await;
    let args = r#"{"name": "tick"}"#;
    let _job = brasa.run(["enqueue", "sql.run", "--queue", "high", "--args", args]).await.with_code(0);

    let tally = brasa.run(["worker", "--drain", "--queues", "high", "--json"]).await.json();

    assert_eq!(tally["done"], 1);
    assert_eq!(world.state(&other).await, Some(State::Waiting));
}

#[tokio::test]
async fn a_process_plays_the_roles_that_it_is_told() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let done = async || world.counts().await.totals.get("done").copied().unwrap_or(0);
    let ticks = async || world.queue("default").tick_log(1_000).await.unwrap().len();

    let scheduler = brasa.start(["run", "--only", "scheduler"]);
    eventually("ticks fire", async || ticks().await >= 2).await;
    assert_eq!(done().await, 0, "nobody works");
    scheduler.signal(Signal::Terminate);
    let _ended = scheduler.ended(Duration::from_secs(10)).await.with_code(0);

    let fired = ticks().await;
    let worker = brasa.start(["run", "--only", "worker"]);
    eventually("the jobs of the ticks are done", async || done().await >= fired as u64).await;
    assert_eq!(ticks().await, fired, "nobody fires");
    worker.signal(Signal::Terminate);
    let _ended = worker.ended(Duration::from_secs(10)).await.with_code(0);

    let both = brasa.start(["run"]);
    eventually("ticks fire and are done", async || done().await > fired as u64 + 2).await;
    both.signal(Signal::Terminate);
    let _ended = both.ended(Duration::from_secs(10)).await.with_code(0);
}

#[tokio::test]
async fn a_process_shows_its_metrics_that_it_lives_and_whether_it_is_ready() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let process = brasa.start(["run", "--listen", "127.0.0.1:0"]);
    let address = process.address().await;
    let ask = async |path: &str| http_get(address, path).await.unwrap();

    eventually("it is ready", async || ask("/ready").await == (200, "ready\n".to_owned())).await;
    assert_eq!(ask("/live").await, (200, "live\n".to_owned()));
    assert_eq!(ask("/elsewhere").await.0, 404);
    eventually("jobs and ticks are counted", async || {
        let (_, metrics) = ask("/metrics").await;
        let is_counted = |name: &str| metrics.lines().any(|line| line.starts_with(name));
        is_counted(r#"brasa_jobs_finished_total{kind="sql.run",verdict="done"}"#)
            && is_counted(r#"brasa_jobs_claimed_total{queue="default"}"#)
            && is_counted(r#"brasa_ticks_total{schedule="every-second",verdict="fired"}"#)
            && is_counted("brasa_scheduler_leading 1")
            && metrics.contains("# HELP brasa_jobs_finished_total Jobs that left this worker")
    })
    .await;
    let place = address.to_string();
    let said = Brasa::new().run(["health", "--listen", &place, "--json"]).await.json();
    assert_eq!(said, json!({ "ready": true }));
    let said = Brasa::new().env("BRASA_LISTEN", place).run(["health"]).await.with_code(0);
    assert_eq!(said.stdout, "ready\n");

    drop(process);
    let said = Brasa::new().run(["health", "--listen", &address.to_string()]).await.with_code(1);
    assert!(said.stderr.contains("does not answer"), "{said:?}");
}

#[tokio::test]
async fn logs_are_json_where_no_person_reads_them() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let id = world.enqueue("sql.run", json!({ "name": "absent" })).await;
    let ended = brasa.run(["worker", "--drain"]).await.with_code(0);
    let events = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<serde_json::Value> = events.collect();
    let failure = events.iter().find(|event| event["level"] == "ERROR").unwrap();
    assert_eq!(failure["span"]["job.id"], json!(id), "{failure:#}");
    assert!(failure["reason"].as_str().unwrap().contains("there is no statement `absent`"), "{failure:#}");
}

#[tokio::test]
async fn the_configuration_is_the_one_that_was_told_then_the_variables_then_the_folders() {
    let world = World::of_queues();
    let folder = world.folder();
    for name in ["told", "variable", "brasa"] {
        let text = format!("[schedules.{name}]\njob = \"db.analyze\"\nevery = \"1h\"\n");
        fs::write(folder.join(format!("{name}.toml")), text).unwrap();
    }
    let found = async |brasa: &Brasa, more: &[&str]| {
        let args = ["schedules", "preview", "--count", "1", "--json"];
        let said = brasa.run(args.iter().chain(more)).await.json();
        said[0]["schedule"].as_str().unwrap().to_owned()
    };

    let in_folder = Brasa::new().in_folder(folder);
    let by_variable = in_folder.clone().env("BRASA_CONFIG", folder.join("variable.toml"));
    assert_eq!(found(&in_folder, &[]).await, "brasa");
    assert_eq!(found(&by_variable, &[]).await, "variable");
    assert_eq!(found(&by_variable, &["--config", "told.toml"]).await, "told");
}

#[tokio::test]
async fn addresses_in_the_environment_win_over_the_file() {
    let world = World::of_queues();
    let file = world.folder().join("elsewhere.toml");
    fs::write(&file, "[redis]\nurl = \"redis://127.0.0.1:1/\"\n").unwrap();
    let brasa = Brasa::new().env("BRASA_CONFIG", &file).env("REDIS_URL", &world.redis_url);
    let _said = brasa.run(["queues", "list"]).await.with_code(0);
    // Without any file the variables are enough.
    let alone = Brasa::new().env("REDIS_URL", &world.redis_url);
    let _said = alone.run(["queues", "list"]).await.with_code(0);
}

#[tokio::test]
async fn a_preview_shows_a_change_of_clocks_in_utc_and_in_local_time() {
    let preview = ["schedules", "preview", "--cron", "30 2 * * *", "--zone", "America/New_York"];
    let from = ["--from", "2026-03-07T00:00:00Z", "--count", "3"];
    let said = Brasa::new().run(preview.iter().chain(&from).chain(&["--json"])).await.json();
    assert_eq!(
        said,
        json!([
            { "utc": "2026-03-07T07:30:00Z", "local": "2026-03-07T02:30:00-05:00" },
            { "utc": "2026-03-08T07:00:00Z", "local": "2026-03-08T03:00:00-04:00" },
            { "utc": "2026-03-09T06:30:00Z", "local": "2026-03-09T02:30:00-04:00" },
        ])
    );
    let said = Brasa::new().run(preview.iter().chain(&from)).await.with_code(0).stdout;
    assert!(said.contains("2026-03-08T07:00:00Z   local 2026-03-08T03:00:00-04:00"), "{said}");
}

#[tokio::test]
async fn schedules_are_listed_with_their_last_verdict_and_run_beside_their_ticks() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let listed = async || brasa.run(["schedules", "list", "--json"]).await.json();
    assert_eq!(listed().await[0]["last"], json!(null));

    let id = brasa.run(["schedules", "run", "every-second", "--json"]).await.json()["id"].clone();
    let id = id.as_str().unwrap();
    assert!(id.starts_with("every-second@now-"), "{id}");
    assert_eq!(world.show(id).await.schedule.as_deref(), Some("every-second"));
    let _scheduler = brasa.start(["scheduler"]);

    eventually("a tick has its verdict", async || listed().await[0]["last"]["verdict"] == "fired").await;
    let table = brasa.run(["schedules", "list"]).await.with_code(0).stdout;
    assert!(
        table.contains("every-second") && table.contains("every 1s") && table.contains("fired"),
        "{table}"
    );
}
