//! Broken snippets, and what is said about them.

use super::{EXAMPLE, assert_problems, problems};

/// A snippet, the line and the path of its only problem, parts of the message and of the help.
type Case = (&'static str, u32, &'static str, &'static str, &'static str);

#[track_caller]
fn assert_each(cases: &[Case]) {
    for (text, line, path, message, help) in cases {
        assert_problems(text, &[(*line, path, message, help)]);
    }
}

#[test]
fn what_is_not_toml() {
    assert_each(&[
        ("[worker]\nlease = 30s", 2, "", "`30s` is not a value", "\"30s\""),
        ("[worker]\nlease =\ncrashes_max = 2", 2, "", "a value is missing", "behind `=`"),
        ("[worker]\nlease \"30s\"", 2, "", "key with no value", "`key = value`"),
        ("[worker\nlease = \"30s\"", 1, "", "unclosed table", "[table.name]"),
        ("[worker]\nlease = \"30s", 2, "", "invalid basic string", "on its own line"),
        ("[sql.x]\nsql = \"\"\"select\n1", 3, "", "multi-line", "the file ends inside it"),
        ("[sql.x]\nsql = \"\\d\"", 2, "", "escape", "a backslash"),
        ("[worker]\nlease = \"1s\"\nlease = \"1s\"", 3, "", "`lease` is written twice", "keep one"),
        ("[queues.a]\n[worker]\n[queues.a]", 3, "", "`a` is written twice", "keep one"),
    ]);
}

#[test]
fn keys_that_are_not_known() {
    assert_each(&[
        ("[worker]\nconcurency = 4", 2, "worker.concurency", "unknown key `concurency`", "`concurrency`?"),
        ("[worker]\n\"a b\" = 4", 2, "worker.\"a b\"", "unknown key `\"a b\"`", "known here: `concurrency`"),
        ("[reddis]\nurl = 4", 1, "reddis", "unknown key `reddis`", "did you mean `redis`?"),
        ("[dashboards.x]\ny = 1", 1, "dashboards", "not known to this version", "`schedules`"),
        ("[queues.a]\nkeep_done.agee = 1", 2, "queues.a.keep_done.agee", "unknown key", "`age`?"),
        ("[postgres]\npool = { maxx = 1 }", 2, "postgres.pool.maxx", "unknown key `maxx`", "`max`?"),
    ]);
}

#[test]
fn values_of_the_wrong_type() {
    assert_each(&[
        ("redis.prefix = 5", 1, "redis.prefix", "expected a text, found the number 5", "double quotes"),
        ("redis.url = [\"a\"]", 1, "redis.url", "expected a text, found a list", "double quotes"),
        ("redis = true", 1, "redis", "expected a table, found `true`", "`[redis]`"),
        ("[[queues]]\nweight = 1", 1, "queues", "expected a table, found a list", "`[queues.NAME]`"),
        (
            "[queues.a]\nrate = \"100/1m\"",
            2,
            "queues.a.rate",
            "expected a table",
            "write `rate = { starts = 100, per = \"1m\" }`",
        ),
        ("[queues]\na = 1.5", 2, "queues.a", "expected a table, found the number 1.5", "`[queues.NAME]`"),
        ("worker.lease = 30", 1, "worker.lease", "expected a duration, found the number 30", "\"30s\""),
        ("worker.lease = -3", 1, "worker.lease", "found the number -3", "such as \"30s\""),
        ("worker.lease = 2026-01-01", 1, "worker.lease", "found the date 2026-01-01", "such as \"30s\""),
        ("worker.concurrency = \"x\"", 1, "worker.concurrency", "found the text `x`", "from 1 to 10000"),
        ("worker.concurrency = 2.0", 1, "worker.concurrency", "found the number 2.0", "from 1 to 10000"),
        ("worker.queues = \"default\"", 1, "worker.queues", "expected a list of texts", "[\"…\""),
        ("worker.queues = [\n\"default\",\n3]", 3, "worker.queues", "found the number 3", "double quotes"),
    ]);
}

