//! The verbs: a verb is a file, with its arguments and `obey`.

use std::path::PathBuf;

use brasa_jobs::Catalog;
use clap::{Parser, Subcommand};

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

mod aggregates;
mod alerts;
mod arguments;
mod audit;
mod cache;
mod check;
mod completions;
mod db;
mod dead;
mod demo;
pub(crate) mod doctor;
mod encryption;
mod enqueue;
mod flow;
mod health;
mod jobs;
mod kinds;
mod metrics;
mod migrate;
mod outbox;
mod queues;
mod schedules;
mod serve;
mod tokens;
mod web;
mod writes;

/// Background jobs and warm caches for a Postgres and Redis web application
#[derive(Debug, Parser)]
#[command(name = "brasa", version, max_term_width = 110, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The configuration; else `BRASA_CONFIG`, else ./brasa.toml
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON instead of tables and sentences
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a scheduler and a worker in one process, and the dashboard where [web] is written
    Run(serve::Run),
    /// Run a worker: claim jobs and run them until told to stop
    Worker(serve::Worker),
    /// Run a scheduler: enqueue what is due
    Scheduler(serve::Scheduler),
    /// Serve the dashboard and the HTTP API
    Web(web::Web),
    /// See it all at work: private servers, real data, a live summary
    Demo(demo::Demo),
    /// Create or update schema `brasa` in Postgres
    Migrate(migrate::Migrate),
    /// Check the configuration, and every statement on the real database
    Check(check::Check),
    /// Look at the servers: what is wrong, why it matters, and what to do
    Doctor(doctor::Doctor),
    /// Enqueue a job, or many
    Enqueue(Box<enqueue::Enqueue>),
    /// Enqueue jobs that follow one another: a chain, or a group with a callback
    Flow(flow::Flow),
    /// List, show, explain, retry and cancel jobs
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// List and watch queues; pause, resume, drain and open them
    #[command(subcommand)]
    Queues(queues::Queues),
    /// Group, list, show, retry and delete dead jobs
    #[command(subcommand)]
    Dead(dead::Dead),
    /// Look at what was enqueued in SQL, and decide about what was refused
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    /// List, preview, run, pause and resume schedules
    #[command(subcommand)]
    Schedules(schedules::Schedules),
    /// Look at what is cached, warm it, invalidate it, and watch its tables
    #[command(subcommand)]
    Cache(cache::Cache),
    /// Look at figures that are kept as rows change; install, build, compare and show them
    #[command(subcommand)]
    Aggregates(aggregates::Aggregates),
    /// Look at rows that are written in batches, hand over files of them, and decide about what was refused
    #[command(subcommand)]
    Writes(writes::Writes),
    /// Take care of the database: analyze, vacuum, rebuild and review it, delete what has expired
    #[command(subcommand)]
    Db(db::Db),
    /// Make tokens for the dashboard and the API, and list them
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Make keys for what jobs are given, see what is sealed with which, and change them while jobs wait
    #[command(subcommand)]
    Encryption(encryption::Encryption),
    /// Look at who did what through the dashboard and the API
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Look at what is wrong, and see whether messages about it arrive
    #[command(subcommand)]
    Alerts(alerts::Alerts),
    /// List the kinds of job that this build knows
    Kinds(kinds::Kinds),
    /// List the metrics that a process can tell, and what they mean
    Metrics(metrics::Metrics),
    /// Ask a running process whether it is ready
    Health(health::Health),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn obey(self, catalog: Catalog) -> Result<(), Failure> {
        let mut out = Output::standard(self.json);
        let open = |catalog| App::open(self.config.as_deref(), catalog);
        match self.verb {
            Verb::Run(verb) => verb.obey(open(catalog)?).await,
            Verb::Worker(verb) => verb.obey(open(catalog)?, &mut out).await,
            Verb::Scheduler(verb) => verb.obey(open(catalog)?).await,
            Verb::Web(verb) => verb.obey(open(catalog)?).await,
            Verb::Demo(verb) => verb.obey(catalog, &mut out).await,
            Verb::Migrate(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Check(verb) => verb.obey(self.config.as_deref(), catalog, &mut out).await,
            Verb::Doctor(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Enqueue(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Flow(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Jobs(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Queues(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Dead(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Outbox(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Schedules(verb) => verb.obey(self.config.as_deref(), catalog, &mut out).await,
            Verb::Cache(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Aggregates(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Writes(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Db(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Tokens(tokens::Tokens::New(verb)) => verb.obey(&mut out),
            Verb::Tokens(tokens::Tokens::List) => tokens::Tokens::list(&open(catalog)?, &mut out),
            Verb::Encryption(encryption::Encryption::NewKey(verb)) => verb.obey(&mut out),
            Verb::Encryption(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Audit(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Alerts(verb) => verb.obey(&open(catalog)?, &mut out).await,
            Verb::Kinds(verb) => verb.obey(&catalog, &mut out),
            Verb::Metrics(verb) => verb.obey(&mut out),
            Verb::Health(verb) => verb.obey(&mut out).await,
            Verb::Completions(verb) => verb.obey(&mut out),
        }
    }
}
