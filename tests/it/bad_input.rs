//! What is said to those who get something wrong: where it is, what to do, and an exit code that tells a mistake
//! in the configuration (2) from a world that is not as it should be (1). Never a panic.
#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach what they share")]

use std::fs;

use brasa::servers::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};
use brasa_tests::World;
use brasa_tests::process::{Brasa, Ended};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What no user may ever see.
const UNSEEMLY: [&str; 4] = ["panicked", "RUST_BACKTRACE", "stack backtrace", "hunter2"];

/// Runs a verb, and holds what it says and how it ends to what is expected.
async fn refused(brasa: &Brasa, args: &[&str], code: i32, expected: &[&str]) -> Ended {
    let said = brasa.run(args).await.with_code(code);
    let all = format!("{}{}", said.stdout, said.stderr);
    for words in expected {
        assert!(all.contains(words), "`{words}` is not said: {args:?}: {said:#?}");
    }
    for words in UNSEEMLY {
        assert!(!all.contains(words), "`{words}` is said: {args:?}: {said:#?}");
    }
    said
}

/// Runs every verb that reads the configuration, and expects the same of each.
async fn refused_by_all(brasa: &Brasa, code: i32, expected: &[&str]) {
    for args in [
        &["check"][..],
        &["worker"],
        &["scheduler"],
        &["run"],
        &["enqueue", "db.analyze"],
        &["jobs", "list"],
        &["schedules", "list"],
    ] {
        refused(brasa, args, code, expected).await;
    }
}

