//! `[writes.NAME]`: rows that applications hand over one by one, and that are written in batches.

use std::collections::BTreeMap;
use std::time::Duration;

use super::complaint::Complaint;
use super::problem::Origin;
use super::section::Section;
use crate::db::changes::Dependency;
use crate::db::quoted;

/// How many streams one name may have.
const PARTITIONS_MAX: u32 = 64;
/// How many rows one statement may take: unless it is said otherwise, and at most.
const BATCH: (usize, u32) = (5_000, 100_000);
/// How many bytes of rows are written together, unless it is said otherwise.
const BYTES: u64 = 1 << 20;
/// How many rows may wait, unless it is said otherwise.
const BACKLOG: (u64, u32) = (1_000_000, 1_000_000_000);
/// How long a row waits for others at most, unless it is said otherwise.
const WAIT: Duration = Duration::from_millis(50);

const HELP_TABLE: &str = r#"write the table that rows go to, as in table = "public.page_views""#;
const HELP_KEY: &str = r#"write the columns that say which row it is, as in key = ["page", "day"]"#;

/// One of `[writes.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where it was written.
    pub origin: Origin,
    /// The table, with its schema where one was given.
    pub table: TableName,
    /// What becomes of a row.
    pub mode: Mode,
    /// Into how many streams rows are parted, each with a writer of its own; 1 by default.
    pub partitions: u32,
    /// Rows with the same values of these columns are written in the order in which they came. The key by default.
    pub order_by: Vec<String>,
    /// How many rows are written together at most; 5,000 by default.
    pub batch: usize,
    /// How many bytes of rows are written together at most; 1 MiB by default.
    pub bytes_max: u64,
    /// How long a row waits for others at most; 50 ms by default.
    pub wait: Duration,
    /// How many rows may wait to be written; 1,000,000 by default.
    pub rows_max: u64,
    /// What a producer is told when more do.
    pub when_full: WhenFull,
    /// How safe rows have to be while they wait; none asks for nothing.
    pub durability: Option<Durability>,
}

/// How safe rows are while they wait in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power failure loses the last second.
    Second,
    /// Nothing that was acknowledged is lost with the server.
    Always,
    /// A replica has to be there that gets it.
    Replicated,
}

/// A table as it was written: `name` or `schema.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// The schema; without it Postgres looks along its search path.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// It is inserted.
    Append,
    /// It is inserted, or merged into the one that is there.
    Upsert(Merging),
}

/// Which row is meant, and what becomes of the one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merging {
    /// The columns that say which row it is.
    pub key: Vec<String>,
    /// How columns are merged.
    pub merge: BTreeMap<String, Merge>,
    /// Whether numbers that are not named are added up; else the later one counts, as of all others.
    pub adds_up: bool,
}

/// How a value is merged into the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The later one counts.
    Last,
    /// The earlier one stays.
    First,
    /// Both are added up.
    Sum,
    /// The smaller one counts.
    Min,
    /// The larger one counts.
    Max,
}

/// What a producer is told when too many rows wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// That there is no room: the row is not taken.
    #[default]
    Reject,
    /// Nothing: the oldest rows are dropped, and counted.
    DropOldest,
    /// Nothing: whoever uses the crate writes them at once; others are told that there is no room.
    Direct,
}

impl Write {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let table = section.parsed("table", TableName::parse);
        if !section.has("table") {
            section.report_missing("needs `table`", HELP_TABLE);
        }
        let mode = Mode::read(section);
        let order_by = columns(section, "order_by");
        let by_key = match &mode {
            Some(Mode::Upsert(merging)) => merging.key.clone(),
            _ => Vec::new(),
        };
        Some(Self {
            origin: section.origin(),
            partitions: section.whole("partitions", 1..=PARTITIONS_MAX).unwrap_or(1),
            order_by: order_by.unwrap_or(by_key),
            batch: section.whole("batch", 1..=BATCH.1).unwrap_or(BATCH.0),
            bytes_max: section.size("max_bytes").unwrap_or(BYTES),
            wait: section.duration("max_wait", Duration::from_millis(1)).unwrap_or(WAIT),
            rows_max: section.whole("max_rows", 1..=BACKLOG.1).unwrap_or(BACKLOG.0),
            when_full: section
                .choice(
                    "when_full",
                    &[
                        ("reject", WhenFull::Reject),
                        ("drop_oldest", WhenFull::DropOldest),
                        ("direct", WhenFull::Direct),
                    ],
                )
                .unwrap_or_default(),
            durability: section.choice(
                "durability",
                &[
                    ("second", Durability::Second),
                    ("always", Durability::Always),
                    ("replicated", Durability::Replicated),
                ],
            ),
            table: table?,
            mode: mode?,
        })
    }
}

