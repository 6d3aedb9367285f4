//! Moving what changed into the groups.
//!
//! One transaction with one snapshot: rows are taken out of the log, and what they say is in the groups when they are gone.
//! Whoever dies in it has done nothing. Two at once do not wait for one another: the second goes away.

use std::time::Duration;

use brasa_shared::config::Publish;
use brasa_shared::db::aggregates::{State, Version, folded, frozen, lock, pause, read_until, versions};
use brasa_shared::db::{execute_all, fetch, fetch_for_job};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::aggregates::fault::Fault;
use crate::aggregates::shape::Shape;
use crate::aggregates::shape_of;
use crate::aggregates::sql::{self, FoldOf};

/// What all transactions here begin with.
pub(super) const BEGIN: &str = "begin isolation level repeatable read";

/// How a fold is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Folding<'a> {
    /// So many rows of the log at most.
    pub most: usize,
    /// What is published, if anything is.
    pub publish: Option<&'a Publish>,
    /// Buckets that are older than this stay as they are.
    pub frozen_after: Option<Duration>,
}

/// What a fold has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folded {
    /// Rows of the log that are in the groups now.
    pub rows: i64,
    /// Groups that were touched.
    pub groups: i64,
    /// Rows that came for buckets which stay as they are.
    pub late: i64,
}

/// Moves what changed into the groups of a version.
///
/// # Errors
/// See [`Fault`].
pub async fn fold(
    connection: &mut PgConnection,
    version: &Version,
    folding: Folding<'_>,
) -> Result<Folded, Fault> {
    let shape = shape_of(version)?;
    if version.paused.is_none() && is_idle(connection, &shape, version).await? {
        return freeze_only(connection, version, &shape, folding).await;
    }
    let mut transaction = connection.begin_with(BEGIN).await?;
    execute_all(&mut transaction, &sql::hold_source(&shape)).await?;
    let held = held(&mut transaction, version).await?;
    if held.state == State::Old {
        return Err(Fault::Gone);
    }
    let (mut rows, mut is_dirty, is_all) = glance(&mut transaction, &shape, folding.most).await?;
    if is_all {
        execute_all(&mut transaction, &sql::expand_all(&shape)).await?;
        (rows, is_dirty, _) = glance(&mut transaction, &shape, folding.most).await?;
    }
    let mut done = Folded::default();
    let until = horizon(&mut transaction, &shape).await?;
    if rows > 0 || until.is_some() {
        // What is not shown yet is not published.
        let publish = folding.publish.filter(|_| held.state == State::Live);
        let columns = publish.and_then(|publish| columns(publish, &shape));
        let of = FoldOf {
            most: folding.most,
            is_dirty: is_dirty || !shape.is_delta,
            is_behind: usize::try_from(rows).is_ok_and(|rows| rows >= folding.most),
            // What is not built yet will be computed with everything that is known of it now.
            from: if held.state == State::Building { &held.built_from } else { &held.frozen_until },
            published: columns.as_deref(),
            between: until.as_deref().map(|until| (held.read_until.as_str(), until)),
        };
        let found = fetch_for_job(&mut transaction, "fold", &sql::fold(&shape, of), &[]).await?;
        if let Some(row) = found.first() {
            done = Folded {
                rows: row.try_get("rows")?,
                groups: row.try_get("groups")?,
                late: row.try_get("late")?,
            };
            let (first, last): (Option<String>, Option<String>) =
                (row.try_get("first")?, row.try_get("last")?);
            if let Some((first, last)) = first.zip(last) {
                execute_all(&mut transaction, &[sql::drop_empty(&shape, &first, &last)]).await?;
            }
        }
        if let Some(until) = &until {
            read_until(&mut transaction, &held.name, held.version, until).await?;
        }
    }
    if held.state == State::Building {
        done.late = 0;
    }
    freeze(&mut transaction, &held, &shape, folding.frozen_after).await?;
    folded(&mut transaction, &held.name, held.version, done.rows, done.late).await?;
    if held.paused.is_some() {
        pause(&mut transaction, &held.name, held.version, None).await?;
    }
    transaction.commit().await?;
    Ok(done)
}

