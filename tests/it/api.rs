//! The HTTP API, as programs use it: a real process, on real servers.

mod acting;
mod client;
mod documented;
mod enqueuing;
mod following;
mod guarding;
mod limiting;
mod listing;
mod overview;

use std::net::SocketAddr;

use brasa_shared::config::Token;
use brasa_shared::db::migrate;
use brasa_tests::World;
use brasa_tests::process::{Brasa, Running};

/// A token of each role; longer than what can be guessed.
const ADMIN: &str = "admin-0123456789abcdef0123456789abcdef";
const OPERATOR: &str = "operator-0123456789abcdef0123456789abcdef";
const VIEWER: &str = "viewer-0123456789abcdef0123456789abcdef";
/// It may enqueue `test.echo`, `http.post` and, as far as its kinds go, `sql.run`.
const CLERK: &str = "clerk-0123456789abcdef0123456789abcdef";
/// It may do what operators may, and start jobs of one kind.
const NARROW: &str = "narrow-0123456789abcdef0123456789abcdef";
/// Three requests in an hour.
const SLOW: &str = "slow-0123456789abcdef0123456789abcdef";

const CONFIG: &str = r#"
[sql.tick]
sql = "select 1 as one"

[http.endpoint]
url = "https://example.com/hook"

[queues.small]
max_length = 2

[schedules.nightly]
job = "sql.run"
args = { name = "tick" }
cron = "0 3 * * *"

[warm.thing]
sql = "select id, id as value from things where id = any($1)"
for_each = { sql = "select id from things", params = ["id"] }
key = "KEY:thing:{id}"
ttl = "10m"
tags = ["things"]
warm_on = []
"#;

/// What serves a world.
struct Scene {
    world: World,
    _process: Running,
    address: SocketAddr,
}

/// A server for a world without a database.
async fn scene() -> Scene {
    served(World::of_queues(), "").await
}

/// A server for a world with a database that has schema `brasa`.
async fn whole_scene() -> Scene {
    let world = World::new().await;
    migrate(&world.pool).await.unwrap();
    world.execute("create table things (id int primary key)").await;
    served(world, "").await
}

async fn served(world: World, more: &str) -> Scene {
    let text = format!("{}{}{more}", CONFIG.replace("KEY", &world.prefix), tokens());
    let process = Brasa::configured(&world, &text).start(["web", "--listen", "127.0.0.1:0"]);
    let address = process.address().await;
    Scene { world, _process: process, address }
}

fn tokens() -> String {
    let clerk = r#"kinds = ["test.echo", "http.post", "sql.run"]
queues = ["default", "small"]"#;
    let token = |name: &str, role: &str, token: &str, more: &str| {
        let hash = Token::spell(&Token::hash_of(token));
        format!("[web.tokens.{name}]\nrole = \"{role}\"\nhash = \"{hash}\"\n{more}\n")
    };
    [
        token("admin", "admin", ADMIN, ""),
        token("operator", "operator", OPERATOR, ""),
        token("narrow", "operator", NARROW, r#"kinds = ["test.echo"]"#),
        token("viewer", "viewer", VIEWER, ""),
        token("clerk", "enqueue", CLERK, clerk),
        token("slow", "viewer", SLOW, r#"rate = { requests = 3, per = "1h" }"#),
    ]
    .concat()
}
