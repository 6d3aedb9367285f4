//! The environment, and files beside the configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::{Config, Problem, Problems};

/// A folder that is gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("brasa-config-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Reads a text in an environment of two variables.
fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let env = |name: &str| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    };
    Config::parse(text, Path::new("brasa.toml"), &env)
}

fn read(path: &Path) -> Result<Config, Problems> {
    Config::read(path, &|_| None)
}

#[track_caller]
fn only_problem(read: Result<Config, Problems>) -> Problem {
    let problems = read.unwrap_err().0;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn variables_win_over_the_file() {
    let text =
        "redis.url = \"redis://file\"\npostgres.url_file = \"nowhere\"\ntelemetry.listen = \"1.2.3.4:5\"";
    let variables = [
        ("REDIS_URL", "rediss://variable\n"),
        ("DATABASE_URL", "postgresql://variable"),
        ("BRASA_LISTEN", "[::1]:80"),
    ];
    let config = parse_with(text, &variables).unwrap();
    let redis = config.redis.url.unwrap();
    assert_eq!((redis.expose(), redis.source()), ("rediss://variable", "REDIS_URL"));
    assert_eq!(config.postgres.url.unwrap().expose(), "postgresql://variable");
    assert_eq!(config.telemetry.listen.unwrap().to_string(), "[::1]:80");
}

#[test]
fn a_variable_that_is_set_to_nothing_does_not_win() {
    let config = parse_with("redis.url = \"redis://file\"", &[("REDIS_URL", "")]).unwrap();
    let redis = config.redis.url.unwrap();
    assert_eq!((redis.expose(), redis.source()), ("redis://file", "redis.url (brasa.toml:1)"));
}

#[test]
fn variables_are_put_into_addresses() {
    let text = "[postgres]\nurl = \"postgres://${DB_USER}:${DB_PASSWORD}@${DB_HOST:-localhost}/x\"";
    let config = parse_with(text, &[("DB_USER", "app"), ("DB_PASSWORD", "hunter2")]).unwrap();
    assert_eq!(config.postgres.url.as_ref().unwrap().expose(), "postgres://app:hunter2@localhost/x");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    let problem = only_problem(parse_with("", &[("REDIS_URL", "http://u:hunter2@x")]));
    assert_eq!((problem.file.as_str(), problem.line, problem.path.as_str()), ("environment", 0, "REDIS_URL"));
    assert!(problem.to_string().starts_with("environment: REDIS_URL: `http://` is not"), "{problem}");
    assert!(!problem.to_string().contains("hunter2"));
    let problem = only_problem(parse_with("", &[("BRASA_LISTEN", "9600")]));
    assert_eq!((problem.file.as_str(), problem.path.as_str()), ("environment", "BRASA_LISTEN"));
}

#[test]
fn nothing_listens_where_it_is_off() {
    let config = parse_with("", &[("BRASA_LISTEN", "off")]).unwrap();
    assert_eq!((config.telemetry.listen, config.telemetry.listen_explicit), (None, true));
}

#[test]
fn passwords_do_not_get_into_problems() {
    let texts = [
        "redis = \"redis://:hunter2@x\"",
        "redis.url = redis://:hunter2@x",
        "redis.url = [\"redis://:hunter2@x\"]",
        "redis.url = \"hunter2://x\"",
        "redis.url = \"hunter2\"",
        "redis.url = \"redis://:hunter2@x",
        "worker.concurrency = \"redis://:hunter2@x\"",
    ];
    for text in texts {
        let problems = parse_with(text, &[]).unwrap_err().to_string();
        assert!(!problems.contains("hunter2"), "{text}: {problems}");
    }
}

#[test]
fn addresses_and_statements_come_from_files_beside_the_configuration() {
    let folder = Folder::new();
    folder.write("redis-url", "redis://secret\n");
    folder.write("tick.sql", "select $1, '$2'");
    let text = "redis.url_file = \"redis-url\"\n\
        [sql.tick]\nsql_file = \"tick.sql\"\nparams = [\"job.id\"]\n\
        [warm.x]\nsql_file = \"tick.sql\"\nfor_each = { sql = \"select 1 as a\", params = [\"a\"] }\n\
        key = \"{a}\"\nttl = \"1m\"\n";
    let config = read(&folder.write("brasa.toml", text)).unwrap();
    assert_eq!(config.redis.url.unwrap().expose(), "redis://secret");
    let tick = &config.sql["tick"];
    assert_eq!((tick.sql.text.as_str(), tick.sql.key()), ("select $1, '$2'", "sql_file"));
    assert_eq!(config.warm["x"].sql.file.as_deref(), Some(folder.0.join("tick.sql").as_path()));
}

#[test]
fn files_that_cannot_be_read_are_problems() {
    let folder = Folder::new();
    folder.write("empty", " \n");
    folder.write("binary", [0xff, 0xfe, b'x']);
    let text = "redis.url_file = \"empty\"\npostgres.url_file = \"nowhere\"\n\
        [sql.a]\nsql_file = \"nowhere.sql\"\n[sql.b]\nsql_file = \"binary\"\n[sql.c]\nsql_file = \".\"\n\
        [sql.d]\nsql_file = \"empty\"\n";
    let problems = read(&folder.write("brasa.toml", text)).unwrap_err().0;
    let expected = [
        (1, "redis.url_file", "it is empty"),
        (2, "postgres.url_file", "there is no such file"),
        (4, "sql.a.sql_file", "there is no such file"),
        (6, "sql.b.sql_file", "it is not UTF-8 text"),
        (8, "sql.c.sql_file", "it is a folder"),
        (10, "sql.d.sql_file", "the statement is empty"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, (line, path, message)) in problems.iter().zip(expected) {
        assert_eq!((problem.line, problem.path.as_str()), (line, path));
        assert!(problem.message.contains(message), "{problem}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_a_problem() {
    let folder = Folder::new();
    let problem = only_problem(read(&folder.0.join("brasa.toml")));
    assert_eq!((problem.line, problem.path.as_str()), (0, ""));
    assert!(problem.message.contains("there is no such file"), "{problem}");
    assert!(problem.help.contains("--config PATH"), "{problem}");
    assert!(only_problem(read(&folder.0)).message.contains("it is a folder"));
    let large = folder.write("large.toml", vec![b'#'; (4 << 20) + 1]);
    assert!(only_problem(read(&large)).message.contains("larger than 4 MiB"));
}

#[test]
fn problems_are_written_for_people_and_for_programs() {
    let text = "[redis]\nprefix = \"X\"\n";
    let problems = parse_with(text, &[]).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "brasa.toml:2: redis.prefix: the name `X` holds `X`; names are made of a-z, 0-9, `_`, `.` and `-`\n  \
         help: write it as in `departures-board`"
    );
    let json = serde_json::to_value(&problems.0).unwrap();
    let keys: Vec<_> = json[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["file", "help", "line", "message", "path"]);
}
