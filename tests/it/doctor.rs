//! `brasa doctor`: what it finds on servers that are not as they should be, and on those that are.

use std::net::TcpListener;

use brasa::servers::{RedisOptions, RedisServer};
use brasa_tests::process::Brasa;
use brasa_tests::{World, eventually};
use redis::{Cmd, cmd};
use serde_json::{Value, json};
use sqlx::Executor as _;

/// What one examination said.
struct Report {
    code: Option<i32>,
    all: Value,
}

impl Report {
    /// The findings of a check: level, what was found, what to do.
    fn findings(&self, server: &str, check: &str) -> Vec<[&str; 3]> {
        let servers = self.all["servers"].as_array().unwrap().iter();
        let findings = servers.filter(|section| section["server"] == server);
        let findings = findings.flat_map(|section| section["findings"].as_array().unwrap());
        let findings = findings.filter(|finding| finding["check"] == check);
        findings
            .map(|finding| ["level", "found", "help"].map(|field| finding[field].as_str().unwrap()))
            .collect()
    }

    /// The only finding of a check.
    fn finding(&self, server: &str, check: &str) -> [&str; 3] {
        let found = self.findings(server, check);
        assert_eq!(found.len(), 1, "{check} of {server}: {:#}", self.all);
        found[0]
    }

    /// The level of the only finding of a check.
    fn level(&self, server: &str, check: &str) -> &str {
        self.finding(server, check)[0]
    }
}

async fn examine(brasa: &Brasa) -> Report {
    let ended = brasa.run(["doctor", "--json"]).await;
    Report { code: ended.code, all: ended.json_anyway() }
}

/// A private Redis with settings of its own.
fn redis(extra: &[(&str, &str)]) -> (RedisServer, World, Brasa) {
    let extra = extra.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let options = RedisOptions { append_only: false, extra, ..RedisOptions::default() };
    let redis = RedisServer::start(options).unwrap();
    let world = World::on_redis(redis.url());
    let brasa = Brasa::new().env("REDIS_URL", redis.url());
    (redis, world, brasa)
}

fn config(name: &str, value: &str) -> Cmd {
    cmd("CONFIG").arg("SET").arg(name).arg(value).to_owned()
}

/// A port at which nobody listens; it was free a moment ago.
fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn servers_that_are_well_are_passed_and_everything_that_was_looked_at_is_told() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, "");
    let _ended = brasa.run(["migrate"]).await.with_code(0);

    let report = examine(&brasa).await;

    assert_eq!((report.code, &report.all["problems"]), (Some(0), &json!(0)), "{:#}", report.all);
    for check in ["answers", "version", "role", "rights", "replicas", "persistence", "memory", "clock"] {
        assert_eq!(report.level("redis", check), "ok");
    }
    for check in ["answers", "version", "role", "schema", "connections", "clock"] {
        assert_eq!(report.level("postgres", check), "ok");
    }
    assert_eq!(report.findings("postgres", "pooler").len(), 0);
    let said = brasa.run(["doctor"]).await.with_code(0).stdout;
    assert!(said.contains("  ok       role: primary, standalone\n"), "{said}");
    assert!(said.contains(&format!("(prefix {})", world.prefix)), "{said}");
}

#[tokio::test]
async fn a_redis_that_may_evict_queues_is_a_problem() {
    let (_redis, world, brasa) = redis(&[("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")]);

    let report = examine(&brasa).await;

    assert_eq!(report.code, Some(1));
    let [level, found, help] = report.finding("redis", "eviction");
    assert_eq!((level, found), ("problem", "allkeys-lru at 100.0 MiB"));
    assert_eq!(help, "CONFIG SET maxmemory-policy noeviction, and CONFIG REWRITE");
    world.redis::<()>(&config("maxmemory-policy", "noeviction")).await;
    assert_eq!(examine(&brasa).await.level("redis", "eviction"), "ok");
}

#[tokio::test]
async fn memory_that_runs_short_is_warned_of_and_then_a_problem() {
    let (_redis, world, brasa) = redis(&[("maxmemory", "1gb")]);
    world.redis::<()>(cmd("SETRANGE").arg("large").arg(40 * 1024 * 1024).arg("x")).await;
    let report = examine(&brasa).await;
    assert_eq!((report.code, report.level("redis", "memory")), (Some(0), "ok"));

    let used: String = world.redis(cmd("INFO").arg("memory")).await;
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let used: u64 = used.trim().parse().unwrap();

    for (percent, expected, code) in [(88, "warning", 0), (98, "problem", 1)] {
        world.redis::<()>(&config("maxmemory", &(used * 100 / percent).to_string())).await;
        let report = examine(&brasa).await;
        let found = report.finding("redis", "memory");
        assert_eq!((found[0], report.code), (expected, Some(code)), "{found:?}");
    }
}