impl Mode {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        #[derive(Clone, Copy, PartialEq)]
        enum Word {
            Append,
            Upsert,
            Counter,
        }
        let words = [("append", Word::Append), ("upsert", Word::Upsert), ("counter", Word::Counter)];
        let has_mode = section.has("mode");
        let word = section.choice("mode", &words);
        let key = columns(section, "key");
        let merge = section.has("merge").then(|| read_merge(section));
        let word = if has_mode { word? } else { Word::Append };
        if word == Word::Append {
            for (key, is_written) in [("key", key.is_some()), ("merge", merge.is_some())] {
                if is_written {
                    section.report(
                        key,
                        "rows are appended, whatever is there",
                        "write mode = \"upsert\", or leave it out",
                    );
                }
            }
            return Some(Self::Append);
        }
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            if !section.has("key") {
                section.report_missing("needs `key`", HELP_KEY);
            }
            return None;
        };
        let merge = merge.unwrap_or_default();
        for column in merge.keys().filter(|column| key.contains(column)) {
            section.report("merge", format!("`{column}` is a part of the key"), "the key stays as it is");
        }
        Some(Self::Upsert(Merging { key, merge, adds_up: word == Word::Counter }))
    }
}

/// `merge = { hits = "sum" }`: columns are anybody's, words are ours.
fn read_merge(section: &mut Section<'_>) -> BTreeMap<String, Merge> {
    let mut merge = BTreeMap::new();
    for (column, word) in section.json("merge").unwrap_or_default() {
        if let Some(how) = word.as_str().and_then(Merge::of) {
            merge.insert(column, how);
            continue;
        }
        let words: Vec<&str> = Merge::WORDS.iter().map(|(word, _)| *word).collect();
        let message = format!("`{column}`: {word} is not a way to merge");
        section.report("merge", message, format!("write one of {}", words.join(", ")));
    }
    merge
}

fn columns(section: &mut Section<'_>, key: &'static str) -> Option<Vec<String>> {
    let found = section.parsed_each(key, |text| match text {
        "" => Err(Complaint::new("a column without a name", "write the names of columns")),
        text => Ok(text.to_owned()),
    })?;
    if let Some(twice) = found.iter().enumerate().find(|(place, column)| found[..*place].contains(column)) {
        section.report(key, format!("`{}` is there twice", twice.1), "leave one out");
    }
    Some(found)
}

impl Merge {
    const WORDS: [(&'static str, Self); 5] = [
        ("last", Self::Last),
        ("first", Self::First),
        ("sum", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
    ];

    fn of(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, merge)| *merge)
    }
}

impl Merging {
    /// How a column is merged.
    pub fn of(&self, column: &str, is_number: bool) -> Merge {
        let other = if self.adds_up && is_number { Merge::Sum } else { Merge::Last };
        self.merge.get(column).copied().unwrap_or(other)
    }
}

impl TableName {
    /// Reads `name` or `schema.name`, each in double quotes where Postgres wants them.
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        match Dependency::parse(text) {
            Ok(table) if table.columns.is_empty() => Ok(Self { schema: table.schema, name: table.table }),
            Ok(_) => Err(Complaint::new("a table has no columns here", HELP_TABLE)),
            Err(error) => Err(Complaint::new(error.to_string(), HELP_TABLE)),
        }
    }
}

impl std::fmt::Display for TableName {
    /// As it is written in SQL, in quotes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quoted(schema))?;
        }
        f.write_str(&quoted(&self.name))
    }
}
