//! What is computed of the rows of a group: `sum(total) filter (where paid)`.

use crate::config::complaint::Complaint;

const HELP: &str = "write one of count(*), count(x), sum(x), avg(x), min(x), max(x), distinct(x), percentile(0.9, x), \
                    each with ` filter (where …)` behind it where that is meant";

/// A measure of the rows of a group. Expressions are SQL over one row of the source.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Measure {
    /// What is done with the values.
    pub function: Function,
    /// The value of a row; none counts rows.
    pub value: Option<String>,
    /// Which rows count; all where nothing is said.
    pub filter: Option<String>,
}

/// What is done with the values of a group. NULLs are left out, as SQL does.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// How many there are.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many different ones there are.
    Distinct,
    /// Below which so large a part of them lies, a number between 0 and 1 as it was written; with interpolation.
    Percentile(String),
}

impl Measure {
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        Self::read(text).ok_or_else(|| Complaint::new(format!("`{text}` is no measure"), HELP))
    }

    fn read(text: &str) -> Option<Self> {
        let (word, rest) = text.trim().split_once('(')?;
        let (inside, rest) = up_to_closing(rest)?;
        let filter = match rest.trim() {
            "" => None,
            rest => Some(filter(rest)?),
        };
        let inside = inside.trim();
        let word = word.trim().to_ascii_lowercase();
        let (function, value) = match word.as_str() {
            "count" if inside == "*" => return Some(Self { function: Function::Count, value: None, filter }),
            "count" => (Function::Count, inside),
            "sum" => (Function::Sum, inside),
            "avg" => (Function::Avg, inside),
            "min" => (Function::Min, inside),
            "max" => (Function::Max, inside),
            "distinct" => (Function::Distinct, inside),
            "percentile" => {
                let (share, value) = inside.split_once(',')?;
                let share = share.trim();
                let is_share = share.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share));
                let is_plain = share.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                (is_share && is_plain).then_some((Function::Percentile(share.to_owned()), value))?
            }
            _ => return None,
        };
        let value = Some(expression(value)?);
        Some(Self { function, value, filter })
    }

    /// Whether it can be kept by adding and subtracting what changed.
    pub fn is_additive(&self) -> bool {
        matches!(self.function, Function::Count | Function::Sum | Function::Avg)
    }
}

/// ` filter (where …)`.
fn filter(text: &str) -> Option<String> {
    let rest = strip_word(text, "filter")?.strip_prefix('(')?;
    let (inside, rest) = up_to_closing(rest)?;
    let condition = expression(strip_word(inside.trim(), "where")?)?;
    rest.trim().is_empty().then_some(condition)
}

fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then(|| rest.trim_start())
}

/// An expression that can stand between brackets: nothing in it ends them, or makes a comment of what follows.
pub(in crate::config) fn expression(text: &str) -> Option<String> {
    let text = text.trim();
    let (inside, rest) = up_to_closing_of(text, true)?;
    (!inside.is_empty() && rest.is_empty()).then(|| inside.to_owned())
}

fn up_to_closing(text: &str) -> Option<(&str, &str)> {
    up_to_closing_of(text, false)
}

/// What stands before the bracket that closes one which is open already, and what stands behind it; or everything,
/// where none is open.
fn up_to_closing_of(text: &str, is_whole: bool) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '(' | '[' => depth += 1,
            ')' if depth == 0 && !is_whole => return Some((&text[..at], &text[at + 1..])),
            ')' | ']' => depth = depth.checked_sub(1)?,
            // Two of them in a text stand for one, and look here like two texts.
            '\'' | '"' => {
                chars.by_ref().find(|(_, other)| *other == c)?;
            }
            '-' if chars.peek().is_some_and(|(_, next)| *next == '-') => return None,
            '/' if chars.peek().is_some_and(|(_, next)| *next == '*') => return None,
            ';' | '$' | '\0' => return None,
            _ => {}
        }
    }
    (is_whole && depth == 0).then_some((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(function: Function, value: Option<&str>, filter: Option<&str>) -> Measure {
        Measure { function, value: value.map(ToOwned::to_owned), filter: filter.map(ToOwned::to_owned) }
    }

    #[test]
    fn measures_are_read_as_people_write_them() {
        for (text, expected) in [
            ("count(*)", measure(Function::Count, None, None)),
            ("count( * ) filter (where cancelled)", measure(Function::Count, None, Some("cancelled"))),
            ("COUNT(tailnum)", measure(Function::Count, Some("tailnum"), None)),
            ("sum(coalesce(total, 0) * 2)", measure(Function::Sum, Some("coalesce(total, 0) * 2"), None)),
            ("avg(x) FILTER (WHERE (y) > 0)", measure(Function::Avg, Some("x"), Some("(y) > 0"))),
            (
                "max(case when a = ')' then b end)",
                measure(Function::Max, Some("case when a = ')' then b end"), None),
            ),
            ("distinct(\"odd)name\")", measure(Function::Distinct, Some("\"odd)name\""), None)),
            (
                "percentile(0.95, arr_delay)",
                measure(Function::Percentile("0.95".to_owned()), Some("arr_delay"), None),
            ),
        ] {
            assert_eq!(Measure::parse(text).ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_measure_is_refused() {
        for text in [
            "",
            "count",
            "count(",
            "count()",
            "sum(*",
            "median(x)",
            "sum(x) + 1",
            "percentile(x)",
            "percentile(2, x)",
            "percentile(1e-1, x)",
            "sum(x))",
            "sum(x) filter (x)",
            "sum(x) filter (where )",
            "sum(x -- y)",
            "sum(x /* */)",
            "sum(x; drop table y)",
            "sum('x)",
            "sum($1)",
        ] {
            assert!(Measure::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_expression_keeps_to_itself() {
        assert_eq!(expression(" a and (b or c) ").as_deref(), Some("a and (b or c)"));
        for text in ["", "a) or (b", "(a", "a -- b", "a; b", "'a"] {
            assert_eq!(expression(text), None, "{text}");
        }
    }
}
