//! A part of a page that may be slow, or lack a right: it says so, and does not hold up the others.

use std::time::Duration;

use super::layout::marked;
use brasa_jobs::aggregates::Fault;
use brasa_jobs::database::session::SessionError;
use brasa_jobs::writes::StandingError;
use brasa_shared::store::StoreError;
use brasa_shared::telemetry::logs::chain;
use futures_util::future::join_all;
use maud::{Markup, Render, html};
use sqlx::{PgPool, Postgres, Transaction};

/// For how long a part is waited for.
pub(crate) const PART_MAX: Duration = Duration::from_millis(1_500);

/// Nothing that stays open when nobody waits for it any more.
const LIMITS: &str = "/* brasa */ select set_config('statement_timeout', '1500', true),
    set_config('lock_timeout', '500', true), set_config('transaction_read_only', 'on', true)";

/// What a part found, or why it has nothing to show.
pub(crate) type Part<T> = Result<T, Missing>;

/// Why a part has nothing to show.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    /// What is so.
    why: String,
    /// What to do about it; may be empty.
    help: String,
}

/// Waits for a part, and no longer than is good for the page. `verb` is what waits as long as it takes.
pub(crate) async fn within<T>(verb: &str, part: impl Future<Output = Part<T>>) -> Part<T> {
    let found = tokio::time::timeout(PART_MAX, part).await.unwrap_or_else(|_| Err(Missing::slow()));
    found.map_err(|missing| match missing {
        Missing { why, help } if help.is_empty() => Missing::new(why, format!("`{verb}` waits for it")),
        missing => missing,
    })
}

/// Makes sure that so many connections are there, so that no part spends its time on opening one. They are opened by
/// themselves: one that comes too late for this page is there for the next.
pub(crate) async fn ready(pool: &PgPool, count: usize) {
    if pool.num_idle() >= count {
        return;
    }
    let open = |pool: PgPool| tokio::spawn(async move { drop(pool.acquire().await) });
    let opening = (0..count).map(|_| open(pool.clone()));
    drop(tokio::time::timeout(PART_MAX, join_all(opening)).await);
}

/// A transaction that only looks, and not for long.
pub(crate) async fn looking(pool: &PgPool) -> Part<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::query(LIMITS).execute(&mut *transaction).await?;
    Ok(transaction)
}

impl Missing {
    pub(crate) fn new(why: impl Into<String>, help: impl Into<String>) -> Self {
        Self { why: why.into(), help: help.into() }
    }

    fn slow() -> Self {
        let why = format!("This took longer than {} s, and was left out.", PART_MAX.as_secs_f64());
        Self::new(why, "")
    }
}

impl Render for Missing {
    fn render(&self) -> Markup {
        html! { p.state.warn { (self.why) } @if !self.help.is_empty() { p.help { (marked(&self.help)) } } }
    }
}

impl From<sqlx::Error> for Missing {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!(error = %chain(&error), "Postgres did not say what a part of a page shows");
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("57014" | "55P03") => Self::slow(),
            Some("42501") => {
                let said =
                    error.as_database_error().map(sqlx::error::DatabaseError::message).unwrap_or_default();
                let why = format!("The role of this process lacks a right to look at this: {said}.");
                Self::new(why, "grant it as the owner of schema `brasa`: see \"Roles\" in docs/production.md")
            }
            Some("42P01" | "3F000" | "42703") => {
                Self::new("This database has no tables for this, or older ones.", "run `brasa migrate`")
            }
            _ => Self::new("Postgres did not answer as it should.", "see `brasa doctor`"),
        }
    }
}

impl From<StoreError> for Missing {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = %chain(&error), "Redis did not say what a part of a page shows");
        Self::new(format!("Redis could not {}.", error.action), error.fault.help())
    }
}

impl From<Fault> for Missing {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Passing(error) | Fault::Broken(error) => error.into(),
            fault => Self::new(format!("{fault}."), "`brasa aggregates status` says more"),
        }
    }
}

impl From<StandingError> for Missing {
    fn from(error: StandingError) -> Self {
        match error {
            StandingError::Store(error) => error.into(),
            StandingError::Database(error) => error.into(),
        }
    }
}

impl From<SessionError> for Missing {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Database(error) | SessionError::Connect(error) => error.into(),
            error => Self::new(format!("{error}."), "`brasa db status` says more"),
        }
    }
}
