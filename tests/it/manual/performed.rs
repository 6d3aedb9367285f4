//! A page from its top to its end.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};

use brasa::servers::{RedisOptions, RedisServer};
use brasa_tests::{World, eventually};

use super::page::{Page, Step, What, root};
use super::scene::Scene;
use super::shell::tokens;
use super::stage::{self, Ports};
use super::terminal::{FAILED, Going, Terminal};
use super::{left_out, parsed, shell, shown};

/// What a command that goes on begins with, and at which port it is there, where it does not say so.
type Ongoing = (&'static str, Option<&'static str>);

/// Commands that go on until somebody ends them.
const GOING: [Ongoing; 8] = [
    ("brasa queues top", None),
    ("brasa run", None),
    ("brasa scheduler", None),
    ("brasa web", None),
    ("brasa worker", None),
    ("node app.mjs", Some("3000")),
    ("python3 \"$PAGE\"/endpoint.py", Some("3000")),
    ("uvicorn", Some("8000")),
];

/// Options with which these come to an end by themselves.
const ENDING: [&str; 2] = ["--count", "--drain"];

/// Words of the manual that stand for something of the reader's.
const PLACEHOLDERS: [&str; 15] = [
    "DURATION",
    "FILE",
    "FINGERPRINT",
    "GROUP",
    "HASH",
    "ID",
    "INDEX",
    "JSON",
    "KEY",
    "KIND",
    "NAME",
    "PARAM",
    "ROLE",
    "TABLE",
    "TIME",
];

/// A page that is being performed.
struct Play {
    page: String,
    scene: Scene,
    terminal: Terminal,
    ports: Ports,
    /// How the database is called, which pages call `app`.
    database: String,
    going: Vec<Going>,
    mentioned: BTreeSet<String>,
    variables: BTreeSet<String>,
    pieces: u32,
}