#[tokio::test]
async fn mistakes_in_the_file_are_said_by_every_verb_with_their_line_and_what_to_write_instead() {
    let world = World::of_queues();
    for (text, expected) in [
        ("[worker]\nconcurency = 5", &[".toml:2: worker.concurency: unknown key", "mean `concurrency`?"][..]),
        (
            "[worker]\n\nlease = \"30x\"",
            &[".toml:3: worker.lease: `30x` is not a duration", "such as \"30s\""],
        ),
        (
            "[schedules.a]\njob = \"db.analyze\"\ncron = \"99 * * * *\"",
            &[".toml:3: schedules.a.cron: ", "`99` is above 59", "help: write five fields"],
        ),
        ("[worker]\nlease = 30s", &[".toml:2: `30s` is not a value", "in double quotes: \"30s\""]),
        ("[postgres]\nurl = \"${NO_SUCH}\"", &[".toml:2: postgres.url: the variable `NO_SUCH` is not set"]),
        ("[sql.a]\nsql_file = \"none.sql\"", &[".toml:2: sql.a.sql_file: cannot read `", "no such file"]),
    ] {
        let brasa = Brasa::configured(&world, text).without("DATABASE_URL");
        refused_by_all(&brasa, 2, expected).await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let world = World::of_queues();
    let latin = world.folder().join("latin.toml");
    fs::write(&latin, b"[sql.a]\nsql = \"select '\xff'\"").unwrap();
    for (path, reason) in [
        (world.folder().join("none.toml"), "none.toml: cannot read the configuration: there is no such file"),
        (latin, "latin.toml: cannot read the configuration: it is not UTF-8 text"),
        (world.folder().to_owned(), ": cannot read the configuration: it is a folder"),
    ] {
        let path = path.to_str().unwrap();
        let brasa = Brasa::in_world(&world);
        for verb in ["check", "worker", "scheduler", "run"] {
            refused(&brasa, &[verb, "--config", path], 2, &[path, reason, "`--config PATH`"]).await;
        }
    }
}

#[tokio::test]
async fn every_problem_is_reported_in_one_run_and_in_the_order_of_the_file() {
    let world = World::new().await;
    let text = "[schedules.a]\njob = \"sql.rum\"\nevery = \"1s\"\n\
                [schedules.b]\njob = \"sql.run\"\nargs = { name = \"double\", n = \"seven\" }\nevery = \"1s\"\n\
                [schedules.c]\njob = \"db.analyze\"\nargs = { tables = \"flights\" }\nevery = \"1s\"\n\
                [sql.double]\nsql = \"select $1::int * 2\"\nparams = [\"args.n\"]\n\
                [sql.broken]\nsql = \"\"\"\nselect 1\nform nowhere\n\"\"\"\n\
                [sql.absent]\nsql = \"select * from nowhere\"\n";
    let brasa = Brasa::configured(&world, text);

    let said = refused(&brasa, &["check", "--json"], 2, &[]).await.json_anyway();

    let found: Vec<_> = said.as_array().unwrap().iter().map(problem).collect();
    let file = world.folder().display().to_string();
    assert!(found.iter().all(|(named, ..)| named.starts_with(&file)), "{said:#}");
    let found: Vec<_> = found.iter().map(|(_, line, path, message)| (*line, *path, *message)).collect();
    assert_eq!(
        found,
        [
            (2, "schedules.a.job", "there is no kind of job `sql.rum`"),
            (6, "schedules.b.args", "args.n: expected a whole number (int4), found a text of 5 characters"),
            (10, "schedules.c.args", "invalid type: string \"flights\", expected a sequence"),
            (
                16,
                "sql.broken.sql",
                "Postgres refuses the statement: syntax error at or near \"nowhere\" (line 2 of the statement)"
            ),
            (21, "sql.absent.sql", "Postgres refuses the statement: relation \"nowhere\" does not exist"),
        ]
    );
    // What needs no database keeps processes from starting, too.
    for verb in ["worker", "scheduler", "run"] {
        refused(&brasa, &[verb], 2, &[".toml:2: schedules.a.job: ", "`sql.run`?", ".toml:10: schedules.c"])
            .await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_file_hides_nothing_that_the_database_has_to_say() {
    let world = World::new().await;
    let text = "[sql.typo]\nsql = \"select 1\"\ntiemout = \"1s\"\n\
                [sql.broken]\nsql = \"select 1 form nowhere\"\n\
                [sql.lost]\nsql = \"select 1\"\nparams = 5\n\
                [schedules.a]\njob = \"sql.run\"\nargs = { name = \"lost\" }\nevery = \"1s\"\n";
    let brasa = Brasa::configured(&world, text);

    let said = refused(&brasa, &["check", "--json"], 2, &[]).await.json_anyway();

    let paths: Vec<_> = said.as_array().unwrap().iter().map(|one| problem(one).2).collect();
    assert!(paths.contains(&"sql.typo.tiemout") && paths.contains(&"sql.broken.sql"), "{said:#}");
    assert!(paths.contains(&"sql.lost.params") && !paths.contains(&"schedules.a.args"), "{said:#}");
}

/// File, line, path and message of a problem, which has these fields, a help, and no others.
fn problem(problem: &Value) -> (&str, u64, &str, &str) {
    let fields: Vec<&String> = problem.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["file", "help", "line", "message", "path"]);
    let text = |field: &str| problem[field].as_str().unwrap();
    assert!(!text("help").is_empty(), "{problem}");
    (text("file"), problem["line"].as_u64().unwrap(), text("path"), text("message"))
}

#[tokio::test]
async fn mistakes_on_the_command_line_name_the_argument_and_enqueue_nothing() {
    let world = World::of_queues();
    let text = "[sql.double]\nsql = \"select $1::int * 2\"\nparams = [\"args.n\"]\n\
                [queues.high]\nkeep_done.count = 0";
    let brasa = Brasa::configured(&world, text);
    let job = |more: &[&'static str]| [&["enqueue", "sql.run"], more].concat();
    for (args, expected) in [
        (job(&["--args", "{\"name\": 5}"]), &["--args: invalid type: integer `5`, expected a string"][..]),
        (job(&["--args", "[7]"]), &["--args: `args` must be a JSON object, it is an array"]),
        (job(&["--args", "{name"]), &["--args: not JSON: "]),
        (
            job(&["--args", "{\"name\": \"doubel\"}"]),
            &["--args: there is no statement `doubel`", "`double`?"],
        ),
        (job(&["--args", "{\"name\": \"double\"}"]), &["--args: args.n is missing", "statement `double`"]),
        (job(&["--args", "@/nowhere/args.json"]), &["cannot read /nowhere/args.json: No such file"]),
        (job(&["--queue", "hihg"]), &["there is no queue `hihg`", "did you mean `high`?"]),
        (job(&["--in", "soon"]), &["'soon' for '--in <DURATION>'", "is not a duration", "\"30s\""]),
        (job(&["--timeout", "5"]), &["'5' for '--timeout <DURATION>'", "is not a duration"]),
        (job(&["--at", "tomorrow"]), &["'tomorrow' for '--at <INSTANT>'"]),
        (
            job(&["--id", "a b", "--args", "{\"name\": \"double\", \"n\": 1}"]),
            &["--id: `a b` cannot be an id"],
        ),
        (job(&["--attempts", "0"]), &["'0' for '--attempts"]),
        (vec!["enqueue", "sql.rum"], &["there is no kind `sql.rum`", "did you mean `sql.run`?"]),
        (vec!["worker", "--queues", "hihg"], &["there is no queue `hihg`", "did you mean `high`?"]),
        (vec!["worker", "--listen", "here"], &["'here' for '--listen <ADDRESS>'"]),
        (vec!["run", "--only", "wroker"], &["'wroker' for '--only", "worker"]),
        (vec!["jobs", "list", "--queue", "hihg"], &["there is no queue `hihg`"]),
        (vec!["queues", "pause", "hihg"], &["there is no queue `hihg`"]),
        (vec!["schedules", "run", "nightly"], &["there is no schedule `nightly`"]),
        (vec!["schedules", "preview", "--cron", "0 25 * * *"], &["--cron: hour field: `25` is above 23"]),
        (
            vec!["schedules", "preview", "--cron", "* * * * *", "--zone", "Mars/Olympus"],
            &["--zone: there is no time zone `Mars/Olympus`", "America/New_York"],
        ),
        (vec!["wroker"], &["unrecognized subcommand 'wroker'"]),
    ] {
        // A worker asks for its queues only once it has seen that its servers are there.
        let brasa = if args[0] == "worker" { brasa.clone().without("DATABASE_URL") } else { brasa.clone() };
        refused(&brasa, &args, 2, expected).await;
    }
    assert_eq!(world.counts().await.open(), 0);
}

#[tokio::test]
async fn a_file_with_broken_lines_enqueues_nothing_and_names_each_of_them() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, "");
    let file = world.folder().join("jobs.jsonl");
    fs::write(&file, "{\"tables\": [\"a\"]}\n{\"tables\": 5}\n\n{oops\n[1]\n{}\n").unwrap();
    let path = file.to_str().unwrap();

    refused(
        &brasa,
        &["enqueue", "db.analyze", "--bulk", path],
        2,
        &[
            "3 line(s) are broken, so nothing was enqueued",
            "jobs.jsonl:2: invalid type: integer `5`",
            "jobs.jsonl:4: not JSON: ",
            "jobs.jsonl:5: `args` must be a JSON object, it is an array",
        ],
    )
    .await;

    assert_eq!(world.counts().await.open(), 0);
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_an_environment_that_is_wrong() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, "").env("REDIS_URL", "redis://:hunter2@127.0.0.1:1/");
    let expected = ["127.0.0.1:1 ", "Connection refused", "is Redis running, and are REDIS_URL"];
    let verb = async |args: &[&str]| drop(refused(&brasa, args, 1, &expected).await);
    // Each waits a little for it to come back.
    tokio::join!(
        verb(&["check"]),
        verb(&["worker"]),
        verb(&["scheduler"]),
        verb(&["run"]),
        verb(&["enqueue", "db.analyze"]),
        verb(&["jobs", "list"]),
    );
    let found = refused(&brasa, &["check", "--json"], 1, &[]).await.json_anyway();
    let redis = problem(&found[0]);
    assert_eq!((redis.0, redis.2), ("environment", "redis.url"), "{found:#}");
}

