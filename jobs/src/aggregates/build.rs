//! Computing the buckets from before an aggregate was installed, newest first.
//!
//! A step computes some buckets from the source, in the place of whatever is known of them, in one transaction with one
//! snapshot: what the log says of them then goes with it. The triggers were there before, so what is not in that snapshot
//! comes later through the log. Whoever dies in a step has done nothing; the next one goes on from there.

use std::time::{Duration, Instant};

use brasa_shared::db::aggregates::{State, Version, built};
use brasa_shared::db::{execute_all, fetch, fetch_for_job};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::aggregates::fault::Fault;
use crate::aggregates::fold::{BEGIN, held};
use crate::aggregates::shape_of;
use crate::aggregates::sql;

/// How long a step is to take: long enough to be worth it, short enough that nothing waits for it.
const STEP: (Duration, Duration) = (Duration::from_millis(120), Duration::from_millis(300));
/// How many buckets a step computes at most.
const BUCKETS_MAX: u32 = 4_096;
/// The beginning of time, in the text of every type that says when.
pub(super) const BEGINNING: &str = "-infinity";

/// How many buckets a step takes, after how long the last one took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many.
    pub buckets: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { buckets: 1 }
    }
}

impl Pace {
    /// The next pace, after a step whose computing took so long.
    #[must_use]
    pub fn after(self, computing: Duration) -> Self {
        let buckets = match computing {
            computing if computing < STEP.0 => self.buckets.saturating_mul(2),
            computing if computing > STEP.1 => self.buckets / 2,
            _ => self.buckets,
        };
        Self { buckets: buckets.clamp(1, BUCKETS_MAX) }
    }
}

/// What a step has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Everything from this bucket on is there now.
    pub from: String,
    /// Groups that were computed.
    pub groups: i64,
    /// How long the transaction took.
    pub took: Duration,
    /// How long computing took, without waiting for locks: what a pace can change.
    pub computing: Duration,
    /// Whether nothing is left to be computed.
    pub is_done: bool,
}

/// Computes the next buckets of a version.
///
/// # Errors
/// See [`Fault`].
pub async fn build(connection: &mut PgConnection, version: &Version, pace: Pace) -> Result<Built, Fault> {
    let shape = shape_of(version)?;
    let began = Instant::now();
    let mut transaction = connection.begin_with(BEGIN).await?;
    execute_all(&mut transaction, &sql::hold_source(&shape)).await?;
    let held = held(&mut transaction, version).await?;
    let done = |from: String| Built {
        from,
        groups: 0,
        took: began.elapsed(),
        computing: Duration::ZERO,
        is_done: true,
    };
    if held.state != State::Building {
        return Err(Fault::Gone);
    }
    if held.built_from == BEGINNING {
        return Ok(done(held.built_from));
    }
    let next = sql::next_from(&shape, &held.built_from, &held.frozen_until, pace.buckets);
    let next = fetch(&mut transaction, &next, &[]).await?;
    let Some(row) = next.first() else {
        // What is known of older buckets came through the log, from rows that are there no more.
        let groups = fetch_for_job(
            &mut transaction,
            "build",
            &sql::build_chunk(&shape, BEGINNING, &held.built_from, &held.read_until),
            &[],
        )
        .await?;
        drop(groups);
        built(&mut transaction, &held.name, held.version, BEGINNING).await?;
        transaction.commit().await?;
        return Ok(done(BEGINNING.to_owned()));
    };
    let from: String = row.try_get("bucket")?;
    let computes = Instant::now();
    let sql = sql::build_chunk(&shape, &from, &held.built_from, &held.read_until);
    let chunk = fetch_for_job(&mut transaction, "build", &sql, &[]).await?;
    let groups = chunk.first().map(|row| row.try_get("groups")).transpose()?.unwrap_or(0);
    let computing = computes.elapsed();
    built(&mut transaction, &held.name, held.version, &from).await?;
    transaction.commit().await?;
    Ok(Built { from, groups, took: began.elapsed(), computing, is_done: false })
}
