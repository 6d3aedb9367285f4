//! `brasa check`: every problem at once, with file, line and what to do.

use std::path::Path;

use brasa_jobs::Catalog;
use brasa_shared::config::{Config, Problem};
use brasa_shared::db;
use brasa_shared::streams::Streams;
use clap::Args;
use sqlx::PgPool;

use crate::app::{App, config_path, env, greet_postgres};
use crate::check::{environment, offline, online};
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Only look at the file; connect to nothing
    #[arg(long)]
    offline: bool,
}

/// What was found, and what is fine.
#[derive(Default)]
struct Findings {
    configuration: Vec<Problem>,
    environment: Vec<Problem>,
    fine: Vec<String>,
}

impl Check {
    pub(crate) async fn obey(
        self,
        told: Option<&Path>,
        catalog: Catalog,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let path = config_path(told);
        let mut findings = Findings::default();
        let (config, broken) = Config::read_what_can_be(&path, &env);
        // A file that is no TOML, or not there, says nothing that would be worth a question.
        if broken.iter().any(|problem| problem.path.is_empty()) {
            findings.configuration = broken;
        } else {
            findings.look_at(config, catalog, self.offline).await;
            findings.follow(broken);
        }
        findings.configuration.sort_by_key(|problem| problem.line);
        for problem in findings.configuration.iter().chain(&findings.environment) {
            out.line(problem.to_string())?;
        }
        let all: Vec<&Problem> = findings.configuration.iter().chain(&findings.environment).collect();
        out.value(&all)?;
        if all.is_empty() {
            return out.line(format!("{} is fine: {}", path.display(), findings.fine.join(", ")));
        }
        out.line(format!("{} problem(s)", all.len()))?;
        // Configuration first: with it mended, the environment may look different.
        Err(Failure::silent(if findings.configuration.is_empty() { 1 } else { 2 }))
    }
}

impl Findings {
    /// Adds what is wrong with the file itself, and takes back what only follows from it: a statement that
    /// could not be read is not missing, and an address that could not is not forgotten.
    fn follow(&mut self, broken: Vec<Problem>) {
        if broken.is_empty() {
            return;
        }
        self.configuration.retain(|found| {
            let follows = |broken: &Problem| {
                let name = broken.path.split('.').nth(1).unwrap_or_default();
                found.file == "environment"
                    || found.path == broken.path
                    || found.message.starts_with("there is no")
                        && found.message.contains(&format!("`{name}`"))
            };
            !broken.iter().any(follows)
        });
        self.configuration.extend(broken);
    }

    async fn look_at(&mut self, config: Config, catalog: Catalog, only_file: bool) {
        self.configuration = offline(&config, &catalog);
        for (count, what) in [
            (config.schedules.len(), "schedule(s)"),
            (config.sql.len(), "statement(s)"),
            (config.http.len(), "endpoint(s)"),
            (config.warm.len(), "warmer(s)"),
            (config.aggregates.len(), "aggregate(s)"),
            (config.writes.len(), "write(s)"),
            (config.queues.len(), "queue(s)"),
        ] {
            self.fine.push(format!("{count} {what}"));
        }
        if only_file {
            return self.fine.push("no server was asked".to_owned());
        }
        let app = match App::with(config, catalog) {
            Ok(app) => app,
            Err(failure) => return self.configuration.push(failure.into_problem("redis.url")),
        };
        match app.greet_redis().await {
            Ok(version) => {
                self.fine.push(version);
                self.ask_redis(&app).await;
            }
            Err(failure) => self.environment.push(failure.into_problem("redis.url")),
        }
        match app.pool() {
            Ok(Some(pool)) => self.ask_postgres(&app, &pool).await,
            Ok(None)
                if app.config.sql.is_empty()
                    && app.config.warm.is_empty()
                    && app.config.aggregates.is_empty()
                    && app.config.writes.is_empty() => {}
            Ok(None) => {
                let message =
                    "statements, warmers, aggregates and writes need Postgres, and there is no address of it";
                let help = "set DATABASE_URL, or write [postgres] url = \"${DATABASE_URL}\"";
                self.configuration.push(app.config.postgres.origin.problem("url", message, help));
            }
            Err(failure) => self.configuration.push(failure.into_problem("postgres.url")),
        }
    }

    /// Are rows that wait as safe as they have to be?
    async fn ask_redis(&mut self, app: &App) {
        if app.config.writes.is_empty() {
            return;
        }
        let streams = Streams::new(app.store.clone(), &app.config.redis.prefix);
        let Ok(safety) = streams.safety().await else { return };
        for write in app.config.writes.values() {
            if let Some((message, help)) = safety.falls_short(write.durability) {
                self.environment.push(write.origin.problem("durability", message, help));
            }
        }
    }

    async fn ask_postgres(&mut self, app: &App, pool: &PgPool) {
        match greet_postgres(pool).await {
            Ok(version) => self.fine.push(version),
            Err(failure) => return self.environment.push(failure.into_problem("postgres.url")),
        }
        match pool.acquire().await {
            Ok(mut connection) => self.configuration.extend(online(&app.config, &mut connection).await),
            Err(error) => {
                let help = format!("is there a connection free at {}?", db::address(pool));
                self.environment.push(environment("postgres.url", &error, &help));
            }
        }
    }
}