#[tokio::test]
async fn a_postgres_that_is_not_there_is_an_environment_that_is_wrong() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, "").env("DATABASE_URL", "postgres://me:hunter2@127.0.0.1:1/shop");
    let expected = ["postgres at 127.0.0.1:1/shop", "Connection refused", "is Postgres running, and are"];
    let verb = async |args: &[&str]| drop(refused(&brasa, args, 1, &expected).await);
    tokio::join!(verb(&["check"]), verb(&["worker"]), verb(&["run"]), verb(&["migrate"]));
    let nowhere = Brasa::in_world(&world);
    refused(&nowhere, &["migrate"], 1, &["does not exist", "help: "]).await;
}

#[tokio::test]
async fn a_wrong_password_is_said_to_be_one_and_never_shown() {
    let world = World::of_queues();
    let extra = vec![("requirepass".to_owned(), "sesame".to_owned())];
    let redis = RedisServer::start(RedisOptions { extra, ..RedisOptions::default() }).unwrap();
    let postgres = PostgresServer::start(PostgresOptions { fsync: false, extra: Vec::new() }).unwrap();
    let brasa = Brasa::configured(&world, "");

    for password in ["hunter2", ""] {
        let url = format!("redis://:{password}@127.0.0.1:{}/", redis.port());
        let brasa = brasa.clone().env("REDIS_URL", url);
        let expected = [&*redis.port().to_string(), "check the user and password in REDIS_URL"];
        for args in [&["check"][..], &["worker"], &["enqueue", "db.analyze"]] {
            refused(&brasa, args, 1, &expected).await;
        }
    }
    let right = postgres.url("postgres");
    let (before, host) = right.split_once('@').unwrap();
    let (user, _) = before.rsplit_once(':').unwrap();
    let brasa = brasa.env("DATABASE_URL", format!("{user}:hunter2@{host}"));
    let expected = ["password authentication failed for user", "are DATABASE_URL and its password right?"];
    for args in [["check"], ["worker"], ["migrate"]] {
        let said = refused(&brasa, &args, 1, &expected).await;
        assert!(!said.stderr.contains(" at line "), "that is a line of Postgres' own code: {said:?}");
    }
}

