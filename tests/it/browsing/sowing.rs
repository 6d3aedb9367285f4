//! What others planted is text where names stand, too: of queues, kinds, workers and machines; and where jobs say what
//! they are at.

use std::time::Duration;

use brasa_jobs::history::Book;
use brasa_shared::minutes::Vitals;
use brasa_shared::queue::{Ended, Ending, Enqueued, Envelope, FleetKeys, Note, Queue, State, WorkerInfo};
use brasa_tests::hand::{Hand, again, dead, done, held};
use brasa_tests::process::within;
use brasa_tests::{World, eventually};
use redis::cmd;
use serde_json::{Value, json};

use super::Scene;
use super::planting::plants;

/// A kind that the workers of the scene do not run.
const KIND: &str = "test.unknown";
/// For how long the history may be somebody else's.
const WRITTEN_MAX: Duration = Duration::from_secs(20);

/// All of what is planted, ten at a time.
fn bunches() -> Vec<String> {
    let plants: Vec<String> = plants().into_iter().map(|plant| plant.replace('\0', "")).collect();
    plants.chunks(10).map(<[String]>::concat).collect()
}

/// The same in printable characters without a blank: HTML takes a slash for one.
fn without_blanks(bunch: &str) -> String {
    bunch.replace(' ', "/").chars().filter(char::is_ascii_graphic).collect()
}

/// A job that keeps what is planted as its keys, as far as there is room. Its unique key is its own.
fn job(world: &World, bunch: &str) -> Envelope {
    let key: String = without_blanks(bunch).chars().take(100).collect();
    let job = world.job(KIND, &json!({ bunch: bunch }));
    let unique = Some(format!("{key}{}", job.id));
    Envelope { share: Some(key), unique, ..job }
}

/// A queue of this name, in which jobs wait, run, are done, are dead and were tried; the paths of their pages.
async fn sow_queue(world: &World, name: &str, bunch: &str) -> Vec<String> {
    let queue = world.queue(name);
    let queues = FleetKeys::new(&world.prefix).queues;
    world.redis::<u64>(cmd("SADD").arg(queues).arg(name)).await;
    let worker = without_blanks(bunch);
    let hand = Hand::new(&worker, &[KIND]);
    let mut paths = Vec::new();
    for end in ["runs", "done", "dead", "again", "waits"] {
        let job = job(world, bunch);
        assert_eq!(queue.enqueue(&job).await.unwrap(), Enqueued::New);
        paths.push(path(name, &job.id));
        if end != "waits" {
            end_as(&queue, &hand, end, bunch).await;
        }
    }
    let later = Envelope { due: Some(world.clock.now().as_millisecond() + 3_600_000), ..job(world, bunch) };
    assert_eq!(queue.enqueue(&later).await.unwrap(), Enqueued::New);
    paths.push(path(name, &later.id));
    paths
}

/// Claims a job, says something of it, and lets it end so.
async fn end_as(queue: &Queue, hand: &Hand, end: &str, bunch: &str) {
    let job = hand.claim_one(queue).await;
    let note = Note { share: 0.5, text: bunch.to_owned(), at: 0 };
    assert!(queue.note(&held(&job), Some(note), &format!("{bunch}\n{bunch}\n")).await.unwrap());
    match end {
        "done" => {
            let mut end = done(&job);
            end.outcome.result = Some(json!({ bunch: [bunch] }));
            end.outcome.worker = bunch.to_owned();
            queue.finish(&[end]).await.unwrap();
        }
        "dead" => drop(queue.bury(&[dead(&job, bunch)]).await.unwrap()),
        "again" => {
            let told = format!("1785000000000 1 {bunch}");
            drop(queue.retry(&[again(&job, Duration::from_hours(1), &told)]).await.unwrap());
        }
        _ => {}
    }
}

/// What such a worker says of itself.
async fn report(world: &World, bunch: &str) {
    let info = WorkerInfo {
        worker: without_blanks(bunch),
        host: bunch.to_owned(),
        pid: 7,
        version: bunch.to_owned(),
        since: world.clock.now().as_millisecond(),
        queues: vec![bunch.to_owned()],
        classes: vec![bunch.to_owned()],
        concurrency: 10,
        keys: Vec::new(),
    };
    world.fleet().report(&info).await.unwrap();
    let vitals =
        Vitals { host: bunch.to_owned(), pid: 7, cpu: Some(0.99), own_cpu: Some(0.5), ..Vitals::default() };
    world.fleet().minutes().tell(&vitals).await.unwrap();
}

