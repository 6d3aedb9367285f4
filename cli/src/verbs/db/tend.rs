//! `brasa db analyze` and `brasa db vacuum`: tables are looked after by hand.

use brasa_jobs::database::ledger::{Note, note};
use brasa_jobs::database::session::{Session, Until};
use brasa_jobs::database::tables::{
    Analyzed, Analyzing, Table, Vacuumed, Vacuuming, analyze, look, to_analyze, to_vacuum, vacuum,
};
use clap::Args;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;

use super::{actor, failed, open, permit};
use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

/// Which tables are looked after.
#[derive(Debug, Args)]
pub(crate) struct Tend {
    /// `table` or `schema.table`; where none is given, those that need it
    tables: Vec<String>,
    /// Only say which
    #[arg(long)]
    dry_run: bool,
    /// Also outside of [maintenance] windows
    #[arg(long)]
    outside_window: bool,
}

/// What came of tables, one by one.
#[derive(Default)]
pub(super) struct Tended {
    values: Vec<Value>,
    skipped: usize,
}

impl Tend {
    pub(crate) async fn analyze(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let (pool, mut session, until) = self.begin(app).await?;
        let named = self.named(&mut session).await?;
        let due = match named {
            Some(tables) => tables.into_iter().map(|table| (table, Analyzing::Asked)).collect(),
            None => to_analyze(look(session.work(), None).await?, false).tables,
        };
        let Some(until) = until else {
            let would = due.into_iter().map(|(table, why)| (table.name, why.words()));
            return say("analyzed", would.collect(), out);
        };
        let mut tended = Tended::default();
        analyze_all((&pool, &mut session), &due, &until, out, &mut tended).await?;
        session.close().await;
        tended.end("analyze", out)
    }

    pub(crate) async fn vacuum(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let (pool, mut session, until) = self.begin(app).await?;
        let named = self.named(&mut session).await?;
        let why = |table: &Table| table.freezing().map_or(Vacuuming::Asked, Vacuuming::Freeze);
        let due = match named {
            Some(tables) => tables.into_iter().map(|table| (table.clone(), why(&table))).collect(),
            None => to_vacuum(look(session.work(), None).await?).tables,
        };
        let Some(until) = until else {
            let would = due.into_iter().map(|(table, why)| (table.name, why.words().to_owned()));
            return say("vacuumed", would.collect(), out);
        };
        let mut tended = Tended::default();
        vacuum_all((&pool, &mut session), &due, &until, out, &mut tended).await?;
        session.close().await;
        tended.end("vacuum", out)
    }

    async fn begin(&self, app: &App) -> Result<(PgPool, Session, Option<Until>), Failure> {
        let until = if self.dry_run { None } else { Some(permit(app, self.outside_window)?) };
        let (pool, session) = open(app).await?;
        Ok((pool, session, until))
    }

    /// The tables that were named, if any were.
    async fn named(&self, session: &mut Session) -> Result<Option<Vec<Table>>, Failure> {
        let mut found = Vec::new();
        for name in &self.tables {
            let table = look(session.work(), Some(name)).await?.0.into_iter().next();
            let missing = || Failure::usage(format!("there is no table `{name}` that this role can see"));
            found.push(table.ok_or_else(missing)?);
        }
        Ok(if self.tables.is_empty() { None } else { Some(found) })
    }
}

/// Analyzes one table after the other.
pub(super) async fn analyze_all(
    (pool, session): (&PgPool, &mut Session),
    due: &[(Table, Analyzing)],
    until: &Until,
    out: &mut Output,
    tended: &mut Tended,
) -> Result<(), Failure> {
    for (table, why) in due {
        if !tended.begins("analyzing", table, until, out)? {
            continue;
        }
        let (verdict, error) = match analyze(session, table, until).await.map_err(failed)? {
            Analyzed::Done(took) => (format!("analyzed in {} ms", took.as_millis()), None),
            Analyzed::Skipped(why) => (format!("skipped: {why}"), Some(why)),
            Analyzed::Partly(parts) => {
                let parts: Vec<_> = parts.into_iter().map(|(name, why)| format!("{name}: {why}")).collect();
                let why = format!("parts of it were skipped: {}", parts.join("; "));
                (why.clone(), Some(why))
            }
        };
        tended.ends(pool, ("analyze", &table.name, &why.words()), (&verdict, error), out).await?;
    }
    Ok(())
}

/// Vacuums one table after the other.
pub(super) async fn vacuum_all(
    (pool, session): (&PgPool, &mut Session),
    due: &[(Table, Vacuuming)],
    until: &Until,
    out: &mut Output,
    tended: &mut Tended,
) -> Result<(), Failure> {
    for (table, why) in due {
        if !tended.begins("vacuuming", table, until, out)? {
            continue;
        }
        let (verdict, error) = match vacuum(session, table, *why, until).await.map_err(failed)? {
            Vacuumed::Done(took) => (format!("vacuumed in {} ms", took.as_millis()), None),
            Vacuumed::Held(why) => (format!("vacuumed for nothing: {why}"), Some(why)),
            Vacuumed::Skipped(why) => (format!("skipped: {why}"), Some(why)),
        };
        tended.ends(pool, ("vacuum", &table.name, why.words()), (&verdict, error), out).await?;
    }
    Ok(())
}

impl Tended {
    /// Says what is begun, while there is time for it.
    fn begins(
        &mut self,
        doing: &str,
        table: &Table,
        until: &Until,
        out: &mut Output,
    ) -> Result<bool, Failure> {
        let is_over = until.stop.is_cancelled() || until.deadline.is_some_and(|end| Instant::now() >= end);
        if is_over {
            self.take(&table.name, "there was no time for it", Some("there was no time for it"), out)?;
        } else {
            out.progress(|| format!("{doing} {}", table.name))?;
        }
        Ok(!is_over)
    }

    /// Says what came of it, and notes it.
    async fn ends(
        &mut self,
        pool: &PgPool,
        (kind, table, why): (&str, &str, &str),
        (verdict, error): (&str, Option<String>),
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.take(table, verdict, error.as_deref(), out)?;
        note(pool, &Note { kind, table, why, actor: &actor(), error }).await;
        Ok(())
    }

    fn take(
        &mut self,
        name: &str,
        verdict: &str,
        error: Option<&str>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.skipped += usize::from(error.is_some());
        self.values.push(json!({ "table": name, "is_done": error.is_none(), "why": error }));
        out.line(format!("{name}: {verdict}"))
    }

    /// What came of all, for a larger report: the values, and whether nothing was skipped.
    pub(super) fn parts(self) -> (Vec<Value>, bool) {
        (self.values, self.skipped == 0)
    }

    fn end(self, verb: &str, out: &mut Output) -> Result<(), Failure> {
        if self.values.is_empty() {
            out.line("no table needs it")?;
        }
        out.value(&json!({ verb: self.values, "dry_run": false }))?;
        if self.skipped == 0 { Ok(()) } else { Err(Failure::silent(1)) }
    }
}

fn say(verb: &str, would: Vec<(String, String)>, out: &mut Output) -> Result<(), Failure> {
    let values: Vec<_> = would.iter().map(|(table, why)| json!({ "table": table, "why": why })).collect();
    let rows = would.into_iter().map(|(table, why)| [table, why]).collect();
    out.table([&*format!("WOULD BE {}", verb.to_uppercase()), "WHY"], rows, "no table needs it")?;
    out.value(&json!({ format!("would_be_{verb}"): values, "dry_run": true }))
}
