//! What can be wrong with a configuration beyond its grammar: kinds and arguments without any server,
//! statements and warmers on the real database.

use std::error::Error;

use brasa_jobs::Catalog;
use brasa_jobs::aggregates::{Look, Misfit};
use brasa_jobs::cache::{LoaderProblem, Plan};
use brasa_jobs::database;
use brasa_jobs::database::session::Session;
use brasa_jobs::writes::{Table, TableProblem};
use brasa_shared::config::{
    Aggregate, Config, Origin, Param as Source, Problem, Schedule, Statement, Warmer, Write, did_you_mean,
};
use brasa_shared::db::changes::triggers::{self, TableState, TableStatus};
use brasa_shared::db::{self, Described, Param};
use brasa_shared::queue::Envelope;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::failure::chain;
use crate::owner::Refusal;

/// What is wrong with kinds, queues and arguments. Needs no server.
pub(crate) fn offline(config: &Config, catalog: &Catalog) -> Vec<Problem> {
    let mut problems = Vec::new();
    for queue in config.queues.values() {
        let unknown = queue.limits.kinds.keys().filter(|kind| catalog.get(kind).is_none());
        problems.extend(unknown.map(|kind| {
            let known: Vec<&str> = catalog.kinds().map(|kind| kind.name).collect();
            let help = did_you_mean(kind, known.iter().copied());
            let help = help.unwrap_or_else(|| format!("the kinds are: {}", known.join(", ")));
            queue.origin.problem("kinds", format!("there is no kind of job `{kind}` to limit"), help)
        }));
    }
    for schedule in config.schedules.values() {
        let Some(kind) = catalog.get(&schedule.job) else {
            let known: Vec<&str> = catalog.kinds().map(|kind| kind.name).collect();
            let help = did_you_mean(&schedule.job, known.iter().copied());
            let help = help.unwrap_or_else(|| format!("the kinds are: {}", known.join(", ")));
            let message = format!("there is no kind of job `{}`", schedule.job);
            problems.push(schedule.origin.problem("job", message, help));
            continue;
        };
        if schedule.queue.is_none() && !config.queues.contains_key(kind.policy.queue) {
            let help = format!("write [queues.{}], or queue = \"default\"", kind.policy.queue);
            let message = format!("its kind goes to queue `{}`, which is not configured", kind.policy.queue);
            problems.push(schedule.origin.problem("job", message, help));
        }
        let args = Value::Object(schedule.args.clone());
        if let Err(message) = (kind.check)(&args.to_string(), config) {
            problems.push(args_problem(
                schedule,
                message,
                format!("see `brasa kinds`; {} takes these arguments", kind.name),
            ));
        }
        let wire = Envelope::new(kind.name, &args, brasa_shared::jiff::Timestamp::UNIX_EPOCH)
            .and_then(|envelope| envelope.to_wire());
        if let Err(error) = wire {
            problems.push(args_problem(schedule, error.to_string(), String::new()));
        }
    }
    problems
}

/// What the database says about every statement and warmer. Nothing is run.
pub(crate) async fn online(config: &Config, connection: &mut PgConnection) -> Vec<Problem> {
    let mut problems = Vec::new();
    // A connection that breaks is told of by what is asked next.
    if let Ok(Some(refusal)) = Refusal::of(db::owner(connection).await, &config.redis.prefix) {
        let help = refusal.help();
        problems.push(environment("postgres.url", &refusal, help));
    }
    for (name, statement) in &config.sql {
        match db::describe(connection, &statement.sql.text).await {
            Err(error) => {
                problems.push(refused(&statement.origin, statement.sql.key(), &statement.sql.text, &error));
            }
            Ok(described) => {
                unbindable(statement, &described, &mut problems);
                scheduled_values(config, name, statement, &described, &mut problems);
            }
        }
    }
    for warmer in config.warm.values() {
        if let Err(problem) = Plan::prepare(connection, warmer).await {
            problems.push(unfit(warmer, problem));
        }
        problems.extend(undependable(connection, warmer).await);
    }
    for write in config.writes.values() {
        if let Err(problem) = Table::look(connection, write).await {
            problems.push(unwritable(write, problem));
        }
    }
    for prune in config.maintenance.prune.values() {
        if let Err(error) = database::describe(connection, prune).await {
            let help = "correct the condition or the table, or migrate the database first";
            problems.push(prune.origin.problem("where", chain(&error), help));
        }
    }
    problems.extend(careless(config, connection).await);
    for (name, aggregate) in &config.aggregates {
        if let Err(problem) = Look::at(connection, name, aggregate).await {
            problems.push(unkeepable(aggregate, problem));
        }
    }
    problems
}

/// Whether there is a session to be had in which the database can be changed, where a schedule or a person wants one.
async fn careless(config: &Config, connection: &mut PgConnection) -> Vec<Problem> {
    let (care, mut problems) = (&config.maintenance, Vec::new());
    let changes = |schedule: &Schedule| matches!(&*schedule.job, "db.analyze" | "db.vacuum" | "db.reindex");
    if care.url.is_some() || config.schedules.values().any(changes) {
        match Session::open(config, None).await {
            Ok(session) => session.close().await,
            Err(error) => {
                let help = "write the address of the primary itself, as a role that may change it";
                problems.push(care.origin.problem("url", chain(&error), help));
            }
        }
    }
    for table in &care.indexes.without_upserts {
        let ask = sqlx::query_scalar("select to_regclass($1) is not null").bind(table);
        if let Ok(false) = ask.fetch_one(&mut *connection).await {
            let help = "correct the name, or leave it out";
            let why = format!("there is no table {table} that this role can see");
            problems.push(care.indexes.origin.problem("without_upserts", why, help));
        }
    }
    problems
}