#[tokio::test]
async fn a_replica_cannot_hold_the_queues() {
    let (_redis, world, brasa) = redis(&[]);
    let port = nobody();
    world.redis::<()>(cmd("REPLICAOF").arg("127.0.0.1").arg(port)).await;

    let report = examine(&brasa).await;

    assert_eq!(report.code, Some(1));
    let [level, found, help] = report.finding("redis", "role");
    assert_eq!(level, "problem");
    assert!(found.starts_with(&format!("this is a replica of 127.0.0.1:{port}")), "{found}");
    assert!(help.contains("REDIS_URL"), "{help}");
    assert_eq!(report.level("redis", "rights"), "ok");
}

#[tokio::test]
async fn a_node_of_a_cluster_cannot_hold_the_queues() {
    let (_redis, _world, brasa) = redis(&[("cluster-enabled", "yes")]);

    let report = examine(&brasa).await;

    let [level, found, _] = report.finding("redis", "role");
    assert_eq!((report.code, level, found), (Some(1), "problem", "this is a node of a Redis Cluster"));
}

#[tokio::test]
async fn each_class_of_persistence_is_named_with_what_it_loses() {
    let (_redis, world, brasa) = redis(&[]);
    for (append_only, fsync, save, level, said) in [
        ("no", "everysec", "", "warning", "class `nothing`"),
        ("no", "everysec", "3600 1", "warning", "class `snapshots`"),
        ("yes", "everysec", "", "ok", "about the last second"),
        ("yes", "always", "", "ok", "loses nothing that was acknowledged"),
        ("yes", "no", "3600 1", "warning", "when the system likes"),
    ] {
        for (name, value) in [("appendonly", append_only), ("appendfsync", fsync), ("save", save)] {
            world.redis::<()>(&config(name, value)).await;
        }

        let report = examine(&brasa).await;

        let found = report.finding("redis", "persistence");
        assert_eq!((found[0], report.code), (level, Some(0)), "{found:?}");
        assert!(found[1].contains(said), "{found:?}");
    }
}

#[tokio::test]
async fn writes_that_are_refused_for_lack_of_replicas_are_a_problem() {
    let (_redis, world, brasa) = redis(&[]);
    assert_eq!(examine(&brasa).await.finding("redis", "replicas")[1], "none: this server is the only copy");
    world.redis::<()>(&config("min-replicas-to-write", "1")).await;

    let report = examine(&brasa).await;

    assert_eq!((report.code, report.level("redis", "replicas")), (Some(1), "problem"));
}

#[tokio::test]
async fn rights_that_are_missing_are_named_and_what_cannot_be_seen_is_noted() {
    let (redis, world, brasa) = redis(&[("appendonly", "yes")]);
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("app").arg("on").arg(">pass").arg("~brasa:*").arg("&brasa:*");
    user.arg("+@all").arg("-@dangerous").arg("+info").arg("-hset").arg("-publish");
    world.redis::<()>(&user).await;
    let brasa = brasa.env("REDIS_URL", redis.url().replace("redis://", "redis://app:pass@"));

    let report = examine(&brasa).await;

    assert_eq!(report.code, Some(1));
    let [level, found, help] = report.finding("redis", "rights");
    assert_eq!(level, "problem");
    for refused in ["HSET brasa:{default}:jobs", "HSET brasa:queues", "PUBLISH brasa:{default}:wake"] {
        assert!(found.contains(refused), "{found}");
    }
    assert!(help.contains("~brasa:* &brasa:* +hset +publish"), "{help}");
    for check in ["persistence", "slow scripts"] {
        assert_eq!(report.level("redis", check), "note");
    }
    assert!(!report.all.to_string().contains("pass@"), "{:#}", report.all);
}

