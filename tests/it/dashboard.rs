//! The dashboard, as people use it: pages, what can be done on them, who may, and what is written down.

mod about;
mod aggregates;
mod cache;
mod database;
mod jobs;
mod overview;
mod past;
mod recommendations;
mod rights;
mod schedules;
mod workers;
mod writes;

use std::net::SocketAddr;
use std::time::Duration;

use brasa_shared::config::Token;
use brasa_shared::db::migrate;
use brasa_tests::World;
use brasa_tests::process::{Brasa, Running, within};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Who there is: a name is a role, too.
const ROLES: [&str; 3] = ["viewer", "operator", "admin"];
/// For how long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// For how long a page may be asked for until all of its parts are there.
const PAGE_MAX: Duration = Duration::from_mins(1);
/// What a part says that took too long.
const LEFT_OUT: &str = "This took longer than 1.5 s, and was left out";
/// What a page says while what it is about is looked at for the first time.
const LOOKED_AT: &str = "being looked at; this page is drawn again";

/// A dashboard that is served, and the world that it shows.
struct Dashboard {
    world: World,
    brasa: Brasa,
    address: SocketAddr,
    _serving: Running,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// Where it leads, if it does.
    location: String,
    body: String,
}

impl Dashboard {
    /// A dashboard of a world whose database has these tables beside schema `brasa`.
    async fn open(tables: &str, config: &str) -> Self {
        let world = World::new().await;
        migrate(&world.pool).await.unwrap();
        world.execute(tables).await;
        Self::of(world, config).await
    }

    /// The dashboard of a world.
    async fn of(world: World, config: &str) -> Self {
        let database_url = world.database_url.clone();
        Self::connected_as(world, config, &database_url).await
    }

    /// The same, which connects to the database at this address; everything else does at that of the world.
    async fn connected_as(world: World, config: &str, database_url: &str) -> Self {
        let tokens = ROLES.map(|role| {
            let hash = Token::spell(&Token::hash_of(&token(role)));
            format!("[web.tokens.{role}]\nrole = \"{role}\"\nhash = \"{hash}\"\n")
        });
        let config = format!("{}\n{}", config.replace("KEY", &world.prefix), tokens.concat());
        let brasa = Brasa::configured(&world, &config);
        let web = brasa.clone().env("DATABASE_URL", database_url);
        let serving = web.start(["web", "--listen", "127.0.0.1:0"]);
        let address = serving.address().await;
        Self { world, brasa, address, _serving: serving }
    }

    /// A page, which is there, with all of its parts: on a machine that is busy some may take too long at first.
    async fn page(&self, who: &str, path: &str) -> String {
        within(PAGE_MAX, "a page has all of its parts", async || {
            let page = self.page_at_once(who, path).await;
            let is_whole = ![LEFT_OUT, LOOKED_AT].iter().any(|lacking| page.contains(lacking));
            is_whole.then_some(page)
        })
        .await
    }

    /// A page as it comes, whatever its parts say.
    async fn page_at_once(&self, who: &str, path: &str) -> String {
        let answer = self.ask(who, "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    /// Sends a form.
    async fn send(&self, who: &str, path: &str, form: &str) -> Answer {
        self.ask(who, "POST", path, form).await
    }

    /// Sends a form, which does what it should, and leads somewhere; says where.
    async fn act(&self, who: &str, path: &str, form: &str) -> String {
        let answer = self.send(who, path, form).await;
        assert_eq!(answer.status, 303, "{path}: {answer:?}");
        answer.location
    }

    /// Makes sure that none of these can be done by whoever only looks, and that nothing is written down of it.
    async fn refuses_viewers(&self, paths: &[&str]) {
        let before = self.acts().await;
        for path in paths {
            let answer = self.send("viewer", path, "reason=x").await;
            assert_eq!(answer.status, 403, "{path}: {answer:?}");
        }
        assert_eq!(self.acts().await, before);
    }

    /// What was done, in order: who, what, to what.
    async fn acts(&self) -> Vec<(String, String, String)> {
        let rows = self.world.rows("select actor, action, target from brasa.audit order by seq").await;
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let act = |row| (text(row, "actor"), text(row, "action"), text(row, "target"));
        rows.as_array().unwrap().iter().map(act).collect()
    }

    /// Makes sure that exactly this was done.
    async fn has_noted(&self, acts: &[(&str, &str, &str)]) {
        let wanted: Vec<_> =
            acts.iter().map(|(who, what, to)| ((*who).into(), (*what).into(), (*to).into())).collect();
        assert_eq!(self.acts().await, wanted);
    }

    async fn ask(&self, who: &str, method: &str, path: &str, form: &str) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            self.address,
            token(who),
            form.len()
        );
        let asking = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let text = tokio::time::timeout(ANSWER_MAX, asking).await.expect("an answer in time");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let location = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, location: location.to_owned(), body: body.to_owned() }
    }
}

/// The token of a role, long enough to be one.
fn token(role: &str) -> String {
    format!("{role:0>40}")
}

/// The card, or whatever else has this id, up to the end of it.
fn part<'p>(page: &'p str, id: &str) -> &'p str {
    let begin = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no #{id}: {page}"));
    let rest = &page[begin..];
    rest.split_once("</section>").map_or(rest, |(part, _)| part)
}

/// Makes sure that a text has all of these.
#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}
