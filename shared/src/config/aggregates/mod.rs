//! `[aggregates.NAME]`: figures of a table's rows, by span of time and by columns, kept as they change.

use std::collections::BTreeMap;
use std::time::Duration;

use super::complaint::Complaint;
use super::key_template::KeyTemplate;
use super::problem::Origin;
use super::section::Section;
use super::writes::TableName;

mod bucket;
mod measure;

pub use bucket::Bucket;
pub use measure::{Function, Measure};

pub(super) use measure::expression;

/// Names of tables, functions and triggers are made of the name of an aggregate, and Postgres cuts them off.
const NAME_MAX: usize = 36;
/// By so many columns rows are parted at most.
const BY_MAX: usize = 8;
/// How often it is looked whether something changed, unless it is said otherwise.
const EVERY: Duration = Duration::from_millis(200);
/// How many buckets are published, unless it is said otherwise; and at most.
const BUCKETS: (u32, u32) = (31, 10_000);
/// What the bucket is called in the view.
const BUCKET: &str = "bucket";

/// What `publish` may be made of.
const PUBLISH: &str = r#"key = "dash:sales", buckets = 31"#;

const HELP_SOURCE: &str = r#"write the table whose rows are counted, as in source = "public.flights""#;
const HELP_TIME: &str = r#"write the column that says when, as in time = "created_at""#;
const HELP_MEASURES: &str = r#"write what is computed, as in measures = { flights = "count(*)" }"#;
const HELP_NAME: &str =
    "lower-case letters, digits and `_`, beginning with a letter; each once, and not `bucket`";

/// One of `[aggregates.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// Where it was written.
    pub origin: Origin,
    /// What it is.
    pub definition: Definition,
    /// How often it is looked whether something changed.
    pub every: Duration,
    /// Buckets that are older than this stay as they are, whatever becomes of the rows.
    pub frozen_after: Option<Duration>,
    /// What is put into Redis.
    pub publish: Option<Publish>,
}

/// What an aggregate is: another definition is another table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Definition {
    /// The table, as it is written in SQL.
    pub source: String,
    /// The column that says when.
    pub time: String,
    /// The span of time that is one bucket.
    pub bucket: Bucket,
    /// In which zone a day begins: a name that Postgres knows. None where nothing was said, which is UTC.
    pub tz: Option<String>,
    /// The columns whose values make groups.
    pub by: Vec<String>,
    /// Which rows count.
    pub filter: Option<String>,
    /// What is computed, by the name of its column.
    pub measures: BTreeMap<String, Measure>,
    /// How it is kept; none leaves the choice to Brasa.
    pub mode: Option<AggregateMode>,
    /// Whether sums of floating-point numbers may differ in their last digits.
    pub approx: bool,
    /// The column that says by which transaction a row was added, where rows are only ever added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xid: Option<String>,
}

/// How an aggregate is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregateMode {
    /// What changed is added and subtracted.
    Delta,
    /// Groups that were touched are computed again from the rows of their bucket.
    Recompute,
    /// Rows are only ever added, and say by which transaction: no triggers are needed.
    Append,
}

/// What is put into Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The key, which may name columns of `by`: each of their values has a key of its own.
    pub key: KeyTemplate,
    /// The newest buckets, so many.
    pub buckets: u32,
}

/// Reads all of them. Tables are named after them, in which `-` and `.` are `_`.
pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<String, Aggregate> {
    let found = root.named("aggregates", Aggregate::read);
    let mut words: BTreeMap<String, &str> = BTreeMap::new();
    for (name, aggregate) in &found {
        if let Some(other) = words.insert(name.replace(['-', '.'], "_"), name) {
            let origin = &aggregate.origin;
            let message = format!("its tables would be called like those of `{other}`");
            root.reader().report(
                origin.line,
                origin.path.clone(),
                message,
                "choose another name for one of them",
            );
        }
    }
    found
}

impl Aggregate {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let origin = section.origin();
        let name = origin.path.split_once('.').map_or("", |(_, name)| name.trim_matches('"'));
        if name.len() > NAME_MAX {
            let message =
                format!("the name has {} characters, that of an aggregate at most {NAME_MAX}", name.len());
            section.report_missing(message, "tables are named after it: choose a shorter one");
        }
        if name.rsplit(['_', '-', '.']).any(is_version) {
            let message = format!("`{name}` has a part like `v1`, as names of tables have that Brasa makes");
            section.report_missing(message, "choose another name");
        }
        let definition = Definition::read(section);
        let by = definition.as_ref().map(|known| known.by.clone()).unwrap_or_default();
        Some(Self {
            origin,
            every: section.duration("every", Duration::from_millis(10)).unwrap_or(EVERY),
            frozen_after: section.duration("frozen_after", Duration::from_hours(1)),
            publish: section.optional_table("publish", PUBLISH, |section| Publish::read(section, &by)),
            definition: definition?,
        })
    }
}

