//! What a value in the cache is made of: a table, or the rows of it that have certain values.
//!
//! Written `flights`, `public.flights(origin, day)` or `flights(dep_airport as origin)`. Names are those of
//! Postgres: lower-case without quotes, anything between double quotes. No database is asked here.

use std::fmt;
use std::str::FromStr;

/// Postgres cuts longer names off without a word, in bytes.
const NAME_MAX: usize = 63;
/// The most columns that can choose rows.
const COLUMNS_MAX: usize = 16;

/// A table that a value depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// The table's schema, where it is said; else the search path decides.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// The columns whose values choose what depends on a row; none where everything depends on every row.
    pub columns: Vec<DepColumn>,
}

/// A column that chooses what depends on a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DepColumn {
    /// The column.
    pub column: String,
    /// The parameter of the cached value that has the column's value; called like the column where nothing
    /// else is said.
    pub param: String,
}

/// A text that names no table to depend on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no table to depend on: {why}")]
pub struct DependencyError {
    /// What was written.
    pub text: String,
    /// What is wrong with it, and how it would be right.
    pub why: String,
}

impl Dependency {
    /// Reads a dependency as people write it.
    ///
    /// # Errors
    /// The text is not in the form `schema.table(column, column as parameter)`.
    pub fn parse(text: &str) -> Result<Self, DependencyError> {
        let mut reader = Reader { rest: text.trim() };
        let read = reader.dependency();
        read.map_err(|why| DependencyError { text: text.chars().take(200).collect(), why })
    }

    /// What the change log calls this table and these columns, once it is known in which schema the table is:
    /// `table:public.flights(origin,day)`.
    pub fn log_name(&self, schema: &str) -> String {
        let columns: Vec<_> = self.columns.iter().map(|known| name(&known.column)).collect();
        let columns = if columns.is_empty() { String::new() } else { format!("({})", columns.join(",")) };
        format!("table:{}.{}{columns}", name(schema), name(&self.table))
    }
}