fn unkeepable(aggregate: &Aggregate, problem: Misfit) -> Problem {
    match problem {
        Misfit::Unfit { at, message, help } => aggregate.origin.problem(at, message, help),
        Misfit::Database(error) => {
            aggregate.origin.problem("source", chain(&error), "may this role read the catalogues?")
        }
    }
}

fn unwritable(write: &Write, problem: TableProblem) -> Problem {
    match problem {
        TableProblem::Unfit { at, message, help } => write.origin.problem(at, message, help),
        TableProblem::Database(error) => {
            write.origin.problem("table", chain(&error), "may this role read the catalogues?")
        }
    }
}

fn args_problem(schedule: &Schedule, message: String, help: String) -> Problem {
    // `with` is another name for `args`; the problem stands where the arguments do.
    let key = if schedule.origin.at("args") == schedule.origin.line { "with" } else { "args" };
    schedule.origin.problem(key, message, help)
}

fn refused(origin: &Origin, key: &str, sql: &str, error: &sqlx::Error) -> Problem {
    let postgres = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    let (message, hint) = match postgres {
        None => (chain(error), ""),
        Some(postgres) => {
            let place = match postgres.position() {
                Some(PgErrorPosition::Original(place)) => line_of(sql, place),
                _ => String::new(),
            };
            (format!("{}{place}", postgres.message()), postgres.hint().unwrap_or_default())
        }
    };
    let help = if hint.is_empty() {
        "correct the statement, or migrate the database first".to_owned()
    } else {
        hint.to_owned()
    };
    origin.problem(key, format!("Postgres refuses the statement: {message}"), help)
}

/// On which line of a statement of several a place is, given as Postgres does: in characters, from 1.
fn line_of(sql: &str, place: usize) -> String {
    let before = sql.chars().take(place.saturating_sub(1));
    match before.filter(|c| *c == '\n').count() {
        _ if !sql.trim_end().contains('\n') => String::new(),
        newlines => format!(" (line {} of the statement)", newlines + 1),
    }
}

fn unbindable(statement: &Statement, described: &Described, problems: &mut Vec<Problem>) {
    for (place, kind) in described.unbindable() {
        let message = format!("${place} is a {kind}, which cannot be bound");
        let help = format!("pass a text and cast it: ${place}::text::{kind}");
        problems.push(statement.origin.problem(statement.sql.key(), message, help));
    }
    for (place, (source, kind)) in statement.params.iter().zip(&described.params).enumerate() {
        let sample = match source {
            Source::JobId => Value::from("01JD0000000000000000000000"),
            Source::JobAttempt => Value::from(1),
            Source::JobFence => Value::from(1_700_000_000_000_000_i64),
            Source::Arg(_) => continue,
        };
        if let Err(error) = Param::of(&sample, kind) {
            let message = format!("{source} cannot be bound to ${}: {error}", place + 1);
            problems.push(statement.origin.problem(
                "params",
                message,
                format!("cast it: ${}::text", place + 1),
            ));
        }
    }
}

/// Values that schedules pass to a statement must be of the types that it takes.
fn scheduled_values(
    config: &Config,
    name: &str,
    statement: &Statement,
    described: &Described,
    problems: &mut Vec<Problem>,
) {
    let users = config.schedules.values().filter(|schedule| {
        schedule.job == "sql.run" && schedule.args.get("name").and_then(Value::as_str) == Some(name)
    });
    for schedule in users {
        for (source, kind) in statement.params.iter().zip(&described.params) {
            let Source::Arg(path) = source else { continue };
            let args = Value::Object(schedule.args.clone());
            // What is missing has been said already, without the database.
            let Some(value) = args.pointer(&format!("/{}", path.join("/"))) else { continue };
            if let Err(error) = Param::of(value, kind) {
                let help = format!("statement `{name}` takes it as {}", error.kind);
                problems.push(args_problem(schedule, format!("{source}: {error}"), help));
            }
        }
    }
}

fn unfit(warmer: &Warmer, problem: LoaderProblem) -> Problem {
    match problem {
        LoaderProblem::Refused { what, source } => {
            let (key, sql) = match &warmer.for_each {
                Some(for_each) if what != "the loader" => ("for_each", &for_each.sql),
                _ => (warmer.sql.key(), &warmer.sql),
            };
            refused(&warmer.origin, key, &sql.text, &source)
        }
        LoaderProblem::Unfit { at, message, help } => {
            let key = if at == "sql" { warmer.sql.key() } else { at };
            warmer.origin.problem(key, message, help)
        }
    }
}

/// Tables and columns that a warmer depends on, and that are not there or cannot be watched.
async fn undependable(connection: &mut PgConnection, warmer: &Warmer) -> Vec<Problem> {
    if warmer.depends_on.is_empty() {
        return Vec::new();
    }
    let help = "correct the name, or migrate the database first";
    match triggers::status(connection, &warmer.depends_on).await {
        Ok(found) => {
            let reason = |table: TableStatus| match table.state {
                TableState::Impossible(reason) => Some(warmer.origin.problem("depends_on", reason, help)),
                _ => None,
            };
            found.tables.into_iter().filter_map(reason).collect()
        }
        Err(error) => {
            vec![warmer.origin.problem("depends_on", chain(&error), "may this role read the catalogues?")]
        }
    }
}

/// An error that is not about the configuration.
pub(crate) fn environment(path: &str, error: &(dyn Error + 'static), help: &str) -> Problem {
    Problem {
        file: "environment".to_owned(),
        line: 0,
        path: path.to_owned(),
        message: chain(error),
        help: help.to_owned(),
    }
}
