//! What became of rebuilds that nobody saw the end of.

use std::time::Duration;

use sqlx::PgConnection;

use super::build::{Built, End, current, finish};
use super::note::{Open, Outcome, close, open_notes};
use crate::database::session::{CALLED, Session, SessionError};

/// How long the session of a worker that is gone may take to end by itself: the server looks for its clients.
const GRACE: (u32, Duration) = (60, Duration::from_millis(500));

/// What came of a rebuild that somebody else began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The index, as it is called.
    pub index: String,
    /// What came of it.
    pub built: Option<Built>,
}

const ALIVE: &str = "/* brasa */ select count(*) from pg_stat_activity 
        where application_name = $1 and pid <> pg_backend_pid()";
const END: &str = "/* brasa */ select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = $1 and pid <> pg_backend_pid()";

/// Brings every rebuild that was begun and not ended to its end. The session must have its turn: then whoever began them is
/// not at it any more, or is on its way out.
///
/// # Errors
/// The session is lost, or notes could not be read or written.
pub async fn recover(
    session: &mut Session,
    notes: &mut PgConnection,
    server: &str,
) -> Result<Vec<Recovered>, SessionError> {
    let mut recovered = Vec::new();
    for note in open_notes(notes).await? {
        let built = one(session, notes, &note, server).await?;
        recovered.push(Recovered { index: format!("{}.{}", note.schema, note.index), built });
    }
    Ok(recovered)
}

async fn one(
    session: &mut Session,
    notes: &mut PgConnection,
    note: &Open,
    server: &str,
) -> Result<Option<Built>, SessionError> {
    // It came with a dump, or from before an upgrade: its numbers mean nothing here.
    if note.server != server {
        let outcome =
            Outcome { state: "void", error: Some("it was another server or database"), ..Outcome::default() };
        close(notes, note.id, &outcome).await?;
        return Ok(None);
    }
    wait_for(session.work(), note).await?;
    let now = current(session.work(), note).await?;
    let is_new = now.is_some_and(|index| i64::from(index.oid) != note.old_oid);
    let why = if is_new { "its end was not seen" } else { "it was interrupted" };
    finish(session, notes, note, End { failure: Some(why), phase: None, rests: true }).await.map(Some)
}

/// Waits until the session that did it is gone, and ends it where it does not go by itself.
async fn wait_for(connection: &mut PgConnection, note: &Open) -> Result<(), sqlx::Error> {
    let called = format!("{CALLED} {}", note.token);
    for _ in 0..GRACE.0 {
        let alive: i64 = sqlx::query_scalar(ALIVE).bind(&called).fetch_one(&mut *connection).await?;
        if alive == 0 {
            return Ok(());
        }
        tokio::time::sleep(GRACE.1).await;
    }
    if let Err(error) = sqlx::query(END).bind(&called).execute(connection).await {
        tracing::warn!(%error, "a session that lost its worker could not be ended");
    }
    Ok(())
}
