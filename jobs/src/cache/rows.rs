//! What a loader may give, and what it must not.

use std::collections::{HashMap, HashSet};

use brasa_shared::config::Warmer;

use crate::cache::plan::Batch;
use crate::cache::shape::Shape;

/// The snapshot of somebody who has read nothing.
const NOTHING: &str = "1:1:";

/// A loader gave what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct RowProblem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// The values of a batch by their keys.
#[derive(Debug, Clone)]
pub(super) struct Found<'b> {
    /// None where the value is NULL.
    pub(super) values: HashMap<String, Option<&'b str>>,
    pub(super) snapshot: String,
    pub(super) is_replica: bool,
}

impl Default for Found<'_> {
    fn default() -> Self {
        Self { values: HashMap::new(), snapshot: NOTHING.to_owned(), is_replica: false }
    }
}

impl<'b> Found<'b> {
    /// The values of a batch, which are among those that were asked for, and each of which is there once.
    pub(super) fn of(
        shape: &Shape,
        batch: &'b Batch,
        asked: Option<&HashSet<&str>>,
    ) -> Result<Self, RowProblem> {
        let mut values = HashMap::with_capacity(batch.rows.len());
        for row in &batch.rows {
            let texts: Option<Vec<&str>> = row.texts.iter().map(Option::as_deref).collect();
            let Some(texts) = texts else { return Err(null_in(shape, &row.texts)) };
            let entry = shape.entry(&texts).map_err(|error| {
                problem(error.to_string(), "make the key of columns that the loader returns")
            })?;
            if asked.is_some_and(|asked| !asked.contains(entry.key.as_str())) {
                let message = format!("the loader returns `{}`, which it was not asked for", entry.key);
                return Err(problem(
                    message,
                    "restrict it to the keys that it is given, as in `where id = any($1)`",
                ));
            }
            if values.insert(entry.key.clone(), row.value.as_deref()).is_some() {
                let message = format!("the loader returns `{}` twice", entry.key);
                return Err(problem(message, "return one row per key, with `group by` or `distinct on`"));
            }
        }
        let snapshot = if batch.snapshot.is_empty() { NOTHING.to_owned() } else { batch.snapshot.clone() };
        Ok(Self { values, snapshot, is_replica: batch.is_replica })
    }
}

/// The keys that `for_each` gave, each once, if there are not too many and none is NULL.
pub(super) fn keys(warmer: &Warmer, rows: Vec<Vec<Option<String>>>) -> Result<Vec<Vec<String>>, RowProblem> {
    if u64::try_from(rows.len()).is_ok_and(|count| count > warmer.keys_max) {
        return Err(too_many("`for_each`", "keys", warmer));
    }
    let (mut keys, mut known) = (Vec::with_capacity(rows.len()), HashSet::with_capacity(rows.len()));
    for row in rows {
        let Some(texts) = row.iter().cloned().collect::<Option<Vec<String>>>() else {
            let message = "`for_each` gives a row in which a part of the key is NULL".to_owned();
            return Err(problem(message, "leave such rows out, as in `where origin is not null`"));
        };
        if known.insert(texts.clone()) {
            keys.push(texts);
        }
    }
    Ok(keys)
}

/// Whether a loader without parameters gave no more rows than it may.
pub(super) fn check_count(warmer: &Warmer, rows: usize) -> Result<(), RowProblem> {
    if u64::try_from(rows).is_ok_and(|count| count > warmer.keys_max) {
        return Err(too_many("the loader", "rows", warmer));
    }
    Ok(())
}

fn too_many(who: &str, what: &str, warmer: &Warmer) -> RowProblem {
    problem(
        format!("{who} gives more than {} {what}", warmer.keys_max),
        "restrict it, or write a larger `max_keys` if they are meant; with what = \"hot\" only those that are read are kept",
    )
}

fn null_in(shape: &Shape, texts: &[Option<String>]) -> RowProblem {
    let place = texts.iter().position(Option::is_none).unwrap_or_default();
    let column = shape.columns().get(place).map_or("", String::as_str);
    problem(
        format!("the loader returns a row in which `{column}` is NULL, and the key needs it"),
        format!("leave such rows out, as in `where {column} is not null`"),
    )
}

fn problem(message: impl Into<String>, help: impl Into<String>) -> RowProblem {
    RowProblem { message: message.into(), help: help.into() }
}
