//! Comparing what is known with what the source says, in one snapshot.

use brasa_shared::db::literal;

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::rows::{each_between, grouped, list};
use crate::aggregates::sql::view::live;

/// The groups of buckets from `from` on and before `to` that are not what the source says, up to `most` of them, as
/// texts: the key, what is known, and what is true. And how many were compared.
pub(in crate::aggregates) fn differences(shape: &Shape, from: &str, to: &str, most: usize) -> String {
    let kind = shape.time.sql();
    let (from, to) = (format!("{}::{kind}", literal(from)), format!("{}::{kind}", literal(to)));
    let names = list(shape, |kept| kept.name.clone());
    let differs: String = shape
        .kept
        .iter()
        .map(|kept| {
            let (known, real) = (format!("known.{}", kept.name), format!("real.{}", kept.name));
            if kept.is_float() {
                format!(
                    " or ({known} is null) <> ({real} is null) or abs({known} - {real}) > 1e-9 * greatest(abs({known}), \
                     abs({real}), 1)"
                )
            } else {
                format!(" or {known} is distinct from {real}")
            }
        })
        .collect();
    format!(
        "with known as materialized (select * from ({}) as live where (key).b >= {from} and (key).b < {to}), real as \
         materialized ({}), pairs as (select coalesce(known.key, real.key) as key, known.key is distinct from real.key or \
         known.n is distinct from real.n{differs} as is_wrong, row(known.n{known}) as was, row(real.n{real}) as is_so from \
         known full join real on known.key = real.key) select (select count(*) from pairs) as compared, (select count(*) \
         from pairs where is_wrong) as wrong, array(select key::text || ': ' || was::text || ' instead of ' || is_so::text \
         from pairs where is_wrong limit {most}) as examples",
        live(shape),
        grouped(shape, &each_between(shape, &from, &to, None)),
        known = prefixed(&names, "known"),
        real = prefixed(&names, "real"),
    )
}

fn prefixed(names: &str, table: &str) -> String {
    names.replace(", ", &format!(", {table}."))
}

/// Has all groups of these buckets computed again.
pub(in crate::aggregates) fn mark_range(shape: &Shape, from: &str, to: &str) -> String {
    let kind = shape.time.sql();
    let (from, to) = (format!("{}::{kind}", literal(from)), format!("{}::{kind}", literal(to)));
    format!(
        "insert into {} (kind, key) select 'r', key from (select key from ({}) as known where (key).b >= {from} and \
         (key).b < {to} union select key from ({}) as real) as all_of_them",
        shape.log(),
        live(shape),
        grouped(shape, &each_between(shape, &from, &to, None))
    )
}
