//! `brasa db reindex`: indexes are rebuilt by hand.

use brasa_jobs::database::rebuild::{Built, Item, Reason, Report, Run, RunError, Told, plan, run};
use brasa_jobs::database::session::{Session, Until};
use clap::Args;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::plan::{item, more, small};
use super::{actor, failed, open, permit};
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, bytes};

/// Rebuild indexes beside the application; without --yes, only say which
#[derive(Debug, Args)]
pub(crate) struct Reindex {
    /// `index` or `schema.index`; where none is given, those that are worth it
    indexes: Vec<String>,
    /// Rebuild them
    #[arg(long)]
    yes: bool,
    /// Also outside of [maintenance] windows
    #[arg(long)]
    outside_window: bool,
}

impl Reindex {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let until = if self.yes { Some(permit(app, self.outside_window)?) } else { None };
        let (pool, mut session) = open(app).await?;
        let mut notes = pool.acquire().await?;
        let Some(until) = until else {
            let rules = &app.config.maintenance.indexes;
            let planned = plan(session.work(), &mut notes, rules, &self.indexes).await?;
            let planned = planned.map_err(Failure::usage)?;
            session.close().await;
            let chosen: Vec<_> = planned.to_build(rules).collect();
            for item in &chosen {
                let gain = item.choice.gain.map_or_else(|| "?".to_owned(), |(gain, _)| bytes(gain));
                out.line(format!("{}; would give back {gain}", item.statement()))?;
            }
            let is_named = |item: &&Item| !self.indexes.is_empty() && item.choice.reason != Reason::Chosen;
            for item in planned.items.iter().filter(is_named) {
                out.line(format!("{} is left alone: {}", item.index.name, item.choice.reason.words()))?;
            }
            if let Some(more) = more(&planned) {
                out.line(more)?;
            }
            if let Some(small) = small(&planned).filter(|_| self.indexes.is_empty()) {
                out.line(small)?;
            }
            out.line(match chosen.len() {
                0 => "no index would be rebuilt; `brasa db plan --all` says why not".to_owned(),
                n => format!("{n} index(es) would be rebuilt; --yes does it"),
            })?;
            let all: Vec<_> = planned.items.iter().map(item).collect();
            return out.value(&json!({ "plan": planned.hash, "indexes": all, "dry_run": true }));
        };
        let wanted = Wanted { named: &self.indexes, agreed: None, until };
        let report = rebuilt(app, out, &mut session, &mut notes, wanted).await?;
        session.close().await;
        out.value(&value(&report))?;
        if all_well(&report) { Ok(()) } else { Err(Failure::silent(1)) }
    }
}

/// What somebody wants rebuilt.
pub(super) struct Wanted<'a> {
    pub(super) named: &'a [String],
    pub(super) agreed: Option<&'a [(u32, bool)]>,
    pub(super) until: Until,
}

/// Rebuilds, and says how far it is.
pub(super) async fn rebuilt(
    app: &App,
    out: &mut Output,
    session: &mut Session,
    notes: &mut PgConnection,
    wanted: Wanted<'_>,
) -> Result<Report, Failure> {
    let actor = actor();
    let rules = &app.config.maintenance.indexes;
    let wanted =
        Run { rules, named: wanted.named, agreed: wanted.agreed, actor: &actor, until: wanted.until };
    let mut said = Ok(());
    let ran = run(session, notes, &wanted, |told| {
        let saying = match told {
            Told::Seen(item, seen) => out.progress(|| {
                let phase = seen.phase.as_deref().unwrap_or("is about to be rebuilt");
                format!("{} {} {phase}", bar(seen.share), item.index.name)
            }),
            Told::Built(item, built) => out.line(format!("{}: {}", item.index.name, words(built))),
        };
        if said.is_ok() {
            said = saying;
        }
    });
    let report = ran.await.map_err(|error| match error {
        RunError::Session(error) => failed(error),
        RunError::Busy => Failure::environment(format!("{error}\n  help: wait until it is done")),
        error @ RunError::Refused(_) => Failure::usage(error.to_string()),
    })?;
    said?;
    for found in &report.recovered {
        let built = found.built.as_ref().map_or_else(|| "it was on another server".to_owned(), words);
        out.line(format!("of an earlier run: {}: {built}", found.index))?;
    }
    for name in &report.left {
        out.line(format!("{name}: there was no time for it"))?;
    }
    Ok(report)
}

/// A bar of twenty characters.
fn bar(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 20")]
    let full = (share.clamp(0.0, 1.0) * 20.0) as usize;
    format!("[{}{}] {:3.0} %", "#".repeat(full), ".".repeat(20 - full), share.clamp(0.0, 1.0) * 100.0)
}

fn words(built: &Built) -> String {
    match built {
        Built::Done { before, after } => {
            let size = |size: i64| bytes(size.unsigned_abs());
            format!("rebuilt, {} instead of {}", size(*after), size(*before))
        }
        Built::Others => "failed, and somebody else has made it anew since".to_owned(),
        Built::Put(why) => format!("not now: {why}"),
        Built::Failed(why) => format!("failed, and nothing is left of it: {why}"),
        Built::Left(why) => {
            format!("failed, and something is left of it, which the next run takes away: {why}")
        }
    }
}

/// Whether nothing failed.
pub(super) fn all_well(report: &Report) -> bool {
    let built = report.built.iter().map(|(_, built)| built);
    let recovered = report.recovered.iter().filter_map(|found| found.built.as_ref());
    !built.chain(recovered).any(|built| matches!(built, Built::Failed(_) | Built::Left(_)))
}

/// A report for programs.
pub(super) fn value(report: &Report) -> Value {
    let one = |index: &str, built: Option<&Built>| {
        let (verdict, before, after, why) = match built {
            Some(Built::Done { before, after }) => ("done", Some(before), Some(after), None),
            Some(Built::Put(why)) => ("put_off", None, None, Some(why)),
            Some(Built::Failed(why)) => ("failed", None, None, Some(why)),
            Some(Built::Left(why)) => ("left", None, None, Some(why)),
            Some(Built::Others) | None => ("void", None, None, None),
        };
        json!({ "index": index, "verdict": verdict, "before": before, "after": after, "why": why })
    };
    json!({
        "indexes": report.built.iter().map(|(item, built)| one(&item.index.name, Some(built))).collect::<Vec<_>>(),
        "recovered": report.recovered.iter().map(|found| one(&found.index, found.built.as_ref())).collect::<Vec<_>>(),
        "left": report.left,
        "left_over": report.left_over,
    })
}
