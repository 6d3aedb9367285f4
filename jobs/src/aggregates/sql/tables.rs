//! The tables of a version of an aggregate: its groups, and the log of what changed.

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::rows::list;
use crate::aggregates::sql::view::create_readers;

/// What makes the tables of a version.
pub(in crate::aggregates) fn create_tables(shape: &Shape) -> Vec<String> {
    let (key_type, groups, log) = (shape.key_type(), shape.groups(), shape.log());
    let by = shape.by_kinds.iter().enumerate().map(|(place, kind)| format!(", g{place} {kind}"));
    let by: String = by.collect();
    let kept = list(shape, |kept| format!("{} {}", kept.name, kept.kind));
    let logged = if shape.is_delta { kept.as_str() } else { "" };
    let steady = "autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, \
                  autovacuum_vacuum_cost_delay = 0, vacuum_truncate = false";
    let mut statements = vec![
        // A NULL in a group is a value like others, which composite types compare as such.
        format!("create type {key_type} as (b {}{by})", shape.time.sql()),
        // No index has anything that a fold changes, so that rows are changed in place.
        format!(
            "create table {groups} (key {key_type} primary key, n bigint not null{kept}) with (fillfactor = 70)"
        ),
        format!("create index on {groups} (((key).b))"),
        // `d` is what changed in a group, `r` one that is to be computed again, `a` all of them. They add up in any
        // order; an index would cost the application's statements a sixth of what they pay.
        format!(
            "create table {log} (kind \"char\" not null, key {key_type}, n bigint{logged}, at timestamptz not null \
             default clock_timestamp()) with ({steady})"
        ),
        // Where everything is published to subscribers, rows without a key could not be deleted.
        format!("alter table {log} replica identity full"),
        format!("comment on table {groups} is 'Groups of an aggregate of Brasa. Read {}.'", shape.view()),
        format!("comment on table {log} is 'What changed and is not in the groups yet. Do not write here.'"),
    ];
    statements.extend(create_readers(shape));
    statements
}

/// What takes a version away, with its triggers wherever they are.
pub(in crate::aggregates) fn drop_tables(shape: &Shape) -> Vec<String> {
    let functions = super::EVENTS.iter().map(|event| shape.function(event));
    let mut statements: Vec<String> =
        functions.map(|function| format!("drop function if exists {function}() cascade")).collect();
    statements.push(format!(
        "drop function if exists {}({}[], bool)",
        shape.function("again"),
        shape.key_type()
    ));
    statements.push(format!("drop function if exists {}()", shape.function("pending")));
    statements.push(format!("drop table if exists {}, {}", shape.log(), shape.groups()));
    statements.push(format!("drop type if exists {}", shape.key_type()));
    statements
}