#[test]
fn values_out_of_range() {
    assert_each(&[
        ("worker.concurrency = 0", 1, "worker.concurrency", "0 is out of range", "from 1 to 10000"),
        ("worker.concurrency = 99999999999999999999", 1, "worker.concurrency", "out of range", "10000"),
        ("worker.concurrency = -0x1", 1, "", "this is not TOML", "`key = value`"),
        ("worker.crashes_max = 101", 1, "worker.crashes_max", "out of range", "from 1 to 100"),
        ("worker.lease = \"999ms\"", 1, "worker.lease", "\"999ms\" is too short", "at least \"1s\""),
        ("worker.lease = \"30x\"", 1, "worker.lease", "`30x` is not a duration", "a number and a unit"),
        ("worker.queues = []", 1, "worker.queues", "no queue would be served", "leave it out"),
        ("worker.queues = [\"defualt\"]", 1, "worker.queues", "no queue `defualt`", "`default`?"),
        ("worker.queues = [\"default\", \"default\"]", 1, "worker.queues", "twice", "once"),
        ("queues.a.weight = 1001", 1, "queues.a.weight", "out of range", "from 1 to 1000"),
        ("postgres.pool.max = 0", 1, "postgres.pool.max", "out of range", "from 1 to 1000"),
        ("postgres.statement_timeout = \"0s\"", 1, "postgres.statement_timeout", "too short", "\"1ms\""),
        ("cache.loaders = 0", 1, "cache.loaders", "out of range", "from 1 to 64"),
        ("cache.busy_percent = 101", 1, "cache.busy_percent", "out of range", "from 1 to 100"),
        ("cache.keys_per_second = 0", 1, "cache.keys_per_second", "out of range", "from 1 to"),
        ("cache.poll = \"4ms\"", 1, "cache.poll", "too short", "at least \"5ms\""),
        ("cache.lag_max = 5", 1, "cache.lag_max", "expected a duration", "\"5s\""),
        ("cache.enabled = 1", 1, "cache.enabled", "expected `true` or `false`", "without quotes"),
        ("telemetry.listen = \":9600\"", 1, "telemetry.listen", "not an address", "127.0.0.1:9600"),
        ("telemetry.log = \"jsn\"", 1, "telemetry.log", "`jsn` is not a choice", "`json`?"),
        ("telemetry.level = \"inof\"", 1, "telemetry.level", "`inof` is not a level", "`info`?"),
        ("telemetry.level = \"a=b=c\"", 1, "telemetry.level", "is not a filter", "brasa_worker=debug"),
    ]);
}

#[test]
fn names_that_cannot_be_names() {
    assert_each(&[
        ("[queues.Critical]", 1, "queues.Critical", "holds `C`", "`departures-board`"),
        ("[queues.\"a b\"]", 1, "queues.\"a b\"", "holds ` `", "`departures-board`"),
        ("[queues.\"\"]", 1, "queues.\"\"", "must not be empty", "`departures-board`"),
        ("redis.prefix = \"-a\"", 1, "redis.prefix", "begins with `-`", "`departures-board`"),
    ]);
}

#[test]
fn addresses_that_lead_nowhere() {
    assert_each(&[
        ("redis.url = \"localhost:6379\"", 1, "redis.url", "does not say its kind", "redis://host:port"),
        ("redis.url = \"http://x\"", 1, "redis.url", "`http://` is not a kind", "`rediss://`"),
        ("postgres.url = \"postgre://x\"", 1, "postgres.url", "`postgre://`", "mean `postgres://`?"),
        ("postgres.url = \"${NO_SUCH}\"", 1, "postgres.url", "`NO_SUCH` is not set", "${NO_SUCH:-…}"),
        ("postgres.replica_url = \"${A\"", 1, "postgres.replica_url", "not closed", "`${NAME}`"),
        ("redis.url_file = \"no/such\"", 1, "redis.url_file", "no such file", "name a file"),
        (
            "[redis]\nurl = \"redis://x\"\nurl_file = \"x\"",
            3,
            "redis.url_file",
            "exclude one another",
            "remove one",
        ),
    ]);
}

