//! `brasa cache hot`: what is read most.

use brasa_shared::cache::{Note, texts_of};
use clap::Args;
use serde_json::json;

use super::warmer;
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, bytes, millis, short};

/// All counters that there are.
const COUNTERS: usize = 1_024;

/// List the values of a warmer that are read most, as far as readers count
#[derive(Debug, Args)]
pub(crate) struct Hot {
    /// The warmer
    name: String,
    /// List at most this many
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

impl Hot {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let (_, shape) = warmer(app, &self.name)?;
        let namespace = app.caches().namespace(&self.name);
        let hot = namespace.hot(COUNTERS).await?;
        let all: f64 = hot.iter().map(|(_, count)| count).sum();
        let known = hot.iter().filter_map(|(params, count)| Some((shape.entry_of(params)?, *count)));
        let known: Vec<_> = known.take(self.limit).collect();
        let keys: Vec<String> = known.iter().map(|(entry, _)| entry.key.clone()).collect();
        let notes = namespace.notes(&keys).await?;
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for ((entry, count), note) in known.iter().zip(&notes) {
            let part = if all > 0.0 { count / all } else { 0.0 };
            let told = |tell: &dyn Fn(&Note) -> String| note.as_ref().map_or_else(|| "-".to_owned(), tell);
            rows.push([
                short(&entry.key, 60),
                format!("{count:.0}"),
                format!("{:.1} %", part * 100.0),
                told(&|note| bytes(note.bytes)),
                told(&|note| millis(note.cost_us)),
            ]);
            values.push(json!({
                "key": entry.key,
                "params": texts_of(&entry.params),
                "count": count,
                "share": part,
                "bytes": note.as_ref().map(|note| note.bytes),
                "cost_us": note.as_ref().map(|note| note.cost_us),
            }));
        }
        let empty =
            "nobody has told what is read: readers with the whole protocol do, and a plain GET does not";
        out.table(["KEY", "READS", "SHARE", "BYTES", "COST"], rows, empty)?;
        if !values.is_empty() {
            out.line(
                "\nreads are samples, halved every ten minutes; a `-` stands where the value is not there",
            )?;
        }
        out.value(&json!({ "warmer": self.name, "counted": hot.len(), "hot": values }))
    }
}
