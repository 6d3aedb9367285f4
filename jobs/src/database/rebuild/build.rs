//! One rebuild: looked at once more, noted, done, watched, swept, proven.

use std::time::Duration;

use brasa_shared::config::Indexes;
use brasa_shared::telemetry::logs::chain;
use sqlx::PgConnection;
use tokio::time::Instant;

use super::leftover::{Swept, has_half, sweep};
use super::note::{Open, Outcome, Purpose, arm, close, note_new};
use super::past::remember;
use super::plan::Item;
use super::preflight::check;
use crate::database::indexes::{Index, Scope, look};
use crate::database::session::{Ended, Seen, Session, SessionError, Until};

/// How long it may wait for others before the new index takes the place of the old one.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a rebuild that writes wait for may wait itself.
const BLOCKING_LOCK_TIMEOUT: &str = "200ms";
/// How long it may take: nobody is to wait longer for it.
const BLOCKING_MAX: &str = "700ms";

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Built {
    /// It is new, and so many bytes smaller; larger where that is negative.
    Done {
        /// Before, in bytes.
        before: i64,
        /// And after.
        after: i64,
    },
    /// Something spoke against it, and nothing was done.
    Put(String),
    /// It failed, and nothing is left of it.
    Failed(String),
    /// It did not come to its end, of it nothing is left, and somebody else has made the index anew since.
    Others,
    /// It failed, and what it left could not be taken away yet: the next run tries again.
    Left(String),
}

/// How a rebuild is done.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild<'a> {
    /// Which, and why.
    pub item: &'a Item,
    /// The configuration.
    pub rules: &'a Indexes,
    /// By whom: a job, or a person.
    pub actor: &'a str,
    /// The server and database, see [`super::server`].
    pub server: &'a str,
}

/// Rebuilds an index. The session must have its turn, see [`super::take_turn`]. `notes` is a connection of the role that owns
/// schema `brasa`; `told` hears how far it is.
///
/// # Errors
/// The session is lost, or the note could not be written. What was begun is looked after by the next run.
pub async fn rebuild(
    session: &mut Session,
    notes: &mut PgConnection,
    of: Rebuild<'_>,
    until: &Until,
    mut told: impl FnMut(&Seen),
) -> Result<Built, SessionError> {
    let wanted = &of.item.index;
    let version = session.version;
    let (index, strangers) = match check(session.work(), wanted, of.rules, version).await? {
        Ok(found) => found,
        Err(why) => return Ok(Built::Put(why)),
    };
    let token = session.token.clone();
    let why = of.item.choice.reason.words();
    let purpose = Purpose { why, actor: of.actor, token: &token, server: of.server };
    let Some(mut note) = arm(notes, &index, &strangers, &purpose).await? else {
        return Ok(Built::Put("its table is not there any more".to_owned()));
    };
    let is_blocking = of.item.choice.is_blocking;
    let (lock, time) = if is_blocking { (BLOCKING_LOCK_TIMEOUT, BLOCKING_MAX) } else { ("0", "0") };
    session.set("lock_timeout", lock).await?;
    session.set("statement_timeout", time).await?;
    let mut phase = None;
    let judge = |seen: &Seen| {
        told(seen);
        phase.clone_from(&seen.phase);
        waits_too_long(seen)
    };
    let ended = watched(session, notes, &mut note, (&of.item.statement(), until), judge).await?;
    let failure = match ended {
        Ended::Done => None,
        Ended::Cancelled(why) => Some(why),
        Ended::Failed(error @ sqlx::Error::Database(_)) => Some(chain(&error)),
        Ended::Failed(error) | Ended::Lost(error) => return Err(error.into()),
    };
    session.set("statement_timeout", "0").await?;
    session.set("lock_timeout", "0").await?;
    // Whoever ended it by hand, and the end of a window, say nothing about the index.
    let is_over = until.stop.is_cancelled() || until.deadline.is_some_and(|end| Instant::now() >= end);
    let end = End { failure: failure.as_deref(), phase: phase.as_deref(), rests: !is_over };
    finish(session, notes, &note, end).await
}

/// Does it, and notes the number of the new index as soon as that is seen: beside it, for somebody may wait for us meanwhile.
async fn watched(
    session: &mut Session,
    notes: &mut PgConnection,
    note: &mut Open,
    (statement, until): (&str, &Until),
    mut judge: impl FnMut(&Seen) -> Option<String>,
) -> Result<Ended, sqlx::Error> {
    let (tell, mut hear) = tokio::sync::watch::channel(None);
    let (id, old) = (note.id, note.old_oid);
    let running = async move {
        let seen = |seen: &Seen| {
            // Before it is built, and when it is there, the old one is at work.
            if let Some(new) = seen.index.filter(|index| *index != old && tell.borrow().is_none()) {
                tell.send_replace(Some(new));
            }
            judge(seen)
        };
        session.run(statement, until, seen).await
    };
    let noting = async {
        let mut new = None;
        while new.is_none() && hear.changed().await.is_ok() {
            new = *hear.borrow_and_update();
        }
        match new {
            Some(oid) => note_new(notes, id, oid).await.map(|()| new),
            None => Ok(None),
        }
    };
    let (ended, new) = tokio::join!(running, noting);
    note.new_oid = new?;
    Ok(ended)
}