#[test]
fn schedules_that_cannot_fire() {
    let cases: &[(&str, u32, &str, &str, &str)] = &[
        ("cron = \"@daily\"", 1, "", "needs `job`", "job = \"db.analyze\""),
        ("job = \"a\"", 1, "", "needs exactly one of `every` and `cron`", "write `every` or `cron`"),
        ("job = \"a\"\ncron = \"@daily\"\nevery = \"1s\"", 4, "every", "exactly one of `every`", "remove"),
        ("job = \"A\"\nevery = \"1s\"", 2, "job", "holds `A`", "`departures-board`"),
        ("job = \"a\"\ncron = \"nope\"", 3, "cron", "`nope` is not a crontab: ", "five fields"),
        ("job = \"a\"\nevery = \"500ms\"", 3, "every", "too short", "at least \"1s\""),
        ("job = \"a\"\nevery = \"1s\"\njitter = \"1s\"", 4, "jitter", "not shorter than `every`", "tenth"),
        ("job = \"a\"\nevery = \"1s\"\nqueue = \"defalt\"", 4, "queue", "no queue `defalt`", "`default`?"),
        (
            "job = \"a\"\nevery = \"1s\"\nqueue = \"bulk\"",
            4,
            "queue",
            "no queue `bulk`",
            "add it to [queues]",
        ),
        (
            "job = \"a\"\nevery = \"1s\"\nzone = \"Amerika/Bogota\"",
            4,
            "zone",
            "no time zone",
            "America/Bogota",
        ),
        ("job = \"a\"\nevery = \"1s\"\nzone = \"tokyo\"", 4, "zone", "no time zone", "Asia/Tokyo"),
        ("job = \"a\"\nevery = \"1s\"\nzone = \"Middle-earth\"", 4, "zone", "no time zone", "IANA"),
        ("job = \"a\"\nevery = \"1s\"\nlate = \"runonce\"", 4, "late", "not a choice", "`run-once`?"),
        (
            "job = \"a\"\nevery = \"1s\"\nlate_after = \"9s\"",
            4,
            "late_after",
            "too short",
            "at least \"10s\"",
        ),
        ("job = \"a\"\nevery = \"1s\"\nlate = 5", 4, "late", "expected a text", "double quotes"),
        ("job = \"a\"\nevery = \"1s\"\nlate = { max = 5 }", 4, "late", "needs `policy`", "run-all"),
        (
            "job = \"a\"\nevery = \"1s\"\nlate = { policy = \"skip\", max = 5 }",
            4,
            "late.max",
            "only",
            "run-all",
        ),
        ("job = \"a\"\nevery = \"1s\"\noverlap = \"stop\"", 4, "overlap", "not a choice", "`replace`"),
        ("job = \"a\"\nevery = \"1s\"\npaused = \"yes\"", 4, "paused", "`true` or `false`", "without quotes"),
        ("job = \"a\"\nevery = \"1s\"\nattempts = 0", 4, "attempts", "out of range", "from 1 to 100"),
        ("job = \"a\"\nevery = \"1s\"\ntimeout = \"0s\"", 4, "timeout", "too short", "\"1ms\""),
        ("job = \"a\"\nevery = \"1s\"\nargs = []", 4, "args", "expected a table", "args = { … }"),
        ("job = \"a\"\nevery = \"1s\"\nargs = {}\nwith = {}", 5, "with", "exclude one another", "remove one"),
        ("job = \"a\"\nevery = \"1s\"\nargs.a.b = [nan]", 4, "args.a.b", "nan does not exist", "as a text"),
        ("job = \"a\"\nevery = \"1s\"\nargs.n = 99999999999999999999", 4, "args.n", "too large", "as a text"),
    ];
    assert_section("schedules.x", cases);
}