/// A name as it is written: in quotes where it needs them.
pub(super) fn name(name: &str) -> String {
    let bare = is_bare(name);
    if bare { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn is_bare(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(in_bare)
}

fn in_bare(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '$')
}

/// What has not been read yet.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn dependency(&mut self) -> Result<Dependency, String> {
        let first = self.name("table")?;
        let (schema, table) =
            if self.takes(".") { (Some(first), self.name("table")?) } else { (None, first) };
        let columns = if self.takes("(") { self.columns()? } else { Vec::new() };
        match self.rest {
            "" => Ok(Dependency { schema, table, columns }),
            rest => Err(format!("nothing was expected at `{}`", start_of(rest))),
        }
    }

    fn columns(&mut self) -> Result<Vec<DepColumn>, String> {
        let mut columns: Vec<DepColumn> = Vec::new();
        loop {
            let column = self.name("column")?;
            let param = if self.takes_word("as") { self.name("parameter")? } else { column.clone() };
            if columns.iter().any(|known| known.column == column) {
                return Err(format!("column `{}` is there twice", name(&column)));
            }
            if columns.iter().any(|known| known.param == param) {
                return Err(format!("parameter `{}` is there twice", name(&param)));
            }
            columns.push(DepColumn { column, param });
            if columns.len() > COLUMNS_MAX {
                return Err(format!("at most {COLUMNS_MAX} columns can choose rows"));
            }
            if self.takes(")") {
                return Ok(columns);
            }
            if !self.takes(",") {
                return Err(format!("`,` or `)` was expected at `{}`", start_of(self.rest)));
            }
        }
    }

    fn name(&mut self, what: &str) -> Result<String, String> {
        let name = match self.rest.strip_prefix('"') {
            Some(inside) => self.quoted(inside)?,
            None => self.bare(what)?,
        };
        if name.len() > NAME_MAX {
            return Err(format!("names in Postgres have at most {NAME_MAX} bytes"));
        }
        self.rest = self.rest.trim_start();
        Ok(name)
    }

    fn bare(&mut self, what: &str) -> Result<String, String> {
        let end = self.rest.find(|c| !in_bare(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let goes_on = rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        if goes_on || !is_bare(name) {
            let hint = "write names in lower case, or between double quotes";
            return Err(format!("the name of a {what} was expected at `{}`: {hint}", start_of(self.rest)));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// `inside` begins behind the opening quote. Two quotes stand for one.
    fn quoted(&mut self, inside: &str) -> Result<String, String> {
        let mut name = String::new();
        let mut chars = inside.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == '"' && chars.next_if(|(_, next)| *next == '"').is_none() {
                let begun = self.rest.len() - inside.len();
                self.rest = &self.rest[begun + at + 1..];
                return if name.is_empty() { Err("a name is empty".to_owned()) } else { Ok(name) };
            }
            if c.is_control() {
                return Err("a name has a control character".to_owned());
            }
            name.push(c);
        }
        Err("a closing quote is missing".to_owned())
    }

    fn takes(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let ends = |rest: &&str| rest.starts_with(|c: char| c.is_whitespace() || c == '"');
        let Some(rest) = self.rest.strip_prefix(word).filter(ends) else { return false };
        self.rest = rest.trim_start();
        true
    }
}

/// The beginning of what could not be read, for messages.
fn start_of(rest: &str) -> String {
    if rest.is_empty() { "the end".to_owned() } else { rest.chars().take(20).collect() }
}

impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        Self::parse(text)
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(out, "{}.", name(schema))?;
        }
        write!(out, "{}", name(&self.table))?;
        for (place, known) in self.columns.iter().enumerate() {
            write!(out, "{}{}", if place == 0 { "(" } else { ", " }, name(&known.column))?;
            if known.param != known.column {
                write!(out, " as {}", name(&known.param))?;
            }
        }
        write!(out, "{}", if self.columns.is_empty() { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_read_and_written_in_the_same_form() {
        for text in [
            "flights",
            "public.flights",
            "public.flights(origin, day)",
            "flights(dep_airport as origin)",
            "as(as as as_)",
            r#""Flüge"."Böse ""Namen"""("a,b" as x, "c)")"#,
        ] {
            let read = Dependency::parse(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(Dependency::parse(&read.to_string()), Ok(read));
        }
    }

    #[test]
    fn spaces_do_not_matter() {
        let read = Dependency::parse(" public . flights ( dep  as origin,day )  ").unwrap();
        assert_eq!(read.to_string(), "public.flights(dep as origin, day)");
        let read = Dependency::parse("flights(a as\"b\")").unwrap();
        assert_eq!(read.columns, [DepColumn { column: "a".to_owned(), param: "b".to_owned() }]);
    }

    #[test]
    fn the_log_calls_columns_by_their_own_names() {
        let name = |text: &str| Dependency::parse(text).unwrap().log_name("public");
        assert_eq!(name("flights"), "table:public.flights");
        assert_eq!(name("flights(dep as origin, day)"), "table:public.flights(dep,day)");
        assert_eq!(name(r#""My.Table"("a,b")"#), r#"table:public."My.Table"("a,b")"#);
    }

    #[test]
    fn what_names_no_table_is_refused_with_what_to_write() {
        for (text, why) in [
            ("", "the name of a table was expected at `the end`"),
            ("Flights", "in lower case, or between double quotes"),
            ("flights-2026", "in lower case, or between double quotes"),
            ("flüge", "in lower case, or between double quotes"),
            ("1a", "the name of a table was expected at `1a`"),
            ("a.b.c", "nothing was expected at `.c`"),
            ("a b", "nothing was expected at `b`"),
            ("a()", "the name of a column was expected at `)`"),
            ("a(b", "`,` or `)` was expected at `the end`"),
            ("a(b c)", "`,` or `)` was expected at `c)`"),
            ("a(b,)", "the name of a column was expected at `)`"),
            ("a(b as )", "the name of a parameter was expected at `)`"),
            ("a(b, b)", "column `b` is there twice"),
            ("a(b as x, c as x)", "parameter `x` is there twice"),
            ("\"a", "a closing quote is missing"),
            ("\"\"", "a name is empty"),
            ("\"a\nb\"", "a control character"),
            (&"a".repeat(64), "at most 63 bytes"),
            ("a(a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q)", "at most 16 columns"),
        ] {
            let error = Dependency::parse(text).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }
}