/// The version as it is now, which nobody else changes until the transaction ends.
pub(super) async fn held(transaction: &mut PgConnection, version: &Version) -> Result<Version, Fault> {
    if let Some(held) = lock(transaction, &version.name, version.version).await? {
        return Ok(held);
    }
    let known = versions(transaction, Some(&version.name)).await?;
    let is_there = known.iter().any(|known| known.version == version.version);
    Err(if is_there { Fault::Busy } else { Fault::Gone })
}

/// The columns that a published key names, if the version has them all.
pub(super) fn columns(publish: &Publish, shape: &Shape) -> Option<Vec<String>> {
    let columns: Vec<String> = publish.key.placeholders().into_iter().map(ToOwned::to_owned).collect();
    columns.iter().all(|column| shape.definition.by.contains(column)).then_some(columns)
}

async fn is_idle(connection: &mut PgConnection, shape: &Shape, version: &Version) -> Result<bool, Fault> {
    let rows = fetch(connection, &sql::is_idle(shape, &version.read_until), &[]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(true))
}

/// Before which transaction all have ended, where that is what matters.
async fn horizon(connection: &mut PgConnection, shape: &Shape) -> Result<Option<String>, Fault> {
    if shape.definition.xid.is_none() {
        return Ok(None);
    }
    let rows = fetch(connection, &sql::horizon(), &[]).await?;
    Ok(rows.first().map(|row| row.try_get("until")).transpose()?)
}

async fn glance(
    connection: &mut PgConnection,
    shape: &Shape,
    most: usize,
) -> Result<(i64, bool, bool), Fault> {
    let rows = fetch(connection, &sql::glance(shape, most), &[]).await?;
    let Some(row) = rows.first() else { return Ok((0, false, false)) };
    Ok((row.try_get("rows")?, row.try_get("is_dirty")?, row.try_get("is_all")?))
}

/// Where nothing changed, time may still have come for a bucket to stay as it is.
async fn freeze_only(
    connection: &mut PgConnection,
    version: &Version,
    shape: &Shape,
    folding: Folding<'_>,
) -> Result<Folded, Fault> {
    let Some(after) = folding.frozen_after else { return Ok(Folded::default()) };
    let due = fetch(connection, &sql::freeze(shape, after.as_secs(), &version.frozen_until), &[]).await?;
    if !due.is_empty() {
        let mut transaction = connection.begin_with(BEGIN).await?;
        let held = held(&mut transaction, version).await?;
        freeze(&mut transaction, &held, shape, folding.frozen_after).await?;
        transaction.commit().await?;
    }
    Ok(Folded::default())
}

/// Nothing is frozen that is not built yet.
async fn freeze(
    transaction: &mut PgConnection,
    held: &Version,
    shape: &Shape,
    after: Option<Duration>,
) -> Result<(), Fault> {
    let (Some(after), true) = (after, held.state == State::Live) else {
        return Ok(());
    };
    let due = fetch(transaction, &sql::freeze(shape, after.as_secs(), &held.frozen_until), &[]).await?;
    if let Some(row) = due.first() {
        let until: String = row.try_get("until")?;
        frozen(transaction, &held.name, held.version, &until).await?;
    }
    Ok(())
}

/// What is not in the groups of a version yet: rows of the log, and for how long the first of them has been there.
///
/// # Errors
/// See [`Fault`].
pub async fn waiting(connection: &mut PgConnection, version: &Version) -> Result<(i64, Duration), Fault> {
    let rows = fetch(connection, &sql::waiting(&shape_of(version)?), &[]).await?;
    let Some(row) = rows.first() else { return Ok((0, Duration::ZERO)) };
    Ok((row.try_get("rows")?, span(row.try_get("seconds")?)))
}

/// For how long the first row of the log has been there.
///
/// # Errors
/// See [`Fault`].
pub async fn lag(connection: &mut PgConnection, version: &Version) -> Result<Duration, Fault> {
    let rows = fetch(connection, &sql::oldest(&shape_of(version)?), &[]).await?;
    Ok(rows.first().map(|row| row.try_get("seconds")).transpose()?.map_or(Duration::ZERO, span))
}

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
