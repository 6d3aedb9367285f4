//! `brasa aggregates show`: the newest groups.

use brasa_jobs::aggregates::{rows, shape_of};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{aggregate, failed, live, open};
use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

/// Show the newest groups of an aggregate, exact as of now
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The name of `[aggregates.NAME]`
    name: String,
    /// Only the bucket of this time, as in 2026-11-30; of the aggregate's zone, where it says none
    #[arg(long, value_parser = time)]
    bucket: Option<String>,
    /// So many groups at most
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

impl Show {
    pub(crate) async fn obey(self, app: &App, out: &mut Output) -> Result<(), Failure> {
        aggregate(app, &self.name)?;
        let mut connection = open(app).await?.acquire().await?;
        let shown = live(&mut connection, &self.name).await?;
        let shape = shape_of(&shown).map_err(|error| failed(&error.into()))?;
        let found = rows(&mut connection, &shape, self.bucket.as_deref(), self.limit).await;
        let found = found.map_err(|fault| failed(&fault))?;
        let groups: Vec<Map<String, Value>> =
            found.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let by = shape.definition.by.iter().chain(shape.definition.measures.keys());
        let heads: Vec<&str> = ["bucket"].into_iter().chain(by.map(String::as_str)).collect();
        let cell = |group: &Map<String, Value>, head: &str| match group.get(head) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let table = groups.iter().map(|group| heads.iter().map(|head| cell(group, head)).collect());
        let upper: Vec<String> = heads.iter().map(|head| head.to_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        out.table_of(&upper, table.collect(), "there are no groups")?;
        out.value(&json!({ "name": self.name, "groups": groups }))
    }
}

/// What Postgres reads as a time, but that no bucket is of, is refused here.
fn time(text: &str) -> Result<String, String> {
    let bare = text.trim().trim_start_matches(['+', '-']);
    if ["infinity", "inf"].iter().any(|word| bare.eq_ignore_ascii_case(word)) {
        return Err("there is no bucket at the end of time: write a time as in 2026-11-30 10:00".to_owned());
    }
    Ok(text.to_owned())
}
