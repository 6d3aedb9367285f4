//! What people read: groups and log together, which in every snapshot is what the source says.

use brasa_shared::config::Function;
use brasa_shared::db::{literal, quoted};

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::fold::again;
use crate::aggregates::sql::rows::{added, bare_keys, list};

/// The groups as of now, with what is kept of them: `key`, `n`, ….
pub(super) fn live(shape: &Shape) -> String {
    let (groups, log) = (shape.groups(), shape.log());
    let kind = shape.time.sql();
    let names = list(shape, |kept| kept.name.clone());
    let state = format!(
        "state as materialized (select built_from::{kind} as built, frozen_until::{kind} as frozen from brasa.aggregates \
         where name = {} and version = {})",
        literal(&shape.name),
        shape.version
    );
    let is_all = format!("(select exists (select from {log} where kind = 'a'))");
    let dirty = format!(
        "dirty as materialized (select key from {log} where kind = 'r' union select key from (select key from {groups} \
         union all select key from {log} where kind <> 'a') as known where {is_all})"
    );
    let built = "(select built from state)";
    let frozen = "(select frozen from state)";
    // Of a bucket that stays as it is, nothing is unknown.
    let clean = format!("((key).b < {frozen} or key not in (select key from dirty))");
    // Rows of transactions that may still be under way, as far as the reader sees them.
    let pending = if shape.definition.xid.is_some() {
        format!(
            " union all select key, n{names} from {}() as come where (key).b >= {frozen}",
            shape.function("pending")
        )
    } else {
        String::new()
    };
    let still = if shape.is_delta {
        let sums = list(shape, |kept| format!("sum({0})::{1} as {0}", kept.name, kept.kind));
        format!(
            "select key, sum(n)::bigint as n{sums} from (select key, n{names} from {groups} union all select key, \
             n{names} from {log} where kind = 'd' and (key).b >= {frozen}{pending}) as parts where (key).b >= {built} and {clean} \
             group by key having sum(n) <> 0"
        )
    } else {
        format!("select key, n{names} from {groups} where (key).b >= {built} and {clean}")
    };
    // Only where something is unknown: should the source not be what it was, all else can still be read.
    let again = format!(
        "select key, n{names} from (select array(select key from dirty where (key).b >= {frozen} and (key).b >= {built}) as \
         keys, {is_all} as is_all) as unknown cross join lateral {}(unknown.keys, unknown.is_all) as fresh where \
         (cardinality(unknown.keys) > 0 or unknown.is_all) and (key).b >= {frozen} and (key).b >= {built}",
        shape.function("again")
    );
    format!("with {state}, {dirty} {still} union all {again}")
}

/// The functions that look at the source for the view: one computes groups again, and where rows are only ever added, one
/// finds those that are not in the groups yet. The view itself names nothing of the source, so that it stands in the way of
/// no migration. They have the rights of who reads.
pub(in crate::aggregates) fn create_readers(shape: &Shape) -> Vec<String> {
    let beginning = format!("'-infinity'::{}", shape.time.sql());
    let again = again(shape, "dirty", &beginning, None);
    let again = format!(
        "with dirty as materialized (select unnest($1) as key union select key from ({}) as known where $2) {again}",
        bare_keys(shape)
    );
    let asked = format!("{}[], bool", shape.key_type());
    let mut readers = vec![create_reader(shape, "again", &asked, &again)];
    if let Some(xid) = &shape.definition.xid {
        let from = format!(
            "(select read_until::xid8 from brasa.aggregates where name = {} and version = {})",
            literal(&shape.name),
            shape.version
        );
        readers.push(create_reader(shape, "pending", "", &added(shape, xid, &from, None)));
    }
    readers
}

fn create_reader(shape: &Shape, name: &str, takes: &str, query: &str) -> String {
    let mut tag = "$brasa$".to_owned();
    while query.contains(&tag) {
        tag.insert(1, '_');
    }
    format!(
        "create function {}({takes}) returns setof {} language plpgsql stable\nset search_path = pg_catalog, pg_temp\nas \
         {tag}\n#variable_conflict use_column\nbegin\n    return query {query};\nend\n{tag}",
        shape.function(name),
        shape.groups()
    )
}

/// What people see of groups: their bucket, the columns of `by`, and the measures by their names.
pub(in crate::aggregates) fn shown(shape: &Shape, from: &str) -> String {
    let mut columns = vec!["(key).b as bucket".to_owned()];
    let by = shape.definition.by.iter().enumerate();
    columns.extend(by.map(|(place, column)| format!("(key).g{place} as {}", quoted(column))));
    for (place, (name, measure)) in shape.definition.measures.iter().enumerate() {
        let value = match &measure.function {
            Function::Count if measure.value.is_none() && measure.filter.is_none() => "n".to_owned(),
            _ if !shape.is_delta => format!("v{place}"),
            Function::Sum => format!("case when c{place} > 0 then s{place} end"),
            Function::Avg if shape.is_float(place) => format!("s{place} / nullif(c{place}, 0)"),
            Function::Avg => format!("s{place}::numeric / nullif(c{place}, 0)"),
            _ => format!("c{place}"),
        };
        columns.push(format!("{value} as {}", quoted(name)));
    }
    format!("select {} from ({from}) as live", columns.join(", "))
}

/// Makes the view, or has it show this version.
pub(in crate::aggregates) fn create_view(shape: &Shape) -> Vec<String> {
    let view = shape.view();
    vec![
        drop_view(shape),
        format!("create view {view} as {}", shown(shape, &live(shape))),
        format!(
            "comment on view {view} is {}",
            literal(&format!("The aggregate {} of Brasa, exact in every snapshot.", shape.name))
        ),
    ]
}

/// Takes the view away.
pub(in crate::aggregates) fn drop_view(shape: &Shape) -> String {
    format!("drop view if exists {}", shape.view())
}
