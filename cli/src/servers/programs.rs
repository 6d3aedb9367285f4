//! Where the programs of the servers are.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::ServersError;

/// Folders that are looked into after those of `PATH`.
const REDIS_PLACES: [&str; 6] = [
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/redis/bin",
    "/usr/local/opt/redis/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];

/// Folders that hold one folder per version of Postgres, what that folder's name begins with, and what follows it.
/// Distributions keep the server out of `PATH`, so that several versions fit on one machine.
const POSTGRES_PLACES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The Redis server, or Valkey, which is one too.
pub(super) fn redis() -> Result<PathBuf, ServersError> {
    let folders: Vec<PathBuf> = on_path().chain(REDIS_PLACES.map(PathBuf::from)).collect();
    ["redis-server", "valkey-server"]
        .iter()
        .find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file()))
        .ok_or(ServersError::Missing {
            program: "redis-server",
            advice: "install it with `apt-get install redis-server`, `dnf install redis` (or `valkey`) \
                     or `brew install redis`",
        })
}

/// The folder that holds `postgres` and its `initdb`: of `PATH` if it is there, else of the newest version.
pub(super) fn postgres() -> Result<PathBuf, ServersError> {
    let places = POSTGRES_PLACES.iter().map(|(root, prefix, rest)| newest(Path::new(root), prefix, rest));
    let found = on_path().chain(places.flatten()).find(|folder| is_postgres(folder));
    found.map(|folder| real(&folder).unwrap_or(folder)).ok_or(ServersError::Missing {
        program: "postgres",
        advice: "install the server with `apt-get install postgresql`, `dnf install postgresql-server` \
                 or `brew install postgresql@17`",
    })
}

/// The libraries that the Postgres of this folder is to load when it starts: those of ours that are there.
pub(super) fn postgres_preloads(programs: &Path) -> &'static str {
    let libraries =
        ["../lib", "../lib/postgresql", "../lib64/pgsql", "../lib/pgsql"].map(|place| programs.join(place));
    let is_there = |folder: &PathBuf| {
        ["so", "dylib"].iter().any(|kind| folder.join(format!("pg_stat_statements.{kind}")).is_file())
    };
    if libraries.iter().any(is_there) { "pg_stat_statements" } else { "" }
}

/// Where the programs are that links in this folder lead to: all of them, and not only those that are linked.
fn real(folder: &Path) -> Option<PathBuf> {
    let program = fs::canonicalize(folder.join("postgres")).ok()?;
    program.parent().filter(|folder| is_postgres(folder)).map(Path::to_owned)
}

fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn is_postgres(folder: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|program| folder.join(program).is_file())
}

/// `root/<prefix><version>/<rest>` of the highest version that is whole.
fn newest(root: &Path, prefix: &str, rest: &str) -> Option<PathBuf> {
    // A place that is not there is not one where Postgres is.
    let entries = fs::read_dir(root).ok()?;
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let version: u32 = name.to_str()?.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((version, root.join(&name).join(rest)))
        })
        .filter(|(_, folder)| is_postgres(folder))
        .max()
        .map(|(_, folder)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::Scratch;

    #[test]
    fn the_newest_whole_version_wins_by_number() {
        let scratch = Scratch::new().unwrap();
        for version in ["9.6", "15", "17", "not-a-version"] {
            let bin = scratch.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("postgres"), "").unwrap();
            if version != "17" {
                fs::write(bin.join("initdb"), "").unwrap();
            }
        }

        assert_eq!(newest(scratch.path(), "", "bin"), Some(scratch.path().join("15/bin")));
        assert_eq!(newest(Path::new("/nowhere"), "", "bin"), None);
    }
}