impl Definition {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let source = section.parsed("source", |text| TableName::parse(text).map(|name| name.to_string()));
        let time = section.text("time").filter(|time| !time.is_empty());
        let measures = read_measures(section);
        for (key, help) in [("source", HELP_SOURCE), ("time", HELP_TIME), ("measures", HELP_MEASURES)] {
            if !section.has(key) {
                section.report_missing(format!("needs `{key}`"), help);
            }
        }
        let by = read_by(section);
        let names = measures.as_ref().map(|measures| measures.keys().cloned().collect::<Vec<_>>());
        if let Some(twice) = names.unwrap_or_default().iter().find(|name| by.contains(name)) {
            section.report("measures", format!("`{twice}` is a column of `by` already"), HELP_NAME);
        }
        let filter = section.parsed("where", |text| {
            let help = "write a condition on one row, without `;` and comments";
            expression(text).ok_or_else(|| Complaint::new("this is no condition by itself", help))
        });
        let modes = [
            ("delta", AggregateMode::Delta),
            ("recompute", AggregateMode::Recompute),
            ("append", AggregateMode::Append),
        ];
        let mode = section.choice("mode", &modes);
        let xid = section.text("xid").filter(|xid| !xid.is_empty());
        if (mode == Some(AggregateMode::Append)) != section.has("xid") {
            let help =
                "write mode = \"append\" and the column of type xid8, as in xid = \"added_by\", or neither";
            section.report(
                if section.has("xid") { "xid" } else { "mode" },
                "`append` and `xid` go together",
                help,
            );
        }
        if matches!(mode, Some(AggregateMode::Delta | AggregateMode::Append))
            && let Some((name, _)) = measures.iter().flatten().find(|(_, measure)| !measure.is_additive())
        {
            let help = "write mode = \"recompute\", or leave it out";
            section.report("mode", format!("`{name}` cannot be kept by adding what changed"), help);
        }
        let bucket = section.parsed("bucket", Bucket::parse);
        Some(Self {
            bucket: if section.has("bucket") { bucket? } else { Bucket::Day },
            tz: section.text("tz"),
            approx: section.flag("approx").unwrap_or_default(),
            xid,
            source: source?,
            time: time?,
            measures: measures?,
            by,
            filter,
            mode,
        })
    }

    /// Says which definition it is: eight bytes in hexadecimal.
    pub fn version(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        format!("{:016x}", crate::hash::fnv1a(&text))
    }

    /// Whether it is kept by adding and subtracting what changed.
    pub fn is_delta(&self) -> bool {
        let can = self.measures.values().all(Measure::is_additive);
        can && self.mode != Some(AggregateMode::Recompute)
    }
}

impl Publish {
    fn read(section: &mut Section<'_>, by: &[String]) -> Option<Self> {
        let key = section.parsed("key", |text| {
            let help = "write a key of Redis, as in key = \"dash:delays\" or \"dash:delays:{carrier}\"";
            KeyTemplate::parse(text).map_err(|error| Complaint::new(error.to_string(), help))
        });
        if !section.has("key") {
            section.report_missing(
                "needs `key`",
                "write the key under which it is read, as in key = \"dash:delays\"",
            );
        }
        let buckets = section.whole("buckets", 1..=BUCKETS.1).unwrap_or(BUCKETS.0);
        let key = key?;
        if let Some(column) =
            key.placeholders().into_iter().find(|column| !by.iter().any(|known| known == column))
        {
            let message = format!("`{{{column}}}` is none of the columns in `by`");
            section.report("key", message, "name columns of `by`, or add it there");
            return None;
        }
        Some(Self { key, buckets })
    }
}

fn read_measures(section: &mut Section<'_>) -> Option<BTreeMap<String, Measure>> {
    let written = section.json("measures")?;
    let mut measures = BTreeMap::new();
    for (name, text) in written {
        let read = match text.as_str() {
            _ if !is_name(&name) || name == BUCKET => {
                Err(Complaint::new(format!("`{name}` cannot be the name of a measure"), HELP_NAME))
            }
            Some(text) => Measure::parse(text),
            None => Err(Complaint::new(format!("`{name}` is no text"), "write it in double quotes")),
        };
        match read {
            Ok(measure) => drop(measures.insert(name, measure)),
            Err(complaint) => section.complain("measures", complaint),
        }
    }
    if measures.is_empty() {
        section.report("measures", "there are none", HELP_MEASURES);
        return None;
    }
    Some(measures)
}

