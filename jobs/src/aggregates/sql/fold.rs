//! Moving what changed into the groups: one statement, one snapshot.

use brasa_shared::db::{literal, quoted};

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::board;
use crate::aggregates::sql::rows::{each_between, grouped, list};

/// Whether nothing changed.
pub(in crate::aggregates) fn is_idle(shape: &Shape) -> String {
    format!("select not exists (select from {})", shape.log())
}

/// How many rows the log has, and for how many seconds the first of them has been there.
pub(in crate::aggregates) fn waiting(shape: &Shape) -> String {
    format!(
        "select count(*) as rows, coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 as seconds from {}",
        shape.log()
    )
}

/// For how many seconds the first row of the log has been there; no row where there is none.
pub(in crate::aggregates) fn oldest(shape: &Shape) -> String {
    format!(
        "select extract(epoch from clock_timestamp() - at)::float8 as seconds from {} order by id limit 1",
        shape.log()
    )
}

/// What the next so many rows of the log are: how many, whether there are groups to be computed again among them, and
/// whether all are.
pub(in crate::aggregates) fn glance(shape: &Shape, most: usize) -> String {
    format!(
        "select count(*) as rows, coalesce(bool_or(kind = 'r'), false) as is_dirty, coalesce(bool_or(kind = 'a'), false) as \
         is_all from (select kind from {} order by id limit {most}) as next",
        shape.log()
    )
}

/// Makes of the word that all groups are unknown one for each that is known.
pub(in crate::aggregates) fn expand_all(shape: &Shape) -> Vec<String> {
    let (log, groups) = (shape.log(), shape.groups());
    vec![
        format!("delete from {log} where kind = 'a'"),
        format!(
            "insert into {log} (kind, key) select 'r', key from (select key from {groups} union select key from {log}) \
             as known"
        ),
    ]
}

/// What a fold is to do.
#[derive(Debug, Clone, Copy)]
pub(in crate::aggregates) struct FoldOf<'a> {
    /// So many rows of the log.
    pub(in crate::aggregates) most: usize,
    /// Whether there are groups among them that are to be computed again.
    pub(in crate::aggregates) is_dirty: bool,
    /// What is said of buckets before this one is left out.
    pub(in crate::aggregates) from: &'a str,
    /// The columns that a published key names, where something is published.
    pub(in crate::aggregates) published: Option<&'a [String]>,
    /// How many folds there were with this one.
    pub(in crate::aggregates) folds: i64,
}

/// Takes rows out of the log and puts what they say into the groups. Gives how many rows it took, how many groups it
/// touched, and how many rows came for buckets that are left out.
pub(in crate::aggregates) fn fold(shape: &Shape, of: FoldOf<'_>) -> String {
    let (log, groups) = (shape.log(), shape.groups());
    let from = format!("{}::{}", literal(of.from), shape.time.sql());
    let names = list(shape, |kept| kept.name.clone());
    let picked = format!("select id from {log} order by id limit {}", of.most);
    let mut parts = Vec::new();
    if of.is_dirty {
        parts.push(format!(
            "picked as materialized (select id, kind, key from {log} order by id limit {})",
            of.most
        ));
        parts.push("dirty as materialized (select distinct key from picked where kind = 'r')".to_owned());
        // All that is known of such a group goes with it: it is in what is computed.
        parts.push(format!(
            "gone as (delete from {log} where id in (select id from picked) or key in (select key from dirty) \
             returning *)"
        ));
    } else {
        parts.push(format!("gone as (delete from {log} where id = any (array({picked})) returning *)"));
    }
    let mut touched = Vec::new();
    if shape.is_delta {
        let sums = list(shape, |kept| format!("sum({0})::{1} as {0}", kept.name, kept.kind));
        let clean = if of.is_dirty { " and key not in (select key from dirty)" } else { "" };
        let sets = list(shape, |kept| format!("{0} = held.{0} + excluded.{0}", kept.name));
        // In one order, as all who write more than one group.
        parts.push(format!(
            "net as (select key, sum(n)::bigint as n{sums} from gone where kind = 'd' and (key).b >= {from}{clean} \
             group by key order by key)"
        ));
        parts.push(format!(
            "added as (insert into {groups} as held (key, n{names}) select key, n{names} from net on conflict (key) do \
             update set n = held.n + excluded.n{sets} returning key)"
        ));
        touched.push("added");
    }
    if of.is_dirty {
        parts.push(format!("fresh as materialized ({})", again(shape, "dirty", &from)));
        parts.push(format!("replaced as ({})", replace(shape, "fresh")));
        parts.push(format!(
            "emptied as (delete from {groups} where key in (select key from dirty where (key).b >= {from}) and key not \
             in (select key from fresh) returning key)"
        ));
        touched.extend(["replaced", "emptied"]);
    }
    let touched: Vec<String> = touched.iter().map(|part| format!("select key from {part}")).collect();
    parts.push(format!("touched as materialized ({})", touched.join(" union all ")));
    if let Some(columns) = of.published {
        parts.push(told(shape, columns, of.folds));
    }
    format!(
        "with {} select (select count(*) from gone) as rows, (select count(*) from touched) as groups, coalesce((select \
         sum(n) from gone where (key).b < {from} and n > 0), 0)::bigint as late",
        parts.join(", ")
    )
}

