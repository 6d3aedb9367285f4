//! The verbs, as a person or a script uses them.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use std::fs;
use std::process::Command;

use brasa_tests::World;
use brasa_tests::eventually;
use brasa_tests::process::{Brasa, Running};
use serde_json::{Value, json};

/// Statements that do nothing for a while, and that fail for good.
const CONFIG: &str = r#"
[sql.nap]
sql = "select pg_sleep($1)"
params = ["args.seconds"]

[sql.share]
sql = "select 1 / $1::int"
params = ["args.among"]

[queues.high]
weight = 6

[schedules.nightly]
job = "sql.run"
args = { name = "nap", seconds = 0 }
cron = "30 2 * * *"
zone = "America/New_York"
"#;

const NAP: &str = r#"{"name": "nap", "seconds": 0}"#;
const FAIL: &str = r#"{"name": "share", "among": 0}"#;

/// Enqueues one job and returns its id.
async fn enqueue(brasa: &Brasa, args: &str, more: &[&str]) -> String {
    let said = brasa.run(["enqueue", "sql.run", "--json", "--args", args].iter().chain(more)).await.json();
    said["id"].as_str().unwrap().to_owned()
}

/// What `jobs show` says of a job.
async fn show(brasa: &Brasa, id: &str) -> Value {
    brasa.run(["jobs", "show", id, "--json"]).await.json()
}

/// The ids of a list of jobs.
fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect()
}

/// A world with a worker, and jobs that have failed for good.
async fn with_dead_jobs(count: usize) -> (World, Brasa, Running, Vec<String>) {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let worker = brasa.start(["worker"]);
    let mut dead = Vec::new();
    for _ in 0..count {
        dead.push(enqueue(&brasa, FAIL, &[]).await);
    }
    eventually("the jobs are dead", async || world.counts().await.dead == count as u64).await;
    (world, brasa, worker, dead)
}

#[tokio::test]
async fn arguments_come_from_the_command_line_a_file_or_standard_input() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, CONFIG);
    let file = world.folder().join("args.json");
    fs::write(&file, r#"{"name": "nap", "seconds": 2}"#).unwrap();

    let inline = enqueue(&brasa, r#"{"name": "nap", "seconds": 1}"#, &[]).await;
    let from_file = enqueue(&brasa, &format!("@{}", file.display()), &[]).await;
    let third = r#"{"name": "nap", "seconds": 3}"#;
    let from_input = brasa.feed(third, ["enqueue", "sql.run", "--args", "-", "--json"]).await.json();

    for (id, seconds) in [(inline.as_str(), 1), (&from_file, 2), (from_input["id"].as_str().unwrap(), 3)] {
        assert_eq!(show(&brasa, id).await["args"], json!({ "name": "nap", "seconds": seconds }));
    }
}

#[tokio::test]
async fn a_job_may_start_later_and_in_another_queue() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, CONFIG);
    let now_ms = world.clock.now().as_millisecond();

    let in_an_hour = enqueue(&brasa, NAP, &["--in", "1h"]).await;
    let at_an_instant = enqueue(&brasa, NAP, &["--at", "2040-01-01T00:00:00Z", "--queue", "high"]).await;

    let (first, second) = (show(&brasa, &in_an_hour).await, show(&brasa, &at_an_instant).await);
    let later_ms = first["state_ms"].as_i64().unwrap() - now_ms;
    assert!((3_600_000..3_660_000).contains(&later_ms), "{later_ms}");
    assert_eq!((&first["state"], &first["queue"]), (&json!("delayed"), &json!("default")));
    assert_eq!((&second["state"], &second["queue"]), (&json!("delayed"), &json!("high")));
    assert_eq!(second["state_ms"], 2_208_988_800_000_i64);
}

#[tokio::test]
async fn a_unique_key_and_an_id_admit_one_job() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, CONFIG);
    let enqueue_as = async |more: &[&str]| {
        let args = ["enqueue", "sql.run", "--json", "--args", NAP];
        let said = brasa.run(args.iter().chain(more)).await.json();
        (said["state"].as_str().unwrap().to_owned(), said["id"].as_str().unwrap().to_owned())
    };

    let (new, holder) = enqueue_as(&["--unique", "one"]).await;
    assert_eq!((new.as_str(), enqueue_as(&["--unique", "one"]).await), ("new", ("held".to_owned(), holder)));
    assert_eq!(enqueue_as(&["--id", "me"]).await, ("new".to_owned(), "me".to_owned()));
    assert_eq!(enqueue_as(&["--id", "me"]).await, ("known".to_owned(), "me".to_owned()));
    assert_eq!(world.counts().await.waiting, 2);
}

