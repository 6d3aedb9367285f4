//! An aggregate as the database understands it: its definition, and the types of what is in it.

use brasa_shared::config::{Definition, Function};
use brasa_shared::db::quoted;
use serde::{Deserialize, Serialize};

use crate::aggregates::sql::TimeKind;
use crate::aggregates::sql::time::Buckets;

/// A version of an aggregate: all that its statements are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The name of `[aggregates.NAME]`.
    pub name: String,
    /// Which version.
    pub version: i32,
    /// What it is.
    pub definition: Definition,
    /// The source with its schema, as it is written in SQL.
    pub source: String,
    /// The name of the source without its schema, by which expressions may call it.
    pub table: String,
    /// The type of the column that says when.
    pub time: TimeKind,
    /// The types of the columns in `by`.
    pub by_kinds: Vec<String>,
    /// Whether it is kept by adding and subtracting what changed.
    pub is_delta: bool,
    /// What is kept of each group, beside how many rows it has.
    pub kept: Vec<Kept>,
}

/// A column of the table of groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name: `s0` a sum and `c0` how many values are in it; `v0` a result.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// The how-manieth measure it belongs to.
    pub of: usize,
    /// Whether it is how many values there are.
    pub is_count: bool,
}

impl Kept {
    /// Whether its last digits depend on the order in which it was added up.
    pub fn is_float(&self) -> bool {
        ["real", "double precision"].contains(&self.kind.as_str())
    }

    /// Whether it may come to what is no number.
    pub fn may_be_odd(&self) -> bool {
        self.is_float() || self.kind == "numeric"
    }
}

impl Shape {
    /// What is kept of the measures of a definition, whose values and results have these types.
    pub fn kept(definition: &Definition, is_delta: bool, kinds: &[(String, String)]) -> Vec<Kept> {
        let mut kept = Vec::new();
        for (of, (measure, (value, result))) in definition.measures.values().zip(kinds).enumerate() {
            let mut keep = |letter: char, kind: &str, is_count| {
                kept.push(Kept { name: format!("{letter}{of}"), kind: kind.to_owned(), of, is_count });
            };
            if !is_delta {
                keep('v', result, false);
                continue;
            }
            match measure.function {
                // That is how many rows there are.
                Function::Count if measure.value.is_none() && measure.filter.is_none() => {}
                Function::Count => keep('c', "bigint", true),
                _ => {
                    keep('c', "bigint", true);
                    keep('s', sum_of(value), false);
                }
            }
        }
        kept
    }

    pub(super) fn buckets(&self) -> Buckets<'_> {
        let tz = self.definition.tz.as_deref().unwrap_or("UTC");
        Buckets { kind: self.time, bucket: self.definition.bucket, tz }
    }

    /// What expressions may call the source, and rows of it.
    pub(super) fn alias(&self) -> String {
        quoted(&self.table)
    }

    /// Whether a measure adds up floating-point numbers.
    pub(super) fn is_float(&self, measure: usize) -> bool {
        self.kept.iter().any(|kept| kept.of == measure && kept.is_float())
    }

    /// What people read, in SQL.
    pub fn view(&self) -> String {
        format!("brasa.{}", quoted(&format!("agg_{}", self.word())))
    }

    /// The table of groups.
    pub(super) fn groups(&self) -> String {
        self.named("")
    }

    /// The log of what changed.
    pub fn log(&self) -> String {
        self.named("_log")
    }

    /// The type of the key of a group.
    pub(super) fn key_type(&self) -> String {
        self.named("_key")
    }

    /// The function that a trigger for this event calls.
    pub(super) fn function(&self, event: &str) -> String {
        self.named(&format!("_{event}"))
    }

    /// The trigger for this event, wherever it is.
    pub(super) fn trigger(&self, event: &str) -> String {
        quoted(&format!("_brasa_agg_{}_v{}_{event}", self.word(), self.version))
    }

    fn named(&self, end: &str) -> String {
        format!("brasa.{}", quoted(&format!("agg_{}_v{}{end}", self.word(), self.version)))
    }

    /// The name as a part of names in SQL that need no quotes.
    fn word(&self) -> String {
        self.name.replace(['-', '.'], "_")
    }
}

/// The type in which values of a type are added up without an overflow.
fn sum_of(value: &str) -> &'static str {
    match value {
        "smallint" | "integer" => "bigint",
        "real" | "double precision" => "double precision",
        _ => "numeric",
    }
}
