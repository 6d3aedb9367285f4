//! `[maintenance.prune.NAME]`: rows that are deleted when they have expired.

use std::time::Duration;

use crate::config::aggregates::expression;
use crate::config::complaint::Complaint;
use crate::config::problem::Origin;
use crate::config::section::Section;
use crate::config::writes::TableName;

/// How many rows are deleted together, at most, unless it is said otherwise; and at most at all.
const BATCH: (u32, u32) = (5_000, 100_000);
/// How long a batch may take, unless it is said otherwise.
const BUDGET: Duration = Duration::from_millis(100);
/// How long it rests between two batches, unless it is said otherwise.
const PAUSE: Duration = Duration::from_millis(50);

const HELP_TABLE: &str = r#"write the table whose rows expire, as in table = "public.sessions""#;
const HELP_WHERE: &str = r#"write which rows have expired, as in where = "expires_at < now()""#;

/// Rows that are deleted when they have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// Where it was written.
    pub origin: Origin,
    /// The table, as it is written in SQL.
    pub table: String,
    /// Which rows have expired.
    pub filter: String,
    /// The column by which the oldest go first; none leaves the order to the database.
    pub order_by: Option<String>,
    /// How many rows are deleted together at most.
    pub batch_max: u32,
    /// How long a batch may take: the next one is smaller where one took longer.
    pub budget: Duration,
    /// How long it rests between two batches, at least.
    pub pause: Duration,
}

impl Prune {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let table = section.parsed("table", |text| TableName::parse(text).map(|name| name.to_string()));
        let filter = section.parsed("where", |text| {
            let help = "write a condition on one row, without `;` and comments";
            expression(text).ok_or_else(|| Complaint::new("this is no condition by itself", help))
        });
        for (key, help) in [("table", HELP_TABLE), ("where", HELP_WHERE)] {
            if !section.has(key) {
                section.report_missing(format!("needs `{key}`"), help);
            }
        }
        Some(Self {
            origin: section.origin(),
            order_by: section.text("order_by").filter(|column| !column.is_empty()),
            batch_max: section.whole("batch", 1..=BATCH.1).unwrap_or(BATCH.0),
            budget: section.duration("budget", Duration::from_millis(1)).unwrap_or(BUDGET),
            pause: section.duration("pause", Duration::ZERO).unwrap_or(PAUSE),
            table: table?,
            filter: filter?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Problems};

    fn parse(text: &str) -> Result<Config, Problems> {
        Config::parse(text, Path::new("brasa.toml"), &|_| None)
    }

    #[test]
    fn what_expires_is_read_and_what_cannot_be_is_refused() {
        let text = "[maintenance.prune.sessions]\ntable = \"sessions\"\nwhere = \"expires_at < now()\"\n";
        let prune = parse(text).unwrap().maintenance.prune["sessions"].clone();
        assert_eq!((prune.table.as_str(), prune.batch_max, prune.order_by), ("\"sessions\"", 5_000, None));
        for (text, said) in [
            ("[maintenance.prune.it]\ntable = \"t\"\n", "needs `where`"),
            ("[maintenance.prune.it]\nwhere = \"true\"\n", "needs `table`"),
            ("[maintenance.prune.it]\ntable = \"t\"\nwhere = \"a) or (b\"\n", "no condition by itself"),
            (
                "[maintenance.prune.it]\ntable = \"t\"\nwhere = \"a\"\nbatch = 0\n",
                "maintenance.prune.it.batch",
            ),
            ("[maintenance.prunes.it]\ntable = \"t\"\n", "unknown key `prunes`"),
        ] {
            let problems = parse(text).unwrap_err().to_string();
            assert!(problems.contains(said), "of\n{text}\n{said}\nwas expected, and found\n{problems}");
        }
    }
}
