//! What notes changes of a source, inside the transactions that make them.
//!
//! A statement writes one row for each group that it touched: what it added, less what it took away. Nothing is looked
//! up and nothing is waited for. And whatever goes wrong in here, no statement of the application fails. Where an
//! expression cannot be computed, the groups are noted as unknown; where not even they can be told, all are.

use crate::aggregates::shape::Shape;
use crate::aggregates::sql::rows::{bare, each, grouped, key, keys, list};

/// What happens to a table.
pub(in crate::aggregates) const EVENTS: [&str; 4] = ["insert", "update", "delete", "truncate"];

/// The functions that triggers call, each of which nobody else may.
pub(in crate::aggregates) fn create_functions(shape: &Shape) -> Vec<String> {
    let create = |event: &&str| {
        let function = shape.function(event);
        let all = mark_everything(shape);
        let rows: &[(&str, i8)] = match *event {
            "insert" => &[("new_rows", 1)],
            "update" => &[("new_rows", 1), ("old_rows", -1)],
            "delete" => &[("old_rows", -1)],
            _ => &[],
        };
        let body = if rows.is_empty() {
            format!("begin\n    {all};\n    return null;\nend")
        } else {
            let bare: Vec<String> = rows.iter().map(|(table, _)| bare(shape, table)).collect();
            format!(
                "begin\n    {};\n    return null;\nexception when others then\n    begin\n        {};\n    exception when \
                 others then\n        {all};\n    end;\n    return null;\nend",
                noted(shape, rows),
                touched(shape, &bare)
            )
        };
        let mut tag = "$brasa$".to_owned();
        while body.contains(&tag) {
            tag.insert(1, '_');
        }
        [
            format!(
                "create or replace function {function}() returns trigger language plpgsql security definer\nset \
                 search_path = pg_catalog, pg_temp\nas {tag}\n#variable_conflict use_column\n{body}\n{tag}"
            ),
            format!("revoke all on function {function}() from public"),
        ]
    };
    EVENTS.iter().flat_map(create).collect()
}

/// The triggers of a table or of a part of it.
pub(in crate::aggregates) fn create_triggers(shape: &Shape, on: &str) -> Vec<String> {
    let create = |event: &&str| {
        let rows = match *event {
            "insert" => " referencing new table as new_rows",
            "update" => " referencing old table as old_rows new table as new_rows",
            "delete" => " referencing old table as old_rows",
            _ => "",
        };
        let (trigger, function) = (shape.trigger(event), shape.function(event));
        format!(
            "create trigger {trigger} after {event} on {on}{rows} for each statement execute function {function}()"
        )
    };
    EVENTS.iter().map(create).collect()
}

/// Notes every group of a part that was not watched before.
pub(in crate::aggregates) fn mark_part(shape: &Shape, part: &str) -> String {
    touched(shape, &[bare(shape, part)])
}

/// Notes that nobody knows any group any more.
pub(in crate::aggregates) fn mark_everything(shape: &Shape) -> String {
    format!("insert into {} (kind) values ('a')", shape.log())
}

fn noted(shape: &Shape, tables: &[(&str, i8)]) -> String {
    if shape.is_delta {
        let changed = changed(shape, tables);
        return match tables {
            [table] => {
                format!("{};\n    if not found then\n        {changed};\n    end if", single(shape, *table))
            }
            _ => changed,
        };
    }
    let rows: Vec<String> = tables.iter().map(|(table, _)| each(shape, table, "", None)).collect();
    match rows.as_slice() {
        // Rows that are afterwards what they were before, as far as it counts, touch nothing.
        [new, old] => touched(shape, &[format!("{new} except all {old}"), format!("{old} except all {new}")]),
        rows => touched(shape, rows),
    }
}

/// The groups of these rows, each once.
fn touched(shape: &Shape, rows: &[String]) -> String {
    let keys = keys(shape);
    let parts = rows.iter().map(|rows| format!("select {keys} from ({rows}) as rows"));
    let parts: Vec<String> = parts.collect();
    format!(
        "insert into {} (kind, key) select 'r', {} from (select distinct {keys} from ({}) as rows) as rows",
        shape.log(),
        key(shape),
        parts.join(" union all ")
    )
}

/// What one row added or took away; nothing where a statement has more of them. To group what is one row is half of what
/// a statement of one row pays.
fn single(shape: &Shape, (table, sign): (&str, i8)) -> String {
    let minus = if sign > 0 { "" } else { "-" };
    let values = list(shape, |kept| {
        let x = format!("x{}", kept.of);
        let value = if kept.is_count {
            format!("({x} is not null)::int")
        } else {
            format!("coalesce({x}, 0)::{}", kept.kind)
        };
        format!("{minus}{value} as {}", kept.name)
    });
    let rows = each(shape, table, "", None);
    let is_one = format!("not exists (select from {table} offset 1)");
    let net =
        format!("select {} as key, {minus}1 as n{values} from ({rows}) as rows where {is_one}", key(shape));
    logged(shape, &net)
}

/// What was added to groups, less what was taken away.
fn changed(shape: &Shape, tables: &[(&str, i8)]) -> String {
    let net = match tables {
        [(table, sign)] => {
            let groups = grouped(shape, &each(shape, table, "", None));
            if *sign > 0 {
                groups
            } else {
                let names = list(shape, |kept| format!("-{0} as {0}", kept.name));
                format!("select key, -n as n{names} from ({groups}) as gone")
            }
        }
        tables => {
            let signed = |(table, sign): &(&str, i8)| each(shape, table, &format!("{sign} as sign, "), None);
            let rows: Vec<String> = tables.iter().map(signed).collect();
            let sums = list(shape, |kept| {
                let x = format!("x{}", kept.of);
                let sum = if kept.is_count {
                    format!("coalesce(sum(sign) filter (where {x} is not null), 0)")
                } else {
                    format!("coalesce(sum(sign::{} * {x}), 0)::{}", kept.kind, kept.kind)
                };
                format!("{sum} as {}", kept.name)
            });
            format!(
                "select {} as key, sum(sign) as n{sums} from ({}) as rows group by {}",
                key(shape),
                rows.join(" union all "),
                keys(shape)
            )
        }
    };
    let sql = logged(shape, &net);
    if tables.len() == 1 {
        return sql;
    }
    // Rows that are afterwards what they were before, as far as it counts, change nothing.
    let kept = shape.kept.iter().map(|kept| format!("{} <> 0", kept.name));
    let changes: Vec<String> = ["n <> 0".to_owned()].into_iter().chain(kept).collect();
    format!("{sql} where {}", changes.join(" or "))
}

/// Puts what changed into the log.
fn logged(shape: &Shape, net: &str) -> String {
    let names = list(shape, |kept| kept.name.clone());
    let odd: Vec<String> = shape.kept.iter().filter(|kept| kept.may_be_odd()).map(odd).collect();
    // What is no number cannot be subtracted again.
    let kind = if odd.is_empty() {
        "'d'".to_owned()
    } else {
        format!("case when {} then 'r' else 'd' end", odd.join(" or "))
    };
    let log = shape.log();
    format!("insert into {log} (kind, key, n{names}) select {kind}, key, n{names} from ({net}) as net")
}

fn odd(kept: &crate::aggregates::shape::Kept) -> String {
    format!("{0} - {0} <> 0", kept.name)
}