/// Does what a page says. Where a program is not to be had that it takes, nothing is done, and that is said.
pub(super) async fn perform(page: &str) {
    let (page, scene) = (Page::read(page), Scene::of(page));
    let text = fs::read_to_string(root().join(&page.path)).unwrap();
    assert_eq!(scene.stale(&text), Vec::<String>::new(), "remarks about what {} does not have", page.path);
    if let Some(program) = stage::missing_program() {
        let note = format!("SKIPPED: {} is not performed: there is no {program}\n", page.path);
        return std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    let Some(packages) = stage::packages(&scene.needs).await else { return };
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let world = World::with_database_on_redis(redis.url()).await;
    let (ports, _slot) = stage::ports();
    stage::set(world.folder(), &page, &scene, &ports);
    let terminal = Terminal::open(world.folder(), &stage::environment(&world, &packages, &ports)).await;
    let variables = stage::variables(&scene.script);
    let mut play = Play {
        page: page.path.clone(),
        scene,
        terminal,
        ports,
        database: world.prefix.clone(),
        going: Vec::new(),
        mentioned: BTreeSet::new(),
        variables,
        pieces: 0,
    };
    play.begin().await;
    for step in &page.steps {
        play.step(step).await;
    }
    play.end().await;
}

impl Play {
    async fn begin(&mut self) {
        let script = self.renumbered(&self.scene.script);
        let said = self.terminal.perform(&script).await;
        assert_eq!(said.code, 0, "the scene of {}: {}", self.page, said.text);
    }

    async fn step(&mut self, step: &Step) {
        match &step.what {
            What::Command { text, .. } | What::Mention(text) if left_out::reason(text).is_some() => {}
            What::Command { text, shown, is_alone } => {
                let command = self.filled(step.line, text);
                match going(&command) {
                    Some((_, port)) => {
                        self.go_on(step.line, &command, shown.as_deref(), *is_alone, port).await;
                    }
                    None => self.command(step.line, text, &command, shown.as_deref()).await,
                }
            }
            What::File { name, text } => {
                let text =
                    format!("mkdir -p $(dirname {name}); cat >{name} <<'END OF FILE'\n{text}END OF FILE");
                self.expect(step.line, &self.renumbered(&text), 0).await;
            }
            What::Piece { language, text } => self.piece(step.line, language, text).await,
            What::Mention(text) => self.mention(step.line, text).await,
        }
    }

    async fn command(&mut self, line: usize, text: &str, command: &str, shown: Option<&str>) {
        let fails = shown.is_some_and(|shown| shown.lines().any(|line| line.starts_with("error: ")));
        let code = self.scene.code(text).unwrap_or_else(|| i32::from(fails));
        let said = self.expect(line, command, code).await;
        let shown = shown.filter(|_| !self.scene.differs.iter().any(|known| known == text));
        let is_of_the_page = |line: &&str| !line.starts_with(FAILED);
        let said =
            said.lines().filter(is_of_the_page).collect::<Vec<_>>().join("\n").replace(&self.database, "app");
        let missing = shown.and_then(|shown| shown::missing(shown, &said));
        if let Some(missing) = missing {
            panic!("{}:{line}: {command}\nit does not print what is shown: {missing}\n\n{said}", self.page);
        }
    }

    /// What the shell says to a command that ends with this code.
    async fn expect(&mut self, line: usize, command: &str, code: i32) -> String {
        let said = self.terminal.run(command).await;
        let at = format!("{}:{line}: {command}\nends with {}", self.page, said.code);
        assert_eq!(said.code, code, "{at}: {}\n{}", said.text, self.logs());
        said.text
    }

    /// A command that goes on: until the next one of its block, or where it is a block by itself to the page's end.
    async fn go_on(
        &mut self,
        line: usize,
        command: &str,
        shown: Option<&str>,
        is_alone: bool,
        port: Option<&str>,
    ) {
        let same = self.going.iter().position(|going| going.command.ends_with(command));
        if let Some(same) = same {
            let before = self.going.remove(same);
            self.end_one(before).await;
        }
        let elsewhere = ["brasa web", "brasa scheduler"].iter().any(|verb| command.starts_with(verb));
        let other = if elsewhere { "env BRASA_LISTEN=127.0.0.1:0 " } else { "" };
        let going = self.terminal.start(&format!("{other}{command}")).await;
        let port = port.map(|port| self.renumbered(port));
        let what = format!("{}:{line}: {command} is there", self.page);
        eventually(&what, async || match (&port, shown) {
            (Some(port), _) => TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse().unwrap())).is_ok(),
            (None, Some(shown)) => shown::missing(&format!("…{shown}…"), &going.said()).is_none(),
            (None, None) => !going.said().is_empty(),
        })
        .await;
        if is_alone {
            self.going.push(going);
        } else {
            self.end_one(going).await;
        }
    }

    async fn end_one(&mut self, going: Going) {
        let command = going.command.clone();
        let said = self.terminal.stop(going).await;
        let is_ours = command.contains("brasa ") && !command.contains("brasa queues");
        assert!(
            !is_ours || said.code == 0,
            "{}: {command} ends with {}: {}",
            self.page,
            said.code,
            said.text
        );
    }

    /// `brasa …` in a sentence: it is run where it is whole, and where it is known what its words stand for.
    async fn mention(&mut self, line: usize, text: &str) {
        let command = self.filled(0, text);
        let is_synopsis = text.contains(['[', '…']) || text.contains("...");
        let lacks_words = shell::words(&command).iter().any(|word| is_placeholder(word));
        let goes_on = GOING.iter().any(|(begin, _)| command.starts_with(begin));
        let is_new = self.mentioned.insert(command.clone());
        if is_new && parsed::is_whole(&command) && !is_synopsis && !lacks_words && !goes_on {
            let code = self.scene.code(text).unwrap_or(0);
            self.expect(line, &command, code).await;
        }
    }

    async fn piece(&mut self, line: usize, language: &str, text: &str) {
        self.pieces += 1;
        let at = format!(".typed/piece-{}", self.pieces);
        let (language, how) = language.split_once(' ').unwrap_or((language, ""));
        let (ending, program, check) = match (language, how) {
            ("sql", "") => ("sql", "psql", "psql -q \"$DATABASE_URL\" -f"),
            ("python", "run") => ("py", "python3", "python3"),
            ("js", "run") => ("js", "node", "node"),
            ("python", _) => ("py", "python3", "python3 -m py_compile"),
            ("js" | "ts", _) => ("mjs", "node", "node --check"),
            ("ruby", _) => ("rb", "ruby", "ruby -c"),
            ("toml", "") if stage::apart(text, &self.scene) => {
                ("toml", "brasa", "brasa check --offline --config")
            }
            ("" | "text", _) if is_for_redis(text) => {
                ("redis", "redis-cli", "redis-cli -e -u \"$REDIS_URL\" <")
            }
            _ => return,
        };
        let text = self.renumbered(&self.scene.say(text));
        // What may do what is one line, however long.
        let text = if text.starts_with("ACL") { text.trim().replace("\n ", "") + "\n" } else { text };
        let write = format!("cat >\"$PAGE\"/{at}.{ending} <<'END OF PIECE'\n{text}END OF PIECE");
        self.expect(line, &write, 0).await;
        self.expect(line, &format!("! command -v {program} || {check} \"$PAGE\"/{at}.{ending}"), 0).await;
    }

    async fn end(&mut self) {
        // What the page says about the configuration, all of it together, on the servers as the page leaves them.
        self.expect(0, "[ ! -e \"$PAGE\"/brasa.toml ] || brasa check --config \"$PAGE\"/brasa.toml", 0).await;
        let text = "[ \"$(type -t after)\" != function ] || after";
        self.expect(0, text, 0).await;
        for going in std::mem::take(&mut self.going) {
            self.end_one(going).await;
        }
    }

    /// A command as it is typed here: with this page's ports, and with what its words stand for.
    fn filled(&self, line: usize, text: &str) -> String {
        let text = self.renumbered(&self.scene.say(text)).replace("...", "");
        let is_filled = |token: &str| self.variables.contains(token) && is_placeholder(token);
        let filled = tokens(&text, |token| is_filled(token).then(|| format!("${{{token}}}")));
        let unknown = shell::words(&filled).into_iter().find(|word| line > 0 && is_placeholder(word));
        assert!(unknown.is_none(), "{}:{line}: nothing says what {unknown:?} stands for", self.page);
        filled
    }

    fn renumbered(&self, text: &str) -> String {
        stage::renumbered(text, &self.ports)
    }

    /// What was said by commands that go on.
    fn logs(&self) -> String {
        let logs = self.going.iter().map(|going| format!("--- {}\n{}", going.command, going.said()));
        logs.collect::<Vec<_>>().join("\n")
    }
}

/// What goes on, if a command does.
fn going(command: &str) -> Option<Ongoing> {
    let ends = shell::words(command).iter().any(|word| word == "&" || ENDING.contains(&word.as_str()));
    GOING.into_iter().find(|(begin, _)| command.starts_with(begin) && !ends)
}

/// Whether a piece is of commands of Redis that are sent as they are.
fn is_for_redis(text: &str) -> bool {
    text.starts_with("ACL SETUSER ") || text.starts_with("XADD ")
}

/// Whether a word stands for another one.
fn is_placeholder(word: &str) -> bool {
    PLACEHOLDERS.contains(&word)
}
