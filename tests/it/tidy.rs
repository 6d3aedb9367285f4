//! The project holds itself to its own rules: things are where they belong, and what is written is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use brasa_jobs::catalog;
use brasa_shared::config::Config;

/// The longest a source file may be, in lines.
const LINES_MAX: usize = 400;

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of the crates.
fn crates() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    members.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

/// Every file below a folder whose name ends so, as paths from the folder of the workspace.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = folder.join(&name);
            let is_folder = fs::metadata(root().join(&path)).is_ok_and(|data| data.is_dir());
            if is_folder && name != "target" && name != "node_modules" && !name.starts_with('.') {
                folders.push(path);
            } else if !is_folder && name.ends_with(ending) {
                found.push(path.to_str().unwrap().trim_start_matches("./").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The sources of all crates but the tests', with their text: no comments, no inline tests.
fn sources() -> Vec<(String, String)> {
    let folders = crates().into_iter().filter(|name| name != "tests").map(|name| format!("{name}/src"));
    let paths = folders.flat_map(|folder| files(&folder, ".rs"));
    let code = |path: String| {
        let text = read(&path);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        (path, code)
    };
    paths.filter(|path| !path.contains("/tests")).map(code).collect()
}

/// The sources that hold any of these words and are not among those that may.
fn holding(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let found = sources().into_iter().filter(|(_, code)| words.iter().any(|word| code.contains(word)));
    found.map(|(path, _)| path).filter(|path| !allowed.contains(&path.as_str())).collect()
}

/// Nothing of this is anywhere.
const NOWHERE: Vec<String> = Vec::new();

#[test]
fn no_source_file_is_longer_than_a_reader_bears() {
    let all = crates().into_iter().flat_map(|name| files(&format!("{name}/src"), ".rs"));
    let long: Vec<_> = all.filter(|path| read(path).lines().count() > LINES_MAX).collect();

    assert_eq!(long, NOWHERE);
}

#[test]
fn every_job_is_in_the_catalogue() {
    let catalog = catalog();
    let mut missing = Vec::new();
    for (path, code) in sources().iter().filter(|(_, code)| code.contains("impl Job for ")) {
        for (name, body) in code.split("impl Job for ").skip(1).map(|rest| rest.split_once(' ').unwrap()) {
            let kind = body.split_once("const KIND: &'static str = \"").unwrap().1.split('"').next().unwrap();
            if catalog.get(kind).is_none() {
                missing.push(format!("{path}: {name} ({kind})"));
            }
        }
    }

    assert_eq!(missing, NOWHERE);
}

#[test]
fn apalis_is_known_in_two_files_of_the_worker() {
    assert_eq!(
        holding(&["apalis::", "apalis_core::"], &["worker/src/feed.rs", "worker/src/run.rs"]),
        NOWHERE
    );
    let manifests = crates().into_iter().map(|name| format!("{name}/Cargo.toml"));
    let dependent: Vec<_> = manifests.filter(|path| read(path).contains("apalis")).collect();
    assert_eq!(dependent, ["worker/Cargo.toml"]);
}

#[test]
fn sql_that_was_put_together_is_handed_on_in_one_file() {
    assert_eq!(holding(&["AssertSqlSafe", "raw_sql("], &["shared/src/db/statement.rs"]), NOWHERE);
}

/// What is not marked would be reported to people as a statement of their application.
#[test]
fn what_is_asked_of_a_database_beside_the_work_says_that_it_is_ours() {
    let is_query = |text: &str| {
        let verbs = ["select ", "select\n", "with ", "explain "];
        let is_ours = text.contains("/* brasa */") || text.contains("brasa.");
        let is_verb = text.split_whitespace().count() < 2;
        verbs.iter().any(|verb| text.trim_start().starts_with(verb)) && !is_ours && !is_verb
    };
    let mut unmarked = Vec::new();
    for (path, code) in sources() {
        // The texts of triggers run inside of the application's statements.
        let is_ours = path.starts_with("jobs/src/database") || path.starts_with("shared/src/db");
        if is_ours && !path.ends_with("/triggers/definition.rs") {
            let code = code.split("mod tests {").next().unwrap();
            let texts = texts(code).into_iter().filter(|text| is_query(text));
            unmarked.extend(texts.map(|text| format!("{path}: {text}")));
        }
    }
    assert_eq!(unmarked, NOWHERE);
}

/// All texts between quotes.
fn texts(code: &str) -> Vec<String> {
    let code = code.replace("'\"'", "").replace("\\\\", "").replace("\\\"", "");
    code.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

#[test]
fn metrics_are_declared_in_one_file() {
    let macros = ["counter!(", "gauge!(", "histogram!(", "\"brasa_"];
    assert_eq!(holding(&macros, &["shared/src/telemetry/metrics.rs"]), NOWHERE);
}

/// The keys of a queue share a hash tag, which is written `{{…}}` in a format; all keys begin with the prefix.
#[test]
fn the_keys_of_each_engine_are_spelt_in_one_file() {
    let allowed = ["alerts", "boards", "cache", "minutes", "queue", "streams"]
        .map(|engine| format!("shared/src/{engine}/keys.rs"));
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    assert_eq!(holding(&[":{{", "prefix}:"], &allowed), NOWHERE);
}

#[test]
fn the_queue_the_cache_and_the_database_do_not_know_one_another() {
    let strangers = |folder: &str, words: &[&str]| {
        let found = holding(words, &[]).into_iter().filter(|path| path.starts_with(folder));
        found.collect::<Vec<_>>()
    };

    assert_eq!(strangers("shared/src/queue/", &["crate::db", "crate::cache", "sqlx"]), NOWHERE);
    assert_eq!(strangers("shared/src/cache/", &["crate::db", "crate::queue", "sqlx"]), NOWHERE);
    let of_redis = ["crate::queue", "crate::cache", "crate::store", "redis::"];
    assert_eq!(strangers("shared/src/db/", &of_redis), NOWHERE);
    assert_eq!(strangers("shared/src/", &["brasa_jobs", "apalis::"]), NOWHERE);
}

#[test]
fn arrows_between_crates_point_down() {
    let order = ["shared", "jobs", "worker", "scheduler", "web", "cli"];
    let mut wrong = Vec::new();
    for (place, name) in order.iter().enumerate() {
        let manifest = read(&format!("{name}/Cargo.toml"));
        let mut above = order[place + 1..].to_vec();
        // Side by side, and strangers.
        above.extend(match *name {
            "scheduler" => &["worker"][..],
            "web" => &["worker", "scheduler"],
            _ => &[],
        });
        let above = above.into_iter().filter(|other| manifest.contains(&format!("brasa-{other}.workspace")));
        wrong.extend(above.map(|other| format!("{name} -> {other}")));
    }

    assert_eq!(wrong, NOWHERE);
}

#[test]
fn every_source_file_belongs_to_its_crate() {
    let mut orphans = Vec::new();
    for name in crates() {
        // The drivers of peers are crates of their own.
        let all = files(&name, ".rs").into_iter().filter(|path| !path.starts_with("tests/benches/peers/"));
        let all: Vec<_> = all.collect();
        let is_root = |path: &&String| {
            let inside = path.strip_prefix(&format!("{name}/")).unwrap();
            let alone = ["src/bin/", "benches/", "examples/"];
            matches!(inside, "src/lib.rs" | "src/main.rs" | "it/main.rs" | "build.rs")
                || alone
                    .iter()
                    .any(|folder| inside.strip_prefix(folder).is_some_and(|rest| !rest.contains('/')))
        };
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<(String, bool)> =
            all.iter().filter(is_root).map(|path| (path.clone(), true)).collect();
        while let Some((path, is_root)) = open.pop() {
            open.extend(modules(&path, is_root).into_iter().map(|child| (child, false)));
            known.insert(path);
        }
        orphans.extend(all.into_iter().filter(|path| !known.contains(path)));
    }

    assert_eq!(orphans, NOWHERE);
}

/// The files of the modules that a file declares.
fn modules(path: &str, is_root: bool) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap();
    let stem = file.trim_end_matches(".rs");
    let folder = if is_root || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let text = read(path);
    let declared = text.lines().filter_map(|line| {
        let line = line.trim().strip_suffix(';')?;
        let (before, name) = line.split_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then_some(name)
    });
    let file = |name: &str| {
        let candidates = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
        candidates.into_iter().find(|path| root().join(path).exists())
    };
    declared.filter_map(file).collect()
}

#[test]
fn tests_have_sentences_for_names() {
    let all = crates().into_iter().flat_map(|name| files(&name, ".rs"));
    let prefix = "fn test_";
    let named: Vec<_> =
        all.filter(|path| !path.ends_with("tidy.rs") && read(path).contains(prefix)).collect();

    assert_eq!(named, NOWHERE);
}

#[test]
fn what_others_wrote_comes_from_the_registry_and_is_known_by_its_hash() {
    let lock = read("Cargo.lock");
    let mut others = 0;
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let found = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            found.map(|value| value.trim_matches('"').to_owned())
        };
        let name = field("name").unwrap();
        let Some(source) = field("source") else {
            let is_ours = name == "brasa" || name.starts_with("brasa-");
            assert!(is_ours, "{name} is a folder of somebody's machine");
            continue;
        };
        assert!(source.starts_with("registry+") && !source.contains("git+"), "{name} comes from {source}");
        assert!(field("checksum").is_some_and(|hash| hash.len() == 64), "{name} has no hash");
        others += 1;
    }
    assert!(others > 100, "{others}");
}

