//! A run: what others left is brought to its end, then one index after the other is rebuilt.

use std::collections::BTreeSet;
use std::time::Duration;

use brasa_shared::config::Indexes;
use brasa_shared::telemetry::metrics;
use sqlx::PgConnection;
use tokio::time::Instant;

use super::build::{Built, Rebuild, rebuild};
use super::choose::Reason;
use super::note::open_notes;
use super::past::note_ratios;
use super::plan::{Item, Plan, plan};
use super::preflight::unsafe_server;
use super::recover::{Recovered, recover};
use super::{server, take_turn};
use crate::database::indexes::Withheld;
use crate::database::session::{Seen, Session, SessionError, Until};
use crate::database::tables::{Analyzed, analyze, look};

const NEVER_IDLE: &str =
    "/* brasa */ select set_config(name, '0', false) from pg_settings where name = 'idle_session_timeout'";
/// Before 14 there is none.
const AS_BEFORE: &str = "/* brasa */ select set_config(name, reset_val, false) from pg_settings where name = 'idle_session_timeout'";
/// How often the turn is tried for, and how long apart: the session of a worker that died ends within a second or two.
const TURN: (u32, Duration) = (20, Duration::from_millis(250));

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// The configuration.
    pub rules: &'a Indexes,
    /// Indexes that somebody named, as they are written in SQL; all that are worth it where there are none.
    pub named: &'a [String],
    /// What somebody agreed to, see [`Item::agreement`]: nothing is done about other indexes, nor about those that are no
    /// longer worth it or would be rebuilt in another way by now.
    pub agreed: Option<&'a [(u32, bool)]>,
    /// By whom: a job, or a person.
    pub actor: &'a str,
    /// Until when.
    pub until: Until,
}

/// What a run has come to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What others had left.
    pub recovered: Vec<Recovered>,
    /// What was tried, and what came of each.
    pub built: Vec<(Item, Built)>,
    /// What there was no time for.
    pub left: Vec<String>,
    /// How many more are worth a rebuild than a run does.
    pub left_over: usize,
}

/// What is heard of a run while it goes on.
#[derive(Debug)]
pub enum Told<'a> {
    /// An index is being rebuilt: this is how far it is.
    Seen(&'a Item, &'a Seen),
    /// It came to this.
    Built(&'a Item, &'a Built),
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another session has its turn.
    #[error("another session is rebuilding indexes in this database")]
    Busy,
    /// What was named is not there, or the server is not safe.
    #[error("{0}")]
    Refused(String),
    /// The session is lost, or there is none.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<sqlx::Error> for RunError {
    fn from(error: sqlx::Error) -> Self {
        Self::Session(error.into())
    }
}

