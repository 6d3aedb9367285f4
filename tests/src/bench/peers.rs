//! Others who do the same, set up for the same run. Their programs are in `tests/benches/peers/`; what has to be
//! installed or built goes into the folder of the bench, below `target`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::{Contestant, Stage, say};

/// How much of what a failed set-up said is worth repeating.
const TAIL_LINES: usize = 3;

/// A peer, or why it is not there.
#[derive(Debug)]
pub struct Peer {
    /// How people know it.
    pub name: &'static str,
    /// It, or why it is not there.
    pub who: Result<Contestant, String>,
}

/// BullMQ on Node.js, the most used queue on Redis; needs `npm`.
pub fn bullmq(stage: &Stage) -> Peer {
    let name = "BullMQ";
    let folder = stage.folder.join("peers/bullmq");
    let installed = install_bullmq(&folder);
    let who = installed.map(|()| Contestant {
        name,
        folder,
        enqueue: words(&["node", "peer.js", "enqueue"]),
        worker: words(&["node", "peer.js", "worker"]),
        concurrency: 50,
    });
    Peer { name, who }
}

/// rusty-sidekiq, Sidekiq's protocol in Rust.
pub fn rusty_sidekiq(stage: &Stage) -> Peer {
    let name = "rusty-sidekiq";
    let target = stage.folder.join("peers/rusty-sidekiq");
    say("building rusty-sidekiq, if need be");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]);
    build.arg(drivers("rusty-sidekiq").join("Cargo.toml")).arg("--target-dir").arg(&target);
    let program = target.join("release/rusty-sidekiq-peer").into_os_string();
    let who = must("cargo build", &mut build).map(|()| Contestant {
        name,
        folder: target,
        enqueue: vec![program.clone(), "enqueue".into()],
        worker: vec![program, "worker".into()],
        concurrency: 10,
    });
    Peer { name, who }
}

/// Sidekiq on Ruby, where it is installed.
pub fn sidekiq(_: &Stage) -> Peer {
    let name = "Sidekiq";
    let mut look = Command::new("ruby");
    look.args(["-e", "require 'sidekiq'"]);
    let there = must("look for Sidekiq", &mut look)
        .and_then(|()| must("look for Sidekiq", Command::new("sidekiq").arg("--version")))
        .map_err(|_| "Ruby with Sidekiq is not installed (Debian: apt-get install ruby-sidekiq)".to_owned());
    let worker = ["sidekiq", "-r", "./job.rb", "-c", "{concurrency}", "-q", "default", "-t", "2"];
    let who = there.map(|()| Contestant {
        name,
        folder: drivers("sidekiq"),
        enqueue: words(&["ruby", "job.rb", "enqueue"]),
        worker: words(&worker),
        concurrency: 10,
    });
    Peer { name, who }
}

/// Puts the driver into `folder`, and what it stands on as well, unless it is there already.
fn install_bullmq(folder: &Path) -> Result<(), String> {
    let drivers = drivers("bullmq");
    for program in ["node", "npm"] {
        must("look", Command::new(program).arg("--version"))
            .map_err(|_| format!("{program} is missing; BullMQ needs Node.js and npm"))?;
    }
    let lock = "package-lock.json";
    let is_there = fs::read(folder.join(lock)).ok() == fs::read(drivers.join(lock)).ok()
        && folder.join("node_modules/bullmq/package.json").is_file();
    let copied = fs::create_dir_all(folder).and_then(|()| {
        ["peer.js", "package.json", lock]
            .iter()
            .try_for_each(|name| fs::copy(drivers.join(name), folder.join(name)).map(drop))
    });
    copied.map_err(|error| format!("copy the driver of BullMQ: {error}"))?;
    if is_there {
        return Ok(());
    }
    say("installing BullMQ");
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    must("npm ci", install.current_dir(folder))
}

/// Runs a program to its end, and keeps what it says for when it fails.
fn must(doing: &str, command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| {
        let program = command.get_program().display();
        format!("{doing}: {program} cannot be started ({error})")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join(" ");
    Err(format!("{doing} failed: {end}"))
}

fn drivers(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name)
}

fn words(line: &[&str]) -> Vec<OsString> {
    line.iter().map(OsString::from).collect()
}
