//! What came of loading values.

use std::collections::{BTreeMap, HashSet};

use brasa_shared::cache::Filled;
use serde_json::{Map, Value, json};

/// How many examples of what went wrong are kept.
const EXAMPLES_MAX: usize = 5;

/// What came of loading values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Values that stand now.
    pub filled: usize,
    /// Bytes of their texts.
    pub bytes: usize,
    /// Calls of the loader.
    pub batches: usize,
    /// Values that are known not to be there.
    pub none: usize,
    /// Values that somebody else was loading.
    pub busy: usize,
    /// Values that Redis did not take, by why.
    pub refused: BTreeMap<&'static str, usize>,
    /// The parameters of all values that a loader gave whose keys nobody knew before.
    pub(super) listed: HashSet<String>,
    /// Values that are larger than they may be: how many, and the keys of some.
    pub oversized: (usize, Vec<String>),
    /// Parameters that the database could not read, or spells otherwise: how many, and what is wrong with some.
    pub broken: (usize, Vec<String>),
}

impl Tally {
    /// Notes what Redis said about a value.
    pub(super) fn note(&mut self, filled: Filled, bytes: usize) {
        match filled {
            Filled::Filled => {
                self.filled += 1;
                self.bytes += bytes;
            }
            Filled::None | Filled::Capped => self.none += 1,
            Filled::Released => {}
            Filled::Lease | Filled::Epoch | Filled::Behind => {
                *self.refused.entry(filled.word()).or_default() += 1;
            }
        }
    }

    /// Notes a value that is too large.
    pub(super) fn oversized(&mut self, key: &str) {
        example(&mut self.oversized, key);
    }

    /// Notes parameters that nothing can be loaded by.
    pub(super) fn broken(&mut self, what: &str) {
        example(&mut self.broken, what);
    }

    /// Adds what came of others.
    pub fn add(&mut self, other: Self) {
        self.filled += other.filled;
        self.bytes += other.bytes;
        self.batches += other.batches;
        self.none += other.none;
        self.busy += other.busy;
        for (why, count) in other.refused {
            *self.refused.entry(why).or_default() += count;
        }
        self.listed.extend(other.listed);
        merge(&mut self.oversized, other.oversized);
        merge(&mut self.broken, other.broken);
    }

    /// As the result of a job: what there was none of is left out, but for what everybody looks for.
    pub fn to_json(&self) -> Value {
        let mut result = Map::new();
        result.insert("keys".to_owned(), json!(self.filled));
        result.insert("bytes".to_owned(), json!(self.bytes));
        result.insert("batches".to_owned(), json!(self.batches));
        let others = [
            ("none", self.none),
            ("busy", self.busy),
            ("oversized", self.oversized.0),
            ("broken", self.broken.0),
        ];
        for (name, count) in others.into_iter().filter(|(_, count)| *count > 0) {
            result.insert(name.to_owned(), json!(count));
        }
        if !self.refused.is_empty() {
            result.insert("refused".to_owned(), json!(self.refused));
        }
        Value::Object(result)
    }
}

fn example(found: &mut (usize, Vec<String>), what: &str) {
    found.0 += 1;
    if found.1.len() < EXAMPLES_MAX {
        found.1.push(what.chars().take(200).collect());
    }
}

fn merge(found: &mut (usize, Vec<String>), other: (usize, Vec<String>)) {
    found.0 += other.0;
    found.1.extend(other.1);
    found.1.truncate(EXAMPLES_MAX);
}
