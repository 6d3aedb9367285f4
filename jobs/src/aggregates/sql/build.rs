//! Computing buckets from the source, newest first.

use brasa_shared::db::{literal, quoted};

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::fold::replace;
use crate::aggregates::sql::rows::{each_between, grouped};

/// Keeps the source as it is for a transaction, which is to begin with it: a table that is being rewritten looks empty to
/// a snapshot from before. Whoever rewrites it is not waited for.
pub(in crate::aggregates) fn hold_source(shape: &Shape) -> [String; 2] {
    [
        "set local lock_timeout = '50ms'".to_owned(),
        format!("lock table {} in access share mode", shape.source),
    ]
}

/// The bucket from which on there is to be computed next, so that so many are that end with the one of the newest row
/// before `before`. No row where there is none.
pub(in crate::aggregates) fn next_from(
    shape: &Shape,
    before: &str,
    frozen_until: &str,
    count: u32,
) -> String {
    let (time, kind, buckets) = (quoted(&shape.definition.time), shape.time.sql(), shape.buckets());
    let (before, slack) = (format!("{}::{kind}", literal(before)), buckets.slack());
    let (bucket, frozen) = (buckets.of(&time), format!("{}::{kind}", literal(frozen_until)));
    let back = format!("(newest - {} * {})::{kind}", buckets.span(), count.saturating_sub(1));
    format!(
        "select to_json(greatest({}, {frozen})) #>> '{{}}' as bucket from (select {bucket} as newest from {} as {} where \
         {time} < {before} + {slack} and {time} >= {frozen} - {slack} and isfinite({time}) and {bucket} < {before} and \
         {bucket} >= {frozen} order by {time} desc limit 1) as last",
        buckets.of(&back),
        shape.source,
        shape.alias()
    )
}

/// Computes the buckets from `from` on and before `to`: what the log says of them goes with it, since it is in what is
/// computed. Where rows are only ever added, those of transactions from `until` on come later.
pub(in crate::aggregates) fn build_chunk(shape: &Shape, from: &str, to: &str, until: &str) -> String {
    let kind = shape.time.sql();
    let (from, to) = (format!("{}::{kind}", literal(from)), format!("{}::{kind}", literal(to)));
    let within = format!("(key).b >= {from} and (key).b < {to}");
    format!(
        "with gone as (delete from {} where {within} returning kind), fresh as materialized ({}), replaced as ({}), emptied \
         as (delete from {} where {within} and key not in (select key from fresh) returning key) select (select count(*) \
         from gone) as rows, (select count(*) from replaced) as groups, (select count(*) from emptied) as emptied",
        shape.log(),
        grouped(shape, &each_between(shape, &from, &to, Some(&format!("{}::xid8", literal(until))))),
        replace(shape, "fresh"),
        shape.groups()
    )
}
