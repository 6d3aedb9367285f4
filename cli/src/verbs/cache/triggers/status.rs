//! `brasa cache triggers status`: would a change of a table be seen?

use std::collections::BTreeSet;

use brasa_shared::db::changes::triggers::{TableState, TableStatus, TriggerStatus, status};
use clap::Args;
use serde_json::json;

use super::tables::{chosen, dependents, means};
use super::{connect, word};
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain};

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this table of `depends_on`
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
}

impl Status {
    pub(super) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        // A table that was not asked for is no leftover, so all are looked at.
        let all = chosen(app, &[])?;
        let only = if self.table.is_empty() { Vec::new() } else { chosen(app, &self.table)? };
        let mut connection = connect(app).await?;
        let mut found = status(&mut connection, &all).await?;
        if !only.is_empty() {
            found.tables.retain(|table| only.iter().any(|wanted| means(wanted, &table.table)));
            (found.leftover_tables, found.leftover_functions) = (Vec::new(), Vec::new());
        }
        print(app, &found, out)?;
        let TriggerStatus { tables, leftover_tables, leftover_functions } = &found;
        out.value(&json!({ "good": found.is_good(), "tables": tables, "leftover_tables": leftover_tables,
            "leftover_functions": leftover_functions }))?;
        if found.is_good() { Ok(()) } else { Err(Failure::silent(1)) }
    }
}

fn print(app: &App, found: &TriggerStatus, out: &mut Output) -> Result<(), Failure> {
    let dependents = dependents(app);
    let row = |table: &TableStatus| {
        let whose = dependents.iter().filter(|(wanted, _)| means(wanted, &table.table));
        let whose: BTreeSet<&str> = whose.flat_map(|(_, names)| names.iter().map(String::as_str)).collect();
        let missing = &table.missing_partitions;
        [
            table.table.clone(),
            word(&table.state).to_owned(),
            if missing.is_empty() { "-".to_owned() } else { missing.join(", ") },
            whose.into_iter().collect::<Vec<_>>().join(", "),
        ]
    };
    let rows = found.tables.iter().map(row).collect();
    out.table(["TABLE", "TRIGGERS", "PARTS WITHOUT", "WARMERS"], rows, "no warmer depends on a table")?;
    for table in &found.tables {
        if let TableState::Impossible(reason) = &table.state {
            out.line(plain(&format!("{}: {reason}", table.table)))?;
        }
    }
    for left in found.leftover_tables.iter().chain(&found.leftover_functions) {
        out.line(format!("left over, and needed by no warmer: {left}"))?;
    }
    let is_lacking =
        |table: &TableStatus| !table.is_good() && !matches!(table.state, TableState::Impossible(_));
    if found.tables.iter().any(is_lacking) {
        out.line("help: `brasa cache triggers install` makes them")?;
    }
    if !found.leftover_tables.is_empty() {
        out.line("help: `brasa cache triggers remove --table TABLE --yes` takes them away")?;
    } else if !found.leftover_functions.is_empty() {
        out.line(
            "help: `brasa cache triggers remove --yes` takes everything away, and `install` makes it anew",
        )?;
    }
    Ok(())
}
