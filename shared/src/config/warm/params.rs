//! What the arrays of a loader hold, and what gives them.

use std::collections::BTreeSet;

use crate::config::complaint::Complaint;
use crate::config::section::Section;
use crate::config::sql::{Sql, check_placeholders};

const HELP: &str = r#"name the columns of its rows that the loader takes, as in params = ["origin"]"#;

/// A parameter of the loader: one array of texts, cast to what the loader takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// The column of the rows, and the placeholder in the key.
    pub name: String,
    /// The type that it is meant to have, where the configuration says one: `"day date"`.
    pub kind: Option<String>,
}

/// `for_each` of a warmer: the statement that gives one row per key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForEach {
    /// The statement; it has no parameters.
    pub sql: Sql,
    /// The columns of its rows that become the arrays `$1`, `$2`, … of the loader, in this order.
    pub params: Vec<Param>,
}

impl Param {
    /// Reads `params`, if it is written and can be read.
    pub(super) fn read_all(section: &mut Section<'_>) -> Option<Vec<Self>> {
        let params = section.parsed_each("params", Self::parse);
        let params = params?;
        let distinct: BTreeSet<_> = params.iter().map(|param| &param.name).collect();
        let problem = match (params.len(), distinct.len()) {
            (0, _) => "no column is named",
            (all, distinct) if distinct < all => "a column is named twice",
            _ => return Some(params),
        };
        section.report("params", problem, HELP);
        None
    }

    fn parse(text: &str) -> Result<Self, Complaint> {
        let (name, kind) = match text.trim().split_once(char::is_whitespace) {
            Some((name, kind)) => (name, Some(kind.trim().to_owned())),
            None => (text.trim(), None),
        };
        if name.is_empty() {
            return Err(Complaint::new("a column has no name", HELP));
        }
        Ok(Self { name: name.to_owned(), kind })
    }
}

impl ForEach {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let sql = Sql::read(section);
        let params = Param::read_all(section);
        if !section.has("params") {
            section.report_missing("needs `params`", HELP);
        }
        if let Some(sql) = &sql {
            check_placeholders(section, sql.key(), sql, 0, "nothing is bound to it");
        }
        Some(Self { sql: sql?, params: params? })
    }
}