#[test]
fn statements_that_cannot_be_bound() {
    assert_section(
        "sql.x",
        &[
            ("", 1, "", "needs exactly one of `sql` and `sql_file`", "write `sql` or `sql_file`"),
            ("sql = \"select 1\"\nsql_file = \"x\"", 3, "sql_file", "exactly one of", "remove"),
            ("sql = \"  \"", 2, "sql", "the statement is empty", "SQL"),
            ("sql_file = \"no.sql\"", 2, "sql_file", "cannot read `no.sql`: there is no such", "relative to"),
            ("sql = \"select $1\"", 2, "sql", "uses $1 but params names 0", "$1, $2"),
            (
                "sql = \"select $3\"\nparams = [\"job.id\", \"args.n\"]",
                3,
                "params",
                "the statement uses $3 but params names 2",
                "in this order",
            ),
            ("sql = \"select 1\"\nparams = [\"job.id\"]", 3, "params", "uses no placeholder but", "$1, $2"),
            (
                "sql = \"select $1\"\nparams = [\n\"jbo.id\"\n]",
                4,
                "params",
                "`jbo.id` cannot be",
                "`job.id`?",
            ),
            ("sql = \"select $1\"\nparams = [\"args.\"]", 3, "params", "`args.` cannot be", "\"args.NAME\""),
            ("sql = \"select $1\"\nparams = [\"args.a-b\"]", 3, "params", "`args.a-b` cannot", "args.NAME"),
            ("sql = \"select 1\"\ntimeout = \"soon\"", 3, "timeout", "does not begin with a number", "30s"),
        ],
    );
}

#[test]
fn replicas_that_may_lag_for_longer_than_anybody_remembers() {
    assert_section("cache", &[("lag_max = \"11m\"", 2, "lag_max", "not remembered for so long", "10m")]);
}

#[test]
fn warmers_that_cannot_warm() {
    assert_section(
        "warm.x",
        &[
            ("sql = \"s\"\nttl = \"1s\"", 1, "", "needs `key`", "board:{origin}"),
            ("sql = \"s\"\nkey = \"k\"", 1, "", "needs `ttl`", "ttl = \"30s\""),
            ("sql = \"s\"\nkey = \"\"\nttl = \"1s\"", 3, "key", "the key is empty", "board:{origin}"),
            ("sql = \"s\"\nkey = \"{a\"\nttl = \"1s\"", 3, "key", "`{` in the key", "in braces"),
            ("sql = \"s\"\nkey = \"k\"\nttl = \"900ms\"", 4, "ttl", "too short", "at least \"1s\""),
            ("sql = \"s\"\nkey = \"k\"\nttl = \"9s\"\njitter = \"9s\"", 5, "jitter", "`ttl`", "tenth"),
            (
                "sql = \"s\"\nkey = \"k\"\nttl = \"9s\"\njitter = \"1s\"\nrefresh_ahead = \"8s\"",
                6,
                "refresh_ahead",
                "together with `jitter`",
                "a third",
            ),
            ("sql = \"s\"\nkey = \"k\"\nttl = \"9s\"\nbatch = 5001", 5, "batch", "out of range", "5000"),
            ("sql = \"$1\"\nkey = \"k\"\nttl = \"9s\"", 2, "sql", "$1 but there is no `for_each`", "$1"),
            (
                "sql = \"s\"\nkey = \"k\"\nttl = \"9s\"\nfor_each = \"s\"",
                5,
                "for_each",
                "a table",
                "for_each =",
            ),
        ],
    );
}

#[test]
fn loops_that_cannot_loop() {
    let head = "sql = \"$1\"\nttl = \"9s\"\nkey = \"{a}\"\n";
    let cases = [
        ("for_each = { params = [\"a\"] }", "for_each", "needs exactly one of `sql`", "write `sql`"),
        ("for_each = { sql = \"s\" }", "for_each", "needs `params`", "params = [\"origin\"]"),
        ("for_each = { sql = \"s\", params = [\"\"] }", "for_each.params", "no name", "params ="),
        ("for_each = { sql = \"$1\", params = [\"a\"] }", "for_each.sql", "nothing is bound to it", ""),
    ];
    for (tail, path, message, help) in cases {
        assert_section("warm.x", &[(&format!("{head}{tail}"), 5, path, message, help)]);
    }
    let two = "for_each = { sql = \"s\", params = [\"a\", \"b\"] }";
    let found = "uses $1 but for_each.params names 2";
    assert_section("warm.x", &[(&format!("{head}{two}"), 2, "sql", found, "")]);
    let same_key = "sql = \"$1\"\nttl = \"9s\"\nkey = \"k\"\nfor_each = { sql = \"s\", params = [\"a\"] }";
    assert_section("warm.x", &[(same_key, 4, "key", "written to the same key", "in braces")]);
}

