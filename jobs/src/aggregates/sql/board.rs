//! What is put into Redis.

use brasa_shared::db::literal;

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::view::shown;

/// A number that grows with each fold of whichever version, also when another server takes over which has lost some.
pub(super) const VERSION: &str = "(select (('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint << 40) + \
                                  nextval('brasa.aggregate_news'))";

/// The values of these columns in a group's key, as an array of texts.
pub(super) fn params(shape: &Shape, columns: &[String]) -> String {
    let params: Vec<String> = texts(shape, columns).collect();
    format!("array[{}]::text[]", params.join(", "))
}

fn texts<'s>(shape: &'s Shape, columns: &'s [String]) -> impl Iterator<Item = String> + 's {
    let place = |column: &String| shape.definition.by.iter().position(|known| known == column);
    columns.iter().filter_map(place).map(|place| format!("coalesce((key).g{place}::text, '')"))
}

/// Has everything published again.
pub(in crate::aggregates) fn board_all(shape: &Shape, columns: &[String]) -> String {
    let (name, params, groups) = (literal(&shape.name), params(shape, columns), shape.groups());
    let keys = if columns.is_empty() {
        // Also where there are no groups: a dashboard of nothing is one.
        format!("select {params} as params")
    } else {
        format!("select distinct {params} as params from {groups}")
    };
    format!(
        "insert into brasa.aggregate_outbox (name, params, version) select {name}, params, {VERSION} from ({keys}) as keys \
         order by params on conflict (name, params) do update set version = excluded.version"
    )
}

/// The newest buckets of the groups with these values: `as_of`, and `rows`, the newest first.
pub(in crate::aggregates) fn board(
    shape: &Shape,
    columns: &[String],
    params: &[String],
    buckets: u32,
) -> String {
    let is_those =
        texts(shape, columns).zip(params).map(|(text, param)| format!("{text} = {}", literal(param)));
    let is_those: Vec<String> = is_those.collect();
    let condition = if is_those.is_empty() { "true".to_owned() } else { is_those.join(" and ") };
    let groups = shape.groups();
    let newest = format!(
        "(select min(b) from (select distinct (key).b as b from {groups} where {condition} order by 1 desc limit {buckets}) \
         as newest)"
    );
    let rows = format!("select * from {groups} where {condition} and (key).b >= {newest}");
    format!(
        "select translate(json_build_object('as_of', now(), 'rows', coalesce((select json_agg(shown) from ({} order by key desc) as \
         shown), '[]'::json))::text, e'\n', '') as figures",
        shown(shape, &rows)
    )
}
