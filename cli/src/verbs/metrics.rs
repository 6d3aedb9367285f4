//! `brasa metrics`: every metric that a process of this build can tell.

use std::fmt::Write as _;

use brasa_shared::telemetry::metrics::{Declared, Kind, SECONDS, declared};
use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;

/// What stands above the table in docs/metrics.md.
const HEAD: &str = "\
# Metrics

Made by `brasa metrics --markdown` from what the code declares: do not write here. How to read them, and which to sum, is
in [operations.md](operations.md#metrics); what is worth an alarm, in [alerts.md](alerts.md).

| Metric | Type | Labels | Meaning |
|---|---|---|---|
";

#[derive(Debug, Args)]
pub(crate) struct Metrics {
    /// Print the page docs/metrics.md instead
    #[arg(long, hide = true)]
    markdown: bool,
}

impl Metrics {
    pub(crate) fn obey(self, out: &mut Output) -> Result<(), Failure> {
        if self.markdown {
            return out.raw(page().trim_end());
        }
        let row = |metric: &Declared| {
            let labels = metric.labels.join(", ");
            [metric.name.to_owned(), metric.kind.word().to_owned(), labels, metric.help.to_owned()]
        };
        out.table(["METRIC", "KIND", "LABELS", "MEANING"], declared().map(row).collect(), "")?;
        let value = |metric: &Declared| {
            json!({
                "name": metric.name,
                "kind": metric.kind.word(),
                "labels": metric.labels,
                "help": metric.help,
                "buckets": (metric.kind == Kind::Histogram).then_some(SECONDS),
            })
        };
        out.value(&declared().map(value).collect::<Vec<_>>())
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for metric in declared() {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, labels) = (metric.name, metric.kind.word(), labels.join(", "));
        // Writing into a text does not fail.
        let _written =
            writeln!(page, "| `{name}` | {kind} | {labels} | {} |", metric.help.trim_end_matches('.'));
    }
    let bounds: Vec<String> = SECONDS.iter().map(ToString::to_string).collect();
    let _written = write!(page, "\nHistograms tell apart, in seconds: {}.\n", bounds.join(", "));
    page
}