/// Before the new index takes the place of the old one, nothing is lost by giving up.
fn waits_too_long(seen: &Seen) -> Option<String> {
    let waits = seen.phase.as_deref().is_some_and(|phase| phase.starts_with("waiting")) && !seen.is_swapped();
    (waits && seen.phase_for >= WAIT_MAX).then(|| "it waited for others for half a minute".to_owned())
}

/// How a rebuild ended, as far as is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    /// Why it did not come to its own end.
    pub(super) failure: Option<&'a str>,
    /// In which phase.
    pub(super) phase: Option<&'a str>,
    /// Whether the index is left alone for a while if it failed.
    pub(super) rests: bool,
}

/// Sweeps, proves and closes the note.
pub(super) async fn finish(
    session: &mut Session,
    notes: &mut PgConnection,
    note: &Open,
    end: End<'_>,
) -> Result<Built, SessionError> {
    let is_half = has_half(session.work(), note).await?;
    let swept = sweep(session, note).await?;
    let now = current(session.work(), note).await?;
    if let Swept::Held(why) = swept {
        // The note stays open: somebody must come back for it. Until then the index is left alone.
        if let Some(index) = &now {
            remember(notes, index, None).await?;
        }
        return Ok(Built::Left(
            end.failure.map_or_else(|| why.clone(), |failure| format!("{failure}; {why}")),
        ));
    }
    let before = note.bytes_before.unwrap_or(0);
    let is_new = now.as_ref().is_some_and(|index| i64::from(index.oid) != note.old_oid);
    let Some(index) = now.filter(|_| is_new || end.failure.is_none()) else {
        return failed(session, notes, note, end).await;
    };
    if !index.is_valid || !index.is_ready || !index.is_live || index.signature != note.signature {
        let error = "somebody has made it anew meanwhile, as another one";
        close(notes, note.id, &Outcome { state: "void", error: Some(error), ..Outcome::default() }).await?;
        return Ok(Built::Failed(error.to_owned()));
    }
    let whose = end.failure.map(|failure| (failure, whose(note, &index, is_half)));
    if let Some((failure, Whose::Others)) = whose {
        let error = format!("{failure}; somebody else has made it anew since");
        close(notes, note.id, &Outcome { state: "void", error: Some(&error), ..Outcome::default() }).await?;
        return Ok(Built::Others);
    }
    let error = whose.map(|(failure, whose)| match whose {
        Whose::Unknown => format!("{failure}; it is new, by us or by somebody else since"),
        Whose::Others | Whose::Ours => failure.to_owned(),
    });
    let after = index.bytes().and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(before);
    let outcome = Outcome {
        // It was cut off after the new index had taken its place.
        state: if end.failure.is_some() { "done_recovered" } else { "done" },
        error: error.as_deref(),
        new_oid: Some(i64::from(index.oid)),
        bytes_after: Some(after),
        phase: end.failure.and(end.phase),
    };
    close(notes, note.id, &outcome).await?;
    remember(notes, &index, Some(before - after)).await?;
    Ok(Built::Done { before, after })
}

/// Who made an index that is there in the place of the old one, after a rebuild of which nobody saw the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Others,
    Unknown,
}

/// It is ours where it has the number that was seen while ours was built. Where that was not seen, half of ours says that it
/// never took the place of the old one.
fn whose(note: &Open, index: &Index, is_half: bool) -> Whose {
    match note.new_oid {
        Some(new) if new == i64::from(index.oid) => Whose::Ours,
        Some(_) => Whose::Others,
        None if is_half => Whose::Others,
        None => Whose::Unknown,
    }
}

async fn failed(
    session: &mut Session,
    notes: &mut PgConnection,
    note: &Open,
    end: End<'_>,
) -> Result<Built, SessionError> {
    let error = end.failure.unwrap_or("the index is not there any more");
    let outcome =
        Outcome { state: "failed_clean", error: Some(error), phase: end.phase, ..Outcome::default() };
    close(notes, note.id, &outcome).await?;
    if let Some(index) = current(session.work(), note).await?
        && end.rests
    {
        remember(notes, &index, None).await?;
    }
    Ok(Built::Failed(error.to_owned()))
}

/// The index that has the name now.
pub(super) async fn current(
    connection: &mut PgConnection,
    note: &Open,
) -> Result<Option<Index>, sqlx::Error> {
    let Ok(table) = u32::try_from(note.table_oid) else { return Ok(None) };
    let indexes = look(connection, Scope::Tables(&[table])).await?;
    Ok(indexes.into_iter().find(|index| index.bare == note.index && index.schema == note.schema))
}
