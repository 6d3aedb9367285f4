//! `sql.run`: one named statement of the configuration, with bound values.

use std::time::Duration;

use brasa_shared::config::{Config, Param as Source, Statement};
use brasa_shared::db::{self, Param};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::{Connection, PgConnection};

use crate::absent;
use crate::context::{JobContext, ThisJob};
use crate::job::{Job, Policy};
use crate::sql::judge;
use crate::verdict::{JobError, JobResult};

/// Runs `[sql.NAME]`. Beside `name`, the payload holds the values that the statement calls `args.…`.
#[derive(Debug, Deserialize)]
pub struct Run {
    name: String,
    #[serde(flatten)]
    args: Map<String, Value>,
}

impl Job for Run {
    const KIND: &'static str = "sql.run";
    const ABOUT: &'static str = "Runs a named statement of the configuration with bound values";
    const POLICY: Policy = Policy::new();

    fn check(&self, config: &Config) -> Result<(), String> {
        let statement = self.statement(config)?;
        for source in &statement.params {
            if let Source::Arg(path) = source {
                self.argument(path)?;
            }
        }
        Ok(())
    }

    async fn run(&self, ctx: &JobContext) -> JobResult<Value> {
        let statement = self.statement(&ctx.reach.config).map_err(JobError::bury)?;
        let mut connection = ctx.connection().await?;
        let ended = self.execute(statement, &ctx.job, &mut connection).await;
        connection.give_back();
        Ok(json!({ "rows": ended? }))
    }
}

impl Run {
    fn statement<'c>(&self, config: &'c Config) -> Result<&'c Statement, String> {
        config.sql.get(&self.name).ok_or_else(|| absent("statement", "sql", &self.name, config.sql.keys()))
    }

    fn argument(&self, path: &[String]) -> Result<Value, String> {
        let missing =
            || format!("args.{} is missing, and statement `{}` needs it", path.join("."), self.name);
        let (first, rest) = path.split_first().ok_or_else(missing)?;
        let mut value = match self.args.get(first) {
            Some(value) => value,
            None if first == "name" && rest.is_empty() => return Ok(json!(self.name)),
            None => return Err(missing()),
        };
        for step in rest {
            value = value.get(step).ok_or_else(missing)?;
        }
        Ok(value.clone())
    }

    async fn execute(
        &self,
        statement: &Statement,
        job: &ThisJob,
        connection: &mut PgConnection,
    ) -> JobResult<u64> {
        let params = self.bind(statement, job, connection).await?;
        let rows = match statement.timeout {
            None => db::execute_for_job(connection, &self.name, &statement.sql.text, &params).await,
            Some(timeout) => self.limited(connection, &statement.sql.text, &params, timeout).await,
        };
        rows.map_err(|error| judge(error, &format!("run statement `{}`", self.name)))
    }

    async fn bind(
        &self,
        statement: &Statement,
        job: &ThisJob,
        connection: &mut PgConnection,
    ) -> JobResult<Vec<Param>> {
        // The driver keeps prepared statements per connection, so this asks the server only once.
        let described = db::describe(connection, &statement.sql.text).await;
        let kinds =
            described.map_err(|error| judge(error, &format!("prepare statement `{}`", self.name)))?.params;
        let mut params = Vec::with_capacity(kinds.len());
        for (place, (source, kind)) in statement.params.iter().zip(&kinds).enumerate() {
            let (called, value) = match source {
                Source::JobId => ("job.id".to_owned(), json!(job.id)),
                Source::JobAttempt => ("job.attempt".to_owned(), json!(job.attempt)),
                Source::JobFence => ("job.fence".to_owned(), json!(job.fence)),
                Source::Arg(path) => {
                    (format!("args.{}", path.join(".")), self.argument(path).map_err(JobError::bury)?)
                }
            };
            let bound = Param::of(&value, kind);
            params.push(
                bound.map_err(|error| JobError::bury(format!("{called} for ${}: {error}", place + 1)))?,
            );
        }
        Ok(params)
    }

    /// The statement under a time limit of its own, which ends with its transaction.
    async fn limited(
        &self,
        connection: &mut PgConnection,
        sql: &str,
        params: &[Param],
        timeout: Duration,
    ) -> Result<u64, sqlx::Error> {
        let mut transaction = connection.begin().await?;
        let limit = timeout.as_millis().to_string();
        sqlx::query("select set_config('statement_timeout', $1, true)")
            .bind(limit)
            .execute(&mut *transaction)
            .await?;
        let rows = db::execute_for_job(&mut transaction, &self.name, sql, params).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}