#[tokio::test]
async fn a_file_of_arguments_is_enqueued_line_by_line() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, CONFIG);
    let lines = format!("{NAP}\n\n{NAP}\n{NAP}\n");
    let file = world.folder().join("jobs.jsonl");
    fs::write(&file, &lines).unwrap();
    let bulk = |source: &str| ["enqueue", "sql.run", "--bulk", source].map(str::to_owned);

    let said = brasa.run(bulk(file.to_str().unwrap())).await.with_code(0);
    assert_eq!(said.stdout, "enqueued 3 jobs into default\n");
    let said = brasa.feed(&lines, bulk("-").into_iter().chain(["--json".to_owned()])).await.json();
    assert_eq!(said["enqueued"], 3);
    let said = brasa.feed(&lines, bulk("-").into_iter().chain(["--dry-run".to_owned()])).await.with_code(0);
    assert_eq!(said.stdout, "would enqueue 3 jobs into default\n");

    assert_eq!(world.counts().await.waiting, 6);
}

#[tokio::test]
async fn waiting_for_a_job_prints_its_outcome_and_tells_success_from_failure() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let _worker = brasa.start(["worker"]);
    let wait = async |args: &str, more: &[&str]| {
        brasa.run(["enqueue", "sql.run", "--wait", "--args", args].iter().chain(more)).await
    };

    let done = wait(NAP, &[]).await.with_code(0).stdout;
    assert!(done.starts_with("done in ") && done.ends_with("attempt 1: {\"rows\":1}\n"), "{done}");
    let failed = wait(FAIL, &[]).await.with_code(1).stdout;
    let reason = "could not run statement `share`: division by zero (SQLSTATE 22012)";
    assert!(
        failed.starts_with("dead in ") && failed.ends_with(&format!("attempt 1: {reason}\n")),
        "{failed}"
    );

    let done = wait(NAP, &["--json"]).await.json();
    assert_eq!((&done["ending"], &done["outcome"]["result"]["rows"]), (&json!("done"), &json!(1)));
    let failed = wait(FAIL, &["--json"]).await.with_code(1).json_anyway();
    assert_eq!((&failed["ending"], &failed["outcome"]["reason"]), (&json!("dead"), &json!(reason)));
}

#[tokio::test]
async fn jobs_are_listed_by_state_queue_and_kind() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, CONFIG);
    let waiting = enqueue(&brasa, NAP, &[]).await;
    let delayed = enqueue(&brasa, NAP, &["--in", "1h"]).await;
    let high = enqueue(&brasa, NAP, &["--queue", "high"]).await;
    let list = async |more: &[&str]| brasa.run(["jobs", "list", "--json"].iter().chain(more)).await.json();

    assert_eq!(ids(&list(&[]).await), [&waiting, &delayed, &high]);
    assert_eq!(ids(&list(&["--state", "delayed"]).await), [&delayed]);
    assert_eq!(ids(&list(&["--queue", "high"]).await), [&high]);
    assert_eq!(ids(&list(&["--kind", "db.analyze"]).await), Vec::<&str>::new());
    assert_eq!(ids(&list(&["--limit", "1", "--state", "waiting", "--queue", "default"]).await), [&waiting]);
    let table = brasa.run(["jobs", "list"]).await.with_code(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("ID ") && lines[1].starts_with(&waiting), "{table}");
}

#[tokio::test]
async fn a_delayed_job_can_be_started_before_its_time() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let _worker = brasa.start(["worker"]);
    let id = enqueue(&brasa, NAP, &["--in", "1h"]).await;

    let said = brasa.run(["jobs", "retry", &id]).await.with_code(0);

    assert_eq!(said.stdout, format!("{id} is waiting again\n"));
    eventually("it is done", async || show(&brasa, &id).await["state"] == "done").await;
    let said = brasa.run(["jobs", "retry", &id]).await.with_code(1);
    assert_eq!(said.stdout, format!("{id} is done; nothing was changed\n"));
}

