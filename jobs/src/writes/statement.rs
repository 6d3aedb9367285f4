//! The statements that write rows: one for each set of columns, of as many rows as there are.
//!
//! Values travel as arrays of texts, which the database casts itself: every type has one spelling, and numbers that are
//! bound as numbers save Postgres a twentieth of its time. `copy` would save it a quarter; but what the driver sends in the
//! end waits on TCP until the server has acknowledged what was sent before, which takes 40 ms. A row that names no value
//! for a column gets its default, which no NULL would; so rows of one statement name the same columns.

use std::collections::HashMap;

use brasa_shared::config::{Merge, Merging, Mode, Write};
use brasa_shared::db::{self, Param, quoted};
use sqlx::PgConnection;

use crate::writes::row::Row;
use crate::writes::table::Table;

/// Writes rows: those with the same columns in one statement, and those of one key in their order.
///
/// # Errors
/// What Postgres says.
pub(super) async fn insert_rows(
    connection: &mut PgConnection,
    write: &Write,
    table: &Table,
    rows: &[&Row],
) -> Result<(), sqlx::Error> {
    let names: Vec<&str> = table.columns.keys().map(String::as_str).collect();
    for Group { columns, rows, .. } in rounds(write, table, rows) {
        let columns: Vec<&str> = columns.iter().filter_map(|column| names.get(*column)).copied().collect();
        let sql = insert(write, table, &columns);
        let array = |nth| db::array_of_some_texts(rows.iter().map(|row| row.value(nth)));
        let arrays: Vec<Param> = (0..columns.len()).filter_map(array).collect();
        db::execute_for_job(connection, "write rows", &sql, &arrays).await?;
    }
    Ok(())
}

/// Rows with the same columns, in a round: those of a later one are written later.
struct Group<'r> {
    round: usize,
    columns: Vec<usize>,
    rows: Vec<&'r Row>,
}

impl Group<'_> {
    fn fits(&self, round: usize, row: &Row) -> bool {
        self.round == round && row.columns().eq(self.columns.iter().copied())
    }
}

/// Rows by their columns; where rows of one key have different ones, in as many rounds as it takes to keep their order.
fn rounds<'r>(write: &Write, table: &Table, given: &[&'r Row]) -> Vec<Group<'r>> {
    let Some((first, others)) = given.split_first() else { return Vec::new() };
    let alike = Group { round: 0, columns: first.columns().collect(), rows: Vec::new() };
    if others.iter().all(|row| alike.fits(0, row)) {
        return vec![Group { rows: given.to_vec(), ..alike }];
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut last: HashMap<Vec<&str>, (usize, &Row)> = HashMap::new();
    let order_by = table.places(&write.order_by).unwrap_or_default();
    for &row in given {
        let round = match row.key(&order_by).filter(|key| !key.is_empty()) {
            None => 0,
            Some(key) => {
                let (round, before) = last.entry(key).or_insert((0, row));
                if !before.columns().eq(row.columns()) {
                    *round += 1;
                }
                *before = row;
                *round
            }
        };
        // Most rows are like the one before them.
        let place = groups.iter().rposition(|group| group.fits(round, row));
        if let Some(group) = place.and_then(|place| groups.get_mut(place)) {
            group.rows.push(row);
        } else {
            groups.push(Group { round, columns: row.columns().collect(), rows: vec![row] });
        }
    }
    groups.sort_by_key(|group| group.round);
    groups
}

/// The statement that writes rows with these columns, an array of texts for each.
pub(super) fn insert(write: &Write, table: &Table, columns: &[&str]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    let arrays: Vec<String> = (1..=columns.len()).map(|place| format!("${place}::text[]")).collect();
    let cast = |(column, name): (&&str, &String)| {
        let kind = table.columns.get(*column).map_or("text", |shape| shape.kind.as_str());
        format!("given.{name}::{kind} as {name}")
    };
    let casts: Vec<String> = columns.iter().zip(&names).map(cast).collect();
    let (arrays, casts, list) = (arrays.join(", "), casts.join(", "), names.join(", "));
    match &write.mode {
        // They come out in the order in which they went in.
        Mode::Append => {
            format!(
                "insert into {} ({list}) select {casts} from unnest({arrays}) as given({list})",
                write.table
            )
        }
        Mode::Upsert(merging) => {
            let given = format!("unnest({arrays}) with ordinality as given({list}, \"~n\")");
            let rows = format!("select given.\"~n\", {casts} from {given}");
            upsert(write, merging, table, columns, (&list, &rows))
        }
    }
}

/// Rows of one key become one first, in the order in which they came: a statement cannot touch a row twice. And they come
/// in the order of their keys, so that two batches never wait for one another in a circle.
fn upsert(
    write: &Write,
    merging: &Merging,
    table: &Table,
    columns: &[&str],
    (list, rows): (&str, &str),
) -> String {
    let how =
        |column: &str| merging.of(column, table.columns.get(column).is_some_and(|shape| shape.is_number));
    let key: Vec<String> = merging.key.iter().map(|column| quoted(column)).collect();
    let key = key.join(", ");
    let values: Vec<&&str> =
        columns.iter().filter(|column| !merging.key.iter().any(|key| key == **column)).collect();
    let one = |column: &&str| {
        let name = quoted(column);
        if merging.key.iter().any(|key| key == column) {
            return name;
        }
        let all = format!(
            "over (partition by {key} order by \"~n\" rows between unbounded preceding and unbounded following)"
        );
        let value = match how(column) {
            Merge::Last => format!("last_value({name}) {all}"),
            Merge::First => format!("first_value({name}) {all}"),
            Merge::Sum => format!("sum({name}) {all}"),
            Merge::Min => format!("min({name}) {all}"),
            Merge::Max => format!("max({name}) {all}"),
        };
        format!("{value} as {name}")
    };
    let merged: Vec<String> = columns.iter().map(one).collect();
    let set = |column: &&&str| {
        let name = quoted(column);
        let (old, new) = (format!("held.{name}"), format!("excluded.{name}"));
        let value = match how(column) {
            Merge::Last => new,
            Merge::First => format!("coalesce({old}, {new})"),
            Merge::Sum => format!("coalesce({old} + {new}, {old}, {new})"),
            Merge::Min => format!("least({old}, {new})"),
            Merge::Max => format!("greatest({old}, {new})"),
        };
        format!("{name} = {value}")
    };
    let sets: Vec<String> = values.iter().map(set).collect();
    let action =
        if sets.is_empty() { "nothing".to_owned() } else { format!("update set {}", sets.join(", ")) };
    format!(
        "insert into {} as held ({list}) select distinct on ({key}) {} from ({rows}) come order by {key} \
         on conflict ({key}) do {action}",
        write.table,
        merged.join(", ")
    )
}
