//! Rows of a source, and what becomes of them.

use brasa_shared::config::{Function, Measure};
use brasa_shared::db::quoted;

use crate::aggregates::shape::{Kept, Shape};

/// Rows of the source or of a transition table: their bucket `b`, their groups `g0`, `g1`, … and their values `x0`,
/// `x1`, …; `more` is what is selected beside that, and `condition` a further one.
pub(super) fn each(shape: &Shape, from: &str, more: &str, condition: Option<&str>) -> String {
    let mut columns = places(shape);
    let values = shape.definition.measures.values().enumerate();
    columns.extend(values.map(|(place, measure)| format!("{} as x{place}", value(measure))));
    let mut conditions = vec![is_time(shape)];
    conditions.extend(shape.definition.filter.iter().map(|filter| format!("({filter})")));
    conditions.extend(condition.map(ToOwned::to_owned));
    format!(
        "select {more}{} from {from} as {} where {}",
        columns.join(", "),
        shape.alias(),
        conditions.join(" and ")
    )
}

/// Buckets and groups alone, which no expression can spoil, of rows that may not count.
pub(super) fn bare(shape: &Shape, from: &str) -> String {
    format!("select {} from {from} as {} where {}", places(shape).join(", "), shape.alias(), is_time(shape))
}

/// The keys of all groups that the source may have.
pub(super) fn bare_keys(shape: &Shape) -> String {
    format!("select distinct {} as key from ({}) as rows", key(shape), bare(shape, &shape.source))
}

fn places(shape: &Shape) -> Vec<String> {
    let bucket = format!("{} as b", shape.buckets().of(&quoted(&shape.definition.time)));
    let by = shape.definition.by.iter().enumerate();
    let by = by.map(|(place, column)| format!("{} as g{place}", quoted(column)));
    [bucket].into_iter().chain(by).collect()
}

/// The same of the source, as far as rows are in buckets from `from` on and before `to`. Where rows are only ever added:
/// as far as they were by transactions before `until`, where that is said.
pub(super) fn each_between(shape: &Shape, from: &str, to: &str, until: Option<&str>) -> String {
    let time = quoted(&shape.definition.time);
    let (slack, bucket) = (shape.buckets().slack(), shape.buckets().of(&time));
    let before = match (&shape.definition.xid, until) {
        (Some(xid), Some(until)) => {
            let xid = quoted(xid);
            // Rows from before there was such a column have none.
            format!(" and ({xid} < {until} or {xid} is null)")
        }
        _ => String::new(),
    };
    let condition = format!(
        "{time} >= {from} - {slack} and {time} < {to} + {slack} and {bucket} >= {from} and {bucket} < {to}{before}"
    );
    each(shape, &shape.source, "", Some(&condition))
}

/// The groups of rows of the source that were added by transactions from `from` on, and before `until` where that is said.
pub(super) fn added(shape: &Shape, xid: &str, from: &str, until: Option<&str>) -> String {
    let xid = quoted(xid);
    let before = until.map_or_else(String::new, |until| format!(" and {xid} < {until}"));
    grouped(shape, &each(shape, &shape.source, "", Some(&format!("{xid} >= {from}{before}"))))
}

/// Whether a row has a time, and one behind which there is another bucket.
fn is_time(shape: &Shape) -> String {
    let (time, kind) = (quoted(&shape.definition.time), shape.time.sql());
    format!("{time} is not null and isfinite({time}) and {time} < '290000-01-01'::{kind}")
}

/// What a row gives to a measure: NULL where it does not count.
pub(super) fn value(measure: &Measure) -> String {
    let value = measure.value.as_deref().map_or_else(|| "1".to_owned(), |value| format!("({value})"));
    match &measure.filter {
        None => value,
        Some(filter) => format!("case when ({filter}) then {value} end"),
    }
}

/// The groups of rows that [`each`] gives: `key`, `n` and everything that is kept of them.
pub(super) fn grouped(shape: &Shape, rows: &str) -> String {
    let kept = list(shape, |kept| format!("{} as {}", of_group(shape, kept), kept.name));
    format!(
        "select {} as key, count(*) as n{kept} from ({rows}) as rows group by {}",
        key(shape),
        keys(shape)
    )
}

/// The key of a group.
pub(super) fn key(shape: &Shape) -> String {
    format!("row({})::{}", keys(shape), shape.key_type())
}

/// `b, g0, g1`.
pub(super) fn keys(shape: &Shape) -> String {
    let by = (0..shape.definition.by.len()).map(|place| format!(", g{place}"));
    format!("b{}", by.collect::<String>())
}

/// `, c0, s0, …` with something before each.
pub(super) fn list(shape: &Shape, of: impl Fn(&Kept) -> String) -> String {
    shape.kept.iter().fold(String::new(), |text, kept| text + ", " + &of(kept))
}

fn of_group(shape: &Shape, kept: &Kept) -> String {
    let x = format!("x{}", kept.of);
    if shape.is_delta {
        return if kept.is_count {
            format!("count({x})")
        } else {
            format!("coalesce(sum({x}), 0)::{}", kept.kind)
        };
    }
    match shape.definition.measures.values().nth(kept.of).map(|measure| &measure.function) {
        Some(Function::Sum) => format!("sum({x})"),
        Some(Function::Avg) => format!("avg({x})"),
        Some(Function::Min) => format!("min({x})"),
        Some(Function::Max) => format!("max({x})"),
        Some(Function::Distinct) => format!("count(distinct {x})"),
        Some(Function::Percentile(part)) => format!("percentile_cont({part}) within group (order by {x})"),
        Some(Function::Count) | None => format!("count({x})"),
    }
}

/// What shows how Postgres understands a measure: `value` and `result`.
pub(in crate::aggregates) fn sample(source: &str, alias: &str, measure: &Measure) -> [String; 2] {
    let value = value(measure);
    let result = match &measure.function {
        Function::Count => "count(x)".to_owned(),
        Function::Sum => "sum(x)".to_owned(),
        Function::Avg => "avg(x)".to_owned(),
        Function::Min => "min(x)".to_owned(),
        Function::Max => "max(x)".to_owned(),
        Function::Distinct => "count(distinct x)".to_owned(),
        Function::Percentile(share) => format!("percentile_cont({share}) within group (order by x)"),
    };
    let from = format!("from {source} as {alias}");
    [
        format!("select {value} as x {from}"),
        format!("select {result} as x from (select {value} as x {from}) as rows"),
    ]
}

/// Statements that fail where an expression looks at more than its row, or depends on what a session sets: what Postgres
/// does not let into an index cannot be kept here either.
pub(in crate::aggregates) fn probe(source: &str, alias: &str, expression: &str) -> [String; 2] {
    [
        format!("create temporary table {alias} (like {source}) on commit drop"),
        format!("create index on pg_temp.{alias} ((1)) where (({expression})) is not null"),
    ]
}
