//! `brasa db indexes`: how large indexes are, and how large they would be if they were made anew.

use std::cmp::Reverse;

use brasa_jobs::database::indexes::{Index, Scope, Size, Trust, Withheld, look_closer, tables_named};
use clap::Args;
use serde_json::{Value, json};

use crate::app::{App, greet_postgres};
use crate::failure::Failure;
use crate::output::{Output, bytes};

#[derive(Debug, Args)]
pub(crate) struct Indexes {
    /// Tables, as `table` or `schema.table`; all where none is given
    tables: Vec<String>,
    /// Also those of schema `brasa`
    #[arg(long)]
    all: bool,
}

impl Indexes {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = app.pool_needed()?;
        greet_postgres(&pool).await?;
        let mut connection = pool.acquire().await?;
        let mut tables = Vec::new();
        for name in &self.tables {
            let found = tables_named(&mut connection, name).await?;
            if found.is_empty() {
                return Err(Failure::usage(format!("there is no table `{name}` that this role can see")));
            }
            tables.extend(found);
        }
        let scope = if self.tables.is_empty() { Scope::All } else { Scope::Tables(&tables) };
        let mut indexes = look_closer(&mut connection, scope).await?;
        let looked_at = indexes.len();
        if self.tables.is_empty() && !self.all {
            indexes.retain(|index| index.schema != "brasa");
        }
        let ours = looked_at - indexes.len();
        indexes.sort_by_key(|index| {
            let (gain, _) = index.bloat().unwrap_or_default();
            (Reverse(gain), Reverse(index.bytes()), index.name.clone())
        });
        let head = ["INDEX", "TABLE", "METHOD", "SIZE", "ENTRIES", "TO GAIN", "SHARE", "TRUST", "SCANS", ""];
        out.table(head, indexes.iter().map(row).collect(), "there are no indexes")?;
        let gain: u64 = indexes.iter().filter_map(Index::bloat).map(|(gain, _)| gain).sum();
        let size: u64 = indexes.iter().filter_map(Index::bytes).sum();
        let withheld =
            indexes.iter().filter(|index| index.estimate.is_err() && !index.is_partitioned).count();
        out.line(format!(
            "\n{} indexes, {}; about {} to gain; of {withheld} nothing is said",
            indexes.len(),
            bytes(size),
            bytes(gain)
        ))?;
        if ours > 0 {
            out.line(format!("{ours} of schema brasa are not shown; --all shows them"))?;
        }
        if indexes.iter().any(|index| index.estimate == Err(Withheld::NoStatistics)) {
            out.line("help: without statistics: ANALYZE the table, or grant this role pg_read_all_data")?;
        }
        out.value(&json!({ "indexes": indexes.iter().map(value).collect::<Vec<_>>() }))
    }
}

fn row(index: &Index) -> [String; 10] {
    let size = match index.size {
        Size::Bytes(size) => bytes(size),
        Size::Locked => "locked".to_owned(),
    };
    let entries = index.tuples.map_or_else(|| "?".to_owned(), |tuples| format!("{tuples:.0}"));
    let (gain, share) = match index.bloat() {
        Some((gain, share)) => (bytes(gain), format!("{:.0} %", share * 100.0)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let trust = match index.estimate {
        Ok(estimate) => trust(estimate.trust),
        Err(why) => words(index, why),
    };
    [
        index.name.clone(),
        index.table.clone(),
        index.method.clone(),
        if index.is_partitioned { "-".to_owned() } else { size },
        entries,
        gain,
        share,
        trust.to_owned(),
        index.scans.to_string(),
        flags(index).join(", "),
    ]
}

fn flags(index: &Index) -> Vec<&'static str> {
    let all = [
        (index.is_primary, "primary"),
        (index.is_unique && !index.is_primary, "unique"),
        (index.is_exclusion, "exclusion"),
        (index.is_partitioned, "partitioned"),
        (index.predicate.is_some(), "partial"),
        (index.is_of_extension, "of an extension"),
        (index.is_being_built, "being built"),
        (!index.is_valid && !index.is_being_built && !index.is_partitioned, "invalid"),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect()
}

fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::High => "high",
        Trust::Medium => "medium",
        Trust::Low => "low",
    }
}

/// Why there is no estimate.
fn words(index: &Index, why: Withheld) -> &'static str {
    match why {
        Withheld::Method => "no model of its method",
        Withheld::NeverLooked => "never analyzed",
        Withheld::NoStatistics => "no statistics",
        Withheld::Stale => "statistics are stale",
        Withheld::NotThere if index.is_partitioned => "see its parts",
        Withheld::NotThere if index.size == Size::Locked => "locked",
        Withheld::NotThere => "not valid",
    }
}

fn value(index: &Index) -> Value {
    let bloat = index.bloat();
    json!({
        "schema": index.schema,
        "index": index.bare,
        "name": index.name,
        "table": index.table,
        "method": index.method,
        "bytes": index.bytes(),
        "locked": index.size == Size::Locked,
        "entries": index.tuples,
        "estimate_bytes": index.estimate.ok().map(|estimate| estimate.bytes),
        "trust": index.estimate.ok().map(|estimate| trust(estimate.trust)),
        "withheld": index.estimate.err().map(|why| words(index, why)),
        "bloat_bytes": bloat.map(|(gain, _)| gain),
        "bloat_share": bloat.map(|(_, share)| share),
        "scans": index.scans,
        "flags": flags(index),
        "definition": index.definition,
        "signature": index.signature,
    })
}