#[tokio::test]
async fn a_job_is_cancelled_where_it_waits_and_where_it_runs() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let waiting = enqueue(&brasa, NAP, &["--in", "1h"]).await;
    let said = brasa.run(["jobs", "cancel", &waiting, "--reason", "no need"]).await.with_code(0);
    assert_eq!(said.stdout, format!("{waiting} is cancelled\n"));
    let view = show(&brasa, &waiting).await;
    assert_eq!(view["outcome"]["ending"], "cancelled");
    assert!(view["outcome"]["reason"].as_str().unwrap().ends_with("(command line): no need"), "{view}");

    let mut worker = brasa.start(["worker"]);
    let running = enqueue(&brasa, r#"{"name": "nap", "seconds": 20}"#, &[]).await;
    eventually("it runs", async || world.counts().await.running == 1).await;
    let said = brasa.run(["jobs", "cancel", &running]).await.with_code(0);
    assert_eq!(said.stdout, format!("{running} runs and has been asked to stop\n"));
    eventually("it stops", async || show(&brasa, &running).await["outcome"]["ending"] == "cancelled").await;
    assert!(worker.is_running());

    let said = brasa.run(["jobs", "cancel", "nobody"]).await.with_code(1);
    assert!(said.stderr.contains("no queue knows the job `nobody`"), "{said:?}");
}

#[tokio::test]
async fn a_paused_queue_says_by_whom_and_why_and_runs_nothing_until_it_is_resumed() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG).env("USER", "ada");
    let said = brasa.run(["queues", "pause", "default", "--reason", "a deploy"]).await.with_code(0);
    assert_eq!(said.stdout, "queue default is paused; `brasa queues resume default` ends it\n");
    let _worker = brasa.start(["worker", "--queues", "default,high"]);
    let id = enqueue(&brasa, NAP, &[]).await;
    let other = enqueue(&brasa, NAP, &["--queue", "high"]).await;

    eventually("the other queue goes on", async || show(&brasa, &other).await["state"] == "done").await;
    assert_eq!(show(&brasa, &id).await["state"], "waiting");
    let queues = brasa.run(["queues", "list", "--json"]).await.json();
    let paused = &queues["default"]["paused"];
    assert_eq!((&paused["by"], &paused["reason"]), (&json!("ada (command line)"), &json!("a deploy")));
    let table = brasa.run(["queues", "list"]).await.with_code(0).stdout;
    assert!(table.contains("paused by ada (command line) a deploy"), "{table}");

    let said = brasa.run(["queues", "resume", "default"]).await.with_code(0);
    assert_eq!(said.stdout, "queue default goes on\n");
    eventually("it is done", async || show(&brasa, &id).await["state"] == "done").await;
}

#[tokio::test]
async fn dead_jobs_are_listed_shown_and_retried() {
    let (world, brasa, _worker, dead) = with_dead_jobs(2).await;
    let list = brasa.run(["dead", "list", "--json"]).await.json();
    let (mut listed, mut expected) = (ids(&list), dead.clone());
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let shown = brasa.run(["dead", "show", &dead[0]]).await.with_code(0).stdout;
    assert!(shown.contains("division by zero"), "{shown}");

    let said = brasa.run(["dead", "retry", "--all", "--dry-run"]).await.with_code(0);
    assert_eq!(said.stdout, "would retry 2 job(s)\n");
    let said = brasa.run(["dead", "retry", &dead[0]]).await.with_code(0);
    assert_eq!(said.stdout, "1 job(s) waiting again\n");

    // It fails again, in a first attempt.
    eventually("it ran again", async || world.counts().await.totals["dead"] == 3).await;
    assert_eq!(show(&brasa, &dead[0]).await["attempt"], 1);
}

#[tokio::test]
async fn dead_jobs_are_deleted_only_by_those_who_are_sure() {
    let (world, brasa, _worker, dead) = with_dead_jobs(3).await;

    let said = brasa.run(["dead", "delete", "--all"]).await.with_code(2);
    assert!(said.stderr.contains("cannot be undone; add --yes"), "{said:?}");
    let said = brasa.run(["dead", "delete", "--all", "--dry-run"]).await.with_code(0);
    assert_eq!(said.stdout, "would delete 3 job(s)\n");
    assert_eq!(world.counts().await.dead, 3);

    let said = brasa.run(["dead", "delete", &dead[0], "--yes"]).await.with_code(0);
    assert_eq!(said.stdout, "1 job(s) deleted\n");
    let said = brasa.run(["dead", "delete", "--all", "--yes", "--json"]).await.json();
    assert_eq!(said["delete"].as_array().unwrap().len(), 2);
    assert_eq!(world.counts().await.dead, 0);
    let waiting = enqueue(&brasa, NAP, &["--in", "1h"]).await;
    let said = brasa.run(["dead", "delete", &waiting, "--yes"]).await.with_code(1);
    assert!(said.stdout.contains("was left as it is: it is not dead"), "{said:?}");
}

