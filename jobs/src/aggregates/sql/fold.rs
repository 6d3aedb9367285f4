//! Moving what changed into the groups: one statement, one snapshot.

use brasa_shared::db::{literal, quoted};

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::board;
use crate::aggregates::sql::rows::{added, bare_keys, each_between, grouped, list};

/// Whether nothing changed.
pub(in crate::aggregates) fn is_idle(shape: &Shape, read_until: &str) -> String {
    let log = format!("not exists (select from {})", shape.log());
    let Some(xid) = shape.definition.xid.as_deref().map(quoted) else { return format!("select {log}") };
    format!(
        "select {log} and not exists (select from {} where {xid} >= {}::xid8 and {xid} < \
         pg_snapshot_xmin(pg_current_snapshot()))",
        shape.source,
        literal(read_until)
    )
}

/// Before which transaction all have ended, whoever looks.
pub(in crate::aggregates) fn horizon() -> String {
    "select pg_snapshot_xmin(pg_current_snapshot())::text as until".to_owned()
}

/// How many rows the log has, and for how many seconds the first of them has been there.
pub(in crate::aggregates) fn waiting(shape: &Shape) -> String {
    format!(
        "select count(*) as rows, coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 as seconds from {}",
        shape.log()
    )
}

/// For how many seconds the first row of the log has been there; no row where there is none. All of it is read: what a
/// vacuum made room for at the front is younger than what stands behind it.
pub(in crate::aggregates) fn oldest(shape: &Shape) -> String {
    format!(
        "select extract(epoch from clock_timestamp() - min(at))::float8 as seconds from {} having count(*) > 0",
        shape.log()
    )
}

/// What the next so many rows of the log are: how many, whether there are groups to be computed again among them, and
/// whether all are.
pub(in crate::aggregates) fn glance(shape: &Shape, most: usize) -> String {
    format!(
        "select count(*) as rows, coalesce(bool_or(kind = 'r'), false) as is_dirty, coalesce(bool_or(kind = 'a'), false) as \
         is_all from (select kind from {} limit {most}) as next",
        shape.log()
    )
}

