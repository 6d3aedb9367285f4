//! A whole file, and what an empty one means.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;

use super::{EXAMPLE, parse};
use crate::cache::Codec;
use crate::config::{Cache, Config, FillFrom, Keep, Late, Overlap, Param, Pool, WarmParam, WarmWhen, When};
use crate::crontab::Crontab;
use crate::telemetry::logs::LogForm;

fn example() -> Config {
    parse(EXAMPLE).unwrap()
}

#[test]
fn every_key_of_the_servers_and_of_the_process_is_read() {
    let config = example();
    assert_eq!(config.redis.url.unwrap().expose(), "redis://127.0.0.1:6379");
    assert_eq!(config.postgres.url.unwrap().expose(), "postgres://127.0.0.1/flights");
    assert!(config.postgres.replica_url.is_none());
    assert_eq!(config.postgres.pool, Pool { max: 20, acquire_timeout: Duration::from_secs(2) });
    assert_eq!(config.postgres.statement_timeout, Duration::from_mins(1));
    assert_eq!(config.worker.concurrency, 80);
    assert_eq!(config.worker.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.worker.lease, Duration::from_secs(15));
    assert_eq!(config.worker.crashes_max, 5);
    assert_eq!(config.worker.queues.unwrap(), ["critical", "default"]);
    assert!(!config.outbox.enabled);
    let history = config.history;
    assert_eq!((history.enabled, history.args, history.max_bytes), (Some(true), true, 16 << 20));
    assert_eq!((history.keep, history.leave_out.len()), (Duration::from_hours(14 * 24), 2));
    assert_eq!(config.telemetry.listen.unwrap().port(), 9700);
    assert!(config.telemetry.listen_explicit);
    assert_eq!(config.telemetry.log, LogForm::Json);
    assert_eq!(config.telemetry.level, "info,brasa_worker=debug");
    assert!(config.telemetry.sql_comments);
    let otlp = config.telemetry.otlp.unwrap();
    assert_eq!(otlp.endpoint.expose(), "http://collector:4318/v1/traces");
    assert_eq!(otlp.headers["authorization"].expose(), "Bearer example");
    assert_eq!((otlp.sample, otlp.service_name.as_str()), (0.1, "shop-jobs"));
    assert_eq!(otlp.timeout, Duration::from_secs(2));
}

#[test]
fn queues_take_their_share() {
    let config = example();
    assert_eq!(config.known_queues().collect::<Vec<_>>(), ["critical", "default", "low"]);
    let critical = &config.queues["critical"];
    assert_eq!(critical.weight, 6);
    assert_eq!(critical.keep_done, Keep { count: 50, age: Duration::from_mins(10), bytes: 0 });
    assert_eq!(critical.keep_dead, Keep { count: 10_000, age: Duration::from_hours(720), bytes: 256 << 20 });
    assert_eq!(config.queues["default"].weight, 3);
    assert_eq!(config.queues["low"].weight, 1);
}

#[test]
fn a_schedule_by_crontab_is_read() {
    let config = example();
    let analyze = &config.schedules["weekly-analyze"];
    assert_eq!(analyze.job, "db.analyze");
    assert_eq!(analyze.when, When::Cron(Crontab::parse("30 3 * * 0").unwrap()));
    assert_eq!(analyze.zone.iana_name(), Some("America/Bogota"));
    assert_eq!(analyze.jitter, Duration::from_mins(5));
    assert_eq!(analyze.late, Late::RunAll { max: 7 });
    assert_eq!(analyze.late_after, Duration::from_mins(2));
    assert_eq!(analyze.overlap, Overlap::Skip);
    assert_eq!(analyze.queue.as_deref(), Some("low"));
    assert_eq!(analyze.timeout, Some(Duration::from_mins(90)));
    assert_eq!(analyze.attempts, Some(2));
    assert!(analyze.args.is_empty());
}