/// Notes what is to be published again.
fn told(shape: &Shape, columns: &[String], folds: i64) -> String {
    format!(
        "told as (insert into brasa.aggregate_outbox as held (name, params, version) select distinct {}, {}, {} from \
         touched order by 2 on conflict (name, params) do update set version = excluded.version)",
        literal(&shape.name),
        board::params(shape, columns),
        board::version(folds)
    )
}

/// The groups with these keys, computed again from the rows of their buckets; those that have none are not among them.
pub(super) fn again(shape: &Shape, dirty: &str, frozen: &str) -> String {
    let buckets = shape.buckets();
    let rows = each_between(shape, "known.b", &buckets.end("known.b"));
    let names = list(shape, |kept| format!("found.{}", kept.name));
    format!(
        "select found.key, found.n{names} from (select distinct (key).b as b from {dirty} where (key).b >= {frozen}) as \
         known cross join lateral ({}) as found where found.key in (select key from {dirty})",
        grouped(shape, &rows)
    )
}

/// Puts groups in the place of those that are there.
pub(super) fn replace(shape: &Shape, from: &str) -> String {
    let names = list(shape, |kept| kept.name.clone());
    let sets = list(shape, |kept| format!("{0} = excluded.{0}", kept.name));
    format!(
        "insert into {} as held (key, n{names}) select key, n{names} from {from} order by key on conflict (key) do update \
         set n = excluded.n{sets} returning key",
        shape.groups()
    )
}

/// Takes groups away that have no rows any more.
pub(in crate::aggregates) fn drop_empty(shape: &Shape) -> String {
    format!("delete from {} where n = 0", shape.groups())
}

/// Buckets that are older than so many seconds stay as they are from now on, unless something of them is not in the
/// groups yet. Gives the first that does not.
pub(in crate::aggregates) fn freeze(shape: &Shape, seconds: u64, frozen_until: &str) -> String {
    let kind = shape.time.sql();
    let then = match shape.time {
        super::TimeKind::Instant => format!("now() - interval '{seconds} seconds'"),
        _ => format!("((now() at time zone 'UTC') - interval '{seconds} seconds')::{kind}"),
    };
    let bucket = shape.buckets().of(&format!("({then})"));
    format!(
        "select to_json(bucket) #>> '{{}}' as until from (select {bucket} as bucket) as next where bucket > \
         {}::{kind} and not exists (select from {} where kind <> 'd' or (key).{} < bucket)",
        literal(frozen_until),
        shape.log(),
        quoted("b"),
    )
}