#[tokio::test]
async fn keys_that_the_warmers_may_not_write_are_named() {
    let (redis, world, _) = redis(&[]);
    let mut user = cmd("ACL");
    let prefix = &world.prefix;
    user.arg("SETUSER").arg("app").arg("on").arg(">pass").arg("+@all");
    user.arg(format!("~{prefix}:*")).arg(format!("&{prefix}:*"));
    world.redis::<()>(&user).await;
    let warm =
        "[warm.boards]\nsql = \"select 'a' as origin, 1 as value\"\nkey = \"board:{origin}\"\nttl = \"1m\"\n";
    let url = redis.url().replace("redis://", "redis://app:pass@");
    let brasa = Brasa::configured(&world, warm).env("REDIS_URL", url).without("DATABASE_URL");

    let report = examine(&brasa).await;

    let [_, found, help] = report.finding("redis", "rights");
    let refused =
        "GET board:x, MGET board:x, OBJECT IDLETIME board:x, PEXPIRE board:x, PTTL board:x, SET board:x";
    assert_eq!(found, format!("refused to this user: {refused} and 2 more"));
    assert!(help.contains("+object|idletime") && help.contains("the keys that the warmers write"), "{help}");
}

#[tokio::test]
async fn a_user_that_may_run_no_scripts_is_a_problem() {
    let (redis, world, brasa) = redis(&[]);
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("app").arg("on").arg(">pass").arg("~*").arg("&*").arg("+@all").arg("-@scripting");
    world.redis::<()>(&user).await;
    let brasa = brasa.env("REDIS_URL", redis.url().replace("redis://", "redis://app:pass@"));

    let [level, found, help] = examine(&brasa).await.finding("redis", "rights").map(ToOwned::to_owned);

    assert_eq!((level.as_str(), help.contains("+evalsha +script|load")), ("problem", true), "{found}");
}

#[tokio::test]
async fn scripts_that_held_redis_for_long_are_told() {
    let (_redis, world, brasa) = redis(&[("slowlog-log-slower-than", "50000")]);
    assert_eq!(examine(&brasa).await.level("redis", "slow scripts"), "ok");
    let busy = "local n = tonumber(ARGV[1]) for i = 1, n do math.sqrt(i) end return n";
    let mut turns = 1_000_000;
    eventually("a script is slow", async || {
        turns *= 2;
        world.redis::<()>(cmd("EVAL").arg(busy).arg(0).arg(turns)).await;
        let slow: u64 = world.redis(cmd("SLOWLOG").arg("LEN")).await;
        slow > 0
    })
    .await;

    let report = examine(&brasa).await;

    let found = report.finding("redis", "slow scripts");
    assert!(found[1].starts_with("1 of somebody else, the slowest took"), "{found:?}");
}

#[tokio::test]
async fn a_redis_that_is_away_is_a_finding_and_postgres_is_still_looked_at() {
    let world = World::new().await;
    let port = nobody();
    let brasa = Brasa::in_world(&world).env("REDIS_URL", format!("redis://127.0.0.1:{port}/"));

    let report = examine(&brasa).await;

    assert_eq!(report.code, Some(1));
    let [level, found, help] = report.finding("redis", "answers");
    assert!(level == "problem" && found.contains("refused") && help.contains("REDIS_URL"), "{found}: {help}");
    assert_eq!(report.level("postgres", "version"), "ok");
}

#[tokio::test]
async fn a_postgres_that_is_away_is_a_finding_and_redis_is_still_looked_at() {
    let world = World::of_queues();
    let url = format!("postgres://app:secret@127.0.0.1:{}/app", nobody());
    let brasa = Brasa::in_world(&world).env("DATABASE_URL", url);

    let report = examine(&brasa).await;

    assert_eq!(report.code, Some(1));
    let [level, found, help] = report.finding("postgres", "answers");
    assert!(
        level == "problem" && found.contains("refused") && help.contains("DATABASE_URL"),
        "{found}: {help}"
    );
    assert!(!report.all.to_string().contains("secret"));
    assert_eq!(report.level("redis", "version"), "ok");
}

#[tokio::test]
async fn a_schema_that_is_not_migrated_is_a_problem() {
    let world = World::new().await;

    let report = examine(&Brasa::in_world(&world)).await;

    assert_eq!(report.code, Some(1));
    assert_eq!(
        report.finding("postgres", "schema"),
        ["problem", "there is no schema `brasa`", "brasa migrate"]
    );
}

#[tokio::test]
async fn a_role_with_power_over_the_server_is_warned_of_and_fails_only_where_asked() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, "");
    let _ended = brasa.run(["migrate"]).await.with_code(0);

    let report = examine(&brasa).await;

    let [level, found, _] = report.finding("postgres", "rights");
    assert!(level == "warning" && found.contains("SUPERUSER"), "{found}");
    let _ended = brasa.run(["doctor"]).await.with_code(0);
    let _ended = brasa.run(["doctor", "--strict"]).await.with_code(1);
}

