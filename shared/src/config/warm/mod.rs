//! `[warm.NAME]`: what is kept warm in the cache.

use std::time::Duration;

use super::complaint::Complaint;
use super::key_template::{KeyTemplate, TemplateError};
use super::problem::Origin;
use super::section::Section;
use super::sql::{Sql, TIMEOUT_MIN, check_placeholders};
use crate::cache::Codec;
use crate::db::changes::Dependency;
use crate::hash::fnv1a;

mod keeping;
mod params;
mod tags;

pub use keeping::{FillFrom, Keeping, Lives, When};
pub use params::{ForEach, Param};

/// How many keys one call of the loader may be asked for.
const BATCH_MAX: u32 = 5_000;

/// How many keys one call of the loader is asked for, unless the warmer says otherwise.
const BATCH: usize = 200;

/// The most keys that a warmer may have, unless it says otherwise; and the most that it may say.
const KEYS_MAX: (u64, u32) = (100_000, 10_000_000);

/// The most bytes that a value may have, unless the warmer says otherwise.
const BYTES_MAX: u64 = 1 << 20;

/// What `for_each` may be made of.
const FOR_EACH: &str = r#"sql = "select id from products", params = ["id"]"#;

const HELP_KEY: &str = r#"write it as in key = "board:{origin}", with columns of the rows in braces"#;

/// One of `[warm.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warmer {
    /// Where the warmer was written.
    pub origin: Origin,
    /// The loader: gives the columns of the key and a column `value`, one row per key.
    pub sql: Sql,
    /// What gives the keys to load; without it they come from readers, or the loader gives all rows by itself.
    pub for_each: Option<ForEach>,
    /// What the arrays `$1`, `$2`, … of the loader hold, from `params` or `for_each.params`.
    pub params: Vec<Param>,
    /// The key in Redis.
    pub key: KeyTemplate,
    /// How long values live.
    pub lives: Lives,
    /// Which of them are kept warm, and what makes them be loaded.
    pub keeping: Keeping,
    /// The templates of tags by which values can be invalidated; none by default.
    pub tags: Vec<KeyTemplate>,
    /// The tables that values are made of; none by default.
    pub depends_on: Vec<Dependency>,
    /// How values are stored; as JSON text by default.
    pub codec: Codec,
    /// Which database is read; the primary by default.
    pub fill_from: FillFrom,
    /// How many keys one call of the loader is asked for; 200 by default.
    pub batch: usize,
    /// The most keys that `for_each` or the loader may give; 100,000 by default.
    pub keys_max: u64,
    /// The most bytes that a value may have, before it is packed; 1 MiB by default.
    pub bytes_max: u64,
    /// After how long a statement is cancelled; by default `statement_timeout` of `[postgres]`.
    pub timeout: Option<Duration>,
}

impl Warmer {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let sql = Sql::read(section);
        let is_looped = section.has("for_each");
        let for_each = section.optional_table("for_each", FOR_EACH, ForEach::read);
        let has_own = section.has("params");
        let own = Param::read_all(section);
        // Without readable ones nobody knows how many parameters there should be.
        let is_counted = is_looped == for_each.is_some() && has_own == own.is_some();
        section.at_most_one_path(is_looped, "for_each.params", "params");
        let params = for_each.as_ref().map(|each| each.params.clone()).or(own).unwrap_or_default();
        if let Some(sql) = &sql
            && is_counted
        {
            check_loader(section, sql, is_looped, params.len());
        }
        let key = key(section, !params.is_empty());
        let lives = Lives::read(section);
        let keeping = Keeping::read(section, for_each.is_some(), !params.is_empty());
        let tags = tags::read(section, key.as_ref());
        let depends_on = tags::read_dependencies(section, key.as_ref());
        let codec = keeping::codec(section);
        let fill_from = FillFrom::read(section);
        let batch = section.whole("batch", 1..=BATCH_MAX).unwrap_or(BATCH);
        let keys_max = section.whole::<u64>("max_keys", 1..=KEYS_MAX.1).unwrap_or(KEYS_MAX.0);
        let bytes_max = section.size("max_bytes").unwrap_or(BYTES_MAX);
        let timeout = section.duration("timeout", TIMEOUT_MIN);
        let warmer = Self {
            origin: section.origin(),
            sql: sql?,
            for_each,
            params,
            key: key?,
            lives: lives?,
            keeping,
            tags,
            depends_on,
            codec,
            fill_from,
            batch,
            keys_max,
            bytes_max,
            timeout,
        };
        warmer.check_askable(section);
        Some(warmer)
    }

    /// The names of the parameters of its values: what its keys are made of.
    pub fn columns(&self) -> Vec<&str> {
        self.key.placeholders()
    }

    /// Whether one value can be loaded by its parameters: they are those that the loader takes, and no others.
    pub fn is_askable(&self) -> bool {
        let columns = self.columns();
        !self.params.is_empty()
            && columns.len() == self.params.len()
            && self.params.iter().all(|param| columns.contains(&param.name.as_str()))
    }

    /// Tells definitions of the warmer apart: whatever decides about values is in it.
    pub fn version(&self) -> String {
        let params: Vec<_> = self.params.iter().map(|param| param.name.as_str()).collect();
        let text = format!("{}\n{}\n{}\n{:?}", self.sql.text, self.key, params.join(","), self.codec);
        format!("{:016x}", fnv1a(&text))
    }

    /// Values that are loaded one by one need keys that say which.
    fn check_askable(&self, section: &Section<'_>) {
        // About a key without any column enough has been said.
        if self.is_askable() || (!self.params.is_empty() && self.columns().is_empty()) {
            return;
        }
        let help = "make the key of the parameters of the loader, all of them and nothing else";
        let why = "needs keys that are made of the loader's parameters";
        if self.keeping.is_hot {
            section.report("what", format!("`hot` {why}"), help);
        }
        if self.lives.negative.is_some() && section.has("negative_ttl") {
            section.report("negative_ttl", format!("knowing what is not there {why}"), help);
        }
    }
}

fn check_loader(section: &Section<'_>, sql: &Sql, is_looped: bool, count: usize) {
    let named = match (is_looped, count) {
        (true, count) => format!("for_each.params names {count}"),
        (false, 0) => "there is no `for_each`".to_owned(),
        (false, count) => format!("params names {count}"),
    };
    check_placeholders(section, sql.key(), sql, count, &named);
}

fn key(section: &mut Section<'_>, is_looped: bool) -> Option<KeyTemplate> {
    let key = section.parsed("key", |text| KeyTemplate::parse(text).map_err(Complaint::from));
    if !section.has("key") {
        section.report_missing("needs `key`", HELP_KEY);
    }
    if is_looped && key.as_ref().is_some_and(|key| key.placeholders().is_empty()) {
        section.report("key", "every row would be written to the same key", HELP_KEY);
    }
    key
}

impl From<TemplateError> for Complaint {
    fn from(error: TemplateError) -> Self {
        Self::new(error.to_string(), HELP_KEY)
    }
}
