//! `brasa db statements`: what statements cost.

use std::time::Duration;

use brasa_jobs::database::history::{Flag, StatementUse, flags, is_kept, looked_at, statement_uses};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::{Output, lasting, short, when};
use crate::verbs::arguments::duration;

/// What to write into the configuration, so that there is something to show.
const SCHEDULE: &str = "\n[schedules.observe]\njob   = \"db.observe\"\nevery = \"5m\"\n";
/// How much of a statement a table shows.
const TEXT_CHARS: usize = 90;

/// Show what statements cost, which became slower, and which are out of proportion
#[derive(Debug, Args)]
pub(crate) struct Statements {
    /// How far back to look
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration)]
    since: Duration,
    /// What comes first: the most time in all, the longest calls, the most calls, the most temporary files
    #[arg(long, value_enum, default_value_t = By::Total)]
    by: By,
    /// How many to show
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Show also what Brasa itself runs on its own tables
    #[arg(long)]
    ours: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Total,
    Mean,
    Calls,
    Temp,
}

impl Statements {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = app.pool_needed()?;
        greet_postgres(&pool).await?;
        let mut connection = pool.acquire().await?;
        if !is_kept(&mut connection).await? {
            return Err(Failure::environment(
                "this database has no tables for the history of its counters\n  help: run `brasa migrate`",
            ));
        }
        let Some((at, fault)) = looked_at(&mut connection).await? else {
            out.line(format!(
                "nobody has looked at this database yet: write this into the configuration, and start a scheduler and \
                 a worker\n{SCHEDULE}"
            ))?;
            return out.value(&json!({ "observed": false, "schedule": SCHEDULE.trim(), "statements": [] }));
        };
        if let Some(fault) = &fault {
            out.line(fault)?;
        }
        let now = app.clock.now();
        let mut all = statement_uses(&mut connection, now, self.since).await?;
        let flags = flags(&all);
        let watched = all.first().map_or(0.0, |one| one.seconds);
        let mut rows: Vec<(StatementUse, Vec<Flag>)> = all.drain(..).zip(flags).collect();
        rows.retain(|(one, _)| self.ours || !one.is_ours);
        self.sort(&mut rows);
        let shown = rows.iter().take(self.limit);
        let heads = ["CALLS", "MEAN", "TOTAL", "SHARE", "ROWS/CALL", "USUAL", "STANDS OUT", "STATEMENT"];
        let empty = "no statement ran while somebody looked";
        out.table(heads, shown.clone().map(|(one, flags)| row(one, flags)).collect(), empty)?;
        if !rows.is_empty() {
            let span =
                lasting(brasa_shared::jiff::SignedDuration::try_from_secs_f64(watched).unwrap_or_default());
            let more = rows.len().saturating_sub(self.limit);
            let more = if more == 0 { String::new() } else { format!("; {more} more with --limit") };
            out.line(format!("of {span} that were watched, as of {}{more}", when(at.as_millisecond(), now)))?;
        }
        out.value(&json!({
            "observed": true,
            "observed_at_ms": at.as_millisecond(),
            "fault": fault,
            "watched_seconds": watched,
            "statements": shown.map(|(one, flags)| value(one, flags)).collect::<Vec<_>>(),
        }))
    }

    fn sort(&self, rows: &mut [(StatementUse, Vec<Flag>)]) {
        rows.sort_by(|(one, _), (other, _)| match self.by {
            By::Total => other.total_ms.total_cmp(&one.total_ms),
            By::Mean => other.mean_ms.total_cmp(&one.mean_ms),
            By::Calls => other.calls.cmp(&one.calls),
            By::Temp => other.temp.cmp(&one.temp),
        });
    }
}

fn row(one: &StatementUse, flags: &[Flag]) -> [String; 8] {
    let usual = match one.usual_ms {
        // Too little of a past to say.
        None => "-".to_owned(),
        Some((median, _)) if median > 0.0 => format!("{} ({:.1} x)", ms(median), one.mean_ms / median),
        Some((median, _)) => ms(median),
    };
    #[expect(clippy::cast_precision_loss, reason = "a person reads two digits of it")]
    let rows = one.rows as f64 / one.calls.max(1) as f64;
    let flags: Vec<&str> = flags.iter().map(|flag| flag.name()).collect();
    [
        one.calls.to_string(),
        ms(one.mean_ms),
        ms(one.total_ms),
        format!("{:.1} %", one.share * 100.0),
        format!("{rows:.1}"),
        usual,
        flags.join(", "),
        short(&one.text, TEXT_CHARS),
    ]
}

fn ms(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{:.1} s", ms / 1_000.0) } else { format!("{ms:.2} ms") }
}

fn value(one: &StatementUse, flags: &[Flag]) -> Value {
    json!({
        "fingerprint": one.fingerprint,
        "text": one.text,
        "calls": one.calls,
        "total_ms": one.total_ms,
        "mean_ms": one.mean_ms,
        "deviation_ms": one.deviation_ms,
        "share": one.share,
        "rows": one.rows,
        "blocks_hit": one.hit,
        "blocks_read": one.read,
        "temp_blocks": one.temp,
        "usual_ms": one.usual_ms.map(|(median, _)| median),
        "usual_deviation_ms": one.usual_ms.map(|(_, mad)| mad),
        "flags": flags.iter().map(|flag| flag.name()).collect::<Vec<_>>(),
        "ours": one.is_ours,
    })
}
