//! Scans of whole tables in a plan, and the columns that an index would find the same rows by.

use serde_json::Value;

use super::harmless::quoted;

/// A scan of a whole table for a few rows, in the plan of a statement that costs much.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scan {
    /// The statement's fingerprint.
    pub statement: String,
    /// Its share of the time of all statements, between 0 and 1.
    pub share: f64,
    /// How often it ran.
    pub calls: i64,
    /// How long a call took in the mean, in ms.
    pub mean_ms: f64,
    /// The schema, as it is called.
    pub schema: String,
    /// The table without its schema, as it is called.
    pub table: String,
    /// How many rows the planner expects it to give.
    pub kept: f64,
    /// What the rows are chosen by.
    pub conditions: Vec<Condition>,
}

/// A column that rows are chosen by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition {
    /// The column, as it is called.
    pub column: String,
    /// It is compared with `=`, and not with `<` and the like.
    pub is_equal: bool,
    /// How many values it has, as ANALYZE says: a share of the rows where it is below zero. 0 where it is not known.
    pub distinct: f64,
    /// It is compared as a text: an index finds it only where it is a `varchar`.
    pub is_cast: bool,
}

/// The scans of whole tables in a plan that choose rows by columns which an index can find them by.
pub(super) fn scans(plan: &Value) -> Vec<Scan> {
    let (mut found, mut open) = (Vec::new(), vec![plan]);
    while let Some(node) = open.pop() {
        open.extend(node.get("Plans").and_then(Value::as_array).into_iter().flatten());
        let text = |name: &str| node.get(name).and_then(Value::as_str);
        let is_scan = text("Node Type") == Some("Seq Scan");
        let (Some(schema), Some(table), Some(alias), Some(filter), true) =
            (text("Schema"), text("Relation Name"), text("Alias"), text("Filter"), is_scan)
        else {
            continue;
        };
        if let Some(conditions) = conditions(filter, alias) {
            let kept = node.get("Plan Rows").and_then(Value::as_f64).unwrap_or_default();
            let (schema, table) = (schema.to_owned(), table.to_owned());
            found.push(Scan { schema, table, kept, conditions, ..Scan::default() });
        }
    }
    found
}

/// The columns of a filter, as EXPLAIN writes it, all of which rows must pass. None where it is more than that.
fn conditions(filter: &str, alias: &str) -> Option<Vec<Condition>> {
    let parts = conjuncts(stripped(filter))?;
    let mut found: Vec<Condition> = Vec::new();
    for condition in parts.into_iter().filter_map(|part| condition(stripped(part), alias)) {
        match found.iter_mut().find(|known| known.column == condition.column) {
            // Where either can be found, that will do.
            Some(known) if known.is_cast && !condition.is_cast => *known = condition,
            Some(known) if known.is_cast == condition.is_cast => known.is_equal |= condition.is_equal,
            Some(_) => {}
            None => found.push(condition),
        }
    }
    Some(found).filter(|found| !found.is_empty())
}

/// `alias.column = …`; of texts with a length, `(alias.column)::text = …`.
fn condition(text: &str, alias: &str) -> Option<Condition> {
    let (left, operator, right) = ["=", "<=", ">=", "<", ">"].into_iter().find_map(|operator| {
        let (left, right) = text.split_once(&format!(" {operator} "))?;
        Some((left, operator, right))
    })?;
    let cast = left.strip_suffix("::text");
    let left = cast.map_or(left, stripped);
    let (of, rest) = name(left)?;
    let (column, rest) = name(rest.strip_prefix('.')?)?;
    // Compared with another column of the same row, no index finds it.
    let is_of_row = right.contains(&format!("{alias}.")) || right.contains(&format!("\"{alias}\"."));
    let is_plain = of == alias && rest.is_empty() && !is_of_row;
    let is_equal = operator == "=";
    is_plain.then_some(Condition { column, is_equal, distinct: 0.0, is_cast: cast.is_some() })
}

/// A name at the beginning, with or without quotes, and what is behind it.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('"') {
        return quoted(rest);
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// Without the parentheses around all of it.
fn stripped(text: &str) -> &str {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    match inner {
        Some(inner) if is_whole(inner) => stripped(inner),
        _ => text,
    }
}

