//! In whatever way the process that started them ends: its servers and folders are gone soon afterwards.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, process, thread};

use super::{PostgresOptions, PostgresServer, RedisOptions, RedisServer, Scratch, Signal, wait};

/// Tells a victim how to end; without it there is none to play.
const ENDING: &str = "BRASA_TEST_ENDING";

/// What a victim says once its servers run.
const READY: &str = "the victim is ready";

/// How soon everything must be gone.
const SOON: Duration = Duration::from_secs(30);

/// A process with a Redis and a Postgres, which ends badly. The other tests start it.
#[test]
#[ignore = "is started by the other tests, as a process of its own"]
fn victim() {
    let Ok(ending) = env::var(ENDING) else { return };
    let _redis = RedisServer::start(RedisOptions::default()).unwrap();
    let _postgres = PostgresServer::start(PostgresOptions::default()).unwrap();
    println!("{READY}");
    match ending.as_str() {
        "panic" => panic!("as it was told"),
        "exit" => process::exit(3),
        "abort" => process::abort(),
        _ => thread::park_timeout(Duration::from_mins(2)),
    }
}

/// The scene of a crime: a folder for temporary files that nobody else uses.
struct Scene {
    _scratch: Scratch,
    folder: PathBuf,
    segments: BTreeSet<String>,
}

impl Scene {
    fn new() -> Self {
        let scratch = Scratch::new().unwrap();
        let folder = scratch.path().join("tmp");
        fs::create_dir(&folder).unwrap();
        // Postgres may run as somebody else, who has to get there.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        Self { _scratch: scratch, folder, segments: orphaned_segments() }
    }

    fn victim(&self, ending: &str) -> Child {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "servers::tests::victim", "--ignored", "--nocapture"])
            .env(ENDING, ending)
            .env("TMPDIR", &self.folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    /// A victim whose servers run.
    fn ready_victim(&self, ending: &str) -> Child {
        let mut victim = self.victim(ending);
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(READY)), "the victim's servers did not start");
        victim
    }

    fn assert_clean_soon(&self) {
        let clean = wait::until(SOON, || Ok(self.traces().is_empty().then_some(()))).unwrap();
        assert!(clean.is_some(), "left behind: {:#?}", self.traces());
    }

    /// Folders, processes and shared memory that should not be there any more.
    fn traces(&self) -> Vec<String> {
        let folders = entries(&self.folder).into_iter().map(|path| path.display().to_string());
        let segments = orphaned_segments();
        let segments = segments.difference(&self.segments).map(|id| format!("shared memory {id}"));
        folders.chain(processes_in(&self.folder)).chain(segments).collect()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Processes that work in a folder or have it in their command line; none where there is no `/proc` to ask.
fn processes_in(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap();
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    all.filter_map(|entry| {
        let path = entry.ok()?.path();
        let place = fs::read_link(path.join("cwd")).unwrap_or_default();
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let is_here = place.to_string_lossy().contains(name) || words.contains(name);
        is_here.then(|| format!("{}: {words}", path.display()))
    })
    .collect()
}

/// Shared memory that no process uses, by its number.
fn orphaned_segments() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(6) == Some(&"0"))
        .map(|fields| fields[1].to_owned())
        .collect()
}

fn signal_group(victim: &Child, signal: Signal) {
    let group = format!("-{}", victim.id());
    let sent =
        Command::new("sh").args(["-c", r#"kill -s "$1" -- "$2""#, "sh", signal.name(), &group]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn nothing_is_left_when_the_process_is_killed() {
    let scene = Scene::new();
    let mut victim = scene.ready_victim("wait");
    assert_eq!(entries(&scene.folder).len(), 2, "one folder for each server");

    victim.kill().unwrap();
    victim.wait().unwrap();

    scene.assert_clean_soon();
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    let scene = Scene::new();
    let mut victim = scene.ready_victim("wait");

    signal_group(&victim, Signal::Interrupt);
    assert!(!victim.wait().unwrap().success());

    scene.assert_clean_soon();
}

#[test]
fn nothing_is_left_when_the_terminal_is_closed() {
    let scene = Scene::new();
    let mut victim = scene.ready_victim("wait");

    signal_group(&victim, Signal::Hangup);
    assert!(!victim.wait().unwrap().success());

    scene.assert_clean_soon();
}

#[test]
fn nothing_is_left_after_a_panic() {
    let scene = Scene::new();
    let mut victim = scene.ready_victim("panic");

    assert!(!victim.wait().unwrap().success());

    // The stack was unwound, so everything has been dropped already.
    assert_eq!(entries(&scene.folder), Vec::<PathBuf>::new());
    scene.assert_clean_soon();
}

#[test]
fn nothing_is_left_when_the_process_exits_or_aborts_without_dropping_anything() {
    for ending in ["exit", "abort"] {
        let scene = Scene::new();
        let mut victim = scene.ready_victim(ending);

        assert!(!victim.wait().unwrap().success());

        scene.assert_clean_soon();
    }
}

#[test]
fn nothing_is_left_when_the_process_is_killed_while_its_servers_start() {
    for delay_ms in [1, 4, 8, 15, 40, 300, 600, 900] {
        let scene = Scene::new();
        let mut victim = scene.victim("wait");
        thread::park_timeout(Duration::from_millis(delay_ms));

        victim.kill().unwrap();
        victim.wait().unwrap();

        scene.assert_clean_soon();
    }
}

#[test]
fn a_killed_server_that_is_not_started_again_leaves_nothing_either() {
    let scene = Scene::new();
    let mut postgres = PostgresServer::start(PostgresOptions::default()).unwrap();

    postgres.kill().unwrap();
    drop(postgres);

    scene.assert_clean_soon();
}

#[test]
fn a_server_starts_again_once_the_processes_are_gone_whose_first_was_killed() {
    let mut postgres = PostgresServer::start(PostgresOptions::default()).unwrap();
    let Some(orphan) = child_of(postgres.pid()) else { return };
    let signal = |name: &str, pid: u32| {
        let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
        assert!(sent.success(), "SIG{name} to {pid}");
    };
    let log = fs::read_link(format!("/proc/{orphan}/cwd")).unwrap().with_file_name("log");
    // One that stands still does not notice that it is alone.
    signal("STOP", orphan);
    signal("KILL", postgres.pid());

    let waker = thread::spawn(move || {
        let is_refused = || fs::read_to_string(&log).unwrap().contains("pre-existing shared memory block");
        let refused = wait::until(Duration::from_secs(15), || Ok(is_refused().then_some(())));
        signal("CONT", orphan);
        refused.unwrap()
    });
    postgres.restart().unwrap();

    assert!(waker.join().unwrap().is_some(), "it was never refused a start, so nothing was waited for");
}

/// A process whose parent this is, where the system tells.
fn child_of(parent: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).find(|pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let behind_name = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        behind_name.split(' ').nth(1) == Some(&*parent.to_string())
    })
}

#[test]
fn servers_do_not_hold_the_pipe_that_tells_their_warden_of_our_end() {
    if !Path::new("/proc/self/fd").exists() {
        return;
    }
    let inherited = pipes(process::id());
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let postgres = PostgresServer::start(PostgresOptions::default()).unwrap();
    let ours: BTreeSet<_> = pipes(process::id()).difference(&inherited).cloned().collect();
    assert!(ours.len() >= 2, "a pipe for each warden");

    for pid in [redis.pid(), postgres.pid()] {
        assert!(pipes(pid).is_disjoint(&ours));
    }
}

/// The pipes that a process holds.
fn pipes(pid: u32) -> BTreeSet<PathBuf> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("pipe:"))
        .collect()
}
