//! The configuration: `brasa.toml`, checked once, and handed down as plain values.
//!
//! The file is read by hand and not through serde, because serde stops at the first error and has
//! forgotten the line by the time a value turns out to be wrong. Here every key is taken once by a getter
//! that notes what is wrong with it and goes on (`section.rs`, `values.rs`), so that one run reports every problem
//! with its line, its path and what to do about it. A `Config` exists only if there was none.
//!
//! Each section has a file of its own, with its fields, its defaults and its checks. What only a database
//! or the catalogue of kinds can tell (whether a statement prepares, whether a kind exists) is checked by
//! those who have them; every section keeps its `Origin`, which turns their findings into problems, too.
//!
//! Nothing here reads the environment by itself: it is passed in. Secrets do not print.

mod address;
mod aggregates;
mod alerts;
mod cache;
mod complaint;
mod encryption;
mod hiding;
mod history;
mod http;
mod interpolate;
mod json;
mod key_template;
mod listen;
mod maintenance;
mod otlp;
mod outbox;
mod outside;
mod placeholders;
mod postgres;
mod problem;
mod queues;
mod reader;
mod redis;
mod schedules;
mod secret;
mod section;
mod sql;
mod suggest;
mod telemetry;
#[cfg(test)]
mod tests;
mod values;
mod warm;
mod web;
mod worker;
mod writes;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use toml::de::DeTable;

pub use self::aggregates::{Aggregate, AggregateMode, Bucket, Definition, Function, Measure, Publish};
pub use self::alerts::{Alerts, Limits as AlertLimits};
pub use self::cache::Cache;
pub use self::encryption::Encryption;
pub use self::history::History;
pub use self::http::{Endpoint, HELP_PRIVATE, forbidden};
pub use self::key_template::{KeyTemplate, MissingColumn, TemplateError, VERSION};
pub use self::maintenance::{Budget, CareMode, Indexes, Maintenance, Prune, Upserts, Window, Windows};
pub use self::otlp::Otlp;
pub use self::outbox::Outbox;
pub use self::placeholders::{highest_placeholder, replace_placeholders, without_end};
pub use self::postgres::{Pool, Postgres};
pub use self::problem::{Origin, Problem, Problems};
pub use self::queues::{DEFAULT_QUEUE, Keep, Limit, Limits, Queue};
pub use self::redis::Redis;
pub use self::schedules::{Late, Overlap, Schedule, When};
pub use self::secret::Secret;
pub use self::sql::{Param, Sql, Statement};
pub use self::suggest::{did_you_mean, nearest};
pub use self::telemetry::Telemetry;
pub use self::warm::{FillFrom, ForEach, Keeping, Lives, Param as WarmParam, Warmer, When as WarmWhen};
pub use self::web::{Role, Tls, Token, Web};
pub use self::worker::{Order, Worker};
pub use self::writes::{Durability, Merge, Merging, Mode, TableName, WhenFull, Write};

use self::reader::{ENVIRONMENT, Reader, read_text};
use self::section::Section;

/// The variable that takes a file as it is, on disks that know no rights.
const TRUST_VARIABLE: &str = "BRASA_TRUST_CONFIG";

/// Everything that `brasa.toml` and the environment say.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[redis]`
    pub redis: Redis,
    /// `[postgres]`
    pub postgres: Postgres,
    /// `[worker]`
    pub worker: Worker,
    /// `[queues.NAME]`; the queue `default` is always among them.
    pub queues: BTreeMap<String, Queue>,
    /// `[schedules.NAME]`
    pub schedules: BTreeMap<String, Schedule>,
    /// `[sql.NAME]`
    pub sql: BTreeMap<String, Statement>,
    /// `[http.NAME]`
    pub http: BTreeMap<String, Endpoint>,
    /// `[warm.NAME]`
    pub warm: BTreeMap<String, Warmer>,
    /// `[cache]`
    pub cache: Cache,
    /// `[aggregates.NAME]`
    pub aggregates: BTreeMap<String, Aggregate>,
    /// `[writes.NAME]`
    pub writes: BTreeMap<String, Write>,
    /// `[maintenance]`
    pub maintenance: Maintenance,
    /// `[outbox]`
    pub outbox: Outbox,
    /// `[history]`
    pub history: History,
    /// `[encryption]`
    pub encryption: Encryption,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `[web]`
    pub web: Web,
}

/// What is wrong with a file that anybody on the machine may write: it says which SQL runs, with our rights.
fn open_to_all(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Option<Problem> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o002 == 0 || env(TRUST_VARIABLE).as_deref() == Some("1") {
        return None;
    }
    Some(Problem {
        file: path.display().to_string(),
        line: 0,
        path: String::new(),
        message: "anybody on this machine may write it, and so run SQL with the rights of Brasa".to_owned(),
        help: format!(
            "chmod o-w {}; where the disk knows no rights, say {TRUST_VARIABLE}=1 in the environment",
            path.display()
        ),
    })
}

