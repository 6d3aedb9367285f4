//! What a page begins with: servers, programs, packages, ports and files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, process};

use brasa_tests::World;

use super::page::{Page, Step, What, root};
use super::scene::Scene;
use super::shell::{self, tokens};
use super::terminal::path;
use crate::languages::installed::Language;

/// Ports that pages name. Each page gets others in their place, for pages are performed beside one another.
const PORTS: [&str; 8] = ["3000", "8000", "9600", "9601", "9700", "9800", "9900", "9901"];

/// The first port that a page may get, how many each gets, and for how many pages there is room.
const FIRST: u16 = 10_000;
const SLOT: u16 = 8;
const SLOTS: u32 = 1_000;

/// What pages and scenes call beside `brasa`.
const PROGRAMS: [&str; 7] = ["bash", "curl", "jq", "openssl", "psql", "python3", "redis-cli"];

/// What stands for each of these ports.
pub(super) type Ports = Vec<(&'static str, String)>;

/// A port for each that pages name, and what keeps other pages off them. They are below those that private servers
/// take, and those that systems give away.
pub(super) fn ports() -> (Ports, File) {
    let begin = process::id() % SLOTS;
    let mut slots = (begin..SLOTS).chain(0..begin);
    let taken = slots.find_map(|slot| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ports-{slot}.lock"));
        let lock = File::create(path).unwrap();
        lock.try_lock().ok()?;
        let first = FIRST + u16::try_from(slot).unwrap() * SLOT;
        let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let ports = (first..first + SLOT).all(is_free).then(|| (first..).map(|port| port.to_string()))?;
        Some((PORTS.into_iter().zip(ports).collect(), lock))
    });
    taken.expect("a free place for the ports of a page")
}

/// A program that is not on this machine, of those that no page does without.
pub(super) fn missing_program() -> Option<&'static str> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    PROGRAMS.into_iter().find(|program| !folders.iter().any(|folder| folder.join(program).is_file()))
}

/// The variables that a script sets.
pub(super) fn variables(script: &str) -> BTreeSet<String> {
    let words = script.lines().flat_map(|line| {
        let words = shell::words(line.trim_start().trim_start_matches("export "));
        words.into_iter().take_while(|word| shell::is_assignment(word)).collect::<Vec<_>>()
    });
    words.map(|word| word.split('=').next().unwrap().to_owned()).collect()
}

/// What a page needs of other languages; nothing where that is not to be had.
pub(super) async fn packages(needs: &[String]) -> Option<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for need in needs {
        let language = match need.as_str() {
            "python" => Language::Python,
            "node" => Language::Node,
            "fastapi" => Language::FastApi,
            "express" => Language::Express,
            _ => panic!("nobody knows how to install {need}"),
        };
        folders.push(language.installed().await?.folder);
    }
    Some(folders)
}

pub(super) fn environment(
    world: &World,
    packages: &[PathBuf],
    ports: &Ports,
) -> Vec<(&'static str, OsString)> {
    let folder = world.folder();
    let bins = packages.iter().map(|packages| packages.join("bin"));
    let first: Vec<PathBuf> = [folder.join("target/debug")].into_iter().chain(bins).collect();
    let at = |port: &str| OsString::from(renumbered(&format!("127.0.0.1:{port}"), ports));
    let modules = packages.iter().map(|packages| packages.join("node_modules"));
    vec![
        ("PATH", path(&first)),
        ("HOME", folder.join("home").into()),
        ("PAGE", folder.into()),
        ("PROJECT", root().canonicalize().unwrap().into()),
        ("PACKAGES", packages.first().cloned().unwrap_or_default().into()),
        ("NODE_PATH", env::join_paths(modules).unwrap()),
        ("REDIS_URL", OsString::from(&world.redis_url)),
        ("DATABASE_URL", OsString::from(&world.database_url)),
        ("BRASA_LISTEN", at("9600")),
        ("BRASA_WEB_LISTEN", at("9700")),
        ("PGCLIENTENCODING", "UTF8".into()),
        ("LC_ALL", "C.UTF-8".into()),
        ("RUST_BACKTRACE", "1".into()),
    ]
}

/// The page's folder: as if one had got this project and built it, once here and once at home.
pub(super) fn set(folder: &Path, page: &Page, scene: &Scene, ports: &Ports) {
    let test = env::current_exe().unwrap();
    // Tests are in the folder `deps` beside the programs.
    let programs = test.parent().unwrap().parent().unwrap();
    for place in [folder.to_owned(), folder.join("home/brasa")] {
        fs::create_dir_all(place.join("target")).unwrap();
        symlink(programs, place.join("target/debug")).unwrap();
        for part in ["deploy", "docs"] {
            symlink(root().canonicalize().unwrap().join(part), place.join(part)).unwrap();
        }
    }
    symlink(root().canonicalize().unwrap().join("tests/it/manual/endpoint.py"), folder.join("endpoint.py"))
        .unwrap();
    fs::write(folder.join("home/.psqlrc"), "\\set ON_ERROR_STOP 1\n").unwrap();
    let together = page.steps.iter().filter(|step| is_together(step, scene)).map(|step| match &step.what {
        What::Piece { text, .. } => renumbered(text, ports),
        _ => unreachable!("it is no piece"),
    });
    let together = together.collect::<Vec<_>>().join("\n");
    if !together.is_empty() {
        fs::write(folder.join("brasa.toml"), together).unwrap();
    }
}

/// Whether a step is a piece of configuration that goes into the page's brasa.toml.
pub(super) fn is_together(step: &Step, scene: &Scene) -> bool {
    matches!(&step.what, What::Piece { language, text } if language == "toml" && !apart(text, scene))
}

/// Whether a piece of configuration is looked at for itself.
pub(super) fn apart(text: &str, scene: &Scene) -> bool {
    text.lines().any(|line| scene.apart.iter().any(|table| line.trim_start() == table.as_str()))
}

/// A text with this page's ports.
pub(super) fn renumbered(text: &str, ports: &Ports) -> String {
    tokens(text, |token| ports.iter().find(|(port, _)| *port == token).map(|(_, port)| port.clone()))
}
