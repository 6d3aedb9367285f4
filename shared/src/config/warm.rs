//! `[warm.NAME]`: what is kept warm in the cache.

use std::collections::BTreeSet;
use std::time::Duration;

use super::complaint::Complaint;
use super::key_template::{KeyTemplate, TemplateError};
use super::problem::Origin;
use super::section::Section;
use super::sql::{Sql, TIMEOUT_MIN, check_placeholders};

/// A shorter life than this is not a cache, and costs more than it saves.
const TTL_MIN: Duration = Duration::from_secs(1);

/// How many keys one call of the loader may be asked for.
const BATCH_MAX: u32 = 5_000;

/// How many keys one call of the loader is asked for, unless the warmer says otherwise.
const BATCH: usize = 200;

/// Which part of its life a value may lose to jitter, unless the warmer says otherwise: one in so many.
const JITTER_SHARE: u32 = 10;

const HELP_KEY: &str = r#"write it as in key = "board:{origin}", with columns of the rows in braces"#;

const HELP_PARAMS: &str = r#"name the columns of its rows that the loader takes, as in params = ["origin"]"#;

/// One of `[warm.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warmer {
    /// Where the warmer was written.
    pub origin: Origin,
    /// The loader: gives the columns of the key and a column `value`, one row per key.
    pub sql: Sql,
    /// What gives the keys to load; without it, the loader is called once and gives all rows.
    pub for_each: Option<ForEach>,
    /// The key in Redis.
    pub key: KeyTemplate,
    /// How long a value lives.
    pub ttl: Duration,
    /// By how much lives are made to differ, so that they do not end together; a tenth of `ttl` by default.
    pub jitter: Duration,
    /// How many keys one call of the loader is asked for; 200 by default.
    pub batch: usize,
    /// After how long a statement is cancelled; by default `statement_timeout` of `[postgres]`.
    pub timeout: Option<Duration>,
}

/// `for_each` of a warmer: the statement that gives one row per key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForEach {
    /// The statement; it has no parameters.
    pub sql: Sql,
    /// The columns of its rows that become the arrays `$1`, `$2`, … of the loader, in this order.
    pub params: Vec<String>,
}

impl Warmer {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let sql = Sql::read(section);
        let is_looped = section.has("for_each");
        let for_each = section.optional_table("for_each", ForEach::read);
        // Where `for_each` is there but wrong, nothing is known about what the loader should use.
        if let Some(sql) = &sql
            && is_looped == for_each.is_some()
        {
            check_loader(section, sql, for_each.as_ref());
        }
        let key = key(section, for_each.is_some());
        let ttl = section.duration("ttl", TTL_MIN);
        if !section.has("ttl") {
            section.report_missing("needs `ttl`", r#"write how long a value lives, as in ttl = "30s""#);
        }
        let jitter = jitter(section, ttl);
        let batch = section.whole("batch", 1..=BATCH_MAX).unwrap_or(BATCH);
        let timeout = section.duration("timeout", TIMEOUT_MIN);
        let origin = section.origin();
        Some(Self { origin, sql: sql?, for_each, key: key?, ttl: ttl?, jitter, batch, timeout })
    }
}

impl ForEach {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let sql = Sql::read(section);
        let params = section.parsed_each("params", |column| match column {
            "" => Err(Complaint::new("a column has no name", HELP_PARAMS)),
            column => Ok(column.to_owned()),
        });
        if !section.has("params") {
            section.report_missing("needs `params`", HELP_PARAMS);
        }
        if let Some(params) = &params {
            let distinct: BTreeSet<_> = params.iter().collect();
            if params.is_empty() {
                section.report("params", "no column is named", HELP_PARAMS);
            } else if distinct.len() < params.len() {
                section.report("params", "a column is named twice", HELP_PARAMS);
            }
        }
        if let Some(sql) = &sql {
            check_placeholders(section, sql.key(), sql, 0, "nothing is bound to it");
        }
        Some(Self { sql: sql?, params: params? })
    }
}

fn check_loader(section: &Section<'_>, sql: &Sql, for_each: Option<&ForEach>) {
    let (count, named) = match for_each.map(|for_each| for_each.params.len()) {
        Some(count) => (count, format!("for_each.params names {count}")),
        None => (0, "there is no `for_each`".to_owned()),
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

fn jitter(section: &mut Section<'_>, ttl: Option<Duration>) -> Duration {
    let jitter = section.duration("jitter", Duration::ZERO);
    if let (Some(jitter), Some(ttl)) = (jitter, ttl)
        && jitter >= ttl
    {
        section.report("jitter", "the jitter is not shorter than `ttl`", "a tenth of `ttl` is usual");
    }
    jitter.unwrap_or(ttl.unwrap_or_default() / JITTER_SHARE)
}

impl From<TemplateError> for Complaint {
    fn from(error: TemplateError) -> Self {
        Self::new(error.to_string(), HELP_KEY)
    }
}