fn read_by(section: &mut Section<'_>) -> Vec<String> {
    let by = section.parsed_each("by", |text| match text {
        "" | BUCKET => Err(Complaint::new(format!("`{text}` cannot be such a column"), HELP_NAME)),
        text => Ok(text.to_owned()),
    });
    let by: Vec<String> = by.unwrap_or_default();
    if let Some((_, twice)) = by.iter().enumerate().find(|(place, column)| by[..*place].contains(column)) {
        section.report("by", format!("`{twice}` is there twice"), "leave one out");
    }
    if by.len() > BY_MAX {
        section.report("by", format!("at most {BY_MAX} columns make groups"), "leave some out");
    }
    by
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 60
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Problems};

    const NEEDED: &str = "source = \"sales\"\ntime = \"at\"\nmeasures = { n = \"count(*)\" }\n";

    fn parse(text: &str) -> Result<Config, Problems> {
        Config::parse(text, Path::new("brasa.toml"), &|_| None)
    }

    #[test]
    fn what_is_not_said_has_a_default_and_a_definition_has_a_version() {
        let config = parse(&format!("[aggregates.it]\n{NEEDED}")).unwrap();
        let it = &config.aggregates["it"];
        assert_eq!((it.every, it.frozen_after, &it.publish), (EVERY, None, &None));
        assert_eq!((it.definition.bucket, it.definition.source.as_str()), (Bucket::Day, "\"sales\""));
        assert!(it.definition.is_delta());
        let more = "by = [\"shop\"]\nbucket = \"15m\"\nevery = \"1s\"\nfrozen_after = \"30d\"\n\
                    publish = { key = \"k:{shop}\", buckets = 2 }\n";
        let config = parse(&format!("[aggregates.it]\n{NEEDED}{more}")).unwrap();
        let other = &config.aggregates["it"];
        assert_ne!(other.definition.version(), it.definition.version());
        assert_eq!(other.publish.as_ref().unwrap().buckets, 2);
        assert_eq!(other.definition.bucket, Bucket::Minutes(15));
        let text = serde_json::to_string(&other.definition).unwrap();
        assert_eq!(serde_json::from_str::<Definition>(&text).unwrap(), other.definition, "as it is kept");
    }

    #[test]
    fn what_cannot_be_an_aggregate_is_refused_with_what_to_write() {
        let long = format!("[aggregates.{}]\n{NEEDED}", "a".repeat(37));
        let with = |more: &str| format!("[aggregates.it]\n{NEEDED}{more}\n");
        let measured = |measures: &str| {
            format!("[aggregates.it]\nsource = \"sales\"\ntime = \"at\"\nmeasures = {{ {measures} }}\n")
        };
        for (text, said) in [
            ("[aggregates.it]\n".to_owned(), "needs `measures`"),
            (long, "that of an aggregate at most 36"),
            (format!("[aggregates.a-b]\n{NEEDED}[aggregates.a_b]\n{NEEDED}"), "like those of `a-b`"),
            (format!("[aggregates.big-v1]\n{NEEDED}"), "has a part like `v1`"),
            (with("bucket = \"3m\""), "`3m` is no span of time for a bucket"),
            (with("by = [\"a\", \"a\"]"), "`a` is there twice"),
            (with("by = [\"bucket\"]"), "`bucket` cannot be such a column"),
            (with("by = [\"n\"]"), "`n` is a column of `by` already"),
            (with("where = \"a) or (b\""), "this is no condition by itself"),
            (with("publish = { key = \"k:{shop}\" }"), "`{shop}` is none of the columns in `by`"),
            (with("publish = { buckets = 3 }"), "needs `key`"),
            (with("maesures = 1"), "unknown key `maesures`"),
            (measured("n = \"median(x)\""), "`median(x)` is no measure"),
            (measured("N = \"count(*)\""), "`N` cannot be the name of a measure"),
            (measured("n = 3"), "`n` is no text"),
            (measured(""), "there are none"),
            (measured("m = \"max(x)\"") + "mode = \"delta\"\n", "`m` cannot be kept by adding what changed"),
            (with("mode = \"append\""), "`append` and `xid` go together"),
            (with("xid = \"by\""), "`append` and `xid` go together"),
        ] {
            let problems = parse(&text).unwrap_err().to_string();
            assert!(problems.contains(said), "of\n{text}\n{said}\nwas expected, and found\n{problems}");
        }
    }
}