#[test]
fn a_schedule_by_period_is_read_with_its_arguments() {
    let config = example();
    let boards = &config.schedules["warm-boards"];
    assert_eq!(boards.when, When::Every(Duration::from_secs(10)));
    let args = json!({
        "warmer": "departures-board",
        "limit": 10,
        "nested": { "days": [1, 2.5], "since": "2026-01-01" },
    });
    assert_eq!(serde_json::Value::Object(boards.args.clone()), args);
    assert!(boards.paused);
    assert_eq!(boards.zone, TimeZone::UTC);
    assert_eq!(boards.jitter, Duration::ZERO);
    assert_eq!((boards.late, boards.overlap), (Late::RunOnce, Overlap::Queue));
    assert_eq!(boards.late_after, Duration::from_secs(30));
    assert_eq!((boards.queue.as_deref(), boards.timeout, boards.attempts), (None, None, None));
}

#[test]
fn a_statement_is_read_with_its_parameters() {
    let config = example();
    let ledger = &config.sql["ledger"];
    let arg = Param::Arg(vec!["row".to_owned(), "n".to_owned()]);
    assert_eq!(ledger.params, [Param::JobId, Param::JobAttempt, Param::JobFence, arg]);
    assert_eq!(ledger.params[3].to_string(), "args.row.n");
    assert_eq!(ledger.timeout, Some(Duration::from_secs(5)));
    assert!(ledger.sql.text.starts_with("insert into ledger"));
    assert_eq!((ledger.sql.key(), &ledger.sql.file), ("sql", &None));
    assert!(config.sql["tick"].params.is_empty());
}

#[test]
fn a_warmer_is_read_with_and_without_a_loop() {
    let config = example();
    let board = &config.warm["departures-board"];
    let for_each = board.for_each.as_ref().unwrap();
    assert_eq!(for_each.sql.text, "select distinct origin from flights");
    assert_eq!(for_each.params, [WarmParam { name: "origin".to_owned(), kind: None }]);
    assert_eq!(board.key.placeholders(), ["origin"]);
    assert_eq!((board.lives.ttl, board.lives.jitter), (Duration::from_secs(30), Duration::from_secs(3)));
    assert_eq!(board.batch, 100);
    let delays = &config.warm["delays"];
    assert!(delays.for_each.is_none() && !delays.is_askable() && board.is_askable());
    assert_eq!((delays.lives.jitter, delays.batch), (Duration::from_secs(10), 200));
}

#[test]
fn every_key_of_a_warmer_is_read() {
    let config = example();
    let flight = &config.warm["flight"];
    let param = |name: &str, kind: &str| WarmParam { name: name.to_owned(), kind: Some(kind.to_owned()) };
    assert_eq!(flight.params, [param("number", "text"), param("day", "date")]);
    assert!(flight.key.has_version() && flight.is_askable());
    let lives = &flight.lives;
    assert_eq!((lives.ttl, lives.jitter), (Duration::from_mins(10), Duration::ZERO));
    assert_eq!(lives.refresh_ahead, Some(Duration::from_mins(2)));
    assert_eq!((lives.stale, lives.stale_max), (Duration::from_secs(30), Duration::from_hours(1)));
    assert_eq!(lives.negative, Some(Duration::from_secs(5)));
    let keeping = &flight.keeping;
    assert!(keeping.is_hot);
    assert_eq!(
        (keeping.hot_max, keeping.coverage, keeping.when.as_slice()),
        (500, 90, &[WarmWhen::Flush][..])
    );
    let tags: Vec<String> = flight.tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["flights", "flight:{number}"]);
    let tables: Vec<String> = flight.depends_on.iter().map(ToString::to_string).collect();
    assert_eq!(tables, ["flights(number, day)", "public.airlines"]);
    assert_eq!((flight.codec, flight.fill_from), (Codec::Zstd, FillFrom::Replica));
    assert_eq!((flight.keys_max, flight.bytes_max), (5_000, 64 << 10));
    assert_eq!(flight.timeout, Some(Duration::from_secs(2)));
}