#[tokio::test]
async fn kinds_say_what_they_do() {
    let kinds = Brasa::new().run(["kinds", "--json"]).await.json();
    let names: Vec<&str> =
        kinds.as_array().unwrap().iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "aggregate.backfill",
            "aggregate.check",
            "aggregate.refresh",
            "cache.warm",
            "db.analyze",
            "db.observe",
            "db.prune",
            "db.reindex",
            "db.review",
            "db.vacuum",
            "http.post",
            "sql.run",
            "writes.flush"
        ]
    );
    assert!(kinds.as_array().unwrap().iter().all(|kind| kind["about"].as_str().unwrap().len() > 20));
}

#[tokio::test]
async fn completions_are_scripts_that_their_shells_can_read() {
    let world = World::of_queues();
    for shell in ["bash", "zsh", "fish"] {
        let script = Brasa::new().run(["completions", shell]).await.with_code(0).stdout;
        assert!(script.contains("brasa") && script.contains("enqueue"), "{shell}: {script}");
        let file = world.folder().join(shell);
        fs::write(&file, script).unwrap();
        // Where a shell is not installed, there is nobody to ask.
        if let Ok(read) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(read.status.success(), "{shell}: {read:?}");
        }
    }
}

#[tokio::test]
async fn migrating_twice_is_migrating_once() {
    let world = World::new().await;
    let brasa = Brasa::in_world(&world);
    let ran = async || brasa.run(["migrate", "--json"]).await.json()["ran"].as_u64().unwrap();

    assert!(ran().await > 0);
    assert_eq!(ran().await, 0);
    let said = brasa.run(["migrate"]).await.with_code(0).stdout;
    assert!(said.contains("is up to date") && !said.contains("app:"), "{said}");
}

#[tokio::test]
async fn a_configuration_without_problems_is_said_to_be_fine() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let said = brasa.run(["check"]).await.with_code(0).stdout;
    assert!(said.contains("is fine: 1 schedule(s), 2 statement(s)"), "{said}");
    assert!(said.contains("Redis ") && said.contains("Postgres "), "{said}");
    assert_eq!(brasa.run(["check", "--json"]).await.json(), json!([]));
    let alone = Brasa::new().env("BRASA_CONFIG", world.write_config(CONFIG));
    let said = alone.run(["check", "--offline"]).await.with_code(0).stdout;
    assert!(said.contains("no server was asked"), "{said}");
}

#[tokio::test]
async fn every_verb_speaks_json_when_it_is_asked_to() {
    let (_world, brasa, _worker, dead) = with_dead_jobs(1).await;
    let verbs: &[&[&str]] = &[
        &["migrate"],
        &["check"],
        &["kinds"],
        &["enqueue", "sql.run", "--args", NAP],
        &["enqueue", "sql.run", "--args", NAP, "--dry-run"],
        &["jobs", "list"],
        &["jobs", "show", &dead[0]],
        &["queues", "list"],
        &["queues", "pause", "high"],
        &["queues", "resume", "high"],
        &["dead", "list"],
        &["dead", "show", &dead[0]],
        &["dead", "retry", &dead[0], "--dry-run"],
        &["dead", "delete", &dead[0], "--yes"],
        &["schedules", "list"],
        &["schedules", "preview"],
        &["schedules", "run", "nightly"],
    ];
    for verb in verbs {
        let said = brasa.run(verb.iter().chain(&["--json"])).await;
        assert!(said.stderr.is_empty(), "{verb:?}: {said:?}");
        let _json = said.json();
    }
    // What goes wrong is JSON as well, and where errors belong.
    let said = brasa.run(["jobs", "show", "nobody", "--json"]).await.with_code(1);
    let error: Value = serde_json::from_str(&said.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains("nobody") && said.stdout.is_empty(), "{said:?}");
}