/// A warmer that is asked for single values, and one line more.
#[track_caller]
fn assert_one_more(cases: &[(&str, &str, &str, &str)]) {
    for (line, key, message, help) in cases {
        let body = format!("sql = \"$1\"\nparams = [\"a\"]\nkey = \"{{a}}\"\nttl = \"9s\"\n{line}");
        assert_section("warm.x", &[(&body, 6, key, message, help)]);
    }
}

#[test]
fn values_that_cannot_live_so() {
    assert_one_more(&[
        ("refresh_ahead = \"9s\"", "refresh_ahead", "`refresh_ahead` is not shorter than `ttl`", "a third"),
        ("stale = 3", "stale", "expected a duration", "\"3s\""),
        ("max_stale = \"8s\"\nstale = \"9s\"", "max_stale", "shorter than `stale`", "at least as long"),
        ("negative_ttl = \"soon\"", "negative_ttl", "does not begin with a number", "30s"),
        ("codec = \"gzip\"", "codec", "`gzip` is not a choice", "`json`"),
        ("fill_from = \"standby\"", "fill_from", "`standby` is not a choice", "`primary`"),
        ("max_keys = 0", "max_keys", "out of range", "from 1 to 10000000"),
        ("max_bytes = 1024", "max_bytes", "expected a size", "64MiB"),
        ("what = \"some\"", "what", "`some` is not a choice", "`all`"),
        ("what = \"all\"", "what", "nobody knows what all keys are", "`for_each`"),
        ("hot_max = 0", "hot_max", "out of range", "from 1 to 1000000"),
        ("coverage_percent = 101", "coverage_percent", "out of range", "from 1 to 100"),
        ("warm_on = [\"boot\"]", "warm_on", "`boot` is not a choice", "\"deploy\", \"flush\" or both"),
    ]);
    let long = "sql = \"s\"\nkey = \"k\"\nttl = \"30d\"\nmax_stale = \"2d\"";
    assert_section("warm.x", &[(long, 4, "ttl", "more than 31 days", "into a table")]);
}

#[test]
fn tags_and_tables_that_cannot_be() {
    let nine = (0..9).map(|n| format!("\"t{n}\"")).collect::<Vec<_>>().join(", ");
    assert_one_more(&[
        ("tags = [\"~own\"]", "tags", "begin with `~`", "another character"),
        ("tags = [\"{a\"]", "tags", "`{` in the key has no partner", "in braces"),
        ("tags = [\"x:{b}\"]", "tags", "`b` does not stand in the key", "the key has: a"),
        (&format!("tags = [{nine}]"), "tags", "9 are too many", "at most 8"),
        ("depends_on = [\"a.b.c\"]", "depends_on", "names no table", "flights(origin)"),
        ("depends_on = [\"t(b)\"]", "depends_on", "`b` does not stand in the key", "the key has: a"),
        (&format!("depends_on = [{nine}]"), "depends_on", "9 are too many", "at most 8"),
    ]);
    let plain = "sql = \"s\"\nkey = \"k\"\nttl = \"9s\"\ntags = [\"{a}\"]";
    assert_section("warm.x", &[(plain, 5, "tags", "does not stand in the key", "has no columns in braces")]);
}