#[test]
fn every_word_for_make_that_is_written_down_exists() {
    let makefile = read("Makefile");
    let words: BTreeSet<_> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(word, _)| word).collect();
    let mut unknown = Vec::new();
    for path in files(".", ".md") {
        let text = read(&path);
        // In a line of its own in a block of code, or between backticks.
        let lines =
            text.lines().filter_map(|line| line.trim().trim_start_matches("$ ").strip_prefix("make "));
        let quoted = text.split("`make ").skip(1);
        for rest in lines.chain(quoted) {
            let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if !word.is_empty() && !words.contains(word.as_str()) {
                unknown.push(format!("{path}: make {word}"));
            }
        }
    }

    assert_eq!(unknown, NOWHERE);
}

#[test]
fn every_configuration_in_the_project_is_a_good_one() {
    let catalog = catalog();
    let variable = |name: &str| match name {
        "REDIS_URL" => Some("redis://127.0.0.1:6379/".to_owned()),
        "DATABASE_URL" => Some("postgres://127.0.0.1/app".to_owned()),
        _ => None,
    };
    let (mut problems, mut count) = (Vec::new(), 0);
    for path in files(".", "brasa.toml") {
        count += 1;
        match Config::read(&root().join(&path), &variable) {
            Err(found) => problems.push(format!("{path}: {found}")),
            Ok(config) => {
                for (name, schedule) in &config.schedules {
                    let args = serde_json::Value::Object(schedule.args.clone()).to_string();
                    let checked = catalog.get(&schedule.job).map(|kind| (kind.check)(&args, &config));
                    if checked.as_ref().is_none_or(Result::is_err) {
                        problems.push(format!("{path}: schedule {name} of {}: {checked:?}", schedule.job));
                    }
                }
            }
        }
    }

    assert_eq!(problems, NOWHERE);
    assert!(count > 0);
}
