//! What others wrote steers neither logs nor terminals, and makes no figures.

use brasa_tests::process::{Brasa, http_get};
use brasa_tests::{World, eventually};
use serde_json::{Value, json};

/// What moves a cursor, writes into a clipboard, and looks like another record.
const NASTY: &str =
    "\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n\u{9b}31m";

/// What steers terminals, of every sort: C0 without NUL, which Postgres takes in no text, DEL and C1.
fn steering() -> String {
    let c0 = '\u{1}'..='\u{1f}';
    let c1 = '\u{80}'..='\u{9f}';
    format!("{NASTY}{}\u{7f}{}\u{9d}52;c;aGk=\u{9c}\r", c0.collect::<String>(), c1.collect::<String>())
}

/// What a worker logs, in this form, of a job that fails with that and of an inbox that holds it.
async fn log_of(form: &str) -> String {
    let world = World::new().await;
    // TOML takes no DEL, so Postgres makes them.
    let spelt = |c: char| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    let spelt: String = steering().chars().map(spelt).collect();
    let raise = format!("do $$ begin raise exception '%', E'{spelt}'; end $$");
    let text = format!("[telemetry]\nlog = \"{form}\"\n[sql.nasty]\nsql = {}\n", json!(raise));
    let brasa = Brasa::configured(&world, &text);
    drop(brasa.run(["migrate"]).await.with_code(0));
    let queue = world.queue("default");
    let mut job = world.job("sql.run", &json!({ "name": "nasty" }));
    job.attempts = Some(1);
    queue.enqueue(&job).await.unwrap();
    for entry in [steering(), json!({ "kind": steering(), "id": steering() }).to_string()] {
        let mut push = redis::cmd("RPUSH");
        push.arg(&queue.keys().inbox).arg(entry);
        let _length: u64 = world.redis(&push).await;
    }
    let log = brasa.run(["worker", "--drain"]).await.stderr;
    assert!(log.contains("forged") && log.contains("52;c;aGk="), "{log}");
    for line in log.split('\n') {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_a_line_whatever_an_error_says() {
    let log = log_of("json").await;
    let reason = log.lines().find_map(|line| {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no record: {line}"));
        assert_ne!(record["message"], json!("forged"), "{line}");
        record["reason"].as_str().filter(|reason| reason.contains("forged")).map(ToOwned::to_owned)
    });
    // Whoever reads it as JSON reads what was said.
    let reason = reason.unwrap();
    assert!(reason.contains(&steering()), "{reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_for_people_is_a_line_too() {
    let log = log_of("human").await;
    for line in log.lines() {
        // It begins with the instant, and not with what somebody else wrote.
        let (instant, rest) = line.split_once(' ').unwrap();
        assert!(instant.parse::<jiff::Timestamp>().is_ok() && !rest.trim_start().starts_with('{'), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_are_not_steered_by_what_jobs_say() {
    let world = World::of_queues();
    let queue = world.queue("default");
    let mut job = world.job("sql.run", &json!({ "name": NASTY }));
    job.due = Some(world.clock.now().as_millisecond() + 3_600_000);
    queue.enqueue(&job).await.unwrap();
    queue.pause(NASTY, NASTY).await.unwrap();
    let mut push = redis::cmd("RPUSH");
    push.arg(&queue.keys().inbox).arg(NASTY);
    let _length: u64 = world.redis(&push).await;
    let brasa = Brasa::configured(&world, "");
    for verb in [
        &["jobs", "list"][..],
        &["jobs", "show", &job.id],
        &["jobs", "why", &job.id],
        &["queues", "list"],
        &["dead", "list"],
        &["dead", "groups"],
        &["jobs", "show", NASTY],
        &["enqueue", NASTY],
    ] {
        let ended = brasa.run(verb).await;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let is_fine = |c: char| !c.is_control() || c == '\n';
        assert!(said.chars().all(is_fine), "{verb:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_kinds_and_names_others_make_up_the_figures_stay_few() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, "");
    drop(brasa.run(["migrate"]).await.with_code(0));
    let worker = brasa.env("BRASA_LISTEN", "127.0.0.1:0").start(["worker"]);
    let address = worker.address().await;
    let queue = world.queue("default");
    let jobs: Vec<_> = (0..5_000).map(|number| world.job(&format!("made.up-{number}"), &json!({}))).collect();
    for jobs in jobs.chunks(100) {
        queue.enqueue_all(jobs).await.unwrap();
    }
    let fine = world.enqueue("db.observe", json!({})).await;
    eventually("a job of a known kind is through", async || world.show(&fine).await.outcome.is_some()).await;
    let (_, text) = http_get(address, "/metrics").await.unwrap();
    assert!(!text.contains("made.up"), "a name that somebody made up is in the figures");
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!((30..1_000).contains(&series), "{series}");
}