#[test]
fn a_warmer_that_says_little_means_the_defaults() {
    let config = example();
    let (board, delays) = (&config.warm["departures-board"], &config.warm["delays"]);
    for (warmer, negative) in [(board, 30), (delays, 30)] {
        assert_eq!((warmer.lives.refresh_ahead, warmer.lives.stale), (None, Duration::ZERO));
        assert_eq!(warmer.lives.stale_max, Duration::ZERO);
        assert_eq!(warmer.lives.negative, Some(Duration::from_secs(negative)));
        assert_eq!(warmer.keeping.when, [WarmWhen::Deploy, WarmWhen::Flush]);
        assert_eq!(
            (warmer.keeping.is_hot, warmer.keeping.hot_max, warmer.keeping.coverage),
            (false, 1_000, 100)
        );
        assert!(warmer.tags.is_empty() && warmer.depends_on.is_empty());
        assert_eq!((warmer.codec, warmer.fill_from), (Codec::Json, FillFrom::Primary));
        assert_eq!((warmer.keys_max, warmer.bytes_max, warmer.timeout), (100_000, 1 << 20, None));
    }
}

#[test]
fn the_budget_of_the_cache_is_read() {
    let cache = Cache {
        enabled: false,
        loaders: 4,
        busy_at: 8,
        busy_percent: 10,
        keys_per_second: Some(2_000),
        lag_max: Duration::from_secs(2),
        poll: Duration::from_millis(100),
    };
    assert_eq!(example().cache, cache);
    assert_eq!(Config::default().cache, parse("").unwrap().cache);
    assert!(Config::default().cache.enabled);
}

#[test]
fn later_findings_can_be_reported_with_their_place() {
    let config = example();
    let line_of = |text: &str| {
        let index = EXAMPLE.lines().position(|line| line.starts_with(text)).unwrap();
        u32::try_from(index + 1).unwrap()
    };
    let origin = &config.schedules["warm-boards"].origin;
    assert_eq!(origin.path, "schedules.warm-boards");
    assert_eq!(origin.line, line_of("[schedules.warm-boards]"));
    let problem = origin.problem("with.nested.days", "expected a text", "write one");
    assert_eq!(problem.line, line_of("with ="));
    assert_eq!(problem.path, "schedules.warm-boards.with.nested.days");
    assert_eq!(origin.problem("queue", "", "").line, origin.line);

    let origin = &config.warm["departures-board"].origin;
    assert_eq!(origin.at("for_each.sql"), line_of("for_each ="));
    assert_eq!(origin.at("for_each.unwritten"), line_of("for_each ="));
}

#[test]
fn an_empty_file_means_the_defaults() {
    for config in [parse("").unwrap(), Config::default(), Config::without_file(&|_| None).unwrap()] {
        assert!(config.redis.url.is_none());
        assert_eq!(config.redis.prefix, "brasa");
        assert_eq!(config.postgres.pool, Pool { max: 10, acquire_timeout: Duration::from_secs(5) });
        assert_eq!(config.postgres.statement_timeout, Duration::from_secs(30));
        assert_eq!((config.worker.concurrency, config.worker.crashes_max), (50, 3));
        assert_eq!(config.worker.queues, None);
        assert_eq!(config.known_queues().collect::<Vec<_>>(), ["default"]);
        assert_eq!(config.telemetry.listen.unwrap().to_string(), "127.0.0.1:9600");
        assert!(!config.telemetry.listen_explicit);
        assert!(config.schedules.is_empty() && config.sql.is_empty() && config.warm.is_empty());
    }
}

#[test]
fn a_file_with_other_line_ends_and_a_byte_order_mark_reads_the_same() {
    let text = format!("\u{feff}{}", EXAMPLE.replace('\n', "\r\n"));
    let config = parse(&text).unwrap();
    assert_eq!(config.sql["ledger"].origin, example().sql["ledger"].origin);
}