#[tokio::test]
async fn a_role_that_may_only_do_what_it_needs_is_fine_and_told_what_it_cannot_see() {
    let world = World::new().await;
    let _ended = Brasa::configured(&world, "").run(["migrate"]).await.with_code(0);
    let role = world.prefix.replace('-', "_");
    let create = format!("create role {role} login password 'modest' in role pg_read_server_files");
    world.pool.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
    let (_, place) = world.database_url.rsplit_once('@').unwrap();
    let brasa =
        Brasa::configured(&world, "").env("DATABASE_URL", format!("postgres://{role}:modest@{place}"));

    let report = examine(&brasa).await;
    let [level, _, help] = report.finding("postgres", "rights");
    assert_eq!(level, "warning");
    assert!(help.ends_with(&format!("revoke pg_read_server_files from \"{role}\"")), "{help}");
    assert_eq!(report.level("postgres", "schema"), "note");

    let revoke = format!("revoke pg_read_server_files from {role}");
    world.pool.execute(sqlx::AssertSqlSafe(revoke)).await.unwrap();
    let after = examine(&brasa).await;
    world.pool.execute(sqlx::AssertSqlSafe(format!("drop role {role}"))).await.unwrap();
    assert_eq!(after.level("postgres", "rights"), "ok");
}

#[tokio::test]
async fn each_power_that_no_job_needs_is_refused_by_the_strict_doctor() {
    let world = World::new().await;
    let _ended = Brasa::configured(&world, "").run(["migrate"]).await.with_code(0);
    let (_, place) = world.database_url.rsplit_once('@').unwrap();
    let role = world.prefix.replace('-', "_");
    let groups = ["pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"];
    let groups = groups.map(|group| (format!("in role {group}"), group, format!("revoke {group}")));
    let attributes =
        ["SUPERUSER", "BYPASSRLS", "CREATEROLE"].map(|one| (one.to_owned(), one, format!("NO{one}")));
    for (given, named, remedy) in attributes.into_iter().chain(groups) {
        world.execute(&format!("create role {role} login password 'strong' {given}")).await;
        let brasa =
            Brasa::configured(&world, "").env("DATABASE_URL", format!("postgres://{role}:strong@{place}"));
        let ended = brasa.run(["doctor", "--strict", "--json"]).await.with_code(1);
        let report = Report { code: ended.code, all: ended.json_anyway() };
        world.execute(&format!("drop role {role}")).await;
        let [level, found, help] = report.finding("postgres", "rights");
        assert!(level == "warning" && found.ends_with(&format!("has {named}")), "{given}: {found}");
        assert!(help.contains(&remedy), "{given}: {help}");
    }
}

#[tokio::test]
async fn a_primary_in_the_place_of_a_replica_is_a_problem() {
    let world = World::new().await;
    let brasa = Brasa::configured(&world, "[postgres]\nreplica_url = \"${REPLICA}\"\n");
    let brasa = brasa.env("REPLICA", &world.database_url);

    let report = examine(&brasa).await;

    let [level, found, _] = report.finding("replica", "role");
    assert_eq!((level, found), ("problem", "this is a primary, and not a replica"));
}

#[tokio::test]
async fn workers_and_queues_without_one_are_told() {
    let world = World::of_queues();
    let brasa = Brasa::configured(&world, "[queues.low]\n").without("DATABASE_URL");
    assert_eq!(examine(&brasa).await.level("fleet", "workers"), "note");
    let _ended = brasa.run(["enqueue", "db.analyze", "--queue", "low"]).await.with_code(0);
    assert_eq!(examine(&brasa).await.level("fleet", "workers"), "warning");
    let _worker = brasa.start(["worker", "--queues", "default", "--concurrency", "3"]);
    eventually("a worker is seen", async || !world.fleet().workers().await.unwrap().is_empty()).await;

    let report = examine(&brasa).await;

    assert_eq!(report.finding("fleet", "workers")[..2], ["ok", "1 on 1 host(s), for 3 job(s) at a time"]);
    assert_eq!(report.level("fleet", "versions"), "ok");
    let [level, found, _] = report.finding("fleet", "queues");
    assert_eq!((level, found), ("warning", "no worker serves `low`, with 1 open job(s)"));
}

#[tokio::test]
async fn without_an_address_there_is_nothing_to_look_at() {
    let said = Brasa::new().run(["doctor"]).await.with_code(2).stderr;
    assert!(said.contains("REDIS_URL") || said.contains("brasa.toml"), "{said}");
}
