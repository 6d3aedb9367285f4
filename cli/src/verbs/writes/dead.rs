//! `brasa writes dead`, `replay` and `delete`: rows that could not be written.

use brasa_jobs::writes::replay_each;
use brasa_shared::db::writes::{Dead, dead, forget};
use clap::Args;
use serde_json::{Value, json};

use super::{acquire, open, write};
use crate::app::App;
use crate::failure::Failure;
use crate::output::{Output, plain, short};

/// List rows that could not be written, and why
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this `[writes.NAME]`
    name: Option<String>,
    /// List at most this many
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

/// Write rows of the dead letter after all: each in a transaction that takes it out of there
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Their numbers, as `brasa writes dead` lists them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<i64>,
    /// All of this `[writes.NAME]`, the oldest first
    #[arg(long, value_name = "NAME")]
    all: Option<String>,
    /// The row as it should have been, where one is replayed
    #[arg(long, value_name = "JSON", conflicts_with = "all")]
    row: Option<String>,
}

/// Delete rows of the dead letter for good
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Their numbers, as `brasa writes dead` lists them
    #[arg(required = true)]
    ids: Vec<i64>,
    /// Do it without asking
    #[arg(long)]
    pub(super) yes: bool,
}

impl List {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if let Some(name) = &self.name {
            write(app, name)?;
        }
        let found = dead(&open(app).await?, self.name.as_deref(), None, self.limit.into()).await?;
        let row = |dead: &Dead| {
            [
                dead.id.to_string(),
                dead.stream.name.clone(),
                dead.buried.sqlstate.clone().unwrap_or_else(|| "-".to_owned()),
                short(&plain(&dead.buried.message), 80),
                short(&plain(&String::from_utf8_lossy(&dead.buried.payload)), 60),
            ]
        };
        out.table(
            ["ID", "NAME", "SQLSTATE", "WHY", "ROW"],
            found.iter().map(row).collect(),
            "every row was written",
        )?;
        if !found.is_empty() {
            out.line("\n`brasa writes replay ID --row JSON` writes a row as it should have been")?;
        }
        out.value(&json!({ "dead": found.iter().map(value).collect::<Vec<_>>() }))
    }
}

impl Replay {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        if self.row.is_some() && self.ids.len() != 1 {
            return Err(Failure::usage("--row is for one row\n  help: name one number"));
        }
        let pool = open(app).await?;
        if let Some(name) = &self.all {
            write(app, name)?;
        }
        let ids = self.all.is_none().then_some(self.ids.as_slice());
        let found = dead(&pool, self.all.as_deref(), ids, i64::MAX).await?;
        let mended = self.row.as_deref().map(str::as_bytes);
        let mut left = replay_each(&app.config, &pool, &found, mended).await?;
        let is_left = |id: i64| left.iter().any(|(known, _)| *known == id);
        let done: Vec<i64> = found.iter().map(|dead| dead.id).filter(|id| !is_left(*id)).collect();
        let missing = ids.unwrap_or_default().iter().filter(|id| !found.iter().any(|dead| dead.id == **id));
        left.extend(missing.map(|id| (*id, "there is no such row in the dead letter".to_owned())));
        out.line(format!("{} row(s) written", done.len()))?;
        for (id, why) in &left {
            out.line(plain(&format!("{id} was left where it is: {why}")))?;
        }
        let left_values: Vec<Value> = left.iter().map(|(id, why)| json!({ "id": id, "why": why })).collect();
        out.value(&json!({ "written": done, "left": left_values }))?;
        if left.is_empty() { Ok(()) } else { Err(Failure::silent(1)) }
    }
}

impl Delete {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        let pool = open(app).await?;
        let gone = forget(&mut *acquire(&pool).await?, &self.ids).await?;
        out.line(format!("{gone} row(s) deleted"))?;
        out.value(&json!({ "deleted": gone }))?;
        if gone == self.ids.len() as u64 { Ok(()) } else { Err(Failure::silent(1)) }
    }
}

fn value(dead: &Dead) -> Value {
    json!({
        "id": dead.id,
        "name": dead.stream.name,
        "part": dead.stream.part,
        "entry": dead.buried.entry,
        "sqlstate": dead.buried.sqlstate,
        "at_fault": dead.buried.at_fault,
        "why": dead.buried.message,
        "row": String::from_utf8_lossy(&dead.buried.payload),
        "age_ms": u64::try_from(dead.age.as_millis()).unwrap_or(u64::MAX),
    })
}