#[tokio::test]
async fn a_redis_that_is_too_old_is_refused_by_its_version() {
    let world = World::of_queues();
    for (info, expected) in [
        ("redis_version:6.2.14\r\n", ["Redis 6.2.14 at ", "is too old: Brasa needs 7.0 or newer"]),
        (
            "redis_version:7.2.4\r\nvalkey_version:7.1.9\r\n",
            ["Valkey 7.1.9 at ", "is too old: Brasa needs 7.2 or newer"],
        ),
    ] {
        let address = old_redis(info).await;
        let brasa = Brasa::configured(&world, "").env("REDIS_URL", format!("redis://{address}/"));
        for args in
            [&["check"][..], &["worker"], &["scheduler"], &["enqueue", "db.analyze"], &["jobs", "list"]]
        {
            refused(&brasa, args, 1, &[expected[0], expected[1], &address, "help: upgrade it"]).await;
        }
    }
}

/// A server that speaks like a Redis of another age. Nobody has one installed any more, so this is the one place
/// where a stand-in is right.
async fn old_redis(info: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, info));
        }
    });
    address
}

/// Answers every command of one connection; they come as lists of texts, each with its length on a line before.
async fn converse(stream: TcpStream, info: &str) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let (mut words, mut left) = (Vec::new(), 0);
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        match line.trim_end() {
            text if text.starts_with('*') => left = text[1..].parse().unwrap(),
            text if text.starts_with('$') => {}
            word => {
                words.push(word.to_uppercase());
                left -= 1;
            }
        }
        line.clear();
        if left == 0 && !words.is_empty() {
            let answer = match words[0].as_str() {
                "INFO" => format!("${}\r\n{info}\r\n", info.len()),
                "PING" => "+PONG\r\n".to_owned(),
                _ => "+OK\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
            words.clear();
        }
    }
}

#[tokio::test]
async fn addresses_that_are_missing_or_make_no_sense_are_asked_for() {
    let world = World::of_queues();
    let nothing = Brasa::new();
    for verb in ["check", "worker", "scheduler", "run"] {
        refused(&nothing, &[verb], 2, &["brasa.toml: cannot read the configuration", "--config PATH"]).await;
    }
    let empty = Brasa::configured(&world, "").without("REDIS_URL").without("DATABASE_URL");
    for args in [&["check"][..], &["worker"], &["scheduler"], &["enqueue", "db.analyze"]] {
        refused(&empty, args, 2, &["no address of Redis", "set REDIS_URL, or write [redis] url"]).await;
    }
    let no_postgres = Brasa::configured(&world, "[sql.a]\nsql = \"select 1\"").without("DATABASE_URL");
    refused(&no_postgres, &["check"], 2, &["there is no address of it", "set DATABASE_URL"]).await;
    refused(&no_postgres, &["migrate"], 2, &["no address of Postgres", "set DATABASE_URL"]).await;
    let odd = |name: &str, url: &str| Brasa::configured(&world, "").env(name, url);
    for (brasa, expected) in [
        (odd("REDIS_URL", "localhost:6379"), ["environment: REDIS_URL: ", "redis://host:port"]),
        (odd("REDIS_URL", "http://:hunter2@x"), ["environment: REDIS_URL: `http://`", "`redis://`"]),
        (odd("REDIS_URL", "redis://:hunter2@[::x"), ["REDIS_URL: ", "cannot be understood"]),
        (
            odd("DATABASE_URL", "mysql://me:hunter2@x/"),
            ["environment: DATABASE_URL: `mysql://`", "`postgres://`"],
        ),
        (odd("DATABASE_URL", "postgres://:::hunter2"), ["DATABASE_URL: ", "cannot be understood"]),
        (odd("BRASA_LISTEN", "9600"), ["environment: BRASA_LISTEN: ", "127.0.0.1:9600"]),
    ] {
        refused(&brasa, &["worker"], 2, &expected).await;
        refused(&brasa, &["check"], 2, &expected[..1]).await;
    }
}

#[tokio::test]
async fn a_worker_that_cannot_have_its_address_does_not_begin_to_work() {
    let world = World::new().await;
    let id = world.enqueue("db.analyze", json!({})).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let brasa = Brasa::configured(&world, "");
    refused(&brasa, &["worker", "--listen", &address], 1, &["cannot listen at 127.0.0.1:", "--listen"]).await;

    assert_eq!(world.show(&id).await.attempt, 0);
}
