//! Comparing an aggregate with its source.
//!
//! Groups and log are compared with what the source says in one statement, so in one snapshot: whatever goes on beside it,
//! a difference is a fault, such as rows that came to the table behind the triggers' backs.

use std::time::Instant;

use brasa_shared::db::aggregates::{State, Version, checked};
use brasa_shared::db::{execute_all, fetch, fetch_for_job};
use sqlx::{PgConnection, Row as _};

use crate::aggregates::build::{BEGINNING, Pace};
use crate::aggregates::fault::Fault;
use crate::aggregates::shape_of;
use crate::aggregates::sql;

/// How many groups are shown of those that are wrong.
const EXAMPLES: usize = 10;

/// What a comparison has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Groups that were compared.
    pub compared: i64,
    /// Groups that are not what the source says.
    pub wrong: i64,
    /// Some of them: the key, what is known, and what is true.
    pub examples: Vec<String>,
    /// Whether they are computed again at the next fold.
    pub is_repaired: bool,
}

/// Compares everything that does not stay as it is, newest first, some buckets at a time; `go_on` is told after each how
/// far it is, and may stop it.
///
/// # Errors
/// See [`Fault`]; `Busy` where it is not built yet.
pub async fn check(
    connection: &mut PgConnection,
    version: &Version,
    repairs: bool,
    mut go_on: impl FnMut(&str, &Checked) -> bool,
) -> Result<Checked, Fault> {
    let shape = shape_of(version)?;
    if version.state != State::Live {
        return Err(Fault::Busy);
    }
    let (mut done, mut pace, mut to) = (Checked::default(), Pace::default(), "infinity".to_owned());
    loop {
        let began = Instant::now();
        let next = sql::next_from(&shape, &to, &version.frozen_until, pace.buckets);
        let next = fetch(connection, &next, &[]).await?;
        let next: Option<String> = next.first().map(|row| row.try_get("bucket")).transpose()?;
        // Behind the oldest row there may be groups that should be none.
        let from = next.clone().unwrap_or_else(|| version.frozen_until.clone());
        let rows = fetch_for_job(connection, "compare", &sql::differences(&shape, &from, &to, EXAMPLES), &[])
            .await?;
        if let Some(row) = rows.first() {
            let (compared, wrong): (i64, i64) = (row.try_get("compared")?, row.try_get("wrong")?);
            let examples: Vec<String> = row.try_get("examples")?;
            done.compared += compared;
            done.wrong += wrong;
            let room = EXAMPLES.saturating_sub(done.examples.len());
            done.examples.extend(examples.into_iter().take(room));
            if wrong > 0 && repairs {
                execute_all(connection, &[sql::mark_range(&shape, &from, &to)]).await?;
                done.is_repaired = true;
            }
        }
        pace = pace.after(began.elapsed());
        let is_through = next.is_none() || from == version.frozen_until || from == BEGINNING;
        if is_through || !go_on(&from, &done) {
            break;
        }
        to = from;
    }
    checked(connection, &version.name, version.version, done.compared, done.wrong).await?;
    Ok(done)
}
