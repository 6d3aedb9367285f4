//! `brasa encryption status`.

use std::collections::{BTreeMap, BTreeSet};

use brasa_shared::queue::{Census, WorkerInfo};
use brasa_shared::seal::Keyring;
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

/// A key, and what is known of it.
struct Row {
    name: String,
    print: Option<String>,
    uses: Vec<&'static str>,
    jobs: u64,
    results: u64,
    /// Workers that have a key of this name and print, or of this name where there is none here.
    workers: usize,
}

pub(super) async fn obey(chosen: Option<&str>, app: &App, out: &mut Output) -> Result<(), Failure> {
    let mut census = Census::default();
    for queue in app.chosen_queues(chosen).await?.values() {
        census.add(&queue.census().await?);
    }
    let workers = app.fleet().live_workers().await?;
    let keyring = app.config.encryption.keyring.as_deref();
    let rows = rows(&census, &workers, keyring);
    let shown = rows.iter().map(|row| {
        [
            row.name.clone(),
            row.print.clone().unwrap_or_else(|| "not here".to_owned()),
            row.uses.join(", "),
            row.jobs.to_string(),
            row.results.to_string(),
            format!("{} of {}", row.workers, workers.len()),
        ]
    });
    out.table(
        ["KEY", "PRINT", "USED TO", "JOBS", "RESULTS", "WORKERS"],
        shown.collect(),
        "there are no keys",
    )?;
    out.line(format!("{} job(s) are not sealed, {} cannot be read.", census.plain, census.unreadable))?;
    for row in rows.iter().filter(|row| may_go(row)) {
        out.line(format!("Nothing is sealed with `{}` any more: it may be taken away.", row.name))?;
    }
    let keys = rows.iter().map(|row| {
        json!({ "key": row.name, "print": row.print, "uses": row.uses, "jobs": row.jobs, "results": row.results,
            "workers": row.workers, "may_go": may_go(row) })
    });
    out.value(&json!({
        "keys": keys.collect::<Vec<_>>(), "plain": census.plain, "unreadable": census.unreadable,
        "workers": workers.len(), "required": keyring.is_some_and(Keyring::is_required),
    }))
}

fn rows(census: &Census, workers: &[WorkerInfo], keyring: Option<&Keyring>) -> Vec<Row> {
    let prints: BTreeMap<String, String> =
        keyring.map(Keyring::prints).unwrap_or_default().into_iter().collect();
    let found = census.jobs.keys().chain(census.results.keys());
    let names: BTreeSet<&String> = prints.keys().chain(found).collect();
    let row = |name: &String| {
        let print = prints.get(name).cloned();
        let has = |worker: &&WorkerInfo| {
            worker
                .keys
                .iter()
                .any(|(known, of)| known == name && print.as_ref().is_none_or(|print| print == of))
        };
        let is = |word: &'static str, of: fn(&Keyring) -> &str| {
            keyring.filter(|keyring| of(keyring) == name.as_str()).map(|_| word)
        };
        let opens = print.is_some().then_some("open");
        let uses = [is("seal", Keyring::active), opens, is("hide unique keys", Keyring::unique)];
        Row {
            jobs: census.jobs.get(name).copied().unwrap_or_default(),
            results: census.results.get(name).copied().unwrap_or_default(),
            workers: workers.iter().filter(has).count(),
            uses: uses.into_iter().flatten().collect(),
            name: name.clone(),
            print,
        }
    };
    names.into_iter().map(row).collect()
}

/// Whether nobody would miss it.
fn may_go(row: &Row) -> bool {
    row.uses == ["open"] && row.jobs == 0 && row.results == 0
}
