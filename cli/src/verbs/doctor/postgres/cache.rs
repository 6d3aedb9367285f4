//! Are changes of the application's tables told to the cache?

use std::time::Duration;

use brasa_shared::db::changes::triggers::{self, TableState, TableStatus, TriggerStatus};
use brasa_shared::db::changes::{ChangeLog, Waiting};
use brasa_shared::finding::Finding;
use sqlx::PgPool;

use super::super::timing::span;
use super::facts::Facts;
use super::{connect, within};
use crate::app::App;
use crate::failure::chain;
use crate::verbs::cache::dependents;

/// Changes that wait for longer than this have nobody who carries them.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// How changes of tables are told.
#[derive(Debug)]
pub(super) struct Told {
    /// How the triggers stand; or why nobody can see that; none where no warmer depends on a table.
    triggers: Option<Result<TriggerStatus, String>>,
    /// What waits in the change log; none where there is no log.
    waiting: Option<Result<Waiting, String>>,
}

/// Asks for it, over a connection of its own: what is asked here is prepared, which a pooler may mind.
pub(super) async fn ask(pool: &PgPool, app: &App) -> Option<Told> {
    if app.config.warm.is_empty() {
        return None;
    }
    let dependencies: Vec<_> = dependents(app).into_iter().map(|(dependency, _)| dependency).collect();
    let look = async {
        let mut connection = connect(pool).await.map_err(|error| chain(&error))?;
        triggers::status(&mut connection, &dependencies).await.map_err(|error| chain(&error))
    };
    let triggers = if dependencies.is_empty() { None } else { Some(look.await) };
    let log = ChangeLog::of(pool.clone());
    let waiting = match within(log.exists()).await {
        Ok(true) => Some(within(log.waiting()).await.map_err(|error| chain(&error))),
        // That the schema is missing is said already.
        Ok(false) => None,
        Err(error) => Some(Err(chain(&error))),
    };
    Some(Told { triggers, waiting })
}

/// A table that warmers depend on and whose changes go unseen.
pub(super) fn triggers(facts: &Facts) -> Vec<Finding> {
    let found = facts.told.as_ref().and_then(|told| told.triggers.as_ref());
    let why = "values that are made of it stay as they are until they end, whatever changes";
    let status = match found {
        None => return Vec::new(),
        Some(Err(error)) => {
            let found = format!("could not be looked at: {error}");
            return vec![Finding::note("triggers", found, why, "`brasa cache triggers status` looks again")];
        }
        Some(Ok(status)) => status,
    };
    let lacking = status.tables.iter().filter(|table| !table.is_good());
    let mut findings: Vec<Finding> = lacking.map(|table| lacks(table, why)).collect();
    if findings.is_empty() {
        let count = status.tables.len();
        findings
            .push(Finding::fine("triggers", format!("changes of {count} table(s) are told to the cache")));
    }
    let left = [&status.leftover_tables, &status.leftover_functions].into_iter().flatten();
    let left: Vec<&str> = left.map(String::as_str).collect();
    if !left.is_empty() {
        let found = format!("left over from warmers that are gone: {}", left.join(", "));
        let why = "every change is still written down, for nobody";
        findings.push(Finding::note("triggers", found, why, "brasa cache triggers status"));
    }
    findings
}

fn lacks(table: &TableStatus, why: &str) -> Finding {
    let TableStatus { table, state, missing_partitions } = table;
    let found = match state {
        TableState::Installed => format!("parts of {table} have none: {}", missing_partitions.join(", ")),
        TableState::Missing => format!("{table} has none"),
        TableState::Outdated => format!("those of {table} are outdated"),
        TableState::Disabled => format!("somebody has disabled one of {table}"),
        TableState::Impossible(reason) => {
            let found = format!("{table} can have none: {reason}");
            return Finding::warning(
                "triggers",
                found,
                why,
                "correct `depends_on`; `brasa check` says where",
            );
        }
    };
    Finding::warning("triggers", found, why, format!("brasa cache triggers install --table {table}"))
}

/// Changes that nobody tells.
pub(super) fn changes(facts: &Facts) -> Vec<Finding> {
    let why = "readers get what was true before those changes";
    let finding = match facts.told.as_ref().and_then(|told| told.waiting.as_ref()) {
        None => return Vec::new(),
        Some(Err(error)) => {
            let help = "grant select on brasa.cache_log to this role";
            Finding::note("changes", format!("the change log could not be read: {error}"), why, help)
        }
        Some(Ok(Waiting { rows, oldest: Some(age) })) if *age > WAIT_MAX => {
            let ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let found = format!("{rows} change(s) wait to be told to the cache, the oldest for {}", span(ms));
            let help = "is a worker with this configuration running, and is [cache] enabled not false? Its log says more";
            Finding::warning("changes", found, why, help)
        }
        Some(Ok(Waiting { rows, .. })) => {
            Finding::fine("changes", format!("{rows} wait to be told to the cache"))
        }
    };
    vec![finding]
}