/// Whether each parenthesis that ends in it began in it.
fn is_whole(text: &str) -> bool {
    let mut depth = 0_i32;
    outside_quotes(text).all(|(_, c)| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth >= 0
    })
}

/// What is joined by AND; none where an OR is among it.
fn conjuncts(text: &str) -> Option<Vec<&str>> {
    let (mut depth, mut from, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in outside_quotes(text) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        let rest = text.get(at..)?;
        if depth == 0 && rest.starts_with(" OR ") {
            return None;
        }
        if depth == 0 && rest.starts_with(" AND ") {
            parts.push(text.get(from..at)?);
            from = at + " AND ".len();
        }
    }
    parts.push(text.get(from..)?);
    Some(parts)
}

/// The characters that are not in quotes, with their places.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    text.char_indices().filter(move |&(_, c)| {
        let is_inside = quote.is_some();
        match quote {
            Some(open) if open == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => {}
        }
        !is_inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(filter: &str, alias: &str) -> Option<Vec<(String, bool)>> {
        let found = conditions(filter, alias)?;
        Some(found.into_iter().map(|one| (one.column, one.is_equal)).collect())
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be none")]
    fn columns(names: &[(&str, bool)]) -> Option<Vec<(String, bool)>> {
        Some(names.iter().map(|(name, is_equal)| ((*name).to_owned(), *is_equal)).collect())
    }

    #[test]
    fn columns_are_read_from_a_filter_as_explain_writes_it() {
        assert_eq!(found("(o.customer = $1)", "o"), columns(&[("customer", true)]));
        assert_eq!(
            found("((o.at >= $1) AND (o.at < $2) AND ((o.state)::text = ($3)::text))", "o"),
            columns(&[("at", false), ("state", true)])
        );
        assert_eq!(found("(o.\"Odd \"\"Name\" = ANY ($1))", "o"), columns(&[("Odd \"Name", true)]));
        assert_eq!(found("(\"My T\".id = 'a AND b OR c'::text)", "My T"), columns(&[("id", true)]));
    }

    #[test]
    fn a_column_that_is_compared_as_a_text_is_marked() {
        let found = conditions("(((t.k)::text = $1) AND (t.v = $2))", "t").unwrap();
        assert_eq!(found.iter().map(|one| one.is_cast).collect::<Vec<_>>(), [true, false]);
        let found = conditions("(((t.k)::text = $1) AND (t.k > $2))", "t").unwrap();
        assert_eq!((found.len(), found[0].is_cast, found[0].is_equal), (1, false, false));
    }

    #[test]
    fn what_no_index_on_columns_finds_is_left_out() {
        assert_eq!(found("((o.a = $1) OR (o.b = $2))", "o"), None);
        assert_eq!(found("(lower(o.mail) = $1)", "o"), None);
        assert_eq!(found("(o.a = o.b)", "o"), None);
        assert_eq!(found("(o.a IS NULL)", "o"), None);
        assert_eq!(found("(o.name ~~ $1)", "o"), None);
        assert_eq!(found("(p.a = $1)", "o"), None);
        assert_eq!(found("((o.a = $1) AND ((o.b = $2) OR (o.c = $3)))", "o"), columns(&[("a", true)]));
    }

    #[test]
    fn scans_are_found_wherever_they_are_in_a_plan() {
        let plan = serde_json::json!({ "Node Type": "Limit", "Plans": [
            { "Node Type": "Seq Scan", "Schema": "public", "Relation Name": "orders", "Alias": "o",
              "Filter": "(o.customer = $1)", "Plan Rows": 5 },
            { "Node Type": "Index Scan", "Schema": "public", "Relation Name": "x", "Alias": "x",
                "Filter": "(x.a = $1)" },
            { "Node Type": "Seq Scan", "Schema": "public", "Relation Name": "x", "Alias": "x" },
        ]});
        let scans = scans(&plan);
        assert_eq!(scans.len(), 1);
        assert_eq!((scans[0].table.as_str(), scans[0].kept), ("orders", 5.0));
    }
}