#[test]
fn parameters_that_name_no_value() {
    let head = "sql = \"$1\"\nttl = \"9s\"\n";
    let cases = [
        ("key = \"{a}\"\nparams = [\" \"]", 5, "params", "a column has no name", "params ="),
        ("key = \"{b}\"\nparams = [\"a\"]\nwhat = \"hot\"", 6, "what", "`hot` needs keys", "all of them"),
        ("key = \"k\"\nparams = [\"a\"]", 4, "key", "written to the same key", "in braces"),
    ];
    for (tail, line, path, message, help) in cases {
        assert_section("warm.x", &[(&format!("{head}{tail}"), line, path, message, help)]);
    }
    let twice = "sql = \"$1 $2\"\nttl = \"9s\"\nkey = \"{a}\"\nparams = [\"a\", \"a text\"]";
    assert_section("warm.x", &[(twice, 5, "params", "named twice", "params =")]);
    let loop_ = "for_each = { sql = \"s\", params = [\"a\"] }";
    let other = format!("sql = \"$1\"\nttl = \"9s\"\nkey = \"{{b}}\"\n{loop_}\nnegative_ttl = \"1s\"");
    assert_section("warm.x", &[(&other, 6, "negative_ttl", "what is not there needs keys", "all of them")]);
    let none = "sql = \"s\"\nttl = \"9s\"\nkey = \"k\"\nparams = []";
    assert_section("warm.x", &[(none, 5, "params", "no column is named", "params =")]);
    let both = "sql = \"$1\"\nttl = \"9s\"\nkey = \"{a}\"\nfor_each = { sql = \"s\", params = [\"a\"] }\nparams = [\"a\"]";
    assert_section("warm.x", &[(both, 6, "params", "exclude one another", "remove one")]);
}

#[test]
fn all_problems_of_a_file_are_reported_at_once() {
    assert_problems(
        "[worker]\nlease = \"30x\"\nconcurency = 5\n\n\
         [sql.ledger]\nsql = \"select $2\"\nparams = [\"job.id\"]\n\n\
         [schedules.a]\njob = \"sql.run\"\nqueue = \"hihg\"\n\n\
         [queues.high]\nweight = 0\n\n\
         [warm.board]\nsql = \"select 1\"\nkey = \"{}\"\ntll = \"1s\"\n",
        &[
            (2, "worker.lease", "is not a duration", "such as"),
            (3, "worker.concurency", "unknown key", "`concurrency`"),
            (7, "sql.ledger.params", "uses $2 but params names 1", ""),
            (9, "schedules.a", "exactly one of `every` and `cron`", ""),
            (11, "schedules.a.queue", "no queue `hihg`", "`high`"),
            (14, "queues.high.weight", "out of range", ""),
            (16, "warm.board", "needs `ttl`", ""),
            (18, "warm.board.key", "does not name a column", ""),
            (19, "warm.board.tll", "unknown key", "`ttl`"),
        ],
    );
}

#[test]
fn what_can_still_be_read_of_a_broken_file_is_checked_too() {
    assert_problems(
        "[worker]\nlease = 30s\ncrashes_max = 0\n[queues.hi gh]\nweight = 2\n\
         [schedules.a]\njob = \"x\"\nqueue = \"high\"\nevery \"1s\"\n",
        &[
            (2, "", "`30s` is not a value", ""),
            (3, "worker.crashes_max", "out of range", ""),
            (4, "", "this is not TOML", ""),
            // That neither the queue nor the period can be found follows from these, and is not said.
            (9, "", "this is not TOML", ""),
        ],
    );
}

#[test]
fn a_slip_in_a_whole_file_is_the_only_problem() {
    let line = u32::try_from(EXAMPLE.lines().position(|line| line == "ttl = \"30s\"").unwrap() + 1).unwrap();
    let text = EXAMPLE.replacen("ttl = \"30s\"", "ttl = \"30x\"", 1);
    assert_problems(
        &text,
        &[(line, "warm.departures-board.ttl", "`30x` is not a duration", "such as \"30s\"")],
    );
    assert!(problems(EXAMPLE).is_empty());
}

/// Holds cases to what is expected, as if each stood in this section, whose header is their first line.
#[track_caller]
fn assert_section(section: &str, cases: &[(&str, u32, &str, &str, &str)]) {
    for (body, line, key, message, help) in cases {
        let path = if key.is_empty() { section.to_owned() } else { format!("{section}.{key}") };
        assert_problems(&format!("[{section}]\n{body}\n"), &[(*line, &path, message, help)]);
    }
}
