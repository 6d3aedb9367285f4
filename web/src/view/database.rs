//! What is seen of the database: looked at for one page at a time, and shown to all who ask within a few seconds, so that
//! nobody who looks at a page is a burden to what the page is about.

use std::sync::Arc;
use std::time::Duration;

use brasa_jobs::database::capability::{Capability, Standing, capabilities};
use brasa_jobs::database::history::{
    Flag, IndexUse, StatementUse, flags, index_uses, is_kept, looked_at, statement_uses,
};
use brasa_jobs::database::indexes::{Index, Scope, look};
use brasa_jobs::database::ledger::{Action, actions};
use brasa_jobs::database::session::Session;
use brasa_jobs::database::sessions::{Sessions, sessions};
use brasa_jobs::database::tables::{self, Table};
use brasa_jobs::database::whole::{Whole, whole};
use jiff::Timestamp;
use sqlx::PgPool;

use super::looks::Look;
use super::part::{Missing, PART_MAX, Part, looking, ready, within};
use crate::desk::Desk;

/// How far back statements are summed up.
const STATEMENTS: Duration = Duration::from_hours(24);
/// In how many days an index must not have been used.
pub(crate) const UNUSED_DAYS: u32 = 35;
/// How many connections the parts share.
const CONNECTIONS: usize = 5;
/// How many acts of care are shown.
const ACTIONS: u32 = 20;
/// The node of the history that is the primary, and the other one.
const NODES: [&str; 2] = ["primary", "replica"];

/// What was seen, part by part.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) indexes: Part<Vec<Index>>,
    pub(crate) uses: Part<Vec<IndexUse>>,
    pub(crate) statements: Part<Statements>,
    pub(crate) sessions: Part<Sessions>,
    pub(crate) tables: Part<Vec<Table>>,
    pub(crate) plan: Part<Whole>,
    pub(crate) actions: Part<Vec<Action>>,
    /// What care cannot do here, and what would change that.
    pub(crate) missing: Part<Vec<Capability>>,
}

/// What statements cost of late, the most costly first, each with what stands out.
#[derive(Debug)]
pub(crate) struct Statements {
    /// When it was looked last.
    pub(crate) at: Timestamp,
    /// Why statements could not be read then.
    pub(crate) fault: Option<String>,
    pub(crate) all: Vec<(StatementUse, Vec<Flag>)>,
}

/// What is to be seen of the database now, or was until a while ago; nothing while it is looked at for the first time.
pub(crate) async fn seen(desk: &Desk, pool: &PgPool) -> Option<Arc<Look<Seen>>> {
    desk.database.see(desk, Box::pin(look_at(desk.clone(), pool.clone()))).await
}

/// Looks for whoever opens the overview, which shows some of it: unless that was done not long ago.
pub(crate) fn look_ahead(desk: &Desk, pool: &PgPool) {
    desk.database.look_ahead(desk, Box::pin(look_at(desk.clone(), pool.clone())));
}

async fn look_at(desk: Desk, pool: PgPool) -> Seen {
    let (desk, pool) = (&desk, &pool);
    ready(pool, CONNECTIONS.min(pool.options().get_max_connections() as usize)).await;
    let now = desk.site.clock.now();
    let has_replica = desk.site.config.postgres.replica_url.is_some();
    let nodes = NODES.get(..1 + usize::from(has_replica)).unwrap_or_default();
    let (indexes, uses, statements, sessions, tables, plan, actions, missing) = tokio::join!(
        within("brasa db indexes", async { Ok(look(&mut *looking(pool).await?, Scope::All).await?) }),
        within("brasa db review", async { uses_of(pool, now, nodes).await }),
        within("brasa db statements", async { statements_of(pool, now).await }),
        within("brasa db review", async { Ok(sessions(&mut *looking(pool).await?).await?) }),
        within("brasa db plan", async { Ok(tables::look(&mut *looking(pool).await?, None).await?.0) }),
        within("brasa db plan", plan(desk, pool)),
        within("brasa db history", async { Ok(actions(pool, ACTIONS, None).await?) }),
        within("brasa db status", async { lacking(pool).await }),
    );
    Seen { indexes, uses, statements, sessions, tables, plan, actions, missing }
}

/// How indexes were used, as far as that is known.
async fn uses_of(pool: &PgPool, now: Timestamp, nodes: &[&str]) -> Part<Vec<IndexUse>> {
    let mut transaction = looking(pool).await?;
    if !is_kept(&mut transaction).await? || looked_at(&mut transaction).await?.is_none() {
        return Err(nobody_looks());
    }
    Ok(index_uses(&mut transaction, now, nodes, UNUSED_DAYS).await?)
}

async fn statements_of(pool: &PgPool, now: Timestamp) -> Part<Statements> {
    let mut transaction = looking(pool).await?;
    if !is_kept(&mut transaction).await? {
        return Err(Missing::new("This database has no tables for its history.", "run `brasa migrate`"));
    }
    let Some((at, fault)) = looked_at(&mut transaction).await? else { return Err(nobody_looks()) };
    let uses = statement_uses(&mut transaction, now, STATEMENTS).await?;
    let flags = flags(&uses);
    let all = uses.into_iter().zip(flags).filter(|(one, _)| !one.is_ours).collect();
    Ok(Statements { at, fault, all })
}

fn nobody_looks() -> Missing {
    Missing::new(
        "Nobody has looked at what this database counts yet.",
        "write a schedule: [schedules.observe] with job = \"db.observe\" and every = \"5m\"",
    )
}

/// What would be done now, as `brasa db plan` says it. The session is its own, and ends with the time for it.
async fn plan(desk: &Desk, pool: &PgPool) -> Part<Whole> {
    let config = &desk.site.config;
    let mut session = Session::open(config, Some(pool)).await?;
    session.set("statement_timeout", &PART_MAX.as_millis().to_string()).await?;
    let mut notes = looking(pool).await?;
    let planned = whole(session.work(), &mut notes, &config.maintenance.indexes).await;
    session.close().await;
    Ok(planned?)
}

async fn lacking(pool: &PgPool) -> Part<Vec<Capability>> {
    let mut all = capabilities(&mut *looking(pool).await?).await?;
    all.retain(|capability| capability.standing != Standing::Well);
    Ok(all)
}
