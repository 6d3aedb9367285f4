//! The same by hand.

use std::process::{Child, Command};

use brasa::servers::{PostgresOptions, PostgresServer};
use brasa_tests::World;
use brasa_tests::process::Brasa;
use serde_json::json;

use super::{CONFIG, invalid, notes, scene, size};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_nothing_is_written_and_with_it_exactly_what_was_shown_is_done() {
    let world = scene().await;
    let brasa = Brasa::configured(&world, CONFIG);
    let before = size(&world, "items_k").await;
    let shown = brasa.run(["db", "plan"]).await.with_code(0).stdout;
    assert!(shown.contains("reindex index concurrently public.items_k"), "{shown}");
    let dry = brasa.run(["db", "reindex"]).await.with_code(0).stdout;
    assert!(dry.contains("1 index(es) would be rebuilt; --yes does it"), "{dry}");
    let analyze = brasa.run(["db", "analyze", "--dry-run"]).await.with_code(0).stdout;
    assert!(analyze.contains("no table needs it"), "{analyze}");
    // Whoever writes a row of ours, and be it taken back, makes the table grow.
    let written = "select sum(pg_relation_size(oid))::int as n from pg_class where relname in ('care_actions', 'care_indexes')";
    assert_eq!(world.rows(written).await, json!([{ "n": 0 }]), "nothing was written");
    let plan = brasa.run(["db", "plan", "--json"]).await.with_code(0).json();
    let hash = plan["plan"].as_str().unwrap();
    assert!(shown.contains(hash), "{shown}");
    let other = brasa.run(["db", "apply", "--plan", "0123456789ab"]).await.with_code(2).stderr;
    assert!(other.contains("the plan has changed") && other.contains("brasa db plan"), "{other}");
    assert_eq!(size(&world, "items_k").await, before);
    let done = brasa.run(["db", "apply", "--plan", hash, "--json"]).await.with_code(0).json();
    assert_eq!(done["reindex"]["indexes"][0]["verdict"], "done", "{done}");
    assert!(size(&world, "items_k").await * 5 < before);
    assert_eq!((notes(&world).await.as_array().unwrap().len(), invalid(&world).await), (1, 0));
    let history = brasa.run(["db", "history", "--json"]).await.with_code(0).json();
    assert_eq!(history["actions"][0]["object"], "public.items_k");
    let again = brasa.run(["db", "apply", "--plan", hash]).await.with_code(2).stderr;
    assert!(again.contains("the plan has changed"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_a_window_it_takes_a_further_word() {
    let world = scene().await;
    let hour = i64::from(world.clock.now().to_zoned(jiff::tz::TimeZone::UTC).hour());
    let window =
        format!("[maintenance]\nwindows = [\"{:02}:00-{:02}:00\"]{CONFIG}", (hour + 3) % 24, (hour + 4) % 24);
    let brasa = Brasa::configured(&world, &window);
    let refused = brasa.run(["db", "reindex", "--yes"]).await.with_code(2).stderr;
    assert!(
        refused.contains("outside of [maintenance] windows") && refused.contains("--outside-window"),
        "{refused}"
    );
    let done = brasa.run(["db", "reindex", "items_k", "--yes", "--outside-window"]).await.with_code(0).stdout;
    assert!(done.contains("public.items_k: rebuilt"), "{done}");
    let modest = Brasa::configured(&world, &format!("[maintenance]\nmode = \"plan\"{CONFIG}"));
    let refused = modest.run(["db", "reindex", "--yes"]).await.with_code(2).stderr;
    assert!(refused.contains("mode is \"plan\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_apart() {
    let world = scene().await;
    let brasa = Brasa::configured(&world, CONFIG);
    for (arguments, said) in [
        (vec!["db", "reindex", "items_j"], "there is no index `items_j`"),
        (vec!["db", "reindex", "items"], "`items` is no index"),
        (vec!["db", "analyze", "item"], "there is no table `item`"),
    ] {
        let refused = brasa.run(&arguments).await.with_code(2).stderr;
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
    let done = brasa.run(["db", "analyze", "items", "--json"]).await.with_code(0).json();
    assert_eq!(done["analyze"], json!([{ "table": "public.items", "is_done": true, "why": null }]));
    let done = brasa.run(["db", "vacuum", "items"]).await.with_code(0).stdout;
    assert!(done.contains("public.items: vacuumed in"), "{done}");
    let strange = Brasa::configured(&world, &format!("{CONFIG}without_upserts = [\"item\"]"));
    let checked = strange.run(["check"]).await.with_code(2).stdout;
    assert!(
        checked.contains("maintenance.indexes.without_upserts") && checked.contains("there is no table"),
        "{checked}"
    );
    let status = brasa.run(["db", "status"]).await.with_code(0).stdout;
    assert!(status.contains("mode: apply; changes may be made at any time"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_not_taken_for_a_primary() {
    let world = World::new().await;
    let primary = PostgresServer::start(PostgresOptions::default()).unwrap();
    let standby = primary.standby(PostgresOptions::default()).unwrap();
    let config = format!("[maintenance]\nurl = \"{}\"", standby.url("postgres"));
    let brasa = Brasa::configured(&world, &config);
    let refused = brasa.run(["db", "analyze"]).await.with_code(2).stderr;
    assert!(
        refused.contains("this server is a replica") && refused.contains("[maintenance] url"),
        "{refused}"
    );
}

/// A real pooler, where there is one on this machine.
struct Bouncer(Child, u16);

impl Bouncer {
    /// In front of the server of a test, with this `pool_mode`.
    fn start(world: &World, mode: &str) -> Option<Self> {
        let options = world.pool.connect_options();
        let (port, file) = (free_port(), world.folder().join(format!("{mode}.ini")));
        let password =
            world.database_url.split('@').next().and_then(|head| head.rsplit(':').next()).unwrap_or("");
        let text = format!(
            "[databases]\n{name} = host={host} port={there} dbname={name} user={user} password={password}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n",
            name = options.get_database().unwrap(),
            host = options.get_host(),
            there = options.get_port(),
            user = options.get_username(),
        );
        std::fs::write(&file, text).unwrap();
        // It does not run as root.
        let started = Command::new("pgbouncer").arg("-q").arg("-u").arg("nobody").arg(&file).spawn();
        started.ok().map(|child| Self(child, port))
    }

    fn url(&self, world: &World) -> String {
        let options = world.pool.connect_options();
        format!(
            "postgres://{}@127.0.0.1:{}/{}",
            options.get_username(),
            self.1,
            options.get_database().unwrap()
        )
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Tried on a real PgBouncer, on machines that have one.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_cuts_sessions_in_two_is_refused_and_one_that_does_not_is_fine() {
    let world = scene().await;
    for (mode, code) in [("transaction", 2), ("statement", 2), ("session", 0)] {
        let Some(bouncer) = Bouncer::start(&world, mode) else {
            eprintln!("there is no PgBouncer on this machine");
            return;
        };
        brasa_tests::eventually("the pooler listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", bouncer.1)).await.is_ok()
        })
        .await;
        let config = format!("[maintenance]\nurl = \"{}\"{CONFIG}", bouncer.url(&world));
        let ended = Brasa::configured(&world, &config).run(["db", "reindex", "--yes"]).await.with_code(code);
        if code == 2 {
            assert!(
                ended.stderr.contains("a pooler in transaction mode")
                    && ended.stderr.contains("[maintenance] url"),
                "{}",
                ended.stderr
            );
        } else {
            assert!(ended.stdout.contains("public.items_k: rebuilt"), "{}", ended.stdout);
        }
    }
}
