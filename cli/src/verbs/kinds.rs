//! `brasa kinds`: what this build can run.

use brasa_jobs::Catalog;
use brasa_shared::units::format_duration;
use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct Kinds {}

impl Kinds {
    #[expect(clippy::unused_self, reason = "every verb is obeyed in the same way")]
    pub(crate) fn obey(self, catalog: &Catalog, out: &mut Output) -> Result<(), Failure> {
        let kinds: Vec<_> = catalog
            .kinds()
            .map(|kind| {
                json!({
                    "kind": kind.name,
                    "about": kind.about,
                    "version": kind.version,
                    "queue": kind.policy.queue,
                    "attempts_max": kind.policy.attempts_max,
                    "timeout": format_duration(kind.policy.timeout),
                })
            })
            .collect();
        let rows = catalog.kinds().map(|kind| {
            let timeout = format_duration(kind.policy.timeout);
            let attempts = kind.policy.attempts_max.to_string();
            [kind.name.to_owned(), kind.policy.queue.to_owned(), attempts, timeout, kind.about.to_owned()]
        });
        out.table(["KIND", "QUEUE", "ATTEMPTS", "TIMEOUT", "WHAT IT DOES"], rows.collect(), "no kinds")?;
        out.value(&kinds)
    }
}