impl Default for Config {
    /// What an empty file says.
    fn default() -> Self {
        Self {
            redis: Redis::default(),
            postgres: Postgres::default(),
            worker: Worker::default(),
            queues: queues::defaults(),
            schedules: BTreeMap::new(),
            sql: BTreeMap::new(),
            http: BTreeMap::new(),
            warm: BTreeMap::new(),
            cache: Cache::default(),
            aggregates: BTreeMap::new(),
            writes: BTreeMap::new(),
            maintenance: Maintenance::default(),
            outbox: Outbox::default(),
            history: History::default(),
            encryption: Encryption::default(),
            telemetry: Telemetry::default(),
            alerts: Alerts::default(),
            web: Web::default(),
        }
    }
}

impl Config {
    /// Reads and checks a file; `env` looks up a variable of the environment.
    pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let text = read_text(path).map_err(|why| {
            Problems(vec![Problem {
                file: path.display().to_string(),
                line: 0,
                path: String::new(),
                message: format!("cannot read the configuration: {why}"),
                help: "write one, or name another with `--config PATH`".to_owned(),
            }])
        })?;
        if let Some(problem) = open_to_all(path, env) {
            return Err(Problems(vec![problem]));
        }
        Self::parse(&text, path, env)
    }

    /// Checks a text; `file` is its name in messages, and relative paths in it begin at its folder.
    pub fn parse(text: &str, file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader::new(text, file, env);
        reader.syntax(text, &errors);
        let config = Section::root(&reader, document.get_ref(), Self::read_sections);
        reader.finish(config)
    }

    /// The same for somebody who wants to go on looking: what could be read, without the entries that could
    /// not, beside everything that is wrong with the file.
    pub fn read_what_can_be(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> (Self, Vec<Problem>) {
        let text = match Self::read(path, env) {
            Ok(config) => return (config, Vec::new()),
            Err(problems) => match read_text(path) {
                Ok(text) => text,
                Err(_) => return (Self::default(), problems.0),
            },
        };
        let (document, errors) = DeTable::parse_recoverable(&text);
        let mut reader = Reader::new(&text, path, env);
        reader.syntax(&text, &errors);
        let config = Section::root(&reader, document.get_ref(), Self::read_sections);
        let mut problems = reader.finish(()).err().map(|problems| problems.0).unwrap_or_default();
        problems.extend(open_to_all(path, env));
        (config, problems)
    }

    /// What an empty file says in this environment, for a process that is given everything by variables.
    pub fn without_file(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        Self::parse("", Path::new(ENVIRONMENT), env)
    }

    /// The names of the queues, which are the only ones that jobs may be put into.
    pub fn known_queues(&self) -> impl Iterator<Item = &str> {
        self.queues.keys().map(String::as_str)
    }

    /// Who gets in, of a file of which the rest may be wrong: whoever takes a token out of it is not kept waiting by a
    /// mistake elsewhere. Tokens that cannot be read open nothing.
    ///
    /// # Errors
    /// The file cannot be read, or is not TOML.
    pub fn read_tokens(
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, Token>, String> {
        let text = read_text(path)?;
        let (document, errors) = DeTable::parse_recoverable(&text);
        if let Some(error) = errors.first() {
            return Err(error.message().to_owned());
        }
        let reader = Reader::new(&text, path, env);
        Ok(Section::root(&reader, document.get_ref(), web::read).tokens)
    }

    fn read_sections(root: &mut Section<'_>) -> Self {
        // Queues come first: workers and schedules name them.
        let queues = queues::read(root);
        Self {
            redis: root.table("redis", Redis::read),
            postgres: root.table("postgres", Postgres::read),
            worker: root.table("worker", |section| Worker::read(section, &queues)),
            schedules: root.named("schedules", |section| Schedule::read(section, &queues)),
            sql: root.named("sql", Statement::read),
            http: root.named("http", Endpoint::read),
            warm: root.named("warm", Warmer::read),
            cache: root.table("cache", Cache::read),
            aggregates: aggregates::read(root),
            writes: root.named("writes", Write::read),
            maintenance: root.table("maintenance", Maintenance::read),
            outbox: root.table("outbox", Outbox::read),
            history: root.table("history", History::read),
            encryption: encryption::read(root),
            telemetry: root.table("telemetry", Telemetry::read),
            alerts: root.table("alerts", Alerts::read),
            web: web::read(root),
            queues,
        }
    }
}