/// Rebuilds what is worth it. `notes` is a connection of the role that owns schema `brasa`; where all went well, it is left
/// as it was.
///
/// # Errors
/// Nothing was done, or the session was lost in the middle of it: what was begun is looked after by the next run.
pub async fn run(
    session: &mut Session,
    notes: &mut PgConnection,
    run: &Run<'_>,
    mut told: impl FnMut(Told<'_>),
) -> Result<Report, RunError> {
    let is_super = "/* brasa */ select rolsuper from pg_roles where rolname = current_user";
    let is_super = sqlx::query_scalar(is_super).fetch_one(session.work()).await?;
    if let Some(why) = unsafe_server(session.version, is_super) {
        return Err(RunError::Refused(why));
    }
    wait_for_turn(session).await?;
    let (server, elsewhere) = (server(session.work()).await?, server(notes).await?);
    if server != elsewhere {
        return Err(RunError::Refused(
            "[maintenance] url and [postgres] url lead to different databases: what is noted in one says nothing of the other"
                .to_owned(),
        ));
    }
    // A build may take longer than a session may be idle.
    sqlx::query(NEVER_IDLE).execute(&mut *notes).await?;
    let recovered = recover(session, notes, &server).await?;
    let open: Vec<_> = open_notes(notes).await?.into_iter().map(|note| (note.schema, note.index)).collect();
    let mut planned = plan(session.work(), notes, run.rules, run.named).await?.map_err(RunError::Refused)?;
    if run.agreed.is_none() && refresh(session, &planned, run).await? {
        planned = plan(session.work(), notes, run.rules, run.named).await?.map_err(RunError::Refused)?;
    }
    note_ratios(notes, planned.items.iter().map(|item| &item.index)).await?;
    let mut report = Report { recovered, left_over: planned.left_over, ..Report::default() };
    refuse(&planned, run, &open, &mut report);
    let is_open = |item: &&Item| !open.contains(&(item.index.schema.clone(), item.index.bare.clone()));
    let is_agreed = |item: &&Item| run.agreed.is_none_or(|agreed| agreed.contains(&item.agreement()));
    let most = run.rules.builds_max as usize;
    for item in planned.chosen().filter(is_open).filter(is_agreed).take(most) {
        let is_over = run.until.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_over || run.until.stop.is_cancelled() {
            report.left.push(item.index.name.clone());
            continue;
        }
        let of = Rebuild { item, rules: run.rules, actor: run.actor, server: &server };
        let built = rebuild(session, notes, of, &run.until, |seen| told(Told::Seen(item, seen))).await?;
        count(&built);
        told(Told::Built(item, &built));
        report.built.push((item.clone(), built));
    }
    // Others get the connection after us.
    sqlx::query(AS_BEFORE).execute(&mut *notes).await?;
    Ok(report)
}

/// Analyzes the tables whose statistics are too old to say anything about their indexes; says whether there were any.
async fn refresh(session: &mut Session, planned: &Plan, run: &Run<'_>) -> Result<bool, RunError> {
    let is_stale = |item: &&Item| item.choice.reason == Reason::Unknown(Withheld::Stale);
    let tables: BTreeSet<&str> =
        planned.items.iter().filter(is_stale).map(|item| &*item.index.table).collect();
    for name in &tables {
        for table in look(session.work(), Some(name)).await?.0 {
            if let Analyzed::Skipped(why) = analyze(session, &table, &run.until).await? {
                tracing::info!(table = table.name, why, "its indexes cannot be judged by old statistics");
            }
        }
    }
    session.set("lock_timeout", "0").await?;
    Ok(!tables.is_empty())
}

/// Whoever named an index, or agreed to it, is told why nothing was done about it.
fn refuse(planned: &Plan, run: &Run<'_>, open: &[(String, String)], report: &mut Report) {
    for item in &planned.items {
        let agreed = run.agreed.map(|agreed| agreed.iter().find(|(oid, _)| *oid == item.index.oid));
        let is_wanted = agreed.map_or(!run.named.is_empty(), |agreed| agreed.is_some());
        let is_other = agreed.flatten().is_some_and(|agreed| *agreed != item.agreement());
        let is_chosen = item.choice.reason == Reason::Chosen;
        let why = if open.contains(&(item.index.schema.clone(), item.index.bare.clone()))
            && (is_wanted || is_chosen)
        {
            "something is left of an earlier rebuild, and could not be taken away yet"
        } else if is_wanted && !is_chosen {
            item.choice.reason.words()
        } else if is_other && item.choice.is_blocking {
            "by now writes would have to wait for it, which nobody agreed to"
        } else if is_other {
            "by now it would be rebuilt beside writes, and that is not what was agreed to"
        } else {
            continue;
        };
        report.built.push((item.clone(), Built::Put(why.to_owned())));
    }
}

async fn wait_for_turn(session: &mut Session) -> Result<(), RunError> {
    for _ in 0..TURN.0 {
        if take_turn(session.work()).await? {
            return Ok(());
        }
        tokio::time::sleep(TURN.1).await;
    }
    Err(RunError::Busy)
}

fn count(built: &Built) {
    let verdict = match built {
        Built::Done { before, after } => {
            metrics::reindex_regained_bytes_total().increment((before - after).max(0).unsigned_abs());
            "done"
        }
        Built::Put(_) => "put_off",
        Built::Failed(_) | Built::Others => "failed",
        Built::Left(_) => "left",
    };
    metrics::indexes_rebuilt_total(verdict).increment(1);
}