/// Makes of the word that all groups are unknown one for each that there is or should be.
pub(in crate::aggregates) fn expand_all(shape: &Shape) -> Vec<String> {
    let (log, groups) = (shape.log(), shape.groups());
    vec![
        format!("delete from {log} where kind = 'a'"),
        format!(
            "insert into {log} (kind, key) select 'r', key from (select key from {groups} union select key from {log} union \
             {}) as known",
            bare_keys(shape)
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
    /// Whether the log has more rows than those.
    pub(in crate::aggregates) is_behind: bool,
    /// What is said of buckets before this one is left out.
    pub(in crate::aggregates) from: &'a str,
    /// The columns that a published key names, where something is published.
    pub(in crate::aggregates) published: Option<&'a [String]>,
    /// Where rows are only ever added: those of transactions from the first on and before the second.
    pub(in crate::aggregates) between: Option<(&'a str, &'a str)>,
}

/// Takes rows out of the log and puts what they say into the groups. Gives how many rows it took, how many groups it
/// touched, how many rows came for buckets that are left out, and between which buckets groups lost their last row.
pub(in crate::aggregates) fn fold(shape: &Shape, of: FoldOf<'_>) -> String {
    let from = format!("{}::{}", literal(of.from), shape.time.sql());
    let mut parts = taken(shape, of);
    let mut touched = Vec::new();
    if shape.is_delta {
        parts.extend(added_up(shape, of, &from));
        touched.push("added");
    }
    if of.is_dirty {
        let fresh = again(shape, "dirty", &from, of.between.map(|(_, until)| until));
        parts.push(format!("fresh as materialized ({fresh})"));
        parts.push(format!("replaced as ({})", replace(shape, "fresh")));
        parts.push(format!(
            "emptied as (delete from {} where key in (select key from dirty where (key).b >= {from}) and key not in (select \
             key from fresh) returning key)",
            shape.groups()
        ));
        touched.extend(["replaced", "emptied"]);
    }
    let touched: Vec<String> = touched.iter().map(|part| format!("select key from {part}")).collect();
    parts.push(format!("touched as materialized ({})", touched.join(" union all ")));
    if let Some(columns) = of.published {
        parts.push(told(shape, columns));
    }
    let emptied = if shape.is_delta {
        let bound = |of: &str| format!("(select to_json({of}((key).b)) #>> '{{}}' from added where n = 0)");
        format!("{} as first, {} as last", bound("min"), bound("max"))
    } else {
        "null::text as first, null::text as last".to_owned()
    };
    let (came, rows) = match of.between {
        Some(_) => ("came", " + (select coalesce(sum(n), 0) from came)"),
        None => ("gone", ""),
    };
    format!(
        "with {} select ((select count(*) from gone){rows})::bigint as rows, (select count(*) from touched) as groups, \
         coalesce((select sum(n) from {came} where (key).b < {from} and n > 0), 0)::bigint as late, {emptied}",
        parts.join(", ")
    )
}

/// `gone`: rows that leave the log. And `dirty`: the groups that are to be computed again, of which all that is known goes,
/// since it is in what is computed.
fn taken(shape: &Shape, of: FoldOf<'_>) -> Vec<String> {
    let (log, most) = (shape.log(), of.most);
    if !of.is_dirty {
        // These may be others than those that were looked at before: in which order they come is not said.
        let next = format!("select ctid from {log} where kind = 'd'");
        let gone = |picked: &str| {
            format!("gone as (delete from {log} where ctid = any (array({picked} limit {most})) returning *)")
        };
        if !of.is_behind {
            return vec![gone(&next)];
        }
        // At the front a vacuum makes room for new rows, behind which old ones would wait until all is caught up: so it
        // begins at any page, and goes round.
        return vec![
            format!(
                "start as materialized (select ('(' || floor(random() * pg_relation_size({}) / \
                 current_setting('block_size')::int)::bigint || ',0)')::tid as place)",
                literal(&log)
            ),
            gone(&format!(
                "{next} and ctid >= (select place from start) union all {next} and ctid < (select place from start)"
            )),
        ];
    }
    vec![
        format!(
            "picked as materialized (select ctid as place, kind, key from {log} where kind <> 'a' limit {most})"
        ),
        "dirty as materialized (select distinct key from picked where kind = 'r')".to_owned(),
        // By an array: before version 14 Postgres would compare each row with each place.
        format!(
            "gone as (delete from {log} where ctid = any (array(select place from picked union select ctid from {log} where \
             key in (select key from dirty))) returning *)"
        ),
    ]
}

/// `added`: groups to which what changed was added.
fn added_up(shape: &Shape, of: FoldOf<'_>, from: &str) -> Vec<String> {
    let names = list(shape, |kept| kept.name.clone());
    let sums = list(shape, |kept| format!("sum({0})::{1} as {0}", kept.name, kept.kind));
    let sets = list(shape, |kept| format!("{0} = held.{0} + excluded.{0}", kept.name));
    let clean = if of.is_dirty { " and key not in (select key from dirty)" } else { "" };
    let mut parts = Vec::new();
    let changes = match (of.between, &shape.definition.xid) {
        (Some((first, until)), Some(xid)) => {
            let [first, until] = [first, until].map(|xid| format!("{}::xid8", literal(xid)));
            parts.push(format!("came as materialized ({})", added(shape, xid, &first, Some(&until))));
            "came where true"
        }
        _ => "gone where kind = 'd'",
    };
    // In one order, as all who write more than one group.
    parts.push(format!(
        "net as (select key, sum(n)::bigint as n{sums} from {changes} and (key).b >= {from}{clean} group by key order by key)"
    ));
    parts.push(format!(
        "added as (insert into {} as held (key, n{names}) select key, n{names} from net on conflict (key) do update set n = \
         held.n + excluded.n{sets} returning key, n)",
        shape.groups()
    ));
    parts
}

/// Notes what is to be published again.
fn told(shape: &Shape, columns: &[String]) -> String {
    format!(
        "told as (insert into brasa.aggregate_outbox as held (name, params, version) select distinct {}, {}, {} from \
         touched order by 2 on conflict (name, params) do update set version = excluded.version)",
        literal(&shape.name),
        board::params(shape, columns),
        board::VERSION
    )
}

/// The groups with these keys, computed again from the rows of their buckets; those that have none are not among them.
pub(super) fn again(shape: &Shape, dirty: &str, frozen: &str, until: Option<&str>) -> String {
    let buckets = shape.buckets();
    let until = until.map(|until| format!("{}::xid8", literal(until)));
    let rows = each_between(shape, "known.b", &buckets.end("known.b"), until.as_deref());
    let names = list(shape, |kept| format!("found.{}", kept.name));
    format!(
        "select found.key, found.n{names} from (select distinct (key).b as b from {dirty} where (key).b >= {frozen}) as \
         known cross join lateral ({}) as found where (found.key).b = known.b and found.key in (select key from {dirty})",
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

/// Takes groups away that have no rows any more, in buckets from `first` to `last`.
pub(in crate::aggregates) fn drop_empty(shape: &Shape, first: &str, last: &str) -> String {
    let kind = shape.time.sql();
    format!(
        "delete from {} where (key).b between {}::{kind} and {}::{kind} and n = 0",
        shape.groups(),
        literal(first),
        literal(last)
    )
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