/// What the history has of a job of such a kind; the path of its page.
async fn write_down(world: &World, place: usize, bunch: &str) -> String {
    let (now, text) = (world.clock.now(), || Some(bunch.to_owned()));
    let json = json!({ bunch: bunch }).to_string();
    let ended = Ended {
        id: format!("{place}-{}", without_blanks(bunch).chars().take(100).collect::<String>()),
        kind: bunch.to_owned(),
        ending: Ending::Dead,
        enqueued_ms: now.as_millisecond(),
        started_ms: now.as_millisecond(),
        ended_ms: now.as_millisecond(),
        took_ms: 10,
        attempt: 1,
        worker: bunch.to_owned(),
        schedule: text(),
        share: text(),
        reason: text(),
        result: Some(json.clone()),
        args: Some(json),
        trace: text(),
    };
    let mut connection = world.pool.acquire().await.unwrap();
    let mut book = Book::keeping(Duration::from_hours(30 * 24));
    let path = path(bunch, &ended.id);
    let all = [ended];
    // The scene's own worker may be making the parts of the table.
    let written = within(WRITTEN_MAX, "the history takes it", async || {
        book.write(&mut connection, bunch, &all, now).await.ok()
    })
    .await;
    assert_eq!(written.rows, 1, "{bunch}");
    path
}

fn path(queue: &str, id: &str) -> String {
    format!("/jobs/{}/{}", segment(queue), segment(id))
}

/// As it stands in an address.
pub(super) fn segment(text: &str) -> String {
    let hex = brasa_shared::hash::hex(text.as_bytes());
    hex.as_bytes().chunks(2).flat_map(|pair| ['%', char::from(pair[0]), char::from(pair[1])]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planted_in_names_and_in_what_jobs_say_is_text_on_every_page() {
    let Some(mut scene) = Scene::new().await else { return };
    let bunches = bunches();
    let world = &scene.world;
    let mut paths = Vec::new();
    for (place, bunch) in bunches.iter().enumerate() {
        // In a queue of such a name, and in one that is configured.
        let of_queue = sow_queue(world, bunch, bunch).await;
        let of_mail = sow_queue(world, "mail", bunch).await;
        // Each page is opened for some, and each bunch is on some page.
        paths.push(of_queue[place % of_queue.len()].clone());
        paths.push(of_mail[(place + 3) % of_mail.len()].clone());
        paths.push(write_down(world, place, bunch).await);
        let kind = json!({ "id": format!("kind-{place}"), "kind": bunch, "args": {} }).to_string();
        let inbox = world.queue("default").keys().inbox.clone();
        world.redis::<u64>(cmd("RPUSH").arg(inbox).arg(kind)).await;
    }
    eventually("what has no kind is dead", async || world.counts().await.dead == bunches.len() as u64).await;
    for dead in world.queue("default").list(State::Dead, 3).await.unwrap() {
        paths.push(path("default", &dead.id));
    }

    scene.log_in().await;
    for bunch in &bunches {
        report(&scene.world, bunch).await;
    }
    for page in ["/workers", "/", "/queues", "/dead", "/about", "/jobs?state=history&limit=200"] {
        let told = scene.browser.go_to_all_of(page).await;
        if page != "/about" {
            has_planted(&told);
        }
    }
    for state in ["running", "waiting", "delayed", "done", "dead", ""] {
        has_planted(&scene.browser.go(&format!("/jobs?state={state}&limit=200")).await);
    }
    has_planted(&scene.browser.go(&format!("/jobs?queue={}&state=delayed", segment(&bunches[0]))).await);
    for path in paths {
        let told = scene.browser.go(&path).await;
        assert!(!told["look"]["title"].as_str().unwrap().starts_with("404"), "{path}: {told}");
        has_planted(&told);
    }
}

/// Makes sure that it is there to be read.
fn has_planted(told: &Value) {
    let text = told["look"]["text"].as_str().unwrap();
    assert!(["data-planted", "window.planted"].iter().any(|word| text.contains(word)), "{told}");
}
